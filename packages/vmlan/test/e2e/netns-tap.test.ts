/**
 * TAP interfaces in real namespaces: for root by path, for an ordinary user by process, and for the host itself.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { chownSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import type { ErrorData } from '../../src/core/errors.ts';
import type { NamespaceTarget, TapRequest } from '../../src/drivers/userspace/netns-attach.ts';
import { until } from '../support/deadline.ts';
import { needs, needsRoot, needsUserNamespaces } from '../support/needs.ts';
import { asUser, Lab, NOBODY, type Namespace } from '../support/netns.ts';
import { output, Process } from '../support/process.ts';
import { openTun, restoreTun } from '../support/tun.ts';

const HOLDER = join(import.meta.dirname, '../support/tap-holder.ts');
const NODE = [process.execPath, '--disable-warning=ExperimentalWarning'];
const MAC = '52:54:00:00:00:42';
const EBADFD = 77; // what a TAP answers whose interface is gone
const VNET_HDR_LEN = 12;
const ARP_REQUEST = /^f{12}(525400000042)08060001080006040001/;

/** A directory that only `nobody` may enter: where the ordinary user's network process listens. */
let directory = '';
before(() => {
  openTun();
  directory = mkdtempSync(join(tmpdir(), 'vmlan-tap-'));
  if (process.getuid?.() === 0) chownSync(directory, NOBODY.uid, NOBODY.gid);
});
after(() => {
  rmSync(directory, { recursive: true });
  restoreTun();
});

const ready = (t: TestContext): boolean => needsRoot(t) && needs(t, 'ip', 'nsenter', 'unshare', 'setpriv', 'ping');

let requests = 0;
function tapRequest(more: Partial<TapRequest> = {}): TapRequest {
  return {
    socket: join(directory, `${requests++}.sock`),
    interface: 'eth0',
    mac: MAC,
    mtuBytes: 9000,
    addresses: [],
    gateways: [],
    loopback: false,
    routerAdverts: true,
    ...more,
  };
}

const holderArgv = (request: TapRequest, target: NamespaceTarget | null): string[] => [
  ...NODE,
  HOLDER,
  JSON.stringify(request),
  JSON.stringify(target),
];

async function hold(argv: readonly string[]): Promise<Process> {
  const holder = Process.start(argv);
  await holder.waitFor(/^open$/m);
  return holder;
}

