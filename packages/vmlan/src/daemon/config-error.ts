/**
 * What is wrong with networks.yaml, each thing with its place.
 *
 * Zone: control.  The first one is thrown and carries the others: a request is answered with it, `vmlan config check`
 * shows them all.
 */
import { VmlanError } from '../core/errors.ts';

/** More than a person mends at once. */
const MAX_SHOWN = 100;

export interface Place {
  readonly line: number;
  readonly column: number;
}

export class ConfigError extends VmlanError {
  readonly place: Place;
  others: readonly ConfigError[] = [];

  constructor(file: string, place: Place, message: string, hint: string | undefined) {
    super('invalid-config', `${file}:${place.line}:${place.column}: ${message}`, { hint });
    this.place = place;
  }
}

/** Throws the first with the others; nothing without any. */
export function throwTogether(errors: readonly ConfigError[]): void {
  const [first, ...others] = errors;
  if (first === undefined) return;
  first.others = others.slice(0, MAX_SHOWN - 1);
  throw first;
}

export const byPlace = (a: ConfigError, b: ConfigError): number =>
  a.place.line - b.place.line || a.place.column - b.place.column;
