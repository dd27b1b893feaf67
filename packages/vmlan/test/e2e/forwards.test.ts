/**
 * Forwards: the host's ports and sockets that lead to a guest, and the gateway's that lead to the host.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { ForwardSpec, SocketAddress } from '../../src/engine/control-messages.ts';
import { until } from '../support/deadline.ts';
import { DhcpClient } from '../support/dhcp-clients.ts';
import { needs } from '../support/needs.ts';
import { HOST } from '../support/netns.ts';
import { knownDigest } from '../support/peer-stream.ts';
import { client, type Peers, serve } from '../support/peers.ts';
import { type BedGuest, EngineBed, GATEWAY, ready, root } from './engine-bed.ts';

const LOOPBACK = '127.0.0.1';
const ECHO = 7;
const SINK = 9000;
const GREETER = 9001;
const CLOSED = 9999;
const BANNER = 'from the guest\n';
const AT_ONCE_MS = 1000;
const FOLLOWS_MS = 5000;

describe('forwards', () => {
  let bed: EngineBed;
  let guest: BedGuest;
  let inGuest: Peers;
  let forwards = 0;

  before(async () => {
    if (!root) return;
    bed = await EngineBed.create();
    guest = await bed.tapGuest('web');
    inGuest = await serve(guest.namespace, [
      { kind: 'tcp-echo', port: ECHO },
      { kind: 'sink', port: SINK },
      { kind: 'greeter', port: GREETER, banner: BANNER },
      { kind: 'udp-echo', port: ECHO },
    ]);
  });
  after(async () => {
    await inGuest?.[Symbol.asyncDispose]();
    await bed?.[Symbol.asyncDispose]();
  });

  /** Adds a forward and returns its id. */
  async function add(
    protocol: 'tcp' | 'udp',
    listen: SocketAddress,
    target: SocketAddress,
    direction: ForwardSpec['direction'] = 'host',
  ): Promise<string> {
    const id = `f${forwards++}`;
    await bed.request({ type: 'add-forward', forward: { id, protocol, direction, listen, target } });
    return id;
  }
  const remove = (forwardId: string): Promise<unknown> => bed.request({ type: 'remove-forward', forwardId });
  const refused = async (port: number, host = LOOPBACK): Promise<void> => {
    const { errno, ms } = await client(bed.lab.host, 'connect', { host, port });
    assert.equal(errno, 'ECONNREFUSED');
    assert.ok(ms < AT_ONCE_MS, `after ${ms} ms`);
  };
  const echoes = async (host: string, port: number, from = bed.lab.host): Promise<void> => {
    const { ok, errors } = await client(from, 'echoes', { host, port, count: 20, parallel: 5 });
    assert.deepEqual({ ok, errors }, { ok: 20, errors: {} });
  };

  for (const { name, listen, from, host } of [
    { name: 'loopback', listen: LOOPBACK, from: 'host', host: LOOPBACK },
    { name: 'any address', listen: '0.0.0.0', from: 'internet', host: HOST.address4 },
    { name: 'IPv6 loopback', listen: '::1', from: 'host', host: '::1' },
    { name: 'any IPv6 address', listen: '::', from: 'internet', host: HOST.address6 },
    { name: 'any IPv6 address, by IPv4', listen: '::', from: 'internet', host: HOST.address4 },
  ] as const) {
    test(`TCP at ${name}`, async (t) => {
      if (!ready(t)) return;
      const port = 8100;
      const id = await add('tcp', { host: listen, port }, { host: 'web', port: ECHO });
      await echoes(host, port, bed.lab[from]);
      await remove(id);
    });
  }

  test('bytes both ways arrive as they were sent, and the guest may speak first', async (t) => {
    if (!ready(t)) return;
    const sink = await add('tcp', { host: LOOPBACK, port: 8200 }, { host: 'web', port: SINK });
    const greeter = await add('tcp', { host: LOOPBACK, port: 8201 }, { host: 'web', port: GREETER });
    const bytes = 20_000_000;
    const { sha256 } = await client(bed.lab.host, 'upload', { host: LOOPBACK, port: 8200, bytes });
    assert.equal(sha256, knownDigest(bytes).sha256);
    const text = 'to the guest';
    assert.equal(await client(bed.lab.host, 'converse', { host: LOOPBACK, port: 8201, text }), BANNER + text);
    await Promise.all([remove(sink), remove(greeter)]);
  });

  test('a unix socket, of its owner alone', async (t) => {
    if (!ready(t)) return;
    const path = bed.path('web.sock');
    const id = await add('tcp', { unix: path }, { host: 'web', port: GREETER });
    const text = 'by a path';
    assert.equal(await client(bed.lab.host, 'converse', { host: '', port: 0, path, text }), BANNER + text);
    assert.match(await bed.lab.host.output(['stat', '-c', '%a', path]), /^600$/m);
    await remove(id);
    const { errno } = await client(bed.lab.host, 'connect', { host: '', port: 0, path });
    assert.equal(errno, 'ENOENT');
  });

  for (const { listen, host, target } of [
    { listen: LOOPBACK, host: LOOPBACK, target: 'web' },
    { listen: '::', host: '::1', target: 'fd00:1:2:3::a' },
  ]) {
    test(`UDP at ${listen} to ${target}`, async (t) => {
      if (!ready(t)) return;
      const port = 8300;
      const id = await add('udp', { host: listen, port }, { host: target, port: ECHO });
      const { errors } = await client(bed.lab.host, 'udp', { host, port, flows: 20, count: 5, size: 1000 });
      assert.deepEqual(errors, {});
      const large = await client(bed.lab.host, 'udp', { host, port, flows: 1, count: 3, size: 60_000 });
      assert.deepEqual(large.errors, {});
      await remove(id);
    });
  }

  test('a guest that refuses: the client is reset', async (t) => {
    if (!ready(t)) return;
    const id = await add('tcp', { host: LOOPBACK, port: 8400 }, { host: 'web', port: CLOSED });
    const { errno, ms } = await client(bed.lab.host, 'connect', { host: LOOPBACK, port: 8400 });
    assert.equal(errno, 'ECONNRESET');
    assert.ok(ms < AT_ONCE_MS);
    await remove(id);
  });

  test('what is removed is closed at once, and may be added again', async (t) => {
    if (!ready(t)) return;
    for (let i = 0; i < 3; i++) {
      const id = await add('tcp', { host: LOOPBACK, port: 8500 }, { host: 'web', port: ECHO });
      await echoes(LOOPBACK, 8500);
      await remove(id);
      await refused(8500);
    }
    await assert.rejects(remove('f0'), { code: 'not-found' });
  });

  test('a port that somebody has is named', async (t) => {
    if (!ready(t)) return;
    await using _owner = await serve(bed.lab.host, [{ kind: 'tcp-echo', port: 8600, host: LOOPBACK }]);
    const adding = add('tcp', { host: LOOPBACK, port: 8600 }, { host: 'web', port: ECHO });
    await assert.rejects(adding, { code: 'address-in-use', message: /127\.0\.0\.1:8600/ });
  });

  test('a guest that is not there is refused at once, and found when it comes', async (t) => {
    if (!ready(t)) return;
    const tcp = await add('tcp', { host: LOOPBACK, port: 8700 }, { host: 'late', port: ECHO });
    const udp = await add('udp', { host: LOOPBACK, port: 8700 }, { host: 'late', port: ECHO });
    await refused(8700);
    const datagram = { host: LOOPBACK, port: 8700, text: 'anybody?' };
    const absent = await client(bed.lab.host, 'datagram', datagram);
    assert.equal(absent.errno, 'ECONNREFUSED');
    assert.ok(absent.ms < AT_ONCE_MS);
    const states = async (): Promise<string[]> =>
      (await bed.snapshot()).forwards.filter(({ id }) => id === tcp || id === udp).map(({ state }) => state);
    assert.deepEqual(await states(), ['waiting-for-guest', 'waiting-for-guest']);

    const late = await bed.streamGuest('late');
    await using _servers = await serve(late.namespace, [
      { kind: 'tcp-echo', port: ECHO },
      { kind: 'udp-echo', port: ECHO },
    ]);
    await until('both forwards to listen', FOLLOWS_MS, async () => (await states()).every((s) => s === 'listening'));
    await echoes(LOOPBACK, 8700);
    assert.equal((await client(bed.lab.host, 'datagram', datagram)).answer, 'anybody?');

    await bed.vanish(late);
    await until('both forwards to wait', FOLLOWS_MS, async () =>
      (await states()).every((state) => state === 'waiting-for-guest'),
    );
    await refused(8700);
    assert.equal((await client(bed.lab.host, 'datagram', datagram)).errno, 'ECONNREFUSED');
    await Promise.all([remove(tcp), remove(udp)]);
  });

  test("a forward follows its guest's address", async (t) => {
    if (!ready(t) || !needs(t, 'busybox')) return;
    const id = await add('tcp', { host: LOOPBACK, port: 8800 }, { host: 'mover', port: GREETER });
    const mover = await bed.tapGuest('mover', { automatic: true });
    await using _servers = await serve(mover.namespace, [{ kind: 'greeter', port: GREETER, banner: BANNER }]);
    const nic = { key: mover.nic, guest: 'mover', mac: mover.mac, connected: true };
    for (const ip of ['192.168.104.201', '192.168.104.202']) {
      await bed.request({ type: 'set-nic', nic: { ...nic, ip } });
      const dhcp = await DhcpClient.start(mover.namespace, 'udhcpc', { device: 'eth0' });
      assert.equal((await dhcp.next('bound')).address, ip);
      const said = await client(bed.lab.host, 'converse', { host: LOOPBACK, port: 8800, text: ip });
      assert.equal(said, BANNER + ip);
      await dhcp[Symbol.asyncDispose]();
    }
    // And an address that is set by hand, while the lease still runs.
    const byHand = '192.168.104.60';
    await mover.namespace.ip('addr', 'flush', 'dev', 'eth0', 'scope', 'global');
    await mover.namespace.ip('addr', 'add', `${byHand}/24`, 'dev', 'eth0');
    await mover.namespace.run(['ping', '-c', '1', GATEWAY.address4]);
    await until('the old address to be forgotten', FOLLOWS_MS, async () => {
      const seen = (await bed.snapshot()).guests.find(({ nic: key }) => key === mover.nic);
      return seen?.address4.join() === byHand;
    });
    const said = await client(bed.lab.host, 'converse', { host: LOOPBACK, port: 8800, text: byHand });
    assert.equal(said, BANNER + byHand);
    await remove(id);
  });

  test('reverse: a port of the gateway leads to the host, TCP and unix', async (t) => {
    if (!ready(t)) return;
    const path = bed.path('host.sock');
    await using _servers = await serve(bed.lab.host, [
      { kind: 'greeter', port: 7001, host: LOOPBACK, banner: 'host tcp\n' },
      { kind: 'greeter', port: 0, path, banner: 'host unix\n' },
    ]);
    const tcp = await add('tcp', { host: GATEWAY.address4, port: 6001 }, { host: LOOPBACK, port: 7001 }, 'reverse');
    const unix = await add('tcp', { host: GATEWAY.address4, port: 6002 }, { unix: path }, 'reverse');
    const gone = await add('tcp', { host: GATEWAY.address4, port: 6003 }, { unix: bed.path('none') }, 'reverse');
    const say = (port: number): Promise<string> =>
      client(guest.namespace, 'converse', { host: GATEWAY.address4, port, text: 'hello' });
    assert.equal(await say(6001), 'host tcp\nhello');
    assert.equal(await say(6002), 'host unix\nhello');
    assert.equal(
      (await client(guest.namespace, 'connect', { host: GATEWAY.address4, port: 6003 })).errno,
      'ECONNREFUSED',
    );
    const bytes = 5_000_000;
    await using _sink = await serve(bed.lab.host, [{ kind: 'sink', port: 0, path: bed.path('sink.sock') }]);
    const sink = await add('tcp', { host: GATEWAY.address4, port: 6004 }, { unix: bed.path('sink.sock') }, 'reverse');
    const { sha256 } = await client(guest.namespace, 'upload', { host: GATEWAY.address4, port: 6004, bytes });
    assert.equal(sha256, knownDigest(bytes).sha256);
    await Promise.all([tcp, unix, gone, sink].map(remove));
    assert.equal(
      (await client(guest.namespace, 'connect', { host: GATEWAY.address4, port: 6001 })).errno,
      'ECONNREFUSED',
    );
  });
});
