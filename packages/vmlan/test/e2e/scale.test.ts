/**
 * A network with 1 000 guests and 10 000 forwards: every list is complete, and the daemon stays small.
 *
 * Zone: control.  How long the lists take is measured by the bench (scenario `control-plane`), never asserted here.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Crowd, crowdMissing } from '../support/crowd.ts';
import { until } from '../support/deadline.ts';
import { needsRoot } from '../support/needs.ts';
import { output } from '../support/process.ts';
import { Lab } from '../support/netns.ts';

const GUESTS = 1000;
const FORWARDS = 10_000;
const MAX_DAEMON_BYTES = 200 * 1024 * 1024;
/** Far more than it takes: how long that is, the bench says. */
const RESTART_MS = 60_000;

const residentBytes = (pid: number): number =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024;

test('1 000 guests and 10 000 forwards in one network', { timeout: 240_000 }, async (t) => {
  if (!needsRoot(t)) return;
  const size = { guests: GUESTS, forwards: FORWARDS };
  const lacking = crowdMissing(size);
  if (lacking !== null) return t.skip(lacking);
  await using lab = await Lab.create();
  await using crowd = await Crowd.open(lab.host, size);
  const { vmlan, api } = crowd;
  await vmlan.ok('up');
  await crowd.boot();

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
