/**
 * Real machines under QEMU, by every kind of link: a stream socket of their own, datagrams, TCP, and the sockets that any
 * number of guests share. Five guests boot once, and all tests use them. VMLAN_LONG=1 runs what takes minutes.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { AttachKind, GuestView } from '../../src/model/api.ts';
import { until } from '../support/deadline.ts';
import { LONG, missing } from '../support/needs.ts';
import type { GuestLease } from '../support/guest-agent.ts';
import { client, serve, type Peers } from '../support/peers.ts';
import { bootFirmware, QEMU, QemuGuest } from '../support/qemu-guest.ts';
import { World } from './world.ts';

const SHARED_PORT = 47_900;
const CONFIG = `
networks:
  lab:
    mode: user-v2
    subnet: 192.168.77.0/24
    subnet6: fd77:1:2:3::/64
    listen: [tcp://127.0.0.1:${SHARED_PORT}]
    autostart: true
`;
const GATEWAY = '192.168.77.1';
const MIB = 1 << 20;
const REQUESTS = LONG ? 5000 : 200;
const HTTP = 8080;
const SINK = 8081;
const REQUEST_TIMEOUT_MS = 900_000;
const TRANSFER_TIMEOUT_MS = 300_000;

interface Booted {
  readonly guest: QemuGuest;
  readonly lease: GuestLease;
}

/** Each kind of link, by the name of its guest. */
const LINKS: Readonly<Record<string, AttachKind | 'shared' | 'shared-tcp'>> = {
  alice: 'qemu-stream',
  bob: 'qemu-dgram',
  carol: 'qemu-socket-tcp',
  dave: 'shared',
  erin: 'shared-tcp',
};
const NAMES = Object.keys(LINKS);

