import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { LogParser } from './log-lines.ts';

const AT = '2026-01-02T03:04:05.006Z';
const AT_MS = Date.parse(AT);

test('lines of the daemon, of a network, and of the runtime between them', () => {
  const parser = new LogParser('x', null);
  const cases: readonly (readonly [line: string, level: string, message: string])[] = [
    [
      `{"level":40,"time":"${AT}","pid":1,"msg":"it is so","network":"lab","count":2,"none":null,"err":{"message":"why"}}`,
      'warn',
      'it is so (why) network=lab count=2',
    ],
    [`${AT} error it ended: for a reason`, 'error', 'it ended: for a reason'],
    ['    at code (file.js:1:2)', 'error', '    at code (file.js:1:2)'],
    ['{"half":', 'error', '{"half":'],
    ['{"level":40,"time":"never","msg":"undated"}', 'error', '{"level":40,"time":"never","msg":"undated"}'],
    [`{"level":7,"time":"${AT}","msg":"of an unknown weight"}`, 'info', 'of an unknown weight'],
    ['2026-99-99T03:04:05.006Z warn no such day', 'info', '2026-99-99T03:04:05.006Z warn no such day'],
  ];
  for (const [line, level, message] of cases)
    assert.deepEqual(parser.parse(line), { timeMs: AT_MS, source: 'x', level, message });
  assert.equal(parser.parse(''), null);
});

test('a line without a time that comes first has that of its file, or is left out', () => {
  assert.deepEqual(new LogParser('x', 7).parse('first'), { timeMs: 7, source: 'x', level: 'info', message: 'first' });
  assert.equal(new LogParser('x', null).parse('    at the middle of something'), null);
});

test('a long line is cut', () => {
  assert.equal(new LogParser('x', 0).parse('y'.repeat(100_000))?.message.length, 16_385);
});

test('nothing throws', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      new LogParser('x', 0).parse(text);
      new LogParser('x', 0).parse(`{${text}`);
      new LogParser('x', 0).parse(`{"time":"${AT}","level":30,"err":null,"msg":${JSON.stringify(text)}}`);
    }),
  );
});
