/**
 * Tables for people: a heading, aligned columns two spaces apart, no rules and no trailing spaces.
 *
 * Zone: control.  Cells are made printable here.  A colour goes around a cell after it is measured, so it never
 * disturbs the columns.
 */
import { displayWidth, printable } from './width.ts';

export type Colour = 'green' | 'yellow' | 'red' | 'dim';

export interface Column<Row> {
  readonly title: string;
  readonly value: (row: Row) => string | number | null;
  readonly align?: 'left' | 'right';
  readonly colour?: (row: Row) => Colour | null;
}

const SGR: Readonly<Record<Colour, number>> = { green: 32, yellow: 33, red: 31, dim: 2 };
const GAP = '  ';
/** What stands for "nothing", as in most tools of this kind. */
const EMPTY = '-';

export function formatTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[], coloured = false): string {
  const titles = columns.map((column) => column.title.toUpperCase());
  const cells = rows.map((row) => columns.map((column) => cellText(column.value(row))));
  const widths = titles.map((title, index) =>
    Math.max(displayWidth(title), ...cells.map((row) => displayWidth(row[index] ?? ''))),
  );
  const lines = [formatLine(columns, titles, widths, () => null)];
  for (const [at, row] of rows.entries()) {
    const colourOf = (index: number): Colour | null => (coloured ? (columns[index]?.colour?.(row) ?? null) : null);
    lines.push(formatLine(columns, cells[at] ?? [], widths, colourOf));
  }
  return `${lines.join('\n')}\n`;
}

/** `name  value` lines for one object. */
export function formatDetails(entries: readonly (readonly [name: string, value: string | number | null])[]): string {
  const width = Math.max(...entries.map(([name]) => displayWidth(name)));
  const lines = entries.map(([name, value]) => `${name.padEnd(width)}${GAP}${cellText(value)}`.trimEnd());
  return `${lines.join('\n')}\n`;
}

/** Text that is printable already. */
export const painted = (text: string, colour: Colour | null): string =>
  colour === null ? text : `\u001B[${SGR[colour]}m${text}\u001B[0m`;

/** What stands in a cell, safe to show. */
export function cellText(value: string | number | null): string {
  if (value === null || value === '') return EMPTY;
  return printable(String(value));
}

function formatLine<Row>(
  columns: readonly Column<Row>[],
  cells: readonly string[],
  widths: readonly number[],
  colourOf: (index: number) => Colour | null,
): string {
  const last = cells.length - 1;
  const padded = cells.map((cell, index) => {
    const space = ' '.repeat(Math.max(0, (widths[index] ?? 0) - displayWidth(cell)));
    const colour = colourOf(index);
    const text = painted(cell, colour);
    if (columns[index]?.align === 'right') return space + text;
    return index === last ? text : text + space;
  });
  return padded.join(GAP);
}
