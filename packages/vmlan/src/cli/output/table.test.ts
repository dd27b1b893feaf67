import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { formatDetails, formatTable } from './table.ts';
import type { Column } from './table.ts';

interface Row {
  readonly name: string | null;
  readonly count: number;
}

const COLUMNS: readonly Column<Row>[] = [
  { title: 'name', value: (row) => row.name, colour: (row) => (row.count > 5 ? 'green' : null) },
  { title: 'count', value: (row) => row.count, align: 'right' },
  { title: 'note', value: (row) => (row.count > 5 ? 'many' : '') },
];

test('columns are aligned, by width on the screen', () => {
  const rows = [
    { name: 'web', count: 7 },
    { name: '日本', count: 1234 },
    { name: null, count: 0 },
  ];
  assert.equal(
    formatTable(COLUMNS, rows),
    ['NAME  COUNT  NOTE', 'web       7  many', '日本   1234  many', '-         0  -', ''].join('\n'),
  );
});

test('a table without rows is its heading', () => {
  assert.equal(formatTable(COLUMNS, []), 'NAME  COUNT  NOTE\n');
});

test('a colour does not move the columns', () => {
  const rows = [{ name: 'web', count: 7 }];
  assert.equal(formatTable(COLUMNS, rows, true), 'NAME  COUNT  NOTE\n\u001B[32mweb\u001B[0m       7  many\n');
});

test('one object, a line per field', () => {
  assert.equal(
    formatDetails([
      ['ip', '10.0.0.1'],
      ['address6', null],
      ['mtu', 1500],
    ]),
    'ip        10.0.0.1\naddress6  -\nmtu       1500\n',
  );
});

test('no line ends in a space, whatever the cells', () => {
  const row = fc.record({ name: fc.option(fc.string({ unit: 'binary' })), count: fc.integer() });
  fc.assert(
    fc.property(fc.array(row), (rows) => {
      const text = formatTable(COLUMNS, rows);
      assert.equal(text.split('\n').length, rows.length + 2);
      assert.doesNotMatch(text, / $/m);
    }),
  );
});
