/**
 * A network process that may open few files: what guests and clients notice when they want more than fit, that nothing
 * else suffers, and that all of it is over when descriptors are free again.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parseLeases } from '../../src/drivers/userspace/lease-file.ts';
import { until } from '../support/deadline.ts';
import { FAULTY_LAB, HeldConnections } from '../support/faults.ts';
import { missing } from '../support/needs.ts';
import { asUser, INTERNET, type Namespace } from '../support/netns.ts';
import { client, serve } from '../support/peers.ts';
import { output, type Process } from '../support/process.ts';
import { Station } from '../support/station.ts';
import { World } from './world.ts';

const FEW = 200;
const MANY = 400;
const HELD = 20;
const ECHO = { host: INTERNET.server4, port: 7007 } as const;
/** A heartbeat, and some time for a machine that has much to do. */
const TOLD_WITHIN_MS = 20_000;
/** Three heartbeats without a refusal. */
const CALM_WITHIN_MS = 45_000;

/** Opens so many connections, in turn, keeps those that come about, and says how many; until its input ends. */
const FLOOD = `
  const { connect } = require('node:net');
  const [count, port, host] = process.argv.slice(1);
  let open = 0;
  for (let i = 0; i < count; i++) {
    connect(Number(port), host).on('connect', () => open++).on('error', () => undefined);
  }
  setInterval(() => console.log('open ' + open), 200);
  process.stdin.resume().on('end', () => process.exit());
`;

const flood = (from: Namespace): Process =>
  from.start([process.execPath, '-e', FLOOD, String(MANY), String(ECHO.port), ECHO.host]);

/** As the user of that process: root of a container may not. */
function limit(pid: number, files: number): Promise<string> {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const [uid, gid] = ['Uid', 'Gid'].map((id) => Number(new RegExp(`^${id}:\\s+(\\d+)`, 'm').exec(status)?.[1]));
  const argv = ['prlimit', '--pid', String(pid), `--nofile=${files}:${files}`];
  return output(uid === 0 ? argv : asUser({ uid: uid!, gid: gid! }, argv));
}

const openFiles = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

async function refusals(world: World): Promise<number> {
  return world.counter('lab', 'drop_tcp_no_descriptor');
}

const isTold = async (world: World): Promise<boolean> => {
  const { status, problems } = await world.api.call('health');
  return status === 'broken' && problems.some(({ detail }) => detail.startsWith('no descriptor is left'));
};

function storedAddresses(world: World): readonly string[] {
  const path = join(world.vmlan.folder, 'state', 'networks', 'lab', 'leases.json');
  return (parseLeases(path, readFileSync(path, 'utf8')) as { address: string }[]).map(({ address }) => address);
}

async function answersThroughForward(world: World): Promise<boolean> {
  const request = { url: 'http://127.0.0.1:18080/', count: 1, parallel: 1, keepAlive: false };
  return (await client(world.lab.host, 'http', request)).failed === 0;
}

describe('few descriptors', { skip: missing('ip', 'dnsmasq', 'prlimit', 'setpriv') }, () => {
  test('guests cannot use up what the process needs for itself', async () => {
    await using world = await World.create({ config: FAULTY_LAB });
    await using _echo = await serve(world.lab.internet, [{ kind: 'tcp-echo', port: ECHO.port }]);
    // Processes inherit the limit of their daemon.
    await limit((await world.vmlan.status()).pid, FEW);
    await world.vmlan.ok('network', 'stop', 'lab');
    await world.vmlan.ok('network', 'start', 'lab');
    const web = await world.namespaceGuest('web', { network: 'lab', configure: true });
    await using _server = await serve(web, [{ kind: 'http', port: 80, name: 'web' }]);
    const { pid, sockets } = await world.network('lab');
    await using held = await HeldConnections.open(web, { ...ECHO, count: HELD, pauseMs: 50 });
    const many = flood(web);
    await until('new conversations to be refused', 10_000, async () => (await refusals(world)) > 0);
    await until('the daemon to tell', TOLD_WITHIN_MS, () => isTold(world));
    assert.ok(openFiles(pid!) < FEW * 0.8, `${openFiles(pid!)} of ${FEW} are open`);
    assert.match(await world.vmlan.ok('events'), /no descriptor is left .* may open 200 /);
    // What the process itself does goes on: a guest on a new link would need one, a lease and a daemon do.
    assert.equal((await world.api.call('listLeases', { params: { name: 'lab' } })).length, 1);
    many.endInput();
    await many.exited;
    await until('the guest behind its forward', 10_000, () => answersThroughForward(world));
    await using station = await Station.connect(sockets!.qemu, '52:54:00:88:00:01');
    const { address } = await station.obtainLease();
    assert.ok(storedAddresses(world).includes(address));
    assert.deepEqual((await client(web, 'echoes', { ...ECHO, count: 20, parallel: 5 })).errors, {});
    await until('all to be well', CALM_WITHIN_MS, async () => (await world.api.call('health')).status === 'ok');
    await held.assertWhole(HELD);
  });

  test('a limit that is lowered while it runs takes nothing from whom it has', async () => {
    await using world = await World.create({ config: FAULTY_LAB });
    await using _echo = await serve(world.lab.internet, [{ kind: 'tcp-echo', port: ECHO.port }]);
    const web = await world.namespaceGuest('web', { network: 'lab', configure: true });
    await using _server = await serve(web, [{ kind: 'http', port: 80, name: 'web' }]);
    const { pid, sockets } = await world.network('lab');
    await using station = await Station.connect(sockets!.qemu, '52:54:00:88:00:01');
    await using held = await HeldConnections.open(web, { ...ECHO, count: HELD, pauseMs: 50 });
    await limit(pid!, openFiles(pid!) + 4);
    const many = flood(web);
    await until('new conversations to be refused', 10_000, async () => (await refusals(world)) > 0);
    // Nothing is left for the file of leases either: what is new waits, and is told of, with the file.
    await assert.rejects(station.obtainLease());
    const warnings = async (): Promise<string> => (await world.network('lab')).warnings.join('\n');
    await until('the leases to be told of', 5000, async () =>
      /leases are not stored: \S+leases\.json cannot be written: all descriptors .* are in use/.test(await warnings()),
    );
    // Clients of a forward wait, and nobody waits for them in a loop.
    const waiting = answersThroughForward(world);
    const before = cpuTicks(pid!);
    const [began] = [performance.now()];
    await until('two seconds', 3000, () => performance.now() - began > 2000);
    assert.ok(cpuTicks(pid!) - before < 100, 'half of two seconds, on a machine that has other things to do');
    assert.ok(
      await isTold(world).then((told) => told || until('the daemon to tell', TOLD_WITHIN_MS, () => isTold(world))),
    );
    many.endInput();
    await many.exited;
    await waiting;
    await until('the guest behind its forward', 10_000, () => answersThroughForward(world));
    const { address } = await station.obtainLease();
    assert.ok(storedAddresses(world).includes(address));
    await until('all to be well', CALM_WITHIN_MS, async () => (await world.api.call('health')).status === 'ok');
    await held.assertWhole(HELD);
  });
});

/** proc(5): user and system time of a process, in hundredths of a second. */
function cpuTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return Number(fields[11]) + Number(fields[12]);
}
