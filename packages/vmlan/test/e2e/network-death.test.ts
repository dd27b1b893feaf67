/**
 * Network processes that are killed, and processes that are halted: what guests notice, what others notice, and what the
 * one who asks is told.  A whole minute of it is in suspend.test.ts.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, test } from 'node:test';
import { Client } from '../../src/client/client.ts';
import { until } from '../support/deadline.ts';
import { FAULTY_LAB, HeldConnections, killed, processesOf } from '../support/faults.ts';
import { needs, needsRoot } from '../support/needs.ts';
import { INTERNET } from '../support/netns.ts';
import { client, serve } from '../support/peers.ts';
import { QEMU } from '../support/qemu-guest.ts';
import { reach, tcp } from '../support/reach.ts';
import { Station } from '../support/station.ts';
import { World } from './world.ts';

const CONFIG = `${FAULTY_LAB}  other: { mode: user-v2, subnet: 10.89.0.0/24, autostart: true }
`;
const BACK_WITHIN_MS = 2000;
const HALT_MS = 6000;
/** The daemon gives a network five seconds to answer. */
const SILENCE_MS = 5000;
const ECHO = { host: INTERNET.server4, port: 7007 } as const;
const DEATHS_IN_A_ROW = 3;

const stateOf = async ({ api }: World): Promise<unknown> => ({
  forwards: (await api.call('listForwards', { query: { network: 'lab' } })).map(({ id, host, guest }) => [
    id,
    host,
    guest,
  ]),
  records: (await api.call('listRecords', { query: { network: 'lab' } }))
    .filter(({ origin }) => origin !== 'guest')
    .map(({ name, type, value }) => [name, type, value]),
  leases: (await api.call('listLeases', { params: { name: 'lab' } })).map(({ address, nic }) => [address, nic]),
});

const answersThroughForward = (world: World): Promise<true> =>
  until('the guest behind its forward', 5000, async () => {
    const request = { url: 'http://127.0.0.1:18080/', count: 1, parallel: 1, keepAlive: false };
    return (await client(world.lab.host, 'http', request)).failed === 0;
  });

const pidOf = async (world: World, network: string): Promise<number> => (await world.network(network)).pid!;

/** Waits until the network runs in another process. */
const untilBack = (world: World, before: number, withinMs: number): Promise<number> =>
  until('the network', withinMs, async () => {
    const { state, pid } = await world.network('lab');
    return state === 'running' && pid !== before ? pid! : undefined;
  });

describe('a network process that is killed', () => {
  test('is back within two seconds with leases, forwards and records, also for machines', async (t) => {
    if (!needsRoot(t) || !needs(t, QEMU)) return;
    await using world = await World.create({ config: CONFIG });
    await using _echo = await serve(world.lab.internet, [{ kind: 'tcp-echo', port: ECHO.port }]);
    const web = await world.namespaceGuest('web', { network: 'lab', configure: true, ip: '10.88.0.77' });
    await using _server = await serve(web, [{ kind: 'http', port: 80, name: 'web' }]);
    // QEMU's datagrams need no connection; what a stream does that comes back, the station does.
    const machine = await world.qemuGuest('vm', { network: 'lab', kind: 'qemu-dgram' });
    const app = await world.api.call('attachGuest', { params: { name: 'app' }, body: { network: 'lab' } });
    assert.ok(app.socket !== null && 'unix' in app.socket);
    await using station = await Station.connect(app.socket.unix, app.mac);
    const { address } = await station.obtainLease();
    const { ip } = await machine.waitLease();
    await world.vmlan.ok('dns', 'add', 'db.lab.internal', 'A', '10.88.0.5');
    const before = { state: await stateOf(world), pid: await pidOf(world, 'lab'), other: await pidOf(world, 'other') };
    process.kill(before.pid, 'SIGKILL');
    await untilBack(world, before.pid, BACK_WITHIN_MS);
    const { unix } = app.socket;
    await using again = await until('its sockets', BACK_WITHIN_MS, () =>
      Station.connect(unix, app.mac).catch(() => undefined),
    );
    assert.deepEqual(await stateOf(world), before.state);
    await answersThroughForward(world);
    assert.equal((await again.obtainLease()).address, address);
    await until('the machine on its link again', 10_000, async () => {
      const { nics } = await world.api.call('getGuest', { params: { name: 'vm' } });
      return nics[0]!.state === 'connected' && nics[0]!.address4.includes(ip);
    });
    await machine.sh('ping -c 1 -W 5 10.88.0.1');
    await machine.sh('ping -c 1 -W 5 10.88.0.77');
    assert.deepEqual((await client(web, 'echoes', { ...ECHO, count: 10, parallel: 5 })).errors, {});
    assert.deepEqual([(await world.network('lab')).restarts, await pidOf(world, 'other')], [1, before.other]);
  });

  test('again while it comes back comes back all the same', async (t) => {
    if (!needsRoot(t)) return;
    await using world = await World.create({ config: CONFIG });
    const web = await world.namespaceGuest('web', { network: 'lab', configure: true });
    await using _server = await serve(web, [{ kind: 'http', port: 80, name: 'web' }]);
    const before = await stateOf(world);
    const { pid: daemon } = await world.vmlan.status();
    const other = await pidOf(world, 'other');
    let last = await pidOf(world, 'lab');
    process.kill(last, 'SIGKILL');
    for (let i = 0; i < DEATHS_IN_A_ROW; i++) {
      const next = await until('the next one', 10_000, () =>
        processesOf(world.vmlan).find((pid) => ![daemon, other, last].includes(pid)),
      );
      await delay(Math.random() * 300);
      process.kill(next, 'SIGKILL');
      last = next;
    }
    await untilBack(world, last, 15_000);
    await answersThroughForward(world);
    assert.deepEqual(await stateOf(world), before);
  });
});

