import assert from 'node:assert/strict';
import { test } from 'node:test';
import { displayWidth, printable } from './width.ts';

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
