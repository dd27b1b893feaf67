/**
 * The daemon's life as its user sees it: in the foreground, replaced by another version, and a second one refused.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Client } from '../../src/client/client.ts';
import { until, within } from '../support/deadline.ts';
import { HeldConnections, killed, processesOf } from '../support/faults.ts';
import { needsRoot } from '../support/needs.ts';
import { INTERNET } from '../support/netns.ts';
import { serve } from '../support/peers.ts';
import { run } from '../support/process.ts';
import type { RunResult } from '../support/process.ts';
import { Vmlan } from '../support/vmlan.ts';
import { World } from './world.ts';

const CONFIG = `
networks:
  lab: { mode: user-v2, subnet: 10.88.0.0/24, autostart: true }
`;
const ECHO = { host: INTERNET.server4, port: 7007 } as const;

describe('vmlan up --foreground', () => {
  test('is the daemon itself, names it to a second one, and ends with SIGTERM without its networks', async () => {
    await using vmlan = await Vmlan.create({ config: CONFIG });
    await using foreground = vmlan.start('up', '--foreground');
    await foreground.waitFor(/vmlan serves/);
    const { pid, networks } = await vmlan.status();
    assert.equal(pid, foreground.pid);
    const second = await vmlan.run(['up', '--foreground']);
    assert.equal(second.code, 4);
    assert.match(second.stderr, new RegExp(`^vmlan: a daemon runs in .*/run already \\(pid ${pid}\\)$`, 'm'));
    foreground.signal('SIGTERM');
    const { code, stderr } = await within('the daemon to end', 5000, foreground.exited);
    assert.deepEqual([code, /"level":(?:50|60)/.test(stderr)], [0, false], stderr);
    assert.ok(!existsSync(join(vmlan.folder, 'run', 'vmlan.sock')));
    assert.deepEqual(processesOf(vmlan), [networks[0]!.pid]);
    await vmlan.ok('up');
    assert.equal((await vmlan.status()).networks[0]!.pid, networks[0]!.pid);
  });

  test('has one connection to a network that was started again while everybody asked', async () => {
    await using vmlan = await Vmlan.create({ config: CONFIG });
    await using foreground = vmlan.start('up', '--foreground');
    await foreground.waitFor(/vmlan serves/);
    const client = new Client({ kind: 'unix', path: join(vmlan.folder, 'run', 'vmlan.sock') });
    const first = (await client.call('status')).networks[0]!.pid!;
    await killed(first);
    await until('the network runs again', 10_000, async () => {
      const asked = await Promise.all(Array.from({ length: 8 }, () => client.call('status')));
      return asked.every(({ networks: [lab] }) => lab?.state === 'running' && lab.pid !== first);
    });
    const control = join(vmlan.folder, 'run', 'networks', 'lab', 'control.sock');
    // Type 1, state 3: connected streams (unix(7)); the listening one is in state 1.
    const connected = readFileSync('/proc/net/unix', 'utf8')
      .split('\n')
      .filter((line) => line.endsWith(` ${control}`) && / 0001 03 /.test(line));
    assert.equal(connected.length, 1);
    foreground.signal('SIGTERM');
    assert.equal((await within('the daemon to end', 1500, foreground.exited)).code, 0);
  });

  test('ends with the reason when it cannot start', async () => {
    await using vmlan = await Vmlan.create({ config: 'networks:\n  lab: { mode: shard }\n' });
    const { code, stderr } = await vmlan.run(['up', '--foreground']);
    assert.equal(code, 2);
    assert.match(stderr, /^vmlan: .*"shard" is none of/m);
  });
});

test('paths of the environment are those of who writes them', async () => {
  await using vmlan = await Vmlan.create({ config: CONFIG });
  const env = { VMLAN_CONFIG: 'networks.yaml', VMLAN_STATE_DIR: 'state', VMLAN_RUNTIME_DIR: './run' };
  const ask = (...args: readonly string[]): Promise<RunResult> =>
    run(vmlan.argv(...args), { cwd: vmlan.folder, env: { ...vmlan.env, ...env } });
  const up = await ask('up');
  assert.equal(up.code, 0, up.stderr);
  assert.equal((await vmlan.status()).paths.state, join(vmlan.folder, 'state'));
  assert.equal((await ask('down')).code, 0);
});

test('what runs no longer is not stopped, and what it left is named', async () => {
  await using vmlan = await Vmlan.create({ config: CONFIG });
  assert.match((await vmlan.run(['down'])).stderr, /hint: it does not run, so there is nothing to stop$/m);
  await vmlan.ok('up');
  await vmlan.ok('down', '--keep-networks');
  const { code, stderr } = await vmlan.run(['down']);
  assert.equal(code, 6);
  assert.match(stderr, /hint: it left its networks \(lab\); to end them, too: vmlan up && vmlan down$/m);
});

describe('vmlan up --upgrade', () => {
  test('replaces the daemon, and no guest notices', async (t) => {
    if (!needsRoot(t)) return;
    await using world = await World.create({ config: CONFIG });
    await using _echo = await serve(world.lab.internet, [{ kind: 'tcp-echo', port: ECHO.port }]);
    const web = await world.namespaceGuest('web', { network: 'lab', configure: true });
    await using held = await HeldConnections.open(web, { ...ECHO, count: 20, pauseMs: 20 });
    const before = await world.vmlan.status();
    const text = await world.vmlan.ok('up', '--upgrade');
    assert.match(text, /network lab ran on: no guest noticed/);
    const after = await world.vmlan.status();
    assert.notEqual(after.pid, before.pid);
    assert.deepEqual(after.paths, before.paths);
    assert.deepEqual(
      after.networks.map(({ name, pid, restarts }) => [name, pid, restarts]),
      before.networks.map(({ name, pid, restarts }) => [name, pid, restarts]),
    );
    await held.assertWhole(20);
  });

  test('starts the next one with the flags of the last, and they are told of as flags', async () => {
    await using vmlan = await Vmlan.create();
    const file = join(vmlan.folder, 'mine.yaml');
    await writeFile(file, CONFIG);
    const origins = async (): Promise<string[]> =>
      (await vmlan.ok('config', 'show', '--origin'))
        .split('\n')
        .filter((line) => /^(paths\.config|listen) /.test(line));
    await vmlan.ok('up', '--config', file);
    const [config = '', listen = ''] = await origins();
    assert.match(config, new RegExp(` ${file} +flag +--config$`));
    assert.match(listen, /default/);
    assert.match(
      (await vmlan.run(['up', '--config', '/other.yaml'])).stderr,
      /--config holds from the next start; add/,
    );
    assert.equal((await vmlan.run(['up', '--config', file])).stderr, '');
    await vmlan.ok('up', '--upgrade', '--listen', '127.0.0.1:0');
    const after = await origins();
    assert.match(after[0] ?? '', new RegExp(` ${file} +flag +--config$`));
    assert.match(after[1] ?? '', /flag +--listen$/);
  });

  test('leaves the daemon alone when another could not start', async () => {
    await using vmlan = await Vmlan.create({ config: CONFIG });
    await vmlan.ok('up');
    const { pid, paths } = await vmlan.status();
    const missing = join(vmlan.folder, 'missing.yaml');
    await writeFile(paths.config!, CONFIG.replace('user-v2', 'user-v3'));
    for (const args of [['--config', missing], []]) {
      const { code, stderr } = await vmlan.run(['up', '--upgrade', ...args]);
      assert.equal(code, 2, stderr);
      assert.match(
        stderr,
        /^vmlan: .*(?:does not exist|"user-v3" is none of).*\nhint: .*the daemon that runs is left as it is$/m,
      );
    }
    assert.equal((await vmlan.status()).pid, pid);
  });

  test('leaves a network of another protocol alone, and says what to do', async () => {
    await using vmlan = await Vmlan.create({ config: CONFIG });
    await vmlan.ok('up');
    const { networks } = await vmlan.status();
    const { pid } = networks[0]!;
    const record = join(vmlan.folder, 'run', 'networks', 'lab', 'process.json');
    await writeFile(record, (await readFile(record, 'utf8')).replace(/"protocol":\d+/, '"protocol":99'));
    const { stderr, code } = await vmlan.run(['up', '--upgrade'], { timeoutMs: 60_000 });
    assert.equal(code, 0, stderr);
    assert.match(
      stderr,
      /network "lab" is run by another version of vmlan .*vmlan network stop lab, vmlan network start lab/,
    );
    assert.match(await vmlan.ok('network', 'list'), /^lab .* incompatible$/m);
    assert.equal((await vmlan.status()).networks[0]!.pid, pid);
    const refused = await vmlan.run(['attach', 'web', '--network', 'lab']);
    assert.deepEqual([refused.code, /vmlan network stop lab/.test(refused.stderr)], [4, true], refused.stderr);
    await vmlan.ok('network', 'stop', 'lab');
    await vmlan.ok('network', 'start', 'lab');
    const { networks: again } = await vmlan.status();
    assert.deepEqual([again[0]!.state, again[0]!.pid === pid], ['running', false]);
  });
});

test('what a killed daemon left in its way is out of the way', async () => {
  await using vmlan = await Vmlan.create({ config: CONFIG });
  await vmlan.ok('up');
  const { pid } = await vmlan.status();
  await killed(pid);
  assert.ok(existsSync(join(vmlan.folder, 'run', 'vmlan.sock')));
  await writeFile(join(vmlan.folder, 'state', 'forwards.json.tmp'), '{"ver');
  await vmlan.ok('up');
  assert.ok(!existsSync(join(vmlan.folder, 'state', 'forwards.json.tmp')));
  await until('one daemon', 2000, () => processesOf(vmlan).length === 2);
});

test('what daemon and networks wrote is shown, followed, and still there when both have ended', async () => {
  await using vmlan = await Vmlan.create({ config: CONFIG });
  await using foreground = vmlan.start('up', '--foreground');
  await foreground.waitFor(/vmlan serves/);
  await using follower = vmlan.start('logs', 'lab', '--follow', '--output', 'json');
  await follower.waitFor(/"message":"network lab runs"/);
  assert.match(await vmlan.ok('logs'), /daemon +info +vmlan serves socket=/);
  assert.doesNotMatch(await vmlan.ok('logs', 'lab'), / daemon /);
  await vmlan.ok('network', 'stop', 'lab');
  await follower.waitFor(/"message":"network lab stopped"/);
  assert.equal(await vmlan.ok('logs', '--level', 'error', '--since', '1h'), '');
  assert.equal((await vmlan.run(['logs', '--since', 'yesterday-ish'])).code, 2);
  await vmlan.ok('down');
  const entries = await vmlan.json<{ source: string; level: string; message: string }[]>('logs', '-n', '1', '--daemon');
  assert.deepEqual(
    entries.map(({ source }) => source),
    ['daemon'],
  );
  assert.equal((await vmlan.run(['logs', 'none'])).code, 3);
});
