/**
 * The command line against the real daemon: starting and stopping it, machines, namespaces, and what is left behind.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import type { GuestView, LeaseView } from '../../src/model/api.ts';
import { until } from '../support/deadline.ts';
import { guestImage } from '../support/guest-image.ts';
import { needs, needsRoot, needsUserNamespaces } from '../support/needs.ts';
import { asUser, Lab, NOBODY, type Namespace, type User } from '../support/netns.ts';
import { output, Process } from '../support/process.ts';
import { QEMU } from '../support/qemu-guest.ts';
import { openTun, restoreTun } from '../support/tun.ts';
import { Vmlan } from '../support/vmlan.ts';

const CONFIG = 'networks:\n  lab:\n    mode: user-v2\n    subnet: 192.168.77.0/24\n';
const BOOT = 'console=ttyS0 reboot=t panic=-1 quiet mitigations=off nokaslr tsc=reliable no_timer_check';
const PATIENCE_MS = 15_000;

before(openTun);
after(restoreTun);

interface Place {
  readonly namespace?: Namespace;
  readonly user?: User;
}

async function upVmlan(place: Place = {}): Promise<Vmlan> {
  const vmlan = await Vmlan.create({ config: CONFIG, ...place });
  chmodSync(vmlan.folder, 0o711); // the network process of root is an ordinary user
  await vmlan.ok('up');
  return vmlan;
}

const guestNamed = async (vmlan: Vmlan, name: string): Promise<GuestView | undefined> =>
  (await vmlan.json<GuestView[]>('list')).find((guest) => guest.name === name);

const stateOf = async (vmlan: Vmlan, name: string): Promise<string> =>
  (await guestNamed(vmlan, name))?.nics[0]?.state ?? 'absent';

const untilState = (vmlan: Vmlan, name: string, wanted: RegExp): Promise<unknown> =>
  until(`${name} to be ${String(wanted)}`, PATIENCE_MS, async () => wanted.test(await stateOf(vmlan, name)));

describe('the daemon', () => {
  test('goes up once, and down', async () => {
    await using vmlan = await Vmlan.create({ config: CONFIG });
    const absent = await vmlan.run(['list']);
    assert.equal(absent.code, 6);
    assert.match(absent.stderr, /^vmlan: no vmlan daemon answers at .*\nhint: start it with: vmlan up\n$/);
    assert.match(await vmlan.ok('up'), /^vmlan \S+ is up, pid \d+\n/);
    const { pid } = await vmlan.status();
    assert.match(await vmlan.ok('up'), new RegExp(`runs already, pid ${pid}`));
    assert.match(await vmlan.ok('version'), /^daemon +\d+\.\d+\.\d+$/m);
    assert.equal(await vmlan.ok('down'), 'vmlan stopped\n');
    assert.equal((await vmlan.run(['status'])).code, 6);
    await until(`process ${pid} to end`, PATIENCE_MS, () => !existsSync(`/proc/${pid}`));
  });

  test('a wrong configuration is one error with its place, and nothing runs', async () => {
    await using vmlan = await Vmlan.create({ config: 'networks:\n  lab:\n    mode: bridge\n' });
    const { code, stdout, stderr } = await vmlan.run(['up']);
    assert.deepEqual([code, stdout], [2, '']);
    assert.match(stderr, /^vmlan: .*networks\.yaml:3:\d+: .*\n(hint: .*\n)?$/);
    assert.equal((await vmlan.run(['status'])).code, 6);
  });

  test('in the foreground it ends with a signal', async () => {
    await using vmlan = await Vmlan.create({ config: CONFIG });
    await using daemon = vmlan.start('up', '--foreground');
    await until('the daemon to answer', PATIENCE_MS, async () => (await vmlan.run(['status'])).code === 0);
    daemon.signal('SIGTERM');
    assert.equal((await daemon.exited).code, 0);
    assert.equal((await vmlan.run(['status'])).code, 6);
  });
});

describe('names and forwards', () => {
  test('are found, conflict and disappear as the exit codes say', async () => {
    await using vmlan = await upVmlan();
    assert.equal((await vmlan.run(['show', 'web'])).code, 3);
    assert.equal((await vmlan.run(['network', 'show', 'none'])).code, 3);
    const attached = await vmlan.json<{ socket: string; qemu: string[] }>(
      'attach',
      'web',
      '--network',
      'lab',
      '--qemu-version',
      '9.2',
    );
    assert.ok(existsSync(attached.socket));
    assert.match(
      attached.qemu[1] ?? '',
      /^stream,id=vmlan0,server=off,addr\.type=unix,addr\.path=.*,reconnect-ms=200$/,
    );
    assert.equal(await stateOf(vmlan, 'web'), 'waiting');
    const id = (await vmlan.ok('forward', 'add', '127.0.0.1:0', 'web:80', '-q').catch(() => '')).trim();
    assert.equal(id, '', 'port 0 is none');
    const forward = (await vmlan.ok('forward', 'add', '127.0.0.1:47811', 'web:80', '-q')).trim();
    assert.equal((await vmlan.run(['forward', 'add', '127.0.0.1:47811', 'web:81'])).code, 4);
    assert.equal(await vmlan.ok('show', 'web', 'port', 'host'), '127.0.0.1:47811\n');
    await vmlan.ok('forward', 'remove', forward);
    assert.equal(await vmlan.ok('forward', 'list', '-q'), '');
    await vmlan.ok('dns', 'add', 'registry.lab.internal', 'A', '192.168.77.200', '--network', 'lab');
    assert.equal(await vmlan.ok('dns', 'query', 'registry.lab.internal', '-q'), '192.168.77.200\n');
    await vmlan.ok('dns', 'remove', 'registry.lab.internal');
    await vmlan.ok('detach', 'web', '--forget');
    assert.equal(await vmlan.ok('list', '-q'), '');
    assert.equal((await vmlan.run(['attach', 'Web!'])).code, 2);
  });

  test('complete', async () => {
    await using vmlan = await upVmlan();
    await vmlan.ok('attach', 'web', '--network', 'lab', '--kind', 'vfkit');
    assert.equal(await vmlan.ok('__complete', '--', 'show', 'w'), 'web\tlab\n');
    assert.match(await vmlan.ok('__complete', '--', 'network', 'stop', 'l'), /^lab(?:\t.*)?\n$/);
  });
});

describe('a namespace', () => {
  const ready = (t: TestContext): boolean => needsRoot(t) && needs(t, 'ip', 'nsenter', 'unshare', 'setpriv', 'ping');

  test('of an ordinary user has the network until its process ends', async (t) => {
    if (!ready(t) || !needsUserNamespaces(t)) return;
    await using vmlan = await upVmlan({ user: NOBODY });
    await using inside = Process.start(asUser(NOBODY, ['unshare', '-Urn', 'sh', '-c', 'echo in; exec sleep 1000']));
    await inside.waitFor(/^in$/m);
    const text = await vmlan.ok('run', 'c1', '--network', 'lab', '--netns', String(inside.pid), '--config-net');
    assert.match(text, /^guest "c1" is on network "lab": interface eth0, .*, 192\.168\.77\.\d+\/24\n$/);
    const enter = ['nsenter', '--target', String(inside.pid), '--net'];
    const { gateway } = (await vmlan.status()).networks.find(({ name }) => name === 'lab')!;
    await output([...enter, 'ping', '-c', '1', '-W', '2', gateway!]);
    assert.match(
      await output([...enter, 'ip', 'route']),
      new RegExp(`^default via ${gateway!.replaceAll('.', '\\.')} dev eth0`, 'm'),
    );
    assert.match(text, new RegExp((await vmlan.ok('show', 'c1', 'network', 'ip')).trim().replaceAll('.', '\\.')));

    await using waiting = vmlan.start('run', 'c1', '--netns', String(inside.pid), '--interface', 'eth1', '--wait');
    await waiting.waitFor(/ready for a DHCP client/);
    await inside.stop('SIGKILL');
    assert.equal((await waiting.exited).code, 0);
    await untilState(vmlan, 'c1', /waiting|absent/);
  });

  test('of root has a resolver, and leaves when it is deleted', async (t) => {
    if (!ready(t)) return;
    await using lab = await Lab.create();
    await using vmlan = await upVmlan({ namespace: lab.host });
    const guest = await lab.guest('g1');
    const resolver = join('/etc/netns', guest.name, 'resolv.conf');
    const before = readFileSync(resolver, 'utf8');
    await vmlan.ok('run', 'g1', '--network', 'lab', '--netns', guest.name, '--config-net');
    assert.equal(readFileSync(resolver, 'utf8'), before, "the lab's own resolver stays");
    assert.equal(await stateOf(vmlan, 'g1'), 'connected');
    await output(['ip', 'netns', 'del', guest.name]);
    await untilState(vmlan, 'g1', /waiting|absent/);
  });

  test('that waits lets go with Ctrl-C', async (t) => {
    if (!ready(t)) return;
    await using lab = await Lab.create();
    await using vmlan = await upVmlan({ namespace: lab.host });
    const guest = await lab.guest('g2');
    await using waiting = vmlan.start('run', 'g2', '--network', 'lab', '--netns', guest.path, '--wait');
    await waiting.waitFor(/ready for a DHCP client/);
    await guest.waitForLink('eth0');
    waiting.signal('SIGINT');
    assert.equal((await waiting.exited).code, 0);
    assert.equal(JSON.parse(await guest.ip('-j', 'link', 'show')).length, 1);
  });
});

describe('a machine', () => {
  const ready = (t: TestContext): boolean => needs(t, QEMU, 'apt-get', 'dpkg-deb');

  test('in the foreground ends with a signal, is forgotten and keeps its lease', async (t) => {
    if (!ready(t)) return;
    const image = await guestImage();
    await using vmlan = await upVmlan();
    const files = ['--kernel', image.kernel, '--initrd', image.initrd, '--append', `${BOOT} guest.name=web`];
    await using machine = vmlan.start('run', 'web', '--network', 'lab', '--memory', '128M', ...files);
    await until('the lease', 60_000, async () => (await guestNamed(vmlan, 'web'))?.nics[0]?.address4[0] !== undefined);
    const address = (await vmlan.ok('show', 'web', 'network', 'ip')).trim();
    assert.equal((await vmlan.run(['run', 'web', ...files])).code, 4);
    machine.signal('SIGTERM');
    assert.equal((await machine.exited).code, 0);
    assert.equal(await guestNamed(vmlan, 'web'), undefined);
    const leases = await vmlan.json<LeaseView[]>('network', 'leases', 'lab');
    assert.ok(
      leases.some((lease) => lease.address === address),
      JSON.stringify(leases),
    );
  });

  test('in the background has its address, its log and its process', async (t) => {
    if (!ready(t)) return;
    const image = await guestImage();
    await using vmlan = await upVmlan();
    const files = ['--kernel', image.kernel, '--initrd', image.initrd, '--append', `${BOOT} guest.name=db`];
    interface Started {
      readonly ip: string;
      readonly pid: number;
      readonly log: string;
    }
    const { ip, pid, log } = await vmlan.json<Started>(
      'run',
      'db',
      '--network',
      'lab',
      '--memory',
      '128M',
      '--detach',
      ...files,
      ...['--', '-pidfile', join(vmlan.folder, 'db.pid')],
    );
    vmlan.adopt(pid);
    assert.equal(Number(readFileSync(join(vmlan.folder, 'db.pid'), 'utf8')), pid);
    assert.match(ip, /^192\.168\.77\.\d+$/);
    assert.ok(existsSync(`/proc/${pid}`) && existsSync(log));
    assert.equal(await stateOf(vmlan, 'db'), 'connected');
    process.kill(pid, 'SIGTERM');
    await untilState(vmlan, 'db', /waiting/);
  });
});
