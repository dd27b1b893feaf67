/**
 * Shaping by the command line, as guests feel it: round trips grow, partitions cut exactly what they name, the end of a
 * shape heals at once, and shapes outlive the processes that carry them.
 *
 * Zone: control.  Times have lower bounds alone: what a busy machine adds is not the shape's.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { GuestView, ShapeView } from '../../src/model/api.ts';
import { until } from '../support/deadline.ts';
import { needs, needsRoot } from '../support/needs.ts';
import type { Namespace } from '../support/netns.ts';
import { client, serve } from '../support/peers.ts';
import { World } from './world.ts';

const CONFIG = `
networks:
  lab:
    mode: user-v2
    subnet: 10.89.0.0/24
`;
const root = process.getuid?.() === 0;

/** Milliseconds of the fastest of some round trips; null when nothing came back. */
async function roundTrip(from: Namespace, to: string, count = 3): Promise<number | null> {
  const { stdout } = await from.run(['ping', '-n', '-c', String(count), '-i', '0.2', '-W', '2', to]);
  const found = /= ([\d.]+)\//.exec(stdout);
  return found === null ? null : Number(found[1]);
}

async function reaches(from: Namespace, to: string): Promise<boolean> {
  return (await from.run(['ping', '-n', '-c', '1', '-W', '1', to])).code === 0;
}

