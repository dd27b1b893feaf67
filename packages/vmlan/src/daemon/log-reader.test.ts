import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { boundLog } from '../sys/bounded-log.ts';
import type { LogEntry, LogsQuery } from '../model/api.ts';
import { logFiles } from './log-files.ts';
import { lineAt, writeLog } from './log.fixture.ts';
import { LogReader, MAX_ANSWER_CHARS } from './log-reader.ts';

function bed(t: TestContext): string {
  const state = mkdtempSync('/tmp/vmlan-logs-');
  t.after(() => rmSync(state, { recursive: true }));
  return state;
}

const reader = (state: string, query: LogsQuery = {}): LogReader => new LogReader(() => logFiles(state), query);
const told = (entries: readonly LogEntry[]): string[] => entries.map(({ message }) => message);
const newest = async (state: string, query: LogsQuery = {}): Promise<string[]> =>
  told(await reader(state, query).newest());

test('all files in order of time, the old ones too', async (t) => {
  const state = bed(t);
  const lab = writeLog(state, 'lab', [lineAt(1, 'first')]);
  renameSync(lab, `${lab}.2`);
  writeLog(state, 'lab', [lineAt(2, 'second')]);
  renameSync(lab, `${lab}.1`);
  writeLog(state, 'lab', [lineAt(5, 'fifth', 'error')]);
  writeLog(state, 'dev', [lineAt(3, 'third', 'warn')]);
  writeFileSync(join(state, 'daemon.log'), `${lineAt(4, 'fourth')}\n`);
  assert.deepEqual(await newest(state), ['first', 'second', 'third', 'fourth', 'fifth']);
  assert.deepEqual(await newest(state, { lines: '2' }), ['fourth', 'fifth']);
  assert.deepEqual(await newest(state, { lines: '0' }), []);
  assert.deepEqual(await newest(state, { level: 'warn' }), ['third', 'fifth']);
  assert.deepEqual(await newest(state, { sinceMs: String(Date.parse('2026-01-02T03:04:04Z')) }), ['fourth', 'fifth']);
  assert.deepEqual(await newest(join(state, 'nowhere')), []);
});

test('the newest of a long log, without what goes before it, and all of it', async (t) => {
  const state = bed(t);
  const lines = Array.from({ length: 30_000 }, (_, i) => lineAt(5, `line ${i}`, i === 7 ? 'error' : 'info'));
  const log = writeLog(state, 'lab', lines);
  renameSync(log, `${log}.1`);
  writeLog(state, 'lab', [lineAt(6, 'last'), '    at its end']);
  assert.deepEqual(await newest(state, { lines: '3' }), ['line 29999', 'last', '    at its end']);
  const all = await newest(state, { lines: '100000' });
  assert.deepEqual([all.length, all[0], all.at(-1)], [30_002, 'line 0', '    at its end']);
  assert.deepEqual(await newest(state, { level: 'error' }), ['line 7'], 'looked for as far as there is something');
});

test('an answer is bounded, by its newest lines', async (t) => {
  const state = bed(t);
  const long = 'x'.repeat(10_000);
  writeLog(
    state,
    'lab',
    Array.from({ length: 1800 }, (_, i) => lineAt(5, `${i} ${long}`)),
  );
  const all = await newest(state, { lines: '100000' });
  assert.ok(all.length > 1600 && all.length * 10_000 < MAX_ANSWER_CHARS, `${all.length}`);
  assert.match(all.at(-1)!, /^1799 /);
});

test('what comes is followed in whole lines, also in new logs and when a file is emptied', async (t) => {
  const state = bed(t);
  const log = writeLog(state, 'lab', [lineAt(1, 'before')]);
  const follower = reader(state, { lines: '0' });
  assert.deepEqual(await follower.newest(), []);
  const taken = (): string[] => told(follower.next());
  assert.deepEqual(taken(), []);
  appendFileSync(log, `${lineAt(2, 'one')}\n${lineAt(3, 'tw')}`);
  assert.deepEqual(taken(), ['one']);
  appendFileSync(log, 'o\n    at two\n');
  assert.deepEqual(taken(), ['two', '    at two']);
  truncateSync(log);
  appendFileSync(log, `${lineAt(5, 'anew')}\n`);
  writeLog(state, 'dev', [lineAt(4, 'network')]);
  assert.deepEqual(taken(), ['network', 'anew']);
});

test('no line is missed or told twice when logs are put aside under a reader that is behind', async (t) => {
  const state = bed(t);
  const log = writeLog(state, 'lab', [lineAt(1, 'early')]);
  const maxBytes = 600_000;
  for (const behind of [0, 1, 2]) {
    const follower = reader(state, { lines: '0' });
    await follower.newest();
    const written: string[] = [];
    for (let round = 0; round <= behind; round++) {
      const lines = Array.from({ length: 9000 }, (_, i) => `${behind} ${round} ${i} ${'x'.repeat(40)}`);
      written.push(...lines);
      writeLog(
        state,
        'lab',
        lines.map((line) => lineAt(2, line)),
      );
      const lost = boundLog(log, maxBytes);
      assert.ok(lost !== null);
      follower.onPutAside(log, lost);
    }
    const seen: string[] = [];
    for (let more = follower.next(); more.length > 0; more = follower.next()) seen.push(...told(more));
    assert.equal(new Set(seen).size, seen.length, 'nothing twice');
    assert.equal(seen.at(-1), written.at(-1));
    // Each round is longer than what is kept of it; all that is kept is told.
    const kept = Math.floor(maxBytes / (written.join('\n').length / written.length + lineAt(2, '').length + 1));
    assert.ok(seen.length >= Math.min(behind + 1, 2) * kept - 4, `${seen.length} of 2 × ${kept}`);
    assert.ok(
      seen.every((line) => /^\d \d \d+ x{40}$/.test(line)),
      'whole lines',
    );
  }
});

test('nothing but a file is read: a link, a pipe, a directory', async (t) => {
  const state = bed(t);
  const secret = join(state, 'secret');
  writeFileSync(secret, `${lineAt(1, 'secret')}\n`);
  const log = writeLog(state, 'lab', []);
  rmSync(log);
  symlinkSync(secret, log);
  execFileSync('mkfifo', [`${log}.1`]);
  assert.deepEqual(await newest(state), []);
});
