import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { displayWidth, printable, wrapped } from './width.ts';

test('columns on a terminal', () => {
  const table: [string, number][] = [
    ['', 0],
    ['web', 3],
    ['größe', 5],
    ['日本語', 6],
    ['한글', 4],
    ['ｆｕｌｌ', 8],
    ['e\u0301', 1],
    ['a\u200Bb', 2],
    ['🐧', 2],
    ['…', 1],
  ];
  for (const [text, want] of table) assert.equal(displayWidth(text), want, JSON.stringify(text));
});

test('what would move the cursor or turn the writing is made visible', () => {
  assert.equal(printable('evil\u001B[2J\u0007name\n\u009Bx\u202Ey'), 'evil\uFFFD[2J\uFFFDname\uFFFD\uFFFDx\uFFFDy');
  assert.equal(printable('größe 日本語 🐧'), 'größe 日本語 🐧');
});

test('lines are broken between words, and within those that are longer than a line', () => {
  const table: [string, number, string[]][] = [
    ['', 4, ['']],
    ['one two', 7, ['one two']],
    ['one two', 6, ['one', 'two']],
    ['a longest b', 4, ['a', 'long', 'est', 'b']],
    ['日本語', 5, ['日本', '語']],
    ['日', 1, ['日']],
  ];
  for (const [text, columns, want] of table) assert.deepEqual(wrapped(text, columns), want, text);
});

test('nothing is lost by breaking', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 1, max: 20 }), (text, columns) => {
      const bare = (each: string): string => each.replaceAll(' ', '');
      assert.equal(bare(wrapped(text, columns).join('')), bare(text));
    }),
  );
});