describe('shapes of guests', () => {
  let world: World;
  let web: Namespace;
  let db: Namespace;
  let dbAddress: string;
  let gateway: string;

  const shape = (...args: string[]): Promise<string> => world.vmlan.ok('shape', ...args);

  before(async () => {
    if (!root) return;
    world = await World.create({ config: CONFIG });
    web = await world.namespaceGuest('web', { network: 'lab', configure: true });
    db = await world.namespaceGuest('db', { network: 'lab', configure: true });
    gateway = (await world.network('lab')).gateway!;
    const { nics } = await world.vmlan.json<GuestView>('show', 'db');
    dbAddress = nics[0]!.address4[0] ?? (await db.addresses('eth0', 4))[0]!;
    await roundTrip(web, dbAddress);
  });
  after(async () => world?.[Symbol.asyncDispose]());

  const ready = (t: Parameters<typeof needsRoot>[0]): boolean => needsRoot(t) && needs(t, 'ip', 'nsenter', 'ping');

  test('a delay is in every round trip, each way', async (t) => {
    if (!ready(t)) return;
    await shape('web', '--delay', '30ms');
    for (const target of [gateway, dbAddress]) {
      const rtt = await roundTrip(web, target);
      assert.ok(rtt !== null && rtt >= 60, `${rtt} ms to ${target}`);
    }
    await shape('web', '--from', '--delay', '50ms', '--jitter', '5ms');
    const rtt = await roundTrip(web, dbAddress);
    assert.ok(rtt !== null && rtt >= 75, `${rtt} ms`);
    assert.match(await world.vmlan.ok('show', 'web', 'shape'), /^-> all: delay 50ms jitter 5ms; <- all: delay 30ms\n$/);
    await shape('clear', 'web');
    assert.equal((await world.vmlan.run(['show', 'web', 'shape'])).code, 3);
  });

  test('between two guests alone: others and the gateway are as near as before', async (t) => {
    if (!ready(t)) return;
    await shape('web', '--peer', 'db', '--delay', '40ms', '--from');
    await shape('db', '--peer', 'web', '--delay', '60ms', '--from');
    const rtt = await roundTrip(web, dbAddress);
    assert.ok(rtt !== null && rtt >= 100, `${rtt} ms`);
    const near = await roundTrip(web, gateway, 5);
    assert.ok(near !== null && near < rtt, `${near} ms to the gateway`);
    const [only, ...more] = await world.vmlan.json<ShapeView[]>('shape', 'list');
    assert.deepEqual(
      [only?.guest, only?.peer, only?.fromGuest, only?.toGuest, more],
      ['web', 'db', { delayMs: 40 }, { delayMs: 60 }, []],
    );
    await shape('clear', '--all');
  });

  test('a partition between two: each still reaches the gateway and the internet, and healing is at once', async (t) => {
    if (!ready(t)) return;
    await shape('web', '--peer', 'db', '--partition');
    assert.equal(await reaches(web, dbAddress), false);
    for (const guest of [web, db]) assert.equal(await reaches(guest, gateway), true);
    assert.ok((await world.counter('lab', 'drop_shape_partition')) > 0);
    await shape('clear', 'web', '--peer', 'db');
    assert.equal(await reaches(web, dbAddress), true);
  });

  test('a partition from the gateway leaves the other guests', async (t) => {
    if (!ready(t)) return;
    await shape('web', '--peer', 'gateway', '--partition');
    assert.equal(await reaches(web, gateway), false);
    assert.equal(await reaches(web, dbAddress), true);
    assert.equal(await reaches(db, gateway), true);
    await shape('clear', 'web');
    assert.equal(await reaches(web, gateway), true);
  });

  test('a conversation outlasts a partition', async (t) => {
    if (!ready(t)) return;
    await using server = await serve(db, [{ kind: 'source', port: 9001, bytes: 4 << 20 }]);
    assert.ok(server);
    await shape('web', '--peer', 'db', '--rate', '20mbit', '--delay', '5ms');
    const argument = { host: dbAddress, downloads: [9001], sink: 9002, uploads: [] };
    const transfer = client(web, 'transfers', argument, { timeoutMs: 60_000 });
    const before = await world.counter('lab', 'switch_forwarded');
    await until('bytes to flow', 10_000, async () => (await world.counter('lab', 'switch_forwarded')) > before + 200);
    await shape('web', '--peer', 'db', '--partition');
    const dropped = await world.counter('lab', 'drop_shape_partition');
    await until(
      'frames to be lost',
      10_000,
      async () => (await world.counter('lab', 'drop_shape_partition')) > dropped,
    );
    await shape('clear', 'web');
    const { down } = await transfer;
    assert.equal(down[0]!.bytes, 4 << 20);
  });

  test('loss, and the other way none', async (t) => {
    if (!ready(t)) return;
    await shape('web', '--from', '--loss', '100%');
    assert.equal(await reaches(web, dbAddress), false);
    await shape('clear', 'web');
    assert.equal(await reaches(web, dbAddress), true);
  });

  test('what cannot be is said with the next step', async (t) => {
    if (!ready(t)) return;
    for (const [args, code, text] of [
      [['web'], 2, /nothing to shape "web" by\nhint: e\.g\. vmlan shape web --delay/],
      [['web', '--delay', '50'], 2, /a time with its unit, such as 50ms/],
      [['web', '--rate', '10mbps'], 2, /such as 10mbit/],
      [['web', '--jitter', '5ms', '--loss', '1%'], 2, /jitter strays around a delay/],
      [['web', '--partition', '--loss', '1%'], 2, /a partition lets nothing pass/],
      [['wbe', '--partition'], 3, /did you mean "web"/],
      [['web', '--peer', 'web', '--partition'], 2, /is the guest itself/],
      [['web', '--peer', 'none', '--partition'], 3, /no guest "none"/],
      [['clear'], 2, /vmlan shape clear GUEST/],
      [['clear', 'web'], 3, /nothing shapes "web"/],
    ] as const) {
      const { code: got, stderr } = await world.vmlan.run(['shape', ...args]);
      assert.equal(got, code, `${args.join(' ')}: ${stderr}`);
      assert.match(stderr, text);
    }
    assert.deepEqual(await world.vmlan.json<ShapeView[]>('shape', 'list'), []);
  });

  test('shapes outlive the network process, the daemon, and go with their guest', async (t) => {
    if (!ready(t)) return;
    await shape('web', '--peer', 'db', '--partition');
    await shape('db', '--to', '--delay', '1ms');
    const { pid } = await world.network('lab');
    process.kill(pid!, 'SIGKILL');
    await until('the network', 10_000, async () => {
      const view = await world.network('lab');
      return view.state === 'running' && view.pid !== pid;
    });
    await until('web to be back', 10_000, () => reaches(web, gateway));
    await until('db to be back', 10_000, () => reaches(db, gateway));
    assert.equal(await reaches(web, dbAddress), false);
    process.kill((await world.vmlan.status()).pid, 'SIGKILL');
    await world.vmlan.ok('up');
    assert.equal((await world.vmlan.json<ShapeView[]>('shape', 'list')).length, 2);
    assert.equal(await reaches(web, dbAddress), false);
    await world.vmlan.ok('detach', 'web', '--forget');
    const left = await world.vmlan.json<ShapeView[]>('shape', 'list');
    assert.deepEqual(
      left.map(({ guest, peer }) => [guest, peer]),
      [['db', null]],
    );
  });
});
