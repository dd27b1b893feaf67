/**
 * vmlan under a service manager: what it tells systemd, what the unit leaves it, and `vmlan service`.  The manager is a
 * stand-in: a datagram socket that listens, and a systemctl that writes down what it is told.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { until, within } from '../support/deadline.ts';
import { needs, needsRoot } from '../support/needs.ts';
import { client, serve } from '../support/peers.ts';
import { Process, run } from '../support/process.ts';
import type { RunResult } from '../support/process.ts';
import { Vmlan } from '../support/vmlan.ts';
import { World } from './world.ts';

const CONFIG = `
networks:
  lab: { mode: shared, subnet: 10.88.0.0/24, autostart: true, forwards: [{ host: 18080, guest: web:80 }] }
`;
const WATCHDOG_MS = 400;
const UNIT = join(import.meta.dirname, '../../../../systemd/vmlan.service');

test('a service manager hears that it serves, lives and ends', async (t) => {
  if (!needs(t, 'socat')) return;
  await using vmlan = await Vmlan.create({ config: CONFIG.replace('shared', 'user-v2') });
  const path = join(vmlan.folder, 'notify.sock');
  await using manager = Process.start(['socat', '-u', `UNIX-RECV:${path}`, 'STDOUT']);
  await until('the socket', 5000, () => existsSync(path));
  const env = { ...vmlan.env, NOTIFY_SOCKET: path, WATCHDOG_USEC: `${WATCHDOG_MS * 1000}` };
  await using daemon = Process.start(vmlan.argv('up', '--foreground'), { env });
  await manager.waitFor(/STATUS=starting[^]*READY=1\nSTATUS=serving at /);
  await manager.waitFor(/(?:WATCHDOG=1){3}/);
  const { networks } = await vmlan.status();
  vmlan.adopt(networks[0]!.pid!); // it outlives its daemon, and so would it this test
  const inherited = await readFile(`/proc/${networks[0]!.pid}/environ`, 'utf8');
  assert.doesNotMatch(inherited, /NOTIFY_SOCKET|WATCHDOG_USEC/);
  process.kill(daemon.pid, 'SIGSTOP');
  let [heard, atMs] = ['', 0];
  await until('the watchdog to run out over a daemon that hangs', 10_000, () => {
    if (manager.stdout !== heard) [heard, atMs] = [manager.stdout, performance.now()];
    return performance.now() - atMs > WATCHDOG_MS;
  });
  process.kill(daemon.pid, 'SIGCONT');
  daemon.signal('SIGTERM');
  assert.equal((await within('the daemon to end', 5000, daemon.exited)).code, 0);
  await manager.waitFor(/STOPPING=1/);
});

test('the capabilities that the unit leaves are enough for guests, TAPs and forwards', async (t) => {
  if (!needsRoot(t) || !needs(t, 'setpriv')) return;
  const [, left = ''] = /^CapabilityBoundingSet=(.*)$/m.exec(await readFile(UNIT, 'utf8')) ?? [];
  const set = ['-all', ...left.split(' ').map((name) => name.toLowerCase().replace('cap_', '+'))].join();
  let daemon: Process | null = null;
  await using world = await World.create({
    config: CONFIG,
    prepare: async (vmlan, lab) => {
      const argv = ['setpriv', `--bounding-set=${set}`, '--no-new-privs', ...vmlan.argv('up', '--foreground').slice(4)];
      daemon = lab.host.start(argv, { env: vmlan.env });
      await daemon.waitFor(/vmlan serves/);
    },
  });
  assert.equal((await world.vmlan.status()).pid, daemon!.pid);
  const web = await world.namespaceGuest('web', { network: 'lab', configure: true });
  await using _server = await serve(web, [{ kind: 'http', port: 80, name: 'web' }]);
  const request = { url: 'http://127.0.0.1:18080/', count: 1, parallel: 1, keepAlive: false };
  assert.deepEqual((await client(world.lab.host, 'http', request)).errors, {});
  assert.match(await world.lab.host.ip('addr', 'show', 'dev', 'vml-lab'), /10\.88\.0\.254\/24/);
  assert.deepEqual((await world.network('lab')).warnings, []);
});

/** A user's systemd that runs, and writes down what systemctl is told. */
class StandInSystemd {
  readonly #vmlan: Vmlan;
  readonly unit: string;
  readonly #log: string;

  private constructor(vmlan: Vmlan) {
    this.#vmlan = vmlan;
    this.unit = join(vmlan.folder, 'config/systemd/user/vmlan.service');
    this.#log = join(vmlan.folder, 'systemctl.log');
  }

