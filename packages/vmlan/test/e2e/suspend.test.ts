/**
 * A minute in which vmlan is halted: the whole of it, as a laptop that sleeps, or one network alone.  Nothing is lost, and
 * what is silent is noticed when nobody asks.  The tests run side by side: they cost a minute, and hardly any work.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, test } from 'node:test';
import type { EventView } from '../../src/model/api.ts';
import { until } from '../support/deadline.ts';
import { FAULTY_LAB, HeldConnections, processesOf } from '../support/faults.ts';
import { missing } from '../support/needs.ts';
import { INTERNET } from '../support/netns.ts';
import { client, serve } from '../support/peers.ts';
import { World } from './world.ts';

const CONFIG = `${FAULTY_LAB}    dhcp: { leaseTime: 5m }
  other: { mode: user-v2, subnet: 10.89.0.0/24, autostart: true }
`;
const HALT_MS = 60_000;
/** A heartbeat every 10 s, and 5 s for the answer; the rest is for a machine that has much to do. */
const NOTICED_WITHIN_MS = 20_000;
const ECHO = { host: INTERNET.server4, port: 7007 } as const;
const CONNECTIONS = 20;

const stateOf = async ({ api }: World): Promise<unknown> => ({
  forwards: (await api.call('listForwards', { query: { network: 'lab' } })).map(({ id, state }) => [id, state]),
  leases: (await api.call('listLeases', { params: { name: 'lab' } })).map(({ address, nic }) => [address, nic]),
  networks: (await api.call('listNetworks')).map(({ name, state, pid, restarts }) => [name, state, pid, restarts]),
});

const throughForward = (world: World): Promise<true> =>
  until('the guest behind its forward', 5000, async () => {
    const request = { url: 'http://127.0.0.1:18080/', count: 1, parallel: 1, keepAlive: false };
    return (await client(world.lab.host, 'http', request)).failed === 0;
  });

async function untilTold(world: World, pattern: RegExp, withinMs: number): Promise<EventView> {
  const patience = AbortSignal.timeout(withinMs);
  for await (const event of world.api.events({ network: 'lab', after: '0' }, patience)) {
    if (pattern.test(event.message)) return event;
  }
  throw new Error(`${pattern} was not told within ${withinMs} ms`);
}

describe('halted for a minute', { skip: missing('ip', 'dnsmasq'), concurrency: true }, () => {
  test('a machine that slept finds everything as it was', async () => {
    await using world = await World.create({ config: CONFIG });
    await using _echo = await serve(world.lab.internet, [{ kind: 'tcp-echo', port: ECHO.port }]);
    const web = await world.namespaceGuest('web', { network: 'lab', configure: true });
    await using _server = await serve(web, [{ kind: 'http', port: 80, name: 'web' }]);
    await using held = await HeldConnections.open(web, { ...ECHO, count: CONNECTIONS, pauseMs: 50 });
    await throughForward(world);
    const before = { state: await stateOf(world), pids: processesOf(world.vmlan) };
    for (const pid of before.pids) process.kill(pid, 'SIGSTOP');
    await delay(HALT_MS);
    for (const pid of before.pids) process.kill(pid, 'SIGCONT');
    assert.deepEqual(await stateOf(world), before.state);
    assert.deepEqual(processesOf(world.vmlan), before.pids);
    assert.deepEqual((await client(web, 'echoes', { ...ECHO, count: 10, parallel: 5 })).errors, {});
    await throughForward(world);
    await held.assertWhole(CONNECTIONS);
    assert.doesNotMatch(await world.vmlan.ok('events'), /does not answer|ended/, 'nobody was taken for silent or dead');
    assert.equal((await world.api.call('health')).status, 'ok');
  });

  test('a network is noticed when nobody asks, is left alone, and goes on where it was', async () => {
    await using world = await World.create({ config: CONFIG });
    await using _echo = await serve(world.lab.internet, [{ kind: 'tcp-echo', port: ECHO.port }]);
    const web = await world.namespaceGuest('web', { network: 'lab', configure: true });
    await using _server = await serve(web, [{ kind: 'http', port: 80, name: 'web' }]);
    await using held = await HeldConnections.open(web, { ...ECHO, count: CONNECTIONS, pauseMs: 50 });
    const before = await stateOf(world);
    const { pid } = await world.network('lab');
    process.kill(pid!, 'SIGSTOP');
    const halted = performance.now();
    try {
      await untilTold(world, /does not answer/, NOTICED_WITHIN_MS);
      const { status, problems } = await world.api.call('health');
      assert.deepEqual(
        [status, problems.map(({ network, code }) => [network, code])],
        ['broken', [['lab', 'timeout']]],
      );
      await delay(HALT_MS - (performance.now() - halted));
    } finally {
      process.kill(pid!, 'SIGCONT');
    }
    await untilTold(world, /answers again/, 5000);
    await until('all to be well', 5000, async () => (await world.api.call('health')).status === 'ok');
    assert.deepEqual(await stateOf(world), before);
    await throughForward(world);
    await held.assertWhole(CONNECTIONS);
    const told = (await world.vmlan.ok('events')).match(/does not answer|answers again/g);
    assert.deepEqual(told, ['does not answer', 'answers again'], 'once each');
  });
});