async function refusal(argv: readonly string[]): Promise<ErrorData> {
  const holder = Process.start(argv);
  const { stdout, stderr } = await holder.exited;
  assert.match(stdout, /^\{/, `${stdout}${stderr}`);
  return JSON.parse(stdout) as ErrorData;
}

interface Link {
  readonly address: string;
  readonly mtu: number;
  readonly flags: readonly string[];
}

async function link(namespace: Namespace, device: string): Promise<Link | undefined> {
  const links = JSON.parse(await namespace.ip('-j', 'link')) as (Link & { ifname: string })[];
  return links.find(({ ifname }) => ifname === device);
}

/** The next answer to `read`, a frame in hex or `errno N`. */
async function read(holder: Process): Promise<string> {
  const seen = holder.stdout.length;
  holder.write('read\n');
  const [, answer = ''] = await holder.waitFor(new RegExp(`^[^]{${seen}}(.+)\\n`));
  return answer;
}

/** Lets something inside the namespace ask for 192.0.2.9, and reads the question at the other end. */
async function assertFrameArrives(enter: readonly string[], holder: Process): Promise<void> {
  await using _ping = Process.start([...enter, 'ping', '-c', '1', '-W', '1', '192.0.2.9']);
  for (let frames = 0; frames < 50; frames++) {
    if (ARP_REQUEST.test((await read(holder)).slice(2 * VNET_HDR_LEN))) return;
  }
  assert.fail(`no ARP request among\n${holder.stdout}`);
}

/** Frames that were on their way come first. */
async function assertGone(holder: Process): Promise<void> {
  const answer = await until('an error in place of a frame', 10_000, async () => {
    const next = await read(holder);
    return next.startsWith('errno') && next;
  });
  assert.equal(answer, `errno ${EBADFD}`);
}

describe('root, by path', () => {
  test('the interface has its name, MAC address and MTU, is up, and its frames arrive', async (t) => {
    if (!ready(t)) return;
    await using lab = await Lab.create();
    const guest = await lab.guest('c1');
    await using holder = await hold(holderArgv(tapRequest(), { pid: null, path: guest.path }));
    const seen = await link(guest, 'eth0');
    assert.equal(seen?.address, MAC);
    assert.equal(seen.mtu, 9000);
    assert.ok(seen.flags.includes('UP') && seen.flags.includes('LOWER_UP'));
    assert.deepEqual(await guest.addresses('eth0', 4), []);
    await guest.ip('addr', 'add', '192.0.2.1/24', 'dev', 'eth0');
    await assertFrameArrives(['ip', 'netns', 'exec', guest.name], holder);
    assert.equal(await link(lab.host, 'eth0').then((other) => other?.address === MAC), false);
  });

  test('addresses, routes and loopback are set when asked for', async (t) => {
    if (!ready(t)) return;
    await using lab = await Lab.create();
    const guest = await lab.guest('c2');
    await guest.ip('link', 'set', 'lo', 'down');
    const request = tapRequest({
      addresses: ['192.168.104.5/24', 'fd00:1::5/64'],
      gateways: ['192.168.104.1', 'fd00:1::1'],
      loopback: true,
    });
    await using _holder = await hold(holderArgv(request, { pid: null, path: guest.path }));
    assert.deepEqual(await guest.addresses('eth0', 4), ['192.168.104.5']);
    assert.deepEqual(await guest.addresses('eth0', 6), ['fd00:1::5']);
    assert.match(await guest.ip('route', 'show', 'default'), /via 192\.168\.104\.1 dev eth0/);
    assert.match(await guest.ip('-6', 'route', 'show', 'default'), /via fd00:1::1 dev eth0/);
    assert.ok((await link(guest, 'lo'))?.flags.includes('UP'));
  });

  test('a namespace that is deleted is really gone, and the holder sees it', async (t) => {
    if (!ready(t)) return;
    await using lab = await Lab.create();
    const guest = await lab.guest('c3');
    await using holder = await hold(holderArgv(tapRequest(), { pid: null, path: guest.path }));
    await output(['ip', 'netns', 'del', guest.name]);
    await assertGone(holder);
  });

  test('the interface goes with its holder', async (t) => {
    if (!ready(t)) return;
    await using lab = await Lab.create();
    const guest = await lab.guest('c4');
    const holder = await hold(holderArgv(tapRequest(), { pid: null, path: guest.path }));
    assert.ok(await link(guest, 'eth0'));
    await holder.stop('SIGKILL');
    assert.equal(await link(guest, 'eth0'), undefined);
  });

  test('a name that is taken, and a namespace that is none', async (t) => {
    if (!ready(t)) return;
    await using lab = await Lab.create();
    const guest = await lab.guest('c5');
    const target = { pid: null, path: guest.path };
    await using _holder = await hold(holderArgv(tapRequest(), target));
    const taken = await refusal(holderArgv(tapRequest(), target));
    assert.equal(taken.code, 'conflict');
    assert.match(taken.message, /interface named "eth0" already/);
    const gone = await refusal(holderArgv(tapRequest(), { pid: null, path: '/run/netns/vml-none' }));
    assert.equal(gone.code, 'not-found');
    const file = await refusal(holderArgv(tapRequest(), { pid: null, path: '/etc/hostname' }));
    assert.deepEqual([file.code, file.message], ['invalid', '/etc/hostname is no network namespace']);
  });
});

describe('root, by process', () => {
  test("a user's own namespace can be entered from above", async (t) => {
    if (!ready(t) || !needsUserNamespaces(t)) return;
    await using child = Process.start(asUser(NOBODY, ['unshare', '-Urn', 'sh', '-c', 'echo in; exec sleep 1000']));
    await child.waitFor(/^in$/m);
    await using _holder = await hold(holderArgv(tapRequest(), { pid: child.pid, path: null }));
    const text = await output(['nsenter', '--target', String(child.pid), '--net', 'ip', 'link', 'show', 'eth0']);
    assert.match(text, new RegExp(MAC));
  });

  test("a process in the host's own namespace is refused", async (t) => {
    if (!ready(t)) return;
    const error = await refusal(holderArgv(tapRequest(), { pid: process.pid, path: null }));
    assert.equal(error.code, 'invalid');
  });
});

describe('an ordinary user, by process', () => {
  const inside = ['unshare', '-Urn', 'sh', '-c', 'echo in; exec sleep 1000'];

  test('the interface appears, frames arrive, and it all ends with the process', async (t) => {
    if (!ready(t) || !needsUserNamespaces(t)) return;
    await using child = Process.start(asUser(NOBODY, inside));
    await child.waitFor(/^in$/m);
    const request = tapRequest({ addresses: ['192.0.2.1/24'], gateways: ['192.0.2.9'], loopback: true });
    const target = { pid: child.pid, path: null };
    await using holder = await hold(asUser(NOBODY, holderArgv(request, target)));
    const enter = ['nsenter', '--target', String(child.pid), '--net'];
    assert.match(await output([...enter, 'ip', 'addr', 'show', 'eth0']), /192\.0\.2\.1\/24/);
    await assertFrameArrives(enter, holder);
    await child.stop('SIGKILL');
    await assertGone(holder);
  });

  test("another user's process, a path, and a namespace of root are refused with the reason", async (t) => {
    if (!ready(t)) return;
    await using lab = await Lab.create();
    const guest = await lab.guest('c6');
    const foreign = await refusal(asUser(NOBODY, holderArgv(tapRequest(), { pid: process.pid, path: null })));
    assert.deepEqual([foreign.code, /another user/.test(foreign.message)], ['not-permitted', true]);
    const path = await refusal(asUser(NOBODY, holderArgv(tapRequest(), { pid: null, path: guest.path })));
    assert.deepEqual([path.code, /only root/.test(path.message)], ['not-permitted', true]);
    await using child = guest.start(['sh', '-c', 'echo in; exec sleep 1000'], { user: NOBODY });
    await child.waitFor(/^in$/m);
    const rooted = await refusal(asUser(NOBODY, holderArgv(tapRequest(), { pid: child.pid, path: null })));
    assert.deepEqual([rooted.code, /belongs to root/.test(rooted.message)], ['not-permitted', true]);
  });

  test('a user namespace without our user as root is refused', async (t) => {
    if (!ready(t) || !needsUserNamespaces(t)) return;
    const argv = ['unshare', '--user', '--map-user=1000', '--net', 'sh', '-c', 'echo in; exec sleep 1000'];
    await using child = Process.start(asUser(NOBODY, argv));
    await child.waitFor(/^in$/m);
    const error = await refusal(asUser(NOBODY, holderArgv(tapRequest(), { pid: child.pid, path: null })));
    assert.equal(error.code, 'not-permitted');
    assert.match(error.message, /not root in the user namespace/);
  });

  for (const { name, make, code, hint } of [
    {
      name: 'closed',
      make: 'mknod -m 600 /dev/net/tun c 10 200',
      code: 'not-permitted',
      hint: 'as root: chmod 666 /dev/net/tun',
    },
    {
      name: 'missing',
      make: ':',
      code: 'unsupported',
      hint: 'load it with: modprobe tun (in a container, pass the device in)',
    },
  ]) {
    test(`a ${name} /dev/net/tun is named with the fix`, async (t) => {
      if (!ready(t) || !needsUserNamespaces(t)) return;
      await using child = Process.start(asUser(NOBODY, inside));
      await child.waitFor(/^in$/m);
      const script = `mount -t tmpfs -o mode=755 vmlan /dev/net && ${make} && exec "$@"`;
      const holder = asUser(NOBODY, holderArgv(tapRequest(), { pid: child.pid, path: null }));
      const error = await refusal(['unshare', '--mount', 'sh', '-c', script, 'sh', ...holder]);
      assert.deepEqual([error.code, error.hint], [code, hint]);
    });
  }

  test('a process that has ended is not found', async (t) => {
    if (!ready(t)) return;
    const child = Process.start(['true']);
    await child.exited;
    const error = await refusal(asUser(NOBODY, holderArgv(tapRequest(), { pid: child.pid, path: null })));
    assert.equal(error.code, 'not-found');
  });
});

test("the host's own interface follows no router advertisement", async (t) => {
  if (!ready(t)) return;
  await using lab = await Lab.create();
  const request = tapRequest({ interface: 'vmlan0', addresses: ['192.168.105.1/24'], routerAdverts: false });
  await using _holder = await hold(lab.host.argv(holderArgv(request, null)));
  assert.deepEqual(await lab.host.addresses('vmlan0', 4), ['192.168.105.1']);
  assert.equal((await lab.host.output(['cat', '/proc/sys/net/ipv6/conf/vmlan0/accept_ra'])).trim(), '0');
  assert.equal((await link(lab.host, 'vmlan0'))?.mtu, 9000);
  assert.equal(readFileSync('/proc/net/dev', 'utf8').includes('vmlan0'), false);
});
