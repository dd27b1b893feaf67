/** The program itself, over the real datapath. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync, chmodSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, test } from 'node:test';
import { Client } from '../client/client.ts';
import { until } from '../core/deadline.fixture.ts';

const directory = mkdtempSync('/tmp/vmlan-main-');
chmodSync(directory, 0o711);
after(() => rmSync(directory, { recursive: true }));
const PROGRAM = join(import.meta.dirname, 'main.ts');
const PATIENCE_MS = 30_000;

interface Started {
  readonly exit: Promise<{ readonly code: number | null; readonly stderr: string }>;
  kill(signal: NodeJS.Signals): void;
}

function start(args: readonly string[], env: NodeJS.ProcessEnv): Started {
  const place = {
    VMLAN_STATE_DIR: join(directory, 'state'),
    VMLAN_RUNTIME_DIR: join(directory, 'run'),
    VMLAN_CONFIG: '',
    VMLAN_HOST: '',
  };
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    env: { ...process.env, ...place, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const stderr = text(child.stderr);
  return {
    exit: Promise.all([exited, stderr]).then(([code, written]) => ({ code, stderr: written })),
    kill: (signal) => void child.kill(signal),
  };
}

test('a wrong configuration ends it with exit code 2, the place and the next step', async () => {
  const file = join(directory, 'networks.yaml');
  writeFileSync(file, 'networks:\n  lab:\n    mode: shard\n');
  const { code, stderr } = await start(['--config', file], {}).exit;
  assert.equal(code, 2);
  assert.match(stderr, /^vmlan: .*networks\.yaml:3:11: network "lab": mode: "shard" is none of/m);
  assert.match(stderr, /^hint: did you mean `shared`\?$/m);
});

test('a wrong option ends it with exit code 2', async () => {
  const { code, stderr } = await start(['--colour'], {}).exit;
  assert.equal(code, 2);
  assert.match(stderr, /^vmlan: .*--colour/m);
});

test('SIGHUP loads the file again, and a broken one is left', async () => {
  const file = join(directory, 'hup.yaml');
  const write = (names: readonly string[]): void =>
    writeFileSync(file, `networks:\n${names.map((name) => `  ${name}: { mode: isolated }\n`).join('')}`);
  write(['one']);
  const client = new Client({ kind: 'unix', path: join(directory, 'run', 'vmlan.sock') });
  const daemon = start(['--config', file], {});
  const names = async (): Promise<string[]> =>
    (await client.call('listNetworks').catch(() => [])).map(({ name }) => name).filter((name) => /^o|^t/.test(name));
  const serves = (...wanted: readonly string[]): Promise<unknown> =>
    until(`networks ${wanted.join()}`, PATIENCE_MS, async () => (await names()).join() === wanted.join());
  await serves('one');
  write(['one', 'two']);
  daemon.kill('SIGHUP');
  await serves('one', 'two');
  writeFileSync(file, 'networks: [');
  daemon.kill('SIGHUP');
  write(['two']);
  daemon.kill('SIGHUP');
  await serves('two');
  const { entries } = await client.call('getConfig');
  assert.partialDeepStrictEqual(
    entries.find(({ key }) => key === 'paths.config'),
    { value: file, origin: 'flag', place: '--config' },
  );
  await client.call('shutdown', { body: {} });
  assert.equal((await daemon.exit).code, 0);
});

test('it serves until SIGTERM, refuses a second one, and leaves its networks to the next', async () => {
  const client = new Client({ kind: 'unix', path: join(directory, 'run', 'vmlan.sock') });
  const answers = (): Promise<unknown> =>
    until('the daemon to answer', PATIENCE_MS, () => client.call('health').catch(() => false));
  const first = start(['--foreground'], {});
  await answers();
  const { pid } = await client.call('startNetwork', { params: { name: 'user-v2' } });
  assert.notEqual(pid, null);
  const second = await start([], {}).exit;
  assert.equal(second.code, 4);
  assert.match(second.stderr, /^vmlan: a daemon runs in .* already \(pid \d+\)$/m);
  first.kill('SIGTERM');
  assert.equal((await first.exit).code, 0);
  const next = start([], {});
  await answers();
  assert.equal((await client.call('getNetwork', { params: { name: 'user-v2' } })).pid, pid, 'the same network process');
  await client.call('shutdown', { body: {} });
  assert.equal((await next.exit).code, 0);
});

test('a signal in the middle of the start ends it cleanly, once it has started', async () => {
  for (const lifeMs of [150, 300, 450]) {
    const daemon = start([], {});
    await new Promise((resolve) => setTimeout(resolve, lifeMs));
    daemon.kill('SIGTERM');
    const { code, stderr } = await daemon.exit;
    // Before its code is read there is nobody to hear it.
    assert.ok(code === 0 || (code === null && stderr === ''), `${code} ${stderr}`);
    assert.ok(!existsSync(join(directory, 'run', 'vmlan.sock')));
  }
});
