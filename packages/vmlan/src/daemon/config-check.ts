/**
 * Judges a file that is not in use: what `vmlan config check` says, without a daemon.
 *
 * Zone: control.
 */
import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { toErrorData } from '../core/errors.ts';
import type { ErrorData } from '../core/errors.ts';
import { chooseDriver } from '../drivers/registry.ts';
import type { Network } from '../model/network.ts';
import type { HostRoute } from '../model/subnet.ts';
import { loadConfig } from './config.ts';
import type { Config } from './config.ts';
import { ConfigError } from './config-error.ts';
import { readHostRoutes } from './host-routes.ts';

export interface ConfigVerdict {
  readonly file: string;
  readonly networks: readonly string[];
  /** Networks that this version or this host cannot start. */
  readonly warnings: readonly string[];
  /** What is wrong first, `FILE:LINE:COL: …`; null: nothing. */
  readonly error: ErrorData | null;
  /** All that is wrong. */
  readonly problems: readonly ConfigProblem[];
}

export interface ConfigProblem {
  readonly message: string;
  readonly hint: string | null;
  /** null: the file cannot be read at all. */
  readonly line: number | null;
  readonly column: number | null;
}

export function checkConfig(
  name: string,
  running: ReadonlySet<string>,
  routes: readonly HostRoute[] = readHostRoutes(),
): ConfigVerdict {
  const file = resolve(name);
  try {
    const config = loadConfig({
      file,
      required: true,
      // Prefixes of its own for each machine play no part in whether a file is right.
      identify: (text) => createHash('sha256').update(text).digest(),
      hostRoutes: routes,
      picked: new Map(),
      running,
    });
    return { file, networks: [...config.networks.keys()], warnings: warningsOf(config), error: null, problems: [] };
  } catch (error) {
    return { file, networks: [], warnings: [], error: toErrorData(error), problems: problemsOf(error) };
  }
}

function problemsOf(error: unknown): readonly ConfigProblem[] {
  const all = error instanceof ConfigError ? [error, ...error.others] : [error];
  return all.map((each) => {
    const { message, hint = null } = toErrorData(each);
    const { line, column } = each instanceof ConfigError ? each.place : { line: null, column: null };
    return { message, hint, line, column };
  });
}

/** What of a configuration cannot be started here. */
export const warningsOf = (config: Config): readonly string[] =>
  [...config.networks.values()].flatMap((network) => startProblem(network, config) ?? []);

/** Why a network cannot be started here, or null. */
export function startProblem(network: Network, { unusable }: Pick<Config, 'unusable'>): string | null {
  const problem = unusable.get(network.name);
  if (problem !== undefined) return problem.message;
  try {
    chooseDriver(network);
    return null;
  } catch (error) {
    const { message, hint } = toErrorData(error);
    return hint === undefined ? message : `${message}; ${hint}`;
  }
}
