/**
 * What holds when processes die: the network process, the daemon, both; and what is left when all is over.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { until } from '../support/deadline.ts';
import { needs, needsRoot } from '../support/needs.ts';
import { client, serve } from '../support/peers.ts';
import { QEMU } from '../support/qemu-guest.ts';
import { World } from './world.ts';

const CONFIG = `
networks:
  lab:
    mode: shared
    subnet: 10.88.0.0/24
    forwards: [{ host: 18080, guest: web:80 }]
`;
/** A network that dies is back within this time. */
const BACK_WITHIN_MS = 2000;

interface WebGuest extends AsyncDisposable {
  /** A request from the host through the forward; throws what went wrong. */
  get(): Promise<void>;
}

async function prepared(world: World): Promise<WebGuest> {
  const web = await world.namespaceGuest('web', { network: 'lab', configure: true });
  const server = await serve(web, [{ kind: 'http', port: 80, name: 'web' }]);
  const request = { url: 'http://127.0.0.1:18080/', count: 1, parallel: 1, keepAlive: false };
  return {
    get: async () => assert.deepEqual((await client(world.lab.host, 'http', request)).errors, {}),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

const untilServed = (web: WebGuest): Promise<true> =>
  until('the guest behind its forward', 5000, () =>
    web.get().then(
      () => true,
      () => undefined,
    ),
  );

describe('a network process that is killed', () => {
  test('is back at once with its guests, leases and forwards', async (t) => {
    if (!needsRoot(t)) return;
    await using world = await World.create({ config: CONFIG });
    await using web = await prepared(world);
    await web.get();
    const before = await world.network('lab');
    const [lease] = await world.api.call('listLeases', { params: { name: 'lab' } });
    process.kill(before.pid!, 'SIGKILL');
    const after = await until('the network', BACK_WITHIN_MS, async () => {
      const view = await world.api.call('getNetwork', { params: { name: 'lab' } });
      return view.state === 'running' && view.pid !== before.pid ? view : undefined;
    });
    assert.deepEqual([after.restarts, after.problem], [1, null]);
    await untilServed(web);
    const [again] = await world.api.call('listLeases', { params: { name: 'lab' } });
    assert.deepEqual([again?.address, again?.nic], [lease?.address, lease?.nic]);
    assert.match(await world.lab.host.ip('addr', 'show', 'dev', 'vml-lab'), /10\.88\.0\.254\/24/);
  });
});

describe('a daemon that is killed', () => {
  test('is missed by nobody, and the next one takes over', async (t) => {
    if (!needsRoot(t)) return;
    await using world = await World.create({ config: CONFIG });
    await using web = await prepared(world);
    const before = await world.network('lab');
    process.kill((await world.vmlan.status()).pid, 'SIGKILL');
    await web.get();
    await world.vmlan.ok('up');
    const after = await world.network('lab');
    assert.deepEqual([after.pid, after.restarts, after.state], [before.pid, 0, 'running']);
    await web.get();
    await world.vmlan.ok('forward', 'add', '18081', 'web:80');
  });

  test('together with its network leaves nothing that the next one could not put right', async (t) => {
    if (!needsRoot(t)) return;
    await using world = await World.create({ config: CONFIG });
    await using web = await prepared(world);
    const { pid, networks } = await world.vmlan.status();
    for (const each of [pid, networks.find(({ name }) => name === 'lab')!.pid!]) process.kill(each, 'SIGKILL');
    await world.vmlan.ok('up');
    assert.equal((await world.network('lab')).state, 'running');
    await untilServed(web);
  });
});

test('an address that is taken is an error that names who has it', async (t) => {
  if (!needsRoot(t)) return;
  await using world = await World.create({ config: CONFIG });
  await using _server = await serve(world.lab.host, [{ kind: 'http', port: 18_080, name: 'other' }]);
  const start = await world.vmlan.run(['network', 'start', 'lab']);
  assert.equal(start.code, 4);
  assert.match(start.stderr, /127\.0\.0\.1:18080 is in use, held by node \(pid \d+\)/);
  assert.equal((await world.network('lab')).state, 'failed');
  assert.deepEqual(readdirSync(join(world.vmlan.folder, 'run', 'networks')), []);
});

test('a machine on datagram sockets, with a network process that is somebody else', async (t) => {
  if (!needsRoot(t) || !needs(t, QEMU)) return;
  await using world = await World.create({ config: CONFIG });
  const guest = await world.qemuGuest('vm', { network: 'lab', kind: 'qemu-dgram' });
  const { ip } = await guest.waitLease();
  assert.match(ip, /^10\.88\.0\./);
  await guest.sh('ping -c 1 -W 2 10.88.0.1');
});

test('down leaves nothing behind', async (t) => {
  if (!needsRoot(t)) return;
  await using world = await World.create({ config: CONFIG });
  await using _web = await prepared(world);
  const { pid } = await world.network('lab');
  await world.vmlan.ok('down');
  assert.deepEqual(readdirSync(join(world.vmlan.folder, 'run')), []);
  assert.ok(!existsSync(`/proc/${pid}/exe`));
  assert.doesNotMatch(await world.lab.host.ip('link', 'show'), /vml-/);
});
