/**
 * What a command waits for before it can begin: the modules that are read. Times are measured elsewhere; what makes them
 * is certain here.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { StubDaemon, guestView } from './stub-daemon.fixture.ts';

const MAIN = join(import.meta.dirname, 'main.ts');
/** Prints a line for each module, of files and of Node.js, that is loaded after it. */
const WATCH = `
import { registerHooks } from 'node:module';
import { writeSync } from 'node:fs';
const builtIn = new Set(process.moduleLoadList);
const files = [];
registerHooks({ load: (url, context, next) => (files.push(url), next(url, context)) });
process.on('exit', () => {
  const more = process.moduleLoadList.filter((name) => !builtIn.has(name));
  writeSync(2, [...files, ...more].map((name) => 'loaded ' + name + '\\n').join(''));
});
`;
/** What a person who only wants help, or a list, does not wait for. */
const HEAVY = /node_modules\/(?!commander\/)|NativeModule (internal\/deps\/undici|sqlite|inspector|quic|crypto)/;

describe('start-up', () => {
  let folder = '';
  let daemon: StubDaemon;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'vmlan-start-'));
    writeFileSync(join(folder, 'watch.mjs'), WATCH);
    daemon = await StubDaemon.start();
    daemon.guests = [guestView('web')];
  });
  after(async () => {
    rmSync(folder, { recursive: true });
    await daemon[Symbol.asyncDispose]();
  });

  /** Modules that `vmlan ARGS` loads; it must succeed. */
  async function loadedBy(...args: readonly string[]): Promise<string[]> {
    const argv = ['--import', join(folder, 'watch.mjs'), MAIN, ...args];
    const env = { ...process.env, VMLAN_HOST: `unix://${daemon.socket}`, NODE_NO_WARNINGS: '1' };
    const stderr = await new Promise<string>((resolve, reject) => {
      execFile(process.execPath, argv, { env }, (error, _stdout, text) =>
        error === null ? resolve(text) : reject(error),
      );
    });
    return stderr
      .split('\n')
      .filter((line) => line.startsWith('loaded '))
      .map((line) => line.slice('loaded '.length));
  }

  test('--help reads no command, no client of HTTP, and of the dependencies commander alone', async () => {
    const loaded = await loadedBy('--help');
    assert.ok(loaded.some((name) => name.endsWith('/cli/program.ts')));
    assert.deepEqual(
      loaded.filter((name) => HEAVY.test(name) || /cli\/commands\/|NativeModule http$/.test(name)),
      [],
    );
    assert.ok(loaded.filter((name) => name.startsWith('file:')).length < 40, loaded.join('\n'));
  });

  test('list reads itself, and no validator, server or YAML', async () => {
    const loaded = await loadedBy('list');
    assert.deepEqual(
      loaded.filter((name) => HEAVY.test(name)),
      [],
    );
    const commands = loaded.filter((name) => name.includes('/cli/commands/'));
    assert.deepEqual(
      commands.map((name) => name.slice(name.lastIndexOf('/') + 1)),
      ['list.ts'],
    );
    assert.ok(loaded.filter((name) => name.startsWith('file:')).length < 50, loaded.join('\n'));
  });
});

test('a reader that has gone ends it, quietly', async () => {
  const child = spawn(process.execPath, [MAIN, '--help'], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [code] = (await once(child, 'close')) as [number | null];
  assert.deepEqual([code, stderr], [141, '']);
});

/** Throws where nobody waits for it, as soon as the program is ready for that. */
const FAULT = `data:text/javascript,process.on('newListener', (event) => {
  if (event === 'uncaughtException') queueMicrotask(() => { throw new TypeError('x is not a y'); });
});`;

test('a fault in the program is one line, not a listing of it', async () => {
  const child = spawn(process.execPath, ['--import', FAULT, MAIN, 'status'], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, NODE_NO_WARNINGS: '1' },
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [code] = (await once(child, 'close')) as [number | null];
  assert.deepEqual([code, stderr], [1, 'vmlan: x is not a y\n']);
});