describe('a network process that is halted', () => {
  test('is named by whom it keeps waiting, keeps nobody else waiting, and goes on where it was', async (t) => {
    if (!needsRoot(t)) return;
    await using world = await World.create({ config: CONFIG });
    await using _echo = await serve(world.lab.internet, [{ kind: 'tcp-echo', port: ECHO.port }]);
    const web = await world.namespaceGuest('web', { network: 'lab', configure: true });
    await using _server = await serve(web, [{ kind: 'http', port: 80, name: 'web' }]);
    const neighbour = await world.namespaceGuest('box', { network: 'other', configure: true });
    await using held = await HeldConnections.open(web, { ...ECHO, count: 20, pauseMs: 50 });
    const before = { state: await stateOf(world), pid: await pidOf(world, 'lab') };
    process.kill(before.pid, 'SIGSTOP');
    const halted = performance.now();
    try {
      const forward = { network: 'lab', host: '18099', guest: 'web:80' };
      const refused = world.api.call('createForward', { body: forward });
      const told = world.vmlan.run(['network', 'show', 'lab', 'problem']);
      const [{ stdout }] = await Promise.all([
        told,
        assert.rejects(refused, { code: 'timeout', message: `network "lab" does not answer (process ${before.pid})` }),
        assert.doesNotReject(world.api.call('startNetwork', { params: { name: 'other' } })),
      ]);
      assert.match(stdout, /network "lab" does not answer \(process \d+\)/);
      assert.deepEqual((await client(neighbour, 'echoes', { ...ECHO, count: 10, parallel: 5 })).errors, {});
      const asked = performance.now();
      assert.match(await world.vmlan.ok('network', 'list'), /^lab .* unresponsive$/m);
      assert.match(await world.vmlan.ok('network', 'list'), /^other .* running$/m);
      assert.ok(performance.now() - asked < SILENCE_MS, 'who does not answer is not waited for again');
      await delay(Math.max(0, HALT_MS - (performance.now() - halted)));
    } finally {
      process.kill(before.pid, 'SIGCONT');
    }
    await until('the network to answer', 5000, async () => (await world.network('lab')).state === 'running');
    await answersThroughForward(world);
    assert.deepEqual([await stateOf(world), await pidOf(world, 'lab')], [before.state, before.pid]);
    // What failed while it was silent has not come true behind everybody's back.
    const answers = await reach(world.lab.host, { refused: tcp('127.0.0.1', 18_099) });
    assert.deepEqual(answers, { refused: 'ECONNREFUSED' });
    await held.assertWhole(20);
  });

  test('is left alone by a daemon that starts, and taken over when it answers', async (t) => {
    if (!needsRoot(t)) return;
    await using world = await World.create({ config: CONFIG });
    const { pid: daemon } = await world.vmlan.status();
    const pid = await pidOf(world, 'lab');
    process.kill(pid, 'SIGSTOP');
    try {
      await killed(daemon);
      await world.vmlan.ok('up');
      assert.deepEqual((({ state, pid }) => [state, pid])(await world.network('lab')), ['unresponsive', pid]);
      const { stderr, code } = await world.vmlan.run(['network', 'start', 'lab']);
      assert.deepEqual([code, /vmlan network stop lab/.test(stderr)], [1, true]);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await until('the network to answer', 12_000, async () => (await world.network('lab')).state === 'running');
    assert.deepEqual((({ pid, problem }) => [pid, problem])(await world.network('lab')), [pid, null]);
  });

  test('is ended by force when somebody stops it', async (t) => {
    if (!needsRoot(t)) return;
    await using world = await World.create({ config: CONFIG });
    const pid = await pidOf(world, 'lab');
    process.kill(pid, 'SIGSTOP');
    await assert.rejects(world.api.call('listLeases', { params: { name: 'lab' } }), { code: 'timeout' });
    await world.vmlan.ok('network', 'stop', 'lab');
    assert.ok(!processesOf(world.vmlan).includes(pid));
    await world.vmlan.ok('network', 'start', 'lab');
    assert.equal((await world.network('lab')).state, 'running');
  });
});

test('a daemon that is halted keeps no guest waiting, and who asks it is told', async (t) => {
  if (!needsRoot(t)) return;
  await using world = await World.create({ config: CONFIG });
  await using _echo = await serve(world.lab.internet, [{ kind: 'tcp-echo', port: ECHO.port }]);
  const web = await world.namespaceGuest('web', { network: 'lab', configure: true });
  await using held = await HeldConnections.open(web, { ...ECHO, count: 20, pauseMs: 50 });
  const { pid } = await world.vmlan.status();
  process.kill(pid, 'SIGSTOP');
  try {
    const impatient = new Client(world.api.endpoint);
    await assert.rejects(impatient.call('status', {}, { timeoutMs: 500 }), {
      code: 'timeout',
      message: /^the vmlan daemon at .*vmlan\.sock did not answer in 500 ms$/,
    });
    assert.deepEqual((await client(web, 'echoes', { ...ECHO, count: 10, parallel: 5 })).errors, {});
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  assert.equal((await world.vmlan.status()).pid, pid);
  await held.assertWhole(20);
});

test('a daemon stops at once while a network comes back, and the next one finds it', async (t) => {
  if (!needsRoot(t)) return;
  await using world = await World.create({ config: CONFIG });
  for (const waitMs of [0, 300]) {
    const before = await pidOf(world, 'lab');
    process.kill(before, 'SIGKILL');
    await delay(waitMs);
    await world.vmlan.ok('down', '--keep-networks');
    await world.vmlan.ok('up');
    await untilBack(world, before, 10_000);
  }
});
