import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDuration } from './duration.ts';

const cases: [string | number, number | null][] = [
  ['90s', 90],
  ['15m', 900],
  ['12h', 43_200],
  ['1d', 86_400],
  ['2w', 1_209_600],
  ['3600', 3600],
  [3600, 3600],
  ['', null],
  ['d', null],
  ['1.5h', null],
  ['-1h', null],
  ['1y', null],
  ['1 d', null],
  [1.5, null],
];
for (const [text, seconds] of cases) {
  test(`${JSON.stringify(text)} is ${seconds}`, () => assert.equal(parseDuration(text), seconds));
}
