/**
 * A network with 1 000 guests and 10 000 forwards: every list is complete, and the daemon stays small.
 *
 * Zone: control.  How long the lists take is measured by the bench (scenario `control-plane`), never asserted here.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { chmod, chown } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Client } from '../../src/client/client.ts';
import { forwardId } from '../../src/daemon/desired.ts';
import { Store } from '../../src/daemon/store.ts';
import type { StoredForward } from '../../src/model/stored.ts';
import { isForwardProblem, parseForward } from '../../src/model/forward.ts';
import type { StoredGuest } from '../../src/model/guest.ts';
import { until } from '../support/deadline.ts';
import { needsRoot } from '../support/needs.ts';
import { output } from '../support/process.ts';
import { Lab } from '../support/netns.ts';
import { Station } from '../support/station.ts';
import { Vmlan } from '../support/vmlan.ts';

const GUESTS = 1000;
const FORWARDS = 10_000;
/** Guests that ask for their leases at a time. */
const AT_A_TIME = 50;
const MAX_DAEMON_BYTES = 200 * 1024 * 1024;
/** Far more than it takes: how long that is, the bench says. */
const RESTART_MS = 60_000;
const CONFIG = 'networks:\n  lab: { mode: user-v2, subnet: 10.90.0.0/16, subnet6: off, autostart: true }\n';
const FIRST_PORT = 20_000;

const macOf = (i: number): string => `52:54:00:90:${(i >> 8).toString(16).padStart(2, '0')}:${hex(i & 255)}`;
const hex = (byte: number): string => byte.toString(16).padStart(2, '0');

const guest = (i: number): StoredGuest => ({
  name: `g${i}`,
  nics: [{ index: 0, network: 'lab', mac: macOf(i), ip: null, connected: true, attachment: null }],
});

function forward(i: number): StoredForward {
  const parsed = parseForward({ host: `127.0.0.1:${FIRST_PORT + i}`, guest: `g${i % GUESTS}:80` });
  assert.ok(!isForwardProblem(parsed));
  const { protocol, direction, host, guest: target } = parsed;
  return { id: forwardId('lab', parsed), network: 'lab', protocol, direction, host, guest: target };
}

const numbered = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));

const residentBytes = (pid: number): number =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024;

/** Hard enough for a listener of each forward, a link of each guest, and the rest. */
const hardDescriptorLimit = (): number =>
  Number(/Max open files\s+\d+\s+(\d+|unlimited)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]);

/** Every broadcast of it reaches all that came before. */
async function boot(vmlan: Vmlan, i: number, stations: AsyncDisposableStack): Promise<void> {
  const socket = join(vmlan.folder, 'run', 'networks', 'lab', 'guests', `g${i}.sock`);
  await stations.use(await Station.connect(socket, macOf(i))).obtainLease();
}

test('1 000 guests and 10 000 forwards in one network', { timeout: 240_000 }, async (t) => {
  if (!needsRoot(t)) return;
  if (hardDescriptorLimit() < FORWARDS + 2 * GUESTS) return t.skip(`ulimit -Hn is ${hardDescriptorLimit()}`);
  await using lab = await Lab.create();
  await using vmlan = await Vmlan.create({ namespace: lab.host, config: CONFIG });
  const state = join(vmlan.folder, 'state');
  const store = await Store.open(state);
  await store.change({ guests: { put: numbered(GUESTS, guest) }, forwards: { put: numbered(FORWARDS, forward) } });
  await chown(state, 0, 0);
  await chmod(state, 0o711);
  await vmlan.ok('up');
  const api = new Client({ kind: 'unix', path: join(vmlan.folder, 'run', 'vmlan.sock') });

  await using stations = new AsyncDisposableStack();
  for (let first = 0; first < GUESTS; first += AT_A_TIME) {
    await Promise.all(numbered(AT_A_TIME, (i) => boot(vmlan, first + i, stations)));
  }

  for (let round = 0; round < 5; round++) {
    const guests = await api.call('listGuests', {});
    assert.equal(guests.length, GUESTS);
    assert.equal(guests.filter(({ nics }) => nics[0]?.state === 'connected').length, GUESTS);
    const forwards = await api.call('listForwards', {});
    assert.equal(forwards.length, FORWARDS);
    assert.ok(forwards.every(({ state: is }) => is === 'listening'));
    assert.equal((await api.call('listLeases', { params: { name: 'lab' } })).length, GUESTS);
    assert.equal((await api.call('listRecords', {})).length, GUESTS);
    const status = await api.call('status');
    assert.equal(status.guests.length, GUESTS);
    assert.ok(residentBytes(status.pid) < MAX_DAEMON_BYTES, `${residentBytes(status.pid)} bytes`);
  }
  const metrics = await output([
    'curl',
    '-sf',
    '--unix-socket',
    join(vmlan.folder, 'run/vmlan.sock'),
    'http://v/metrics',
  ]);
  assert.equal(metrics.match(/^vmlan_nic_/gm)?.length, 7 * GUESTS);
  assert.ok(metrics.includes(`vmlan_network_forwards{network="lab",state="listening"} ${FORWARDS}\n`));
  assert.ok(metrics.length < 1_000_000, `${metrics.length} bytes`);
  // One more among so many, and one less.
  const more = await api.call('createForward', { body: { network: 'lab', host: '40000', guest: 'g1:81' } });
  assert.deepEqual([more.state, more.host], ['listening', '127.0.0.1:40000']);
  await api.call('deleteForward', { params: { id: more.id } });
  await api.call('createGuest', { body: { name: 'late', network: 'lab' } });
  assert.equal((await vmlan.ok('list', '-q')).trim().split('\n').length, GUESTS + 1);
  assert.equal((await vmlan.ok('forward', 'list', '-q')).trim().split('\n').length, FORWARDS);
  // A network process that is killed comes back with all of it.
  const killed = (await api.call('getNetwork', { params: { name: 'lab' } })).pid!;
  process.kill(killed, 'SIGKILL');
  await until('all forwards are open again', RESTART_MS, async () => {
    const forwards = await api.call('listForwards', {});
    return forwards.length === FORWARDS && forwards.every(({ state: is }) => is === 'waiting-for-guest');
  });
  assert.equal((await api.call('listLeases', { params: { name: 'lab' } })).length, GUESTS);
  // A daemon that takes over finds it all, and is as small.
  await vmlan.ok('down', '--keep-networks');
  await vmlan.ok('up');
  assert.equal((await api.call('listForwards', {})).length, FORWARDS);
  const { pid, networks } = await api.call('status');
  assert.ok(residentBytes(pid) < MAX_DAEMON_BYTES, `${residentBytes(pid)} bytes`);
  t.diagnostic(`daemon ${residentBytes(pid)} bytes, network ${residentBytes(networks[0]!.pid!)} bytes`);
});
