/**
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { VmlanError } from '../core/errors.ts';
import type { LineShape } from '../engine/control-messages.ts';
import { shapeSettingsSchema, type ShapeInput, type ShapeSettings } from '../model/api.ts';
import { TestDaemon, problem } from './daemon.fixture.ts';

const CONFIG = `
networks:
  lab: { mode: user-v2, subnet: 10.77.0.0/24 }
  dev: { mode: user-v2, subnet: 10.78.0.0/24 }
  alone: { mode: user }
  apart: { mode: shared, subnet: 10.79.0.0/24, isolation: { guests: true } }
`;

async function withGuests(): Promise<TestDaemon> {
  const daemon = await TestDaemon.start(CONFIG);
  for (const [name, network] of [
    ['web', 'lab'],
    ['db', 'lab'],
    ['far', 'dev'],
    ['hermit', 'alone'],
    ['monk', 'apart'],
  ] as const) {
    await daemon.client.call('attachGuest', { params: { name }, body: { network } });
  }
  return daemon;
}

const set = ({ client }: TestDaemon, body: ShapeInput): ReturnType<typeof client.call<'setShape'>> =>
  client.call('setShape', { body });

async function applied(daemon: TestDaemon, network = 'lab'): Promise<unknown> {
  return (await daemon.driver.observe(network)).applied?.shapes;
}

test('what can be asked for is what the datapath does, name by name and type by type', () => {
  const line: Required<LineShape> = {
    ...{ delayMs: 1, jitterMs: 1, distribution: 'normal', lossPercent: 1, lossBurst: 2, duplicatePercent: 1 },
    ...{ reorderPercent: 1, corruptPercent: 1, rateBps: 1e6, limitBytes: 1e6, partition: true, seed: 1 },
  };
  const asked: Required<ShapeSettings> = line; // does not compile when one of them knows more than the other
  assert.deepEqual(shapeSettingsSchema.parse(asked), line);
});

describe('shapes', () => {
  test('are set, kept over restarts and crashes, and removed', async () => {
    await using daemon = await withGuests();
    const { client, driver } = daemon;
    const shape = await set(daemon, { guest: 'web', delayMs: 50, lossPercent: 1 });
    const settings = { delayMs: 50, lossPercent: 1 };
    assert.partialDeepStrictEqual(shape, {
      network: 'lab',
      guest: 'web',
      peer: null,
      fromGuest: settings,
      toGuest: settings,
    });
    const spec = { id: shape.id, nic: 'web/0', peer: null, fromGuest: settings, toGuest: settings };
    assert.deepEqual(await applied(daemon), [spec]);
    await daemon.restart();
    assert.deepEqual(await client.call('listShapes'), [shape]);
    assert.deepEqual(await client.call('getShape', { params: { id: shape.id } }), shape);
    driver.crash('lab');
    await client.call('startNetwork', { params: { name: 'lab' } });
    assert.deepEqual(await applied(daemon), [spec]);
    await client.call('deleteShape', { params: { id: shape.id } });
    assert.deepEqual([await applied(daemon), await client.call('listShapes')], [[], []]);
    await assert.rejects(
      client.call('deleteShape', { params: { id: shape.id } }),
      problem('not-found', /no shape/, /vmlan shape list/),
    );
  });

  test('are replaced by direction, and a pair is one from both sides', async () => {
    await using daemon = await withGuests();
    const first = await set(daemon, { guest: 'web', peer: 'db', delayMs: 10 });
    const second = await set(daemon, { guest: 'db', peer: 'web', direction: 'from', partition: true });
    assert.deepEqual(second, { ...first, fromGuest: { delayMs: 10 }, toGuest: { partition: true } });
    const third = await set(daemon, { guest: 'web', peer: 'db', direction: 'from', rateBps: 1e6 });
    assert.deepEqual([third.fromGuest, third.toGuest], [{ rateBps: 1e6 }, { partition: true }]);
    const uplink = await set(daemon, { guest: 'web', peer: 'gateway', direction: 'to', lossPercent: 5 });
    assert.deepEqual([uplink.peer, uplink.fromGuest, uplink.toGuest], ['gateway', null, { lossPercent: 5 }]);
    assert.equal((await daemon.client.call('listShapes', { query: { network: 'lab' } })).length, 2);
    assert.deepEqual(await daemon.client.call('listShapes', { query: { network: 'dev' } }), []);
    assert.partialDeepStrictEqual(await applied(daemon), [{ peer: 'db/0' }, { peer: 'gateway' }]);
  });

  test('that cannot be are refused', async () => {
    await using daemon = await withGuests();
    const no = (body: Partial<ShapeInput>, code: string, text: RegExp, hint?: RegExp): Promise<void> =>
      assert.rejects(set(daemon, { guest: 'web', partition: true, ...body }), problem(code, text, hint));
    await no({ guest: 'wbe' }, 'not-found', /no guest "wbe"/, /did you mean "web"/);
    await no({ network: 'dev' }, 'not-found', /no NIC on network "dev"/, /it has one on: lab/);
    await no({ network: 'none' }, 'not-found', /no network "none"/);
    await no({ peer: 'far' }, 'not-found', /guest "far" has no NIC on network "lab"/);
    await no({ peer: 'web' }, 'invalid', /the guest itself/);
    await no({ guest: 'hermit', peer: 'web' }, 'invalid', /do not see each other/, /gateway/);
    await no({ guest: 'monk', peer: 'web' }, 'invalid', /do not see each other/);
    await no({ delayMs: 1 }, 'invalid', /partition/);
    daemon.driver.refuse('set-shape', new VmlanError('unavailable', 'no'));
    await no({}, 'unavailable', /^no/);
    assert.deepEqual(await daemon.client.call('listShapes'), []);
    await set(daemon, { guest: 'hermit', peer: 'gateway', partition: true });
  });

  test('go with their guests', async () => {
    await using daemon = await withGuests();
    await set(daemon, { guest: 'web', delayMs: 1 });
    await set(daemon, { guest: 'web', peer: 'db', delayMs: 2 });
    await set(daemon, { guest: 'db', delayMs: 3 });
    await daemon.client.call('deleteGuest', { params: { name: 'web' } });
    const left = await daemon.client.call('listShapes');
    assert.deepEqual(
      left.map(({ guest, peer }) => [guest, peer]),
      [['db', null]],
    );
    assert.partialDeepStrictEqual(await applied(daemon), [{ nic: 'db/0' }]);
    await daemon.client.call('deleteGuest', { params: { name: 'far' } });
  });

  test('go with their network', async () => {
    await using daemon = await withGuests();
    await set(daemon, { guest: 'web', delayMs: 1 });
    await set(daemon, { guest: 'far', delayMs: 2 });
    await daemon.client.call('deleteNetwork', { params: { name: 'lab' }, query: { force: 'true' } });
    const left = await daemon.client.call('listShapes');
    assert.deepEqual(
      left.map(({ guest }) => guest),
      ['far'],
    );
  });

  test('wait for a network that does not run', async () => {
    await using daemon = await withGuests();
    await daemon.client.call('stopNetwork', { params: { name: 'lab' } });
    await set(daemon, { guest: 'web', delayMs: 1 });
    await daemon.client.call('startNetwork', { params: { name: 'lab' } });
    assert.partialDeepStrictEqual(await applied(daemon), [{ nic: 'web/0' }]);
  });

  test('a guest that nobody registered is shaped by its NIC', async () => {
    await using daemon = await withGuests();
    const { driver } = daemon;
    const real = driver.snapshot.bind(driver);
    const stranger = { ...(await driver.snapshot('lab')).guests[0]!, guest: 'stranger', nic: 'mac:52:54:00:00:00:99' };
    driver.snapshot = async (network) => {
      const live = await real(network);
      return network === 'lab' ? { ...live, guests: [...live.guests, stranger] } : live;
    };
    await set(daemon, { guest: 'stranger', peer: 'web', lossPercent: 50 });
    assert.partialDeepStrictEqual(await applied(daemon), [{ nic: 'mac:52:54:00:00:00:99', peer: 'web/0' }]);
  });
});
