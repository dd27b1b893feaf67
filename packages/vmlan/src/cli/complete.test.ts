import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { vmlan } from './capture-io.fixture.ts';
import { StubDaemon, guestView } from './stub-daemon.fixture.ts';

let daemon: StubDaemon;
before(async () => {
  daemon = await StubDaemon.start();
  daemon.guests = [guestView('web')];
  daemon.reservations = [{ network: 'lab', guest: 'db', mac: null, ip: '192.168.105.9', origin: 'config' }];
});
after(async () => daemon[Symbol.asyncDispose]());

describe('completion', () => {
  const words = async (...before: string[]): Promise<string[]> => {
    const { stdout } = await vmlan(['__complete', '--', ...before], { env: { VMLAN_HOST: `unix://${daemon.socket}` } });
    return stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.split('\t')[0] ?? '');
  };

  test('commands, options, choices and names', async () => {
    assert.deepEqual(await words('net'), ['network']);
    assert.ok((await words('')).includes('run'));
    assert.ok(!(await words('')).includes('__complete'));
    assert.deepEqual(await words('network', 'st'), ['start', 'stop']);
    assert.deepEqual(await words('show', ''), ['web']);
    assert.deepEqual((await words('show', 'web', '')).slice(0, 4), ['network', 'port', 'name', 'state']);
    assert.deepEqual(await words('show', 'web', 'network', 'ip'), ['ip', 'ipv6']);
    assert.deepEqual((await words('show', 'web', 'network', '')).slice(0, 4), ['mode', 'controller', 'ip', 'mac']);
    assert.deepEqual(await words('show', 'web', 'sh'), ['shape']);
    assert.deepEqual(await words('show', 'web', 'port', 'host'), ['host_port', 'host_ip', 'host']);
    assert.deepEqual(await words('network', 'show', 'lab', 'gate'), ['gateway', 'gateway6']);
    assert.deepEqual(await words('forward', 'add', '8080', ''), ['web:']);
    assert.deepEqual(await words('help', 'network', 'st'), ['start', 'stop']);
    assert.deepEqual(await words('help', 'net'), ['network']);
    assert.ok(!(await words('network', '')).includes('help'));
    assert.deepEqual(await words('network', 'list', '--n'), ['--no-color']);
    assert.deepEqual(await words('network', 'show', 'd'), ['dev']);
    assert.deepEqual(await words('network', 'stop', 'lab', 'd'), ['dev']);
    assert.deepEqual(await words('run', 'x', '--network', ''), ['lab', 'dev']);
    assert.deepEqual(await words('run', 'x', '--network=d'), ['--network=dev']);
    assert.ok(!(await words('run', 'x', '--network', 'lab', '--')).includes('--network'));
    assert.deepEqual(await words('network', 'stop', 'lab', ''), ['dev']);
    assert.deepEqual(await words('attach', '--kind', 'qemu-s'), ['qemu-stream', 'qemu-socket-tcp', 'qemu-server']);
    assert.deepEqual(await words('attach', '--kind', 'vfkit', 'w'), ['web']);
    assert.deepEqual(await words('capture', ''), ['web', 'lab', 'dev']);
    assert.deepEqual(await words('network', 'reservation', 'remove', 'lab', ''), ['192.168.105.9']);
    assert.deepEqual(await words('list', '--o'), ['--output']);
    assert.deepEqual(await words('-o', 'j'), ['json']);
    assert.deepEqual(await words('run', '--image', ''), ['@files']);
    assert.deepEqual(await words('run', 'x', '--image=/e'), ['@files']);
    assert.deepEqual(await words('run', 'x', '--', '--n'), ['@files']);
    assert.deepEqual(await words('list', ''), []);
    assert.deepEqual(await words('completion', 'z'), ['zsh']);
    assert.deepEqual(await words('up', 'x', ''), []);
  });

  test('never fails', async () => {
    const none = { env: { VMLAN_HOST: 'unix:///nowhere' } };
    assert.deepEqual(await vmlan(['__complete', '--', 'show', ''], none), { code: 0, stdout: '', stderr: '' });
    assert.equal((await vmlan(['__complete'], none)).code, 0);
  });

  test('says what each is', async () => {
    const { stdout } = await vmlan(['__complete', '--', 'show', ''], {
      env: { VMLAN_HOST: `unix://${daemon.socket}` },
    });
    assert.equal(stdout, 'web\t192.168.105.5, lab\n');
  });

  test('is installed where a shell looks for it', async () => {
    const home = mkdtempSync(join(tmpdir(), 'vmlan-home-'));
    for (const [shell, file] of [
      ['bash', '.local/share/bash-completion/completions/vmlan'],
      ['zsh', '.local/share/zsh/site-functions/_vmlan'],
      ['fish', '.config/fish/completions/vmlan.fish'],
    ] as const) {
      const { code, stdout } = await vmlan(['completion', shell, '--install'], { env: { HOME: home } });
      assert.equal(code, 0);
      assert.ok(stdout.startsWith(`written to ${join(home, file)}; `), stdout);
      assert.equal(readFileSync(join(home, file), 'utf8'), (await vmlan(['completion', shell])).stdout);
    }
    rmSync(home, { recursive: true });
  });

  test('scripts for three shells', async () => {
    for (const shell of ['bash', 'zsh', 'fish'])
      assert.match((await vmlan(['completion', shell])).stdout, /vmlan __complete -- /);
  });
});
