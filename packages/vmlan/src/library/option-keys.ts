/**
 * Options that nobody knows, which a program in JavaScript would hear of from nobody else.
 *
 * Zone: control.
 */
import { VmlanError } from '../core/errors.ts';

export const NIC_KEYS: readonly ['mac', 'ip'] = ['mac', 'ip'];

/** `of`: whose options they are.  Throws VmlanError `invalid`. */
export function checkKeys(of: string, options: object, known: readonly string[]): void {
  const unknown = Object.keys(options).find((key) => !known.includes(key));
  if (unknown === undefined) return;
  throw new VmlanError('invalid', `${of}: unknown option "${unknown}"`, { hint: `known are ${known.join(', ')}` });
}
