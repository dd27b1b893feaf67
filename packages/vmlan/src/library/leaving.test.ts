import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { describe, test } from 'node:test';
import { Network } from './network.ts';

const PROGRAM = new URL('./leaving.fixture.ts', import.meta.url).pathname;
/** Far more than a start takes, far less than a thread that nobody wakes. */
const PATIENCE_MS = 30_000;

interface Left {
  readonly directory: string;
  readonly code: number | null;
  readonly signal: string | null;
}

async function leave(how: string, signal?: 'SIGKILL' | 'SIGTERM'): Promise<Left> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', PROGRAM, how], {
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: PATIENCE_MS,
    killSignal: 'SIGABRT',
  });
  const ended = once(child, 'exit') as Promise<[number | null, string | null]>;
  const [directory] = (await once(createInterface(child.stdout), 'line')) as [string];
  if (signal !== undefined) child.kill(signal);
  const [code, by] = await ended;
  return { directory, code, signal: by };
}

describe('a process with a network', () => {
  for (const [how, code] of [
    ['dispose', 0],
    ['exit', 3],
    ['throw', 1],
  ] as const) {
    test(`that leaves by ${how} ends at once, and leaves nothing`, async () => {
      const left = await leave(how);
      assert.deepEqual([left.code, left.signal], [code, null]);
      assert.equal(existsSync(left.directory), false);
    });
  }

  test('that is killed leaves an empty socket directory at most, and the next one removes it', async () => {
    const left = await leave('wait', 'SIGKILL');
    assert.equal(left.signal, 'SIGKILL');
    await using net = await Network.create();
    await net.attachQemu('machine');
    assert.equal(existsSync(left.directory), false);
  });
});
