import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { formatFieldGrid, formatGrid } from './grid.ts';
import type { Column } from './table.ts';
import { displayWidth } from './width.ts';

interface Row {
  readonly name: string | null;
  readonly state: string;
}

const COLUMNS: readonly Column<Row>[] = [
  { title: 'name', value: ({ name }) => name },
  { title: 'state', value: ({ state }) => state, colour: ({ state }) => (state === 'up' ? 'green' : null) },
];
const PLAIN = { coloured: false, width: undefined };

const lines = (...text: readonly string[]): string => text.map((line) => `${line}\n`).join('');

describe('a grid of fields', () => {
  test('has a rule around every row, as in the output of anka show', () => {
    const fields = [
      ['mode', 'shared'],
      ['controller', 'virtio-net'],
      ['ip', '192.168.64.6'],
      ['mac', 'ae:86:1c:97:a5:8a'],
    ] as const;
    assert.equal(
      formatFieldGrid(fields, PLAIN),
      lines(
        '+------------+-------------------+',
        '| mode       | shared            |',
        '+------------+-------------------+',
        '| controller | virtio-net        |',
        '+------------+-------------------+',
        '| ip         | 192.168.64.6      |',
        '+------------+-------------------+',
        '| mac        | ae:86:1c:97:a5:8a |',
        '+------------+-------------------+',
      ),
    );
  });

  test('leaves out what has no value', () => {
    const fields = [['mode', 'shared'] as const, ['ip', null] as const, ['dns', ''] as const, ['sent', 0] as const];
    assert.equal(
      formatFieldGrid(fields, PLAIN),
      lines('+------+--------+', '| mode | shared |', '+------+--------+', '| sent | 0      |', '+------+--------+'),
    );
  });

  test('is wrapped where the terminal is narrow, and nowhere else', () => {
    const fields = [['names', 'web.lab.internal web.vmlan.internal lima-web.internal'] as const];
    assert.equal(
      formatFieldGrid(fields, { coloured: false, width: 31 }),
      lines(
        '+-------+---------------------+',
        '| names | web.lab.internal    |',
        '|       | web.vmlan.internal  |',
        '|       | lima-web.internal   |',
        '+-------+---------------------+',
      ),
    );
    assert.equal(formatFieldGrid(fields, PLAIN).split('\n').length, 4);
  });
});

describe('a grid of rows', () => {
  test('is aligned by width on the screen, and safe to show', () => {
    const rows = [
      { name: '日本', state: 'up' },
      { name: 'a\u001B[2J', state: 'waiting' },
      { name: null, state: 'up' },
    ];
    assert.equal(
      formatGrid(COLUMNS, rows, PLAIN),
      lines(
        '+-------+---------+',
        '| name  | state   |',
        '+-------+---------+',
        '| 日本  | up      |',
        '+-------+---------+',
        '| a\uFFFD[2J | waiting |',
        '+-------+---------+',
        '| -     | up      |',
        '+-------+---------+',
      ),
    );
  });

  test('without rows is its titles', () => {
    assert.equal(formatGrid(COLUMNS, [], PLAIN), lines('+------+-------+', '| name | state |', '+------+-------+'));
  });

  test('is coloured inside the cells alone', () => {
    const rows = [{ name: 'web', state: 'up' }];
    const coloured = formatGrid(COLUMNS, rows, { ...PLAIN, coloured: true });
    assert.ok(coloured.includes('| web  | \u001B[32mup\u001B[0m    |\n'));
    assert.equal(coloured.replaceAll('\u001B[32m', '').replaceAll('\u001B[0m', ''), formatGrid(COLUMNS, rows, PLAIN));
  });

  test('has lines of one width, that of the terminal at most, whatever the cells', () => {
    const text = fc.string({ unit: 'binary' });
    const row = fc.record({ name: fc.option(text), state: text });
    fc.assert(
      fc.property(fc.array(row, { maxLength: 5 }), fc.integer({ min: 23, max: 60 }), (rows, width) => {
        const widths = formatGrid(COLUMNS, rows, { coloured: false, width }).trimEnd().split('\n').map(displayWidth);
        assert.equal(new Set(widths).size, 1);
        assert.ok(widths[0]! <= width);
      }),
    );
  });
});
