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
  /** Peers to measure beside vmlan; all of them when empty. */
  readonly only: readonly string[];
  /** Two results to hold against each other; nothing is measured. */
  readonly compare: readonly string[];
  readonly writeDocs: boolean;
  /** A result to write the documents from; nothing is measured. */
  readonly from: string | undefined;
  readonly install: boolean;
  readonly list: boolean;
  readonly help: boolean;
  /** Folder for the report. */
  readonly out: string;
}

export const USAGE = `npm run bench [-- SCENARIO… [OPTIONS]]

  SCENARIO      a number or a name of --list; all of them without any
  --rounds N    interleaved rounds, 5 unless told
  --seconds N   of one measurement, 1 unless told
  --only PEERS  only these beside vmlan: names with commas between (kernel,pasta)
  --quick       one round of one second, small sizes: to see that it works
  --far         servers behind a veth of the host instead of on its loopback
  --install     first install missing peers and tools (Debian; asks nothing)
  --out DIR     where the report goes; bench/report/dist unless told
  --write-docs  also put the figures into docs/performance.md
  --from FILE   with --write-docs: those of an earlier result.json
  --compare A.json B.json
                say which figures of two runs disagree; exit status 1 when more than chance explains
  --list        name the scenarios

Programs that Debian does not have are peers when the environment names them: VMLAN_BENCH_PASTA and VMLAN_BENCH_PASST (a
current pasta and passt), VMLAN_BENCH_GVPROXY. A peer that is not there is skipped, and the report says so.
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
      only: { type: 'string' },
      compare: { type: 'boolean', default: false },
      'write-docs': { type: 'boolean', default: false },
      from: { type: 'string' },
      far: { type: 'boolean', default: false },
      install: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
      out: { type: 'string', default: join(import.meta.dirname, 'report', 'dist') },
    },
  });
  const { quick, install, list, help, out } = values;
  if (values.compare && positionals.length !== 2) throw new Error('--compare needs two results');
  if (values.from !== undefined && !values['write-docs']) throw new Error('--from is for --write-docs');
  return {
    scenarios: values.compare ? [] : positionals,
    compare: values.compare ? positionals : [],
    only: values.only?.split(',') ?? [],
    writeDocs: values['write-docs'],
    from: values.from,
    ...{ quick, install, list, help, out },
    rounds: count(values.rounds ?? (quick ? '1' : '5'), 'rounds'),
    seconds: count(values.seconds ?? '1', 'seconds'),
    servers: values.far ? 'far' : 'near',
  };
}
