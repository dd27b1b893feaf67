/**
 * The command line of the bench.
 *
 * Zone: control.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Servers } from './bed.ts';

export interface BenchOptions {
  readonly scenarios: readonly string[];
  readonly rounds: number;
  readonly seconds: number;
  readonly quick: boolean;
  readonly servers: Servers;
  readonly install: boolean;
  readonly list: boolean;
  readonly help: boolean;
  /** Folder for the report. */
  readonly out: string;
}

export const USAGE = `npm run bench [-- SCENARIO… [OPTIONS]]

  SCENARIO      a number or a name of --list; all of them without any
  --rounds N    interleaved rounds, 5 unless told
  --seconds N   of one measurement, 2 unless told
  --quick       one round of one second, small sizes: to see that it works
  --far         servers behind a veth of the host instead of on its loopback
  --install     first install missing peers and tools (Debian; asks nothing)
  --out DIR     where the report goes; bench/report/dist unless told
  --list        name the scenarios
`;

function count(text: string, name: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} ${text}: a whole number above 0 is needed`);
  return value;
}

export function parseOptions(argv: readonly string[]): BenchOptions {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      far: { type: 'boolean', default: false },
      install: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
      out: { type: 'string', default: join(import.meta.dirname, 'report', 'dist') },
    },
  });
  const { quick, install, list, help, out } = values;
  return {
    ...{ scenarios: positionals, quick, install, list, help, out },
    rounds: count(values.rounds ?? (quick ? '1' : '5'), 'rounds'),
    seconds: count(values.seconds ?? (quick ? '1' : '2'), 'seconds'),
    servers: values.far ? 'far' : 'near',
  };
}
