/**
 * A daemon that is killed: while guests are busy, over and over, while it starts, while it adopts; and what the next one
 * finds.  VMLAN_LONG has ten times as many deaths.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import {
  FAULTY_LAB,
  argvOf,
  HeldConnections,
  killed,
  killedAfter,
  processesOf,
  startDaemon,
} from '../support/faults.ts';
import { until } from '../support/deadline.ts';
import { LONG, needsRoot } from '../support/needs.ts';
import { INTERNET } from '../support/netns.ts';
import { client, serve } from '../support/peers.ts';
import type { Process } from '../support/process.ts';
import { World } from './world.ts';

const CONNECTIONS = 100;
const DEATHS = LONG ? 1000 : 100;
const DEATHS_AT_START = LONG ? 200 : 10;

const ECHO = { host: INTERNET.server4, port: 7007 } as const;

const inOrder = (...pids: readonly number[]): number[] => pids.toSorted((a, b) => a - b);

/** All that must be the same afterwards. */
async function stateOf({ api }: World): Promise<unknown> {
  const guests = await api.call('listGuests');
  return {
    guests: guests.map(({ name, nics }) => [name, nics.map(({ key, mac, ip, address4 }) => [key, mac, ip, address4])]),
    forwards: (await api.call('listForwards')).map(({ id, host, guest, state }) => [id, host, guest, state]),
    records: (await api.call('listRecords')).map(({ name, type, value, origin }) => [name, type, value, origin]),
    leases: (await api.call('listLeases', { params: { name: 'lab' } })).map(({ address, nic, state }) => [
      address,
      nic,
      state,
    ]),
  };
}

/** Makes records until the daemon is gone; what it said to be done. */
async function recordsUntilGone(world: World, daemon: Process, name: string): Promise<string[]> {
  const done: string[] = [];
  for (let i = 0; daemon.running && done.length < 3; i++) {
    const record = { network: 'lab', name: `${name}-${i}.lab.internal`, type: 'A', value: '10.88.0.9' } as const;
    await world.api.call('createRecord', { body: record }).then(
      () => done.push(record.name),
      () => new Promise(setImmediate),
    );
  }
  return done;
}

describe('a daemon that is killed', () => {
  test('is missed by none of 100 busy connections, and the next one loses nothing', async (t) => {
    if (!needsRoot(t)) return;
    await using world = await World.create({ config: FAULTY_LAB });
    await using _echo = await serve(world.lab.internet, [{ kind: 'tcp-echo', port: ECHO.port }]);
    const web = await world.namespaceGuest('web', { network: 'lab', configure: true, ip: '10.88.0.77' });
    await using _server = await serve(web, [{ kind: 'http', port: 80, name: 'web' }]);
    await world.vmlan.ok('forward', 'add', '18081', 'web:80');
    await world.vmlan.ok('dns', 'add', 'db.lab.internal', 'A', '10.88.0.5');
    await using held = await HeldConnections.open(web, { ...ECHO, count: CONNECTIONS, pauseMs: 20 });
    const before = { state: await stateOf(world), pid: (await world.network('lab')).pid };
    await killed((await world.vmlan.status()).pid);
    for (const port of [18_080, 18_081]) {
      const request = { url: `http://127.0.0.1:${port}/`, count: 1, parallel: 1, keepAlive: false };
      assert.deepEqual((await client(world.lab.host, 'http', request)).errors, {});
    }
    await world.vmlan.ok('up');
    const { pid, restarts, state, warnings } = await world.network('lab');
    assert.deepEqual([pid, restarts, state, warnings], [before.pid, 0, 'running', []]);
    assert.deepEqual(await stateOf(world), before.state);
    await held.assertWhole(CONNECTIONS);
  });

  test(`${DEATHS} times in a row, at any moment of its life, loses nothing that it confirmed`, async (t) => {
    if (!needsRoot(t)) return;
    await using world = await World.create({ config: FAULTY_LAB });
    await using _echo = await serve(world.lab.internet, [{ kind: 'tcp-echo', port: ECHO.port }]);
    const web = await world.namespaceGuest('web', { network: 'lab', configure: true });
    await using held = await HeldConnections.open(web, { ...ECHO, count: CONNECTIONS, pauseMs: 100 });
    const before = await world.vmlan.status();
    const argv = argvOf(before.pid);
    await killed(before.pid);
    const confirmed: string[] = [];
    let lifeMs = 1000;
    for (let i = 0; i < DEATHS; i++) {
      const began = performance.now();
      const daemon = startDaemon(world.vmlan, world.lab.host, argv);
      const recording = recordsUntilGone(world, daemon, `r${i}`).then((done) => {
        if (done.length > 0) lifeMs = 0.8 * lifeMs + 0.2 * (performance.now() - began);
        return done;
      });
      // Some die in the middle of their start, some while they answer.
      await killedAfter(daemon, Math.random() * lifeMs * 1.5);
      confirmed.push(...(await recording));
    }
    await world.vmlan.ok('up');
    const after = await world.vmlan.status();
    assert.deepEqual(after.warnings, []);
    const lab = (status: typeof after) => status.networks.find(({ name }) => name === 'lab')!;
    assert.deepEqual([lab(after).pid, lab(after).state], [lab(before).pid, 'running']);
    const records = new Set((await world.api.call('listRecords')).map(({ name }) => name));
    assert.deepEqual(
      confirmed.filter((name) => !records.has(name)),
      [],
    );
    assert.ok(confirmed.length > 0, 'some of them came to answer');
    assert.deepEqual(processesOf(world.vmlan), inOrder(after.pid, lab(after).pid!));
    await held.assertWhole(CONNECTIONS);
  });

  test(`${DEATHS_AT_START} times while it starts its network leaves one network, and no litter`, async (t) => {
    if (!needsRoot(t)) return;
    await using world = await World.create({ config: FAULTY_LAB });
    const argv = argvOf((await world.vmlan.status()).pid);
    for (let i = 0; i < DEATHS_AT_START; i++) {
      await world.vmlan.ok('down');
      await killedAfter(startDaemon(world.vmlan, world.lab.host, argv), Math.random() * 600);
      await world.vmlan.ok('up');
      const { pid, networks } = await world.vmlan.status();
      const lab = networks.find(({ name }) => name === 'lab')!;
      assert.equal(lab.state, 'running');
      const expected = inOrder(pid, lab.pid!);
      await until('only the daemon and its network to run', 5000, () => {
        return processesOf(world.vmlan).join() === expected.join();
      });
    }
    assert.deepEqual(readdirSync(join(world.vmlan.folder, 'run')).toSorted(), ['daemon.pid', 'networks', 'vmlan.sock']);
    await world.vmlan.ok('down');
    assert.deepEqual(readdirSync(join(world.vmlan.folder, 'run')), []);
    assert.deepEqual(processesOf(world.vmlan), []);
  });
});
