import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { unifiedDiff } from './text-diff.ts';

describe('a difference', () => {
  const many = (from: number, to: number): string =>
    Array.from({ length: to - from + 1 }, (_, i) => `${from + i}\n`).join('');

  const table: readonly (readonly [name: string, before: string | null, after: string, want: string])[] = [
    ['nothing', 'a\nb\n', 'a\nb\n', ''],
    ['of a new file', null, 'a\n', '--- /dev/null\n+++ f\n@@ -0,0 +1,1 @@\n+a\n'],
    ['to an empty file', 'a\n', '', '--- f\n+++ f\n@@ -1,1 +0,0 @@\n-a\n'],
    ['in the middle', 'a\nb\nc\n', 'a\nx\nc\n', '--- f\n+++ f\n@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n'],
    [
      'far apart has two hunks',
      many(1, 20),
      `0\n${many(1, 19)}`,
      '--- f\n+++ f\n@@ -1,3 +1,4 @@\n+0\n 1\n 2\n 3\n@@ -17,4 +18,3 @@\n 17\n 18\n 19\n-20\n',
    ],
    [
      'with few lines between is one',
      many(1, 8),
      many(2, 7),
      `--- f\n+++ f\n@@ -1,8 +1,6 @@\n-1\n${many(2, 7).replaceAll(/^/gm, ' ').trimEnd()}\n-8\n`,
    ],
  ];
  for (const [name, before, after, want] of table) {
    test(name, () => {
      assert.equal(unifiedDiff('f', before, after), want);
    });
  }

  test('too large to search is shown as replaced', () => {
    const diff = unifiedDiff('f', many(1, 1500), many(2000, 3500));
    assert.match(diff, /^--- f\n\+\+\+ f\n@@ -1,1500 \+1,1501 @@\n-1\n/);
  });
});

test('applied to what was before, gives what is after', () => {
  const text = fc
    .array(fc.constantFrom('a', 'b', 'c', ''), { maxLength: 30 })
    .map((lines) => lines.map((line) => `${line}\n`).join(''));
  fc.assert(
    fc.property(text, text, (before, after) => {
      assert.equal(apply(before, unifiedDiff('f', before, after)), after);
    }),
  );
});

function apply(before: string, diff: string): string {
  const from = before.split('\n').slice(0, -1);
  const lines: string[] = [];
  let at = 0;
  for (const line of diff.split('\n').slice(2, -1)) {
    const hunk = /^@@ -(\d+),(\d+)/.exec(line);
    if (hunk !== null) {
      const start = Number(hunk[1]) - (hunk[2] === '0' ? 0 : 1);
      while (at < start) lines.push(from[at++]!);
      continue;
    }
    if (line.startsWith('+')) lines.push(line.slice(1));
    else assert.equal(from[at++], line.slice(1));
    if (line.startsWith(' ')) lines.push(line.slice(1));
  }
  return [...lines, ...from.slice(at)].map((line) => `${line}\n`).join('');
}