describe('machines under QEMU', { skip: missing('dnsmasq', 'ip', QEMU) }, () => {
  let world: World;
  let peers: Peers;
  const guests = new Map<string, Booted>();

  const netArgs = async (name: string): Promise<string[]> => {
    const link = LINKS[name]!;
    const { sockets } = await world.network('lab');
    const shared = {
      shared: `stream,id=n0,server=off,addr.type=unix,addr.path=${sockets!.qemu}`,
      'shared-tcp': `socket,id=n0,connect=127.0.0.1:${SHARED_PORT}`,
    };
    if (link !== 'shared' && link !== 'shared-tcp') return world.attach(name, { network: 'lab', kind: link });
    const mac = `52:54:00:77:00:0${NAMES.indexOf(name)}`;
    return ['-netdev', shared[link], '-device', `virtio-net-pci,netdev=n0,mac=${mac}`];
  };

  const boot = async (name: string): Promise<Booted> => {
    const guest = await QemuGuest.boot({ name, netArgs: await netArgs(name), wrap: world.lab.host.argv([]) });
    const booted = { guest, lease: await guest.waitLease(60_000) };
    guests.set(name, booted);
    await guest.sh(`echo "hello from ${name}" >/var/www/index.html; httpd -p 80 -h /var/www`);
    return booted;
  };
  const shell = (name: string, script: string, timeoutMs?: number): Promise<string> =>
    guests.get(name)!.guest.sh(script, timeoutMs === undefined ? {} : { timeoutMs });
  const viewOf = async (name: string): Promise<GuestView | undefined> =>
    (await world.api.call('listGuests', { query: { network: 'lab' } })).find((guest) => guest.name === name);

  before(async () => {
    world = await World.create({ config: CONFIG });
    peers = await serve(world.lab.host, [
      { kind: 'http', host: '127.0.0.1', port: HTTP, name: 'the host' },
      { kind: 'sink', host: '127.0.0.1', port: SINK },
    ]);
    for (const name of NAMES) await boot(name); // one at a time: on two busy cores five would all be late
  });
  after(async () => {
    await Promise.all([...guests.values()].map(({ guest }) => guest.close()));
    await peers[Symbol.asyncDispose]();
    await world[Symbol.asyncDispose]();
  });

  for (const [name, link] of Object.entries(LINKS)) {
    describe(`${name}, by ${link}`, () => {
      test('has a lease with all that belongs to it', async () => {
        const { lease } = guests.get(name)!;
        assert.match(lease.ip, /^192\.168\.77\.\d+$/);
        assert.deepEqual(
          [lease.prefixLength, lease.router, lease.dns, lease.serverId, lease.mtu, lease.domain],
          [24, GATEWAY, GATEWAY, GATEWAY, '1500', 'lab.internal'],
        );
        assert.match(await guests.get(name)!.guest.waitIpv6(), /^fd77:1:2:3:/);
        const view = await viewOf(name);
        assert.deepEqual([view?.nics[0]?.state, view?.nics[0]?.address4[0]], ['connected', lease.ip]);
      });

      test('reaches the gateway and, by name, the host and the outside', async () => {
        await shell(name, `ping -c 2 -W 2 ${GATEWAY}`);
        assert.equal(await shell(name, `wget -q -O - http://host.vmlan.internal:${HTTP}/`), 'hello from the host\n');
        await using _web = await serve(world.lab.internet, [{ kind: 'http', port: 80, name: 'the internet' }]);
        assert.equal(await shell(name, 'wget -q -O - http://web.test/'), 'hello from the internet\n');
      });

      test('reaches its peers by name, and is reached', async () => {
        for (const peer of NAMES.filter((other) => other !== name)) {
          await shell(name, `ping -c 1 -W 3 ${peer}`);
          assert.equal(await shell(name, `wget -q -O - http://${peer}.vmlan.internal/`), `hello from ${peer}\n`);
        }
      });

      test('carries megabytes both ways, unharmed', async () => {
        const bytes = (name === 'alice' ? 64 : 2) * MIB;
        const expected = await client(world.lab.host, 'digest', { bytes });
        const url = `http://host.vmlan.internal:${HTTP}/bytes/${bytes}`;
        const down = await shell(name, `wget -q -O - ${url} | sha256sum`, TRANSFER_TIMEOUT_MS);
        assert.equal(down.split(' ')[0], expected.sha256);
        // The same bytes once more, and back while they come: the guest's memory does not hold them.
        const back = await shell(name, `wget -q -O - ${url} | nc host.vmlan.internal ${SINK}`, TRANSFER_TIMEOUT_MS);
        assert.deepEqual(JSON.parse(back), expected);
      });
    });
  }

  test(`${REQUESTS} HTTP requests of a guest, none fails`, async () => {
    const loop = `i=0; while [ $i -lt ${REQUESTS} ]; do wget -q -O /dev/null http://host.vmlan.internal:${HTTP}/ || echo failed $i; i=$((i+1)); done`;
    assert.equal(await shell('alice', loop, REQUEST_TIMEOUT_MS), '');
  });

  test(`${REQUESTS} HTTP requests to a guest through a forward, none fails`, async () => {
    await world.api.call('createForward', { body: { network: 'lab', host: '127.0.0.1:18080', guest: 'alice:80' } });
    const request = { url: 'http://127.0.0.1:18080/', count: REQUESTS, parallel: 4, keepAlive: false };
    const { ok, errors } = await client(world.lab.host, 'http', request, { timeoutMs: REQUEST_TIMEOUT_MS });
    assert.deepEqual([ok, errors], [REQUESTS, {}]);
  });

  test('a guest that leaves takes its names along, and comes back to its address', async () => {
    const leaveAndReturn = async (name: string): Promise<void> => {
      const { guest, lease } = guests.get(name)!;
      await guest.close();
      await until(`${name} to be gone`, 10_000, async () => (await viewOf(name))?.nics[0]?.state !== 'connected');
      assert.notEqual((await guests.get('alice')!.guest.run(`nslookup ${name}.vmlan.internal`)).code, 0);
      assert.equal((await boot(name)).lease.ip, lease.ip);
      await shell('alice', `ping -c 1 -W 3 ${name}`);
      assert.equal(await shell('alice', `wget -q -O - http://${name}/`), `hello from ${name}\n`);
    };
    await Promise.all(['bob', 'carol', 'dave'].map(leaveAndReturn));
  });

  test('firmware without a disk gets an address', async () => {
    const netArgs = await world.attach('pxe', { network: 'lab' });
    const { address, netmask, gateway } = await bootFirmware({ netArgs, wrap: world.lab.host.argv([]) });
    assert.match(address, /^192\.168\.77\.\d+$/);
    assert.deepEqual([netmask, gateway], ['255.255.255.0', GATEWAY]);
  });

  test(`${LONG ? 1024 : 64} MiB each way from a namespace, unharmed`, async (t) => {
    const bytes = (LONG ? 1024 : 64) * MIB;
    const { lab } = world;
    const guest = await world.namespaceGuest('frank', { network: 'lab', configure: true });
    await guest.waitForDefaultRoute(6); // comes with a router advertisement
    await using ends = await serve(lab.internet, [
      { kind: 'source', bytes, port: 0 },
      { kind: 'sink', port: 0 },
    ]);
    const [source = 0, sink = 0] = ends.ports;
    const expected = await client(lab.host, 'digest', { bytes }, { timeoutMs: TRANSFER_TIMEOUT_MS });
    for (const [what, host] of [
      ['IPv4', '203.0.113.10'],
      ['IPv6', '2001:db8:113::10'],
    ] as const) {
      const down = await client(guest, 'download', { host, port: source }, { timeoutMs: TRANSFER_TIMEOUT_MS });
      const up = await client(guest, 'upload', { host, port: sink, bytes }, { timeoutMs: TRANSFER_TIMEOUT_MS });
      assert.deepEqual(
        [down.sha256, down.bytes, up.sha256, up.bytes],
        [expected.sha256, bytes, expected.sha256, bytes],
      );
      const rate = (ms: number): string => `${Math.round((bytes * 8) / ms / 1000)} Mbit/s`;
      t.diagnostic(`${what}: down ${rate(down.ms)}, up ${rate(up.ms)}`);
    }
  });
});
