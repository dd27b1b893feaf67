/**
 * Ruled tables as `anka show` prints them: a rule around every row, titles as they are.
 *
 * Zone: control.  Measured in columns of the screen.  Where the terminal is too narrow the widest columns give way and
 * their cells go on below; what is no terminal has no width, and nothing is broken for it.
 */
import { cellText, painted } from './table.ts';
import type { Colour, Column } from './table.ts';
import { displayWidth, wrapped } from './width.ts';

export interface GridStyle {
  readonly coloured: boolean;
  /** Columns of the terminal; undefined: as wide as it gets. */
  readonly width: number | undefined;
}

/** Narrower than this nothing can be read. */
const MIN_COLUMN_WIDTH = 8;
/** `| ` before a cell and one space behind it. */
const CELL_FRAME = 3;

interface Cell {
  readonly text: string;
  readonly colour: Colour | null;
}

type FieldEntry = readonly [name: string, value: string | number | null];

/** Under a row of titles. */
export function formatGrid<Row>(columns: readonly Column<Row>[], rows: readonly Row[], style: GridStyle): string {
  const titles = columns.map(({ title }) => ({ text: title, colour: null }));
  const cells = rows.map((row) =>
    columns.map(({ value, colour }) => ({ text: cellText(value(row)), colour: colour?.(row) ?? null })),
  );
  return ruled([titles, ...cells], style);
}

/** One object: a row for each of its fields that has a value. */
export function formatFieldGrid(entries: readonly FieldEntry[], style: GridStyle): string {
  const filled = entries.filter(([, value]) => value !== null && value !== '');
  return ruled(
    filled.map(([name, value]) => [name, value].map((part) => ({ text: cellText(part), colour: null }))),
    style,
  );
}

function ruled(rows: readonly (readonly Cell[])[], { coloured, width }: GridStyle): string {
  const widths = fitted(naturalWidths(rows), width);
  const rule = `+${widths.map((columns) => '-'.repeat(columns + 2)).join('+')}+\n`;
  return rule + rows.map((row) => `${linesOf(row, widths, coloured)}${rule}`).join('');
}

const naturalWidths = (rows: readonly (readonly Cell[])[]): number[] =>
  (rows[0] ?? []).map((_, at) => rows.reduce((most, row) => Math.max(most, displayWidth(row[at]?.text ?? '')), 0));

/** The widest column gives way first, until the whole fits or none can. */
function fitted(widths: number[], available: number | undefined): readonly number[] {
  const room = (available ?? Infinity) - widths.length * CELL_FRAME - 1;
  for (let excess = widths.reduce((sum, columns) => sum + columns, 0) - room; excess > 0; excess--) {
    const widest = Math.max(...widths);
    if (widest <= MIN_COLUMN_WIDTH) break;
    widths[widths.indexOf(widest)] = widest - 1;
  }
  return widths;
}

function linesOf(row: readonly Cell[], widths: readonly number[], coloured: boolean): string {
  const parts = row.map(({ text }, at) => wrapped(text, widths[at] ?? 0));
  const height = Math.max(...parts.map(({ length }) => length));
  return Array.from({ length: height }, (_, line) => {
    const cells = row.map(({ colour }, at) => {
      const text = parts[at]?.[line] ?? '';
      const space = ' '.repeat(Math.max(0, (widths[at] ?? 0) - displayWidth(text)));
      return `${painted(text, coloured && text !== '' ? colour : null)}${space}`;
    });
    return `| ${cells.join(' | ')} |\n`;
  }).join('');
}
