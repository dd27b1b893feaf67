import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { LogFollower, logFiles, parseLog, readLogs } from './log-files.ts';

function bed(t: TestContext): string {
  const state = mkdtempSync('/tmp/vmlan-logs-');
  t.after(() => rmSync(state, { recursive: true }));
  for (const name of ['lab', 'dev']) mkdirSync(join(state, 'networks', name), { recursive: true });
  return state;
}

const AT = '2026-01-02T03:04:05.006Z';
const AT_MS = Date.parse(AT);

test('lines of the daemon, of a network, and of the runtime between them', () => {
  const text = [
    `{"level":40,"time":"${AT}","pid":1,"msg":"it is so","network":"lab","count":2,"err":{"message":"why"}}`,
    `${AT} error it ended: for a reason`,
    '    at code (file.js:1:2)',
    '{"half":',
  ].join('\n');
  assert.deepEqual(parseLog('x', text, 7), [
    { timeMs: AT_MS, source: 'x', level: 'warn', message: 'it is so (why) network=lab count=2' },
    { timeMs: AT_MS, source: 'x', level: 'error', message: 'it ended: for a reason' },
    { timeMs: AT_MS, source: 'x', level: 'error', message: '    at code (file.js:1:2)' },
    { timeMs: AT_MS, source: 'x', level: 'error', message: '{"half":' },
  ]);
  assert.deepEqual(parseLog('x', 'first', 7), [{ timeMs: 7, source: 'x', level: 'info', message: 'first' }]);
});

test('all files in order of time, the old ones too', (t) => {
  const state = bed(t);
  const line = (second: number, text: string): string => `2026-01-02T03:04:0${second}.000Z info ${text}\n`;
  writeFileSync(join(state, 'networks/lab/network.log.2'), line(1, 'first'));
  writeFileSync(join(state, 'networks/lab/network.log.1'), line(2, 'second'));
  writeFileSync(join(state, 'networks/lab/network.log'), line(5, 'fifth'));
  writeFileSync(join(state, 'networks/dev/network.log'), line(3, 'third'));
  writeFileSync(join(state, 'daemon.log'), line(4, 'fourth'));
  const messages = (wanted: Parameters<typeof logFiles>[1]): string[] =>
    readLogs(logFiles(state, wanted)).map(({ message }) => message);
  assert.deepEqual(messages({ daemon: false }), ['first', 'second', 'third', 'fourth', 'fifth']);
  assert.deepEqual(messages({ daemon: true }), ['fourth']);
  assert.deepEqual(messages({ daemon: false, network: 'dev' }), ['third']);
  assert.throws(() => messages({ daemon: false, network: 'none' }), {
    code: 'not-found',
    hint: 'logs are of: dev, lab',
  });
});

test('what comes is followed in whole lines, also when the file is put aside', (t) => {
  const state = bed(t);
  const path = join(state, 'daemon.log');
  writeFileSync(path, `${AT} info before\n`);
  const follower = new LogFollower(logFiles(state, { daemon: false }));
  const taken = (): string[] => follower.take(1).map(({ message }) => message);
  assert.deepEqual(taken(), []);
  appendFileSync(path, `${AT} info one\n${AT} info tw`);
  assert.deepEqual(taken(), ['one']);
  appendFileSync(path, 'o\n');
  assert.deepEqual(taken(), ['two']);
  truncateSync(path);
  appendFileSync(path, `${AT} info anew\n`);
  writeFileSync(join(state, 'networks/lab/network.log'), `${AT} info network\n`);
  assert.deepEqual(taken().toSorted(), ['anew', 'network']);
});
