/**
 * Addresses for real DHCP clients: leases, renewals, refusals, SLAAC and DHCPv6, and the same address after every kind
 * of restart. All tests run side by side: the renewals take half a minute, and nothing else does.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as wire from '../../src/wire/dhcpv4.ts';
import { formatIpv4, parseIpv4 } from '../../src/wire/address.ts';
import { until } from '../support/deadline.ts';
import { DhcpClient, obtainLease, type ClientKind } from '../support/dhcp-clients.ts';
import { missing, needs } from '../support/needs.ts';
import type { Namespace } from '../support/netns.ts';
import { Station } from '../support/station.ts';
import { World } from './world.ts';

const CONFIG = `
networks:
  lab:
    mode: user-v2
    subnet: 192.168.77.0/24
    subnet6: fd77:1:2:3::/64
    mtu: 1400
    dhcp: { leaseTime: 60s, reservations: [{ guest: kept, ip: 192.168.77.200 }] }
    dns: { search: [lab.internal, example.test] }
  other:
    mode: user-v2
    subnet: 192.168.79.0/24
    subnet6: fd79:1:2:3::/64
    dhcp: { leaseTime: 60s }
`;
const GATEWAY = '192.168.77.1';
const GATEWAY6 = 'fd77:1:2:3::1';
const RENEWAL_MS = 45_000; // T1 is half of the lease

const PROGRAM: Readonly<Record<ClientKind, string>> = {
  udhcpc: 'busybox',
  dhclient: 'dhclient',
  dhclient6: 'dhclient',
  dhcpcd: 'dhcpcd',
  dhcpcd6: 'dhcpcd',
};

const ip4 = (text: string): number => parseIpv4(text)!;

const why = missing('dnsmasq', 'busybox', 'ip', 'ping');

describe('DHCP', { skip: why, concurrency: true }, () => {
  let world: World;
  before(async () => {
    world = await World.create({ config: CONFIG });
  });
  after(() => world[Symbol.asyncDispose]());

  const attach = (guest: string, namespace: Namespace, network: string, where: World = world): Promise<unknown> =>
    where.api.call('attachGuest', {
      params: { name: guest },
      body: { network, kind: 'netns', netns: { path: namespace.path, interface: 'eth0', configure: false } },
    });

  describe('a lease that is renewed', { concurrency: true }, () => {
    for (const kind of ['udhcpc', 'dhclient', 'dhcpcd'] as const) {
      test(kind, async (t) => {
        if (!needs(t, PROGRAM[kind])) return;
        const guest = await world.namespaceGuest(`c-${kind}`, { network: 'lab' });
        await using client = await DhcpClient.start(guest, kind, { device: 'eth0', hostname: `c-${kind}` });
        const lease = await client.next('bound');
        assert.match(lease.address, /^192\.168\.77\.\d+$/);
        assert.deepEqual([lease.prefixLength, lease.routers, lease.dns], [24, [GATEWAY], [GATEWAY]]);
        assert.deepEqual([lease.serverId, lease.leaseSeconds, lease.mtu], [GATEWAY, 60, '1400']);
        assert.equal(lease.domain, 'lab.internal');
        assert.equal(lease.search.replaceAll(/[.,]( |$)/g, ' ').trim(), 'lab.internal example.test');
        assert.equal(await guest.waitForAddress('eth0', 4), lease.address);
        await guest.output(['ping', '-c', '1', '-W', '2', GATEWAY]);
        const [known] = (await world.api.call('getGuest', { params: { name: `c-${kind}` } })).nics;
        assert.equal(known?.address4[0], lease.address);
        if (kind === 'udhcpc') client.renew();
        const renewed = await client.next('renewed', RENEWAL_MS);
        assert.deepEqual([renewed.address, renewed.serverId], [lease.address, GATEWAY]);
        assert.ok(renewed.leaseSeconds > 0 && renewed.leaseSeconds <= 60, `${renewed.leaseSeconds} s`);
        await guest.output(['ping', '-c', '1', '-W', '2', GATEWAY]);
        if (kind !== 'udhcpc') return;
        client.release();
        await client.next('lost');
        await until('the name to go', 5000, async () => {
          const leases = await world.api.call('listLeases', { params: { name: 'lab' } });
          return leases.every(({ address, state }) => address !== lease.address || state !== 'active');
        });
      });
    }

    for (const kind of ['dhclient6', 'dhcpcd6'] as const) {
      test(`${kind}, beside SLAAC`, async (t) => {
        if (!needs(t, PROGRAM[kind])) return;
        const guest = await world.namespaceGuest(`c-${kind}`, { network: 'lab' });
        const stateless = await guest.waitForAddress('eth0', 6);
        assert.match(stateless, /^fd77:1:2:3:/);
        await using client = await DhcpClient.start(guest, kind, { device: 'eth0' });
        const lease = await client.next('bound');
        assert.match(lease.address, /^fd77:1:2:3::[0-9a-f]+$/);
        assert.notEqual(lease.address, stateless);
        assert.deepEqual(lease.dns, [GATEWAY6]);
        await until('both addresses', 10_000, async () => {
          const has = await guest.addresses('eth0', 6);
          return has.includes(lease.address) && has.includes(stateless);
        });
        await guest.output(['ping', '-6', '-c', '1', '-W', '2', '-I', lease.address, GATEWAY6]);
        await guest.output(['ping', '-6', '-c', '1', '-W', '2', '-I', stateless, GATEWAY6]);
        assert.equal((await client.next('renewed', RENEWAL_MS)).address, lease.address);
      });
    }
  });

  describe('an address of another network', { concurrency: true }, () => {
    test('is refused at once, whatever state the client is in', async () => {
      const { sockets } = await world.api.call('startNetwork', { params: { name: 'lab' } });
      await using station = await Station.connect(sockets!.qemu, '52:54:00:77:00:01');
      for (const { state, options, ciaddr } of [
        { state: 'INIT-REBOOT', options: [wire.u32Option(wire.OPT_REQUESTED_IP, ip4('10.9.9.9'))] },
        { state: 'INIT-REBOOT inside the subnet', options: [wire.u32Option(wire.OPT_REQUESTED_IP, ip4(GATEWAY))] },
        { state: 'RENEWING', options: [], ciaddr: '10.9.9.9' },
      ] as { state: string; options: wire.Dhcp4Option[]; ciaddr?: string }[]) {
        const answer = await station.askDhcp({
          type: wire.REQUEST,
          options,
          ...(ciaddr === undefined ? {} : { ciaddr }),
        });
        assert.equal(wire.optionU8(answer, wire.OPT_MESSAGE_TYPE), wire.NAK, state);
        assert.equal(formatIpv4(wire.optionU32(answer, wire.OPT_SERVER_ID)), GATEWAY, state);
      }
      assert.match((await station.obtainLease()).address, /^192\.168\.77\./);
    });

    test('of a guest that somebody else has is refused', async () => {
      const { sockets } = await world.api.call('startNetwork', { params: { name: 'lab' } });
      await using first = await Station.connect(sockets!.qemu, '52:54:00:77:00:02');
      await using second = await Station.connect(sockets!.qemu, '52:54:00:77:00:03');
      const { address } = await first.obtainLease();
      const answer = await second.askDhcp({
        type: wire.REQUEST,
        options: [wire.u32Option(wire.OPT_REQUESTED_IP, ip4(address))],
      });
      assert.equal(wire.optionU8(answer, wire.OPT_MESSAGE_TYPE), wire.NAK);
    });

    for (const kind of ['dhclient', 'dhcpcd'] as const) {
      test(`${kind} that moves to another network has a new one`, async (t) => {
        if (!needs(t, PROGRAM[kind])) return;
        const stateFolder = await mkdtemp(join(tmpdir(), 'vmlan-state-'));
        try {
          const mover = `m-${kind}`;
          const namespace = await world.namespaceGuest(mover, { network: 'other' });
          const before = await obtainLease(namespace, kind, { device: 'eth0', stateFolder });
          assert.match(before.address, /^192\.168\.79\./);
          await world.api.call('detachGuest', { params: { name: mover }, body: {} });
          await attach(`${mover}-lab`, namespace, 'lab');
          await using client = await DhcpClient.start(namespace, kind, { device: 'eth0', stateFolder });
          assert.match((await client.next('bound')).address, /^192\.168\.77\./);
        } finally {
          await rm(stateFolder, { recursive: true, force: true });
        }
      });
    }
  });

  test('the same guest has the same DHCPv6 address after restarts, which is the number it has by IPv4', async (t) => {
    if (!needs(t, PROGRAM.dhclient6)) return;
    await using own = await World.create({ config: CONFIG });
    const leases = async (name: string, namespace: Namespace): Promise<[four: string, six: string]> => {
      await namespace.waitForLinkLocal('eth0');
      const { address: six } = await obtainLease(namespace, 'dhclient6', { device: 'eth0' });
      const { address: four } = await obtainLease(namespace, 'udhcpc', { device: 'eth0' });
      assert.equal(six.split('::')[1], Number(four.split('.')[3]).toString(16), name);
      return [four, six];
    };
    // Not the first one, which would have the first address again without any memory.
    const other = await own.namespaceGuest('other', { network: 'lab' });
    const guest = await own.namespaceGuest('guest', { network: 'lab' });
    await leases('other', other);
    const before = await leases('guest', guest);
    await own.api.call('stopNetwork', { params: { name: 'lab' } });
    await own.api.call('startNetwork', { params: { name: 'lab' } });
    await guest.waitForLink('eth0');
    await guest.ip('link', 'set', 'eth0', 'up');
    assert.deepEqual(await leases('guest', guest), before);
  });

  test('the same guest has the same address after every restart', async () => {
    await using own = await World.create({ config: CONFIG });
    const attachAgain = (name: string): Promise<unknown> => attach(name, namespaces[name]!, 'lab', own);
    const names = ['one', 'two', 'three', 'kept'];
    const namespaces: Record<string, Namespace> = {};
    const lease = async (name: string): Promise<string> =>
      (await obtainLease(namespaces[name]!, 'udhcpc', { device: 'eth0' })).address;
    const expected: Record<string, string> = {};
    for (const name of names) {
      namespaces[name] = await own.namespaceGuest(name, { network: 'lab' });
      expected[name] = await lease(name);
    }
    assert.equal(expected['kept'], '192.168.77.200');
    const stream = await Station.connect((await own.network('lab')).sockets!.qemu, '52:54:00:77:00:09');
    expected['stream'] = (await stream.obtainLease()).address;
    await stream.close();

    // In another order than before, so that who comes first has no say.
    const assertSame = async (what: string): Promise<void> => {
      for (const name of names.toReversed()) {
        await namespaces[name]!.waitForLink('eth0');
        await namespaces[name]!.ip('link', 'set', 'eth0', 'up');
        assert.equal(await lease(name), expected[name], `${name} after ${what}`);
      }
      await using again = await Station.connect((await own.network('lab')).sockets!.qemu, '52:54:00:77:00:09');
      assert.equal((await again.obtainLease()).address, expected['stream'], `a guest nobody registered, after ${what}`);
    };

    for (const name of names) {
      await own.api.call('detachGuest', { params: { name }, body: {} });
      await attachAgain(name);
    }
    await assertSame('a restart of the guest');

    await own.api.call('stopNetwork', { params: { name: 'lab' } });
    await own.api.call('startNetwork', { params: { name: 'lab' } });
    await assertSame('a restart of the network');

    const { pid } = await own.network('lab');
    process.kill(pid!, 'SIGKILL');
    await until('the network to run again', 10_000, async () => {
      const network = await own.network('lab');
      return network.state === 'running' && network.pid !== pid;
    });
    await assertSame('the death of the network process');

    const running = (await own.network('lab')).pid;
    process.kill((await own.vmlan.status()).pid, 'SIGKILL');
    await own.vmlan.ok('up');
    assert.equal((await own.network('lab')).pid, running, 'the network outlives the daemon');
    await assertSame('the death of the daemon');

    await own.vmlan.ok('down');
    await own.vmlan.ok('up');
    await own.api.call('startNetwork', { params: { name: 'lab' } });
    await assertSame('a restart of everything');
  });
});
