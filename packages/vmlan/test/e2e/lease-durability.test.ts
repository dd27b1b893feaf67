/**
 * An ACK is a promise that a crash does not break: it leaves when the lease is on disk, and not before.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { chmod, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, test } from 'node:test';
import { parseLeases } from '../../src/drivers/userspace/lease-file.ts';
import { formatIpv4 } from '../../src/wire/address.ts';
import * as wire from '../../src/wire/dhcpv4.ts';
import { until } from '../support/deadline.ts';
import { DhcpClient } from '../support/dhcp-clients.ts';
import { fillDisk, smallDisk } from '../support/disks.ts';
import { missing } from '../support/needs.ts';
import { Station } from '../support/station.ts';
import { World } from './world.ts';

const CONFIG = 'networks:\n  lab: { mode: user-v2, subnet: 192.168.77.0/24, subnet6: off, dhcp: { leaseTime: 60s } }\n';
/** A lease of 60 s that is renewed within a hundredth of it stays as it is. */
const QUIET_MS = 700;
/** Longer than the disk needs when it works. */
const NO_ANSWER_MS = 1500;

const stateOf = (world: World): string => join(world.vmlan.folder, 'state', 'networks', 'lab');

async function startLab(world: World): Promise<string> {
  return (await world.api.call('startNetwork', { params: { name: 'lab' } })).sockets!.qemu;
}

const warnings = async (world: World): Promise<string> => (await world.network('lab')).warnings.join('\n');

/** The address that was offered, and the REQUEST for it. */
async function offered(station: Station): Promise<{ address: string; request: Parameters<Station['askDhcp']>[0] }> {
  const offer = await station.askDhcp({ type: wire.DISCOVER });
  const options = [
    wire.u32Option(wire.OPT_REQUESTED_IP, offer.yiaddr),
    wire.u32Option(wire.OPT_SERVER_ID, wire.optionU32(offer, wire.OPT_SERVER_ID)),
  ];
  return { address: formatIpv4(offer.yiaddr), request: { type: wire.REQUEST, options } };
}

/** Breaks the disk, sees that nobody is promised anything, mends it, and sees that all is well. */
async function assertWaitsForDisk(
  world: World,
  breakDisk: () => Promise<void>,
  mendDisk: () => Promise<void>,
  reason: RegExp,
): Promise<void> {
  const socket = await startLab(world);
  await using before = await Station.connect(socket, '52:54:00:77:01:01');
  const kept = await before.obtainLease();
  await breakDisk();
  await using station = await Station.connect(socket, '52:54:00:77:01:02');
  const { address, request } = await offered(station);
  // A client that hears nothing asks again, and is promised no more than the first time.
  for (const _attempt of [1, 2]) {
    await assert.rejects(station.askDhcp(request, NO_ANSWER_MS), /an answer to DHCP message 3/);
  }
  await until('the trouble to be told', 5000, async () => reason.test(await warnings(world)));
  assert.match((await world.vmlan.run(['status'])).stderr, reason);
  // Nothing that was promised is taken back: a renewal needs no disk.
  assert.equal((await before.obtainLease()).address, kept.address);
  assert.equal((await world.api.call('health')).status, 'broken');
  await mendDisk();
  const answer = await station.askDhcp(request);
  assert.deepEqual([wire.optionU8(answer, wire.OPT_MESSAGE_TYPE), formatIpv4(answer.yiaddr)], [wire.ACK, address]);
  assert.ok(storedAddresses(world).includes(address));
  await until('the trouble to be over', 5000, async () => (await warnings(world)) === '');
  assert.equal((await world.api.call('health')).status, 'ok');
  // However often it was tried: told when it came, and when it was over.
  const told = (await world.vmlan.ok('events')).split('\n').filter((line) => reason.test(line));
  assert.deepEqual(
    told.map((line) => line.includes('is over: ')),
    [false, true],
    told.join('\n'),
  );
}

function storedAddresses(world: World): string[] {
  const path = join(stateOf(world), 'leases.json');
  const leases = parseLeases(path, readFileSync(path, 'utf8')) as { address: string; state: string }[];
  return leases.filter(({ state }) => state === 'bound').map(({ address }) => address);
}

describe('a lease is on disk before its ACK', { skip: missing('dnsmasq', 'ip', 'mount'), concurrency: true }, () => {
  test('as the file shows when the ACK comes', async () => {
    await using world = await World.create({ config: CONFIG });
    const socket = await startLab(world);
    for (let i = 1; i <= 20; i++) {
      await using station = await Station.connect(socket, `52:54:00:77:00:${i.toString(16).padStart(2, '0')}`);
      const { address } = await station.obtainLease();
      assert.ok(storedAddresses(world).includes(address), `${address} was promised, and is not stored`);
    }
  });

  test('in a folder that cannot be written', async () => {
    await using world = await World.create({ config: CONFIG });
    await assertWaitsForDisk(
      world,
      () => chmod(stateOf(world), 0o500),
      () => chmod(stateOf(world), 0o700),
      /leases are not stored: .*permission denied/,
    );
  });

  test('on a disk that is full', async () => {
    await withSmallDisk(async (world, state) => {
      await assertWaitsForDisk(
        world,
        async () => void (await fillDisk(state)),
        () => rm(join(state, 'filler')),
        /leases are not stored: .*the disk is full/,
      );
    });
  });

  test('and what is extended while the disk is full is kept, also by the next process', async () => {
    await withSmallDisk(async (world, state) => {
      const guest = await world.namespaceGuest('box', { network: 'lab' });
      await using client = await DhcpClient.start(guest, 'udhcpc', { device: 'eth0' });
      const { address } = await client.next('bound');
      await fillDisk(state);
      await delay(QUIET_MS);
      client.renew();
      assert.equal((await client.next('renewed', NO_ANSWER_MS)).address, address);
      await until('the trouble to be told', 5000, async () => /the disk is full/.test(await warnings(world)));
      const { pid } = await world.network('lab');
      process.kill(pid!, 'SIGKILL');
      await until('the next process', 5000, async () => {
        const next = await world.network('lab');
        return next.state === 'running' && next.pid !== pid;
      });
      await guest.waitForLink('eth0');
      await using other = await Station.connect((await world.network('lab')).sockets!.qemu, '52:54:00:77:01:03');
      assert.notEqual((await offered(other)).address, address);
      await delay(QUIET_MS);
      client.renew();
      assert.deepEqual((({ event, address: again }) => [event, again])(await client.next('renewed')), [
        'renewed',
        address,
      ]);
      assert.ok(!(await client.events()).some(({ event }, i) => event === 'lost' && i > 0));
    });
  });
});

/** The state of vmlan on a disk of its own, which is taken away before its folder, also when vmlan did not start. */
async function withSmallDisk(use: (world: World, state: string) => Promise<void>): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const prepare = async ({ folder }: { folder: string }): Promise<void> =>
    void stack.use(await smallDisk(join(folder, 'state')));
  await using world = await World.create({ config: CONFIG, prepare });
  await use(world, join(world.vmlan.folder, 'state')).finally(() => stack.disposeAsync());
}
