/**
 * What a change of networks.yaml did, or would do.
 *
 * Zone: control.
 */
import type { NetworkChange, ReservationView } from '../../model/api.ts';
import type { Context } from '../context.ts';
import { formatTable, painted } from '../output/table.ts';
import type { Column } from '../output/table.ts';
import { printable } from '../output/width.ts';

/** `done` is the sentence for a change that was made. */
export async function showChange(context: Context, change: NetworkChange, done: string): Promise<void> {
  const { output } = context;
  await output.show(change, {
    table: (coloured) => (change.dryRun ? dryRunReport(change, coloured) : `${printable(done)}\n`),
    ids: () => [change.name],
  });
  for (const warning of change.warnings) output.warn(warning);
  if (output.structured) return;
  for (const name of change.restartNeeded) {
    output.warn(
      `network "${name}" runs on with its older settings until it is started again: --restart does it, ` +
        `or vmlan network stop ${name} and vmlan network start ${name}`,
    );
  }
}

function dryRunReport({ file, diff, steps }: NetworkChange, coloured: boolean): string {
  const lines = [
    ...(diff === '' ? [`${file} would stay as it is`] : diffLines(diff, coloured)),
    ...(steps.length === 0 ? ['no running network would change'] : ['', ...steps.map(printable)]),
    'nothing was changed: --dry-run',
  ];
  return lines.map((line) => `${line}\n`).join('');
}

const diffLines = (diff: string, coloured: boolean): readonly string[] =>
  diff
    .trimEnd()
    .split('\n')
    .map((line) => {
      const colour = line.startsWith('+') ? 'green' : line.startsWith('-') ? 'red' : null;
      return painted(printable(line), coloured ? colour : null);
    });

const RESERVATION_COLUMNS: readonly Column<ReservationView>[] = [
  { title: 'ip', value: ({ ip }) => ip },
  { title: 'guest', value: ({ guest }) => guest },
  { title: 'mac', value: ({ mac }) => mac },
  { title: 'network', value: ({ network }) => network },
  { title: 'origin', value: ({ origin }) => origin },
];

export const reservationTable = (reservations: readonly ReservationView[], coloured: boolean): string =>
  formatTable(RESERVATION_COLUMNS, reservations, coloured);