  static async create(vmlan: Vmlan): Promise<StandInSystemd> {
    const systemd = new StandInSystemd(vmlan);
    await mkdir(join(vmlan.folder, 'xdg/systemd'), { recursive: true });
    await mkdir(join(vmlan.folder, 'bin'));
    const program = join(vmlan.folder, 'bin/systemctl');
    const answers = 'case $2 in is-enabled) echo disabled; exit 1;; is-active) echo inactive; exit 3;; esac';
    await writeFile(program, `#!/bin/sh\n${answers}\necho "$@" >>${systemd.#log}\n`);
    await chmod(program, 0o755);
    return systemd;
  }

  service(...args: readonly string[]): Promise<RunResult> {
    const { folder, env } = this.#vmlan;
    const own = { XDG_CONFIG_HOME: join(folder, 'config'), XDG_RUNTIME_DIR: join(folder, 'xdg') };
    const path = `${join(folder, 'bin')}:${process.env['PATH'] ?? ''}`;
    return run(this.#vmlan.argv('service', ...args), { env: { ...env, ...own, PATH: path } });
  }

  async told(): Promise<string[]> {
    const text = await readFile(this.#log, 'utf8').catch(() => '');
    await writeFile(this.#log, '');
    return text.split('\n').filter((line) => line !== '');
  }
}

describe('vmlan service', () => {
  test('writes, enables and removes the unit of a user', async () => {
    await using vmlan = await Vmlan.create({ config: CONFIG });
    const systemd = await StandInSystemd.create(vmlan);
    const shown = await systemd.service('install', '--user', '--now', '--dry-run');
    assert.match(shown.stdout, /ExecStart=.*vmlan up --foreground\n[^]*systemctl --user restart vmlan\.service\n$/);
    assert.deepEqual([existsSync(systemd.unit), await systemd.told()], [false, []]);
    const installed = await systemd.service('install', '--user');
    assert.equal(installed.code, 0, installed.stderr);
    assert.match(installed.stdout, /vmlan\.service is enabled; start it with: systemctl --user start vmlan/);
    assert.deepEqual(await systemd.told(), ['--user daemon-reload', '--user enable vmlan.service']);
    const text = await readFile(systemd.unit, 'utf8');
    assert.ok(text.includes(`Environment=VMLAN_STATE_DIR=${vmlan.folder}/state\n`));
    assert.ok(shown.stdout.includes(text));
    const status = JSON.parse((await systemd.service('status', '--user', '-o', 'json')).stdout) as object;
    assert.deepEqual(status, {
      scope: 'user',
      unit: systemd.unit,
      current: true,
      enabled: 'disabled',
      active: 'inactive',
    });
    await writeFile(systemd.unit, text.replace('WatchdogSec=60', 'WatchdogSec=61'));
    assert.match((await systemd.service('status', '--user')).stdout, /^current +no: vmlan service install/m);
    assert.equal((await systemd.service('uninstall', '--user')).code, 0);
    assert.deepEqual(await systemd.told(), ['--user disable --now vmlan.service', '--user daemon-reload']);
    assert.ok(!existsSync(systemd.unit));
    const again = await systemd.service('uninstall', '--user');
    assert.equal(again.code, 3);
    assert.match(again.stderr, /hint: vmlan service status/);
  });

  test('hands a daemon that runs over to the unit, and not its networks', async () => {
    await using vmlan = await Vmlan.create({ config: CONFIG.replace('shared', 'user-v2') });
    const systemd = await StandInSystemd.create(vmlan);
    await vmlan.ok('up');
    const { networks } = await vmlan.status();
    assert.equal((await systemd.service('install', '--user', '--now')).code, 0);
    assert.equal((await systemd.told()).at(-1), '--user restart vmlan.service');
    assert.equal((await vmlan.run(['status'])).code, 6, 'the stand-in starts nothing');
    await vmlan.ok('up');
    assert.equal((await vmlan.status()).networks[0]!.pid, networks[0]!.pid);
  });

  test("leaves somebody else's unit alone", async () => {
    await using vmlan = await Vmlan.create({ config: CONFIG });
    const systemd = await StandInSystemd.create(vmlan);
    await mkdir(join(systemd.unit, '..'), { recursive: true });
    await writeFile(systemd.unit, '[Service]\nExecStart=/bin/true\n');
    const refused = await systemd.service('install', '--user');
    assert.equal(refused.code, 4);
    assert.match(refused.stderr, /was not written by vmlan\nhint: move it away/);
    assert.equal((await systemd.service('uninstall', '--user')).code, 0);
    assert.ok(existsSync(systemd.unit));
    assert.equal((await systemd.service('install', '--user', '--system')).code, 2);
  });
});
