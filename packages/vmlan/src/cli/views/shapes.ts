/**
 * Shapes as rows: one for each direction, or one for both when they are alike.
 *
 * Zone: control.
 */
import type { ShapeSettings, ShapeView } from '../../model/api.ts';
import { describeShape } from '../../model/shape-units.ts';
import { formatTable } from '../output/table.ts';
import type { Column } from '../output/table.ts';

interface Row {
  readonly shape: ShapeView;
  readonly direction: string;
  readonly settings: ShapeSettings;
}

const COLUMNS: readonly Column<Row>[] = [
  { title: 'id', value: ({ shape }) => shape.id },
  { title: 'guest', value: ({ shape }) => shape.guest },
  { title: '', value: ({ direction }) => direction },
  { title: 'peer', value: ({ shape }) => shape.peer ?? 'all' },
  { title: 'network', value: ({ shape }) => shape.network },
  {
    title: 'shape',
    value: ({ settings }) => describeShape(settings),
    colour: ({ settings }) => (settings.partition === true ? 'red' : null),
  },
];

export const shapeTable = (shapes: readonly ShapeView[], coloured: boolean): string =>
  formatTable(COLUMNS, shapes.flatMap(rowsOf), coloured);

function rowsOf(shape: ShapeView): Row[] {
  const { fromGuest, toGuest } = shape;
  if (fromGuest !== null && toGuest !== null && describeShape(fromGuest) === describeShape(toGuest))
    return [{ shape, direction: '<->', settings: fromGuest }];
  return [
    ...(fromGuest === null ? [] : [{ shape, direction: '->', settings: fromGuest }]),
    ...(toGuest === null ? [] : [{ shape, direction: '<-', settings: toGuest }]),
  ];
}

/** All that shapes a guest, in one line; null: nothing does. */
export function shapeLine(shapes: readonly ShapeView[], guest: string): string | null {
  const own = shapes.filter((shape) => shape.guest === guest || shape.peer === guest);
  const parts = own.flatMap((shape) =>
    rowsOf(shape).map(({ direction, settings }) => {
      const other = shape.guest === guest ? shape.peer : shape.guest;
      const way = shape.guest === guest ? direction : ({ '->': '<-', '<-': '->' }[direction] ?? direction);
      return `${way} ${other ?? 'all'}: ${describeShape(settings)}`;
    }),
  );
  return parts.length === 0 ? null : parts.join('; ');
}
