import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HOLD_MS, QUARANTINE_MS } from './lease-pool.ts';
import { DAY_MS, HOUR_MS, NO_WISH, START_MS, identity, lease, setup } from './leases.fixture.ts';

test('never-used addresses go first, in order, without gateway, exclusions and reservations', () => {
  const { store, pool } = setup({ excluded: new Set([1, 3]), reserved: new Set([5]) });
  const slots = Array.from({ length: 11 }, (_, i) => lease(store, pool, identity(`g${i}/0`), START_MS));
  assert.deepEqual(slots, [2, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
  assert.equal(lease(store, pool, identity('late/0'), START_MS), -1);
});

test('a requested address is honoured while nobody ever had it', () => {
  const { store, pool } = setup();
  assert.equal(lease(store, pool, identity('a/0'), START_MS, { reserved: -1, requested: 9 }), 9);
  assert.equal(lease(store, pool, identity('b/0'), START_MS, { reserved: -1, requested: 9 }), 2);
  assert.equal(lease(store, pool, identity('c/0'), START_MS, { reserved: -1, requested: 1 }), 3);
  assert.equal(lease(store, pool, identity('d/0'), START_MS, { reserved: -1, requested: 15 }), 4);
});

test('recycling: released first, longest idle first, then of gone guests', () => {
  const { store, pool } = setup();
  for (let i = 0; i < 13; i++) lease(store, pool, identity(`g${i}/0`), START_MS + i);
  store.onNicGone('g4/0', START_MS + 100);
  store.onNicGone('g2/0', START_MS + 200);
  assert.equal(store.release('g7/0', START_MS + 300), 1);
  assert.equal(store.release('g6/0', START_MS + 400), 1);
  const next = (name: string): number => lease(store, pool, identity(name), START_MS + 500);
  assert.deepEqual([next('n1/0'), next('n2/0'), next('n3/0'), next('n4/0'), next('n5/0')], [9, 8, 6, 4, -1]);
});

test('expired leases of guests that are gone come before running ones', () => {
  const { store, pool } = setup();
  for (let i = 0; i < 13; i++) lease(store, pool, identity(`g${i}/0`), START_MS + i * 1000);
  store.onNicGone('g9/0', START_MS + 20_000);
  store.onNicGone('g3/0', START_MS + 30_000);
  assert.equal(lease(store, pool, identity('n/0'), START_MS + HOUR_MS + 5_000), 5);
});

test('300 guests one after the other on a /28 never fail, with and without RELEASE', () => {
  const { store, pool } = setup();
  let nowMs = START_MS;
  for (let i = 0; i < 300; i++) {
    const nic = `mac:52:54:00:00:00:${i}`;
    const slot = lease(store, pool, identity(nic), (nowMs += 500));
    assert.ok(slot >= 2 && slot <= 14, `guest ${i}`);
    if (i % 3 === 0) store.release(nic, nowMs);
    store.onNicGone(nic, nowMs);
  }
  assert.equal(pool.size, 13);
});

test('300 guests that only ask and vanish', () => {
  const { store, pool } = setup();
  for (let i = 0; i < 300; i++) {
    const id = identity(`g${i}/0`);
    store.onNicHere(id.nic, START_MS + i);
    const binding = pool.choose(id, NO_WISH, START_MS + i);
    assert.ok(binding, `guest ${i}`);
    pool.hold(binding, START_MS + i);
    store.onNicGone(id.nic, START_MS + i);
  }
  assert.equal(pool.size, 0);
  assert.deepEqual(store.snapshot(), []);
  assert.equal(store.generation, 0);
});

test('one port with hundreds of hardware addresses recycles its own, not those of others', () => {
  const { store, pool } = setup();
  const other = lease(store, pool, identity('quiet/0'), START_MS);
  for (let i = 0; i < 300; i++) {
    const id = identity('noisy/0', { client: `hw:1:${i}`, mac: `02:00:00:00:00:${i}` });
    const slot = lease(store, pool, id, START_MS + i);
    assert.ok(slot >= 2 && slot !== other);
  }
  assert.equal(pool.ofNic('noisy/0').length, pool.maxPerNic);
  assert.equal(lease(store, pool, identity('quiet/0'), START_MS + 400), other);
});

test('the same NIC gets the same address under another client identifier, and another MAC after a restart', () => {
  const { store, pool } = setup();
  lease(store, pool, identity('first/0'), START_MS);
  const slot = lease(store, pool, identity('web/0', { client: 'id:01aa' }), START_MS);
  assert.equal(lease(store, pool, identity('web/0', { client: 'id:ff00112233' }), START_MS + 10_000), slot);
  store.onNicGone('web/0', START_MS + 20_000);
  const reborn = identity('web/0', { client: 'id:ffee', mac: '02:00:00:00:00:99' });
  assert.equal(lease(store, pool, reborn, START_MS + 30_000), slot);
  assert.equal(pool.ofNic('web/0').length, 1);
});

test('two clients with two MACs on one port have two addresses', () => {
  const { store, pool } = setup();
  const a = lease(store, pool, identity('web/0'), START_MS);
  const b = lease(store, pool, identity('web/0', { client: 'id:02', mac: '02:00:00:00:00:02' }), START_MS);
  assert.notEqual(a, b);
  assert.equal(lease(store, pool, identity('web/0'), START_MS + 1), a);
});

test('a reservation moves its guest, waits for a live holder, and stays empty while the guest is away', () => {
  const { store, pool } = setup({ reserved: new Set([10]) });
  const wish = { reserved: 10, requested: -1 };
  assert.equal(lease(store, pool, identity('db/0'), START_MS), 2);
  assert.equal(lease(store, pool, identity('db/0'), START_MS + 1, wish), 10);
  assert.equal(lease(store, pool, identity('db/1'), START_MS + 2, wish), 3); // the second NIC finds it taken
  store.onNicGone('db/0', START_MS + 3);
  for (let i = 0; i < 40; i++) {
    assert.notEqual(lease(store, pool, identity(`g${i}/0`), START_MS + 4 + i), 10);
    store.onNicGone(`g${i}/0`, START_MS + 4 + i);
  }
  assert.equal(lease(store, pool, identity('db/0'), START_MS + DAY_MS, wish), 10);
});

test('a declined address stays out for its time, and no guest can decline the pool away', () => {
  const { store, pool } = setup();
  const first = lease(store, pool, identity('a/0'), START_MS);
  pool.decline(pool.at(first) ?? assert.fail(), START_MS + 1);
  const second = lease(store, pool, identity('a/0'), START_MS + 2);
  assert.notEqual(second, first);
  assert.deepEqual(
    store.list(START_MS + 3).map(({ address, state }) => [address, state]),
    [
      ['10.0.0.2', 'declined'],
      ['10.0.0.3', 'bound'],
    ],
  );
  for (let i = 0; i < 100; i++) {
    const slot = lease(store, pool, identity('a/0'), START_MS + 4 + i);
    pool.decline(pool.at(slot) ?? assert.fail(), START_MS + 4 + i);
  }
  assert.equal(store.list(START_MS + 200).filter(({ state }) => state === 'declined').length, pool.maxDeclined);
  assert.equal(store.list(START_MS + 200 + QUARANTINE_MS).length, 0);
});

test('offers lapse, also when the clock was set back', () => {
  const { store, pool } = setup();
  for (const [name, laterMs] of [
    ['a', HOLD_MS],
    ['b', -DAY_MS],
  ] as const) {
    const id = identity(`${name}/0`);
    store.onNicHere(id.nic, START_MS);
    const binding = pool.choose(id, NO_WISH, START_MS) ?? assert.fail();
    pool.hold(binding, START_MS);
    assert.equal(store.list(START_MS + HOLD_MS - 1).length, 1);
    assert.equal(store.list(START_MS + laterMs).length, 0, name);
  }
});

test('an offer over a remembered lease leaves the memory', () => {
  const { store, pool } = setup();
  const slot = lease(store, pool, identity('a/0'), START_MS);
  store.release('a/0', START_MS + 1);
  const binding = pool.choose(identity('a/0'), NO_WISH, START_MS + 2) ?? assert.fail();
  pool.hold(binding, START_MS + 2);
  assert.equal(store.snapshot()[0]?.state, 'released');
  store.advance(START_MS + DAY_MS);
  assert.equal(store.snapshot()[0]?.state, 'released');
  assert.equal(lease(store, pool, identity('a/0'), START_MS + DAY_MS), slot);
});

test('what an attached NIC holds survives a clock jump, and is freed after its time really passed', () => {
  const { store, pool } = setup();
  for (let i = 0; i < 13; i++) lease(store, pool, identity(`g${i}/0`), START_MS);
  const afterJumpMs = START_MS + DAY_MS;
  assert.equal(lease(store, pool, identity('n/0'), afterJumpMs), -1);
  assert.equal(store.list(afterJumpMs)[0]?.state, 'expired');
  assert.equal(lease(store, pool, identity('g0/0'), afterJumpMs), 2);
  let nowMs = afterJumpMs;
  while (nowMs < afterJumpMs + HOUR_MS) store.advance((nowMs += 30_000));
  assert.equal(lease(store, pool, identity('n/0'), nowMs), 3);
});

test('a clock jump does not count as time that passed, not even for a lease that is nearly over', () => {
  const { store, pool } = setup({ last: 2 });
  lease(store, pool, identity('a/0'), START_MS);
  let nowMs = START_MS;
  while (nowMs < START_MS + HOUR_MS - 30_000) store.advance((nowMs += 30_000));
  assert.equal(lease(store, pool, identity('b/0'), (nowMs += DAY_MS)), -1);
  assert.equal(lease(store, pool, identity('b/0'), (nowMs += 29_999)), -1);
  assert.equal(lease(store, pool, identity('b/0'), (nowMs += 1)), 2);
});

test('a quiet renewal changes nothing that must be stored', () => {
  const { store, pool } = setup();
  const id = identity('a/0');
  lease(store, pool, id, START_MS);
  const binding = pool.at(2) ?? assert.fail();
  const { generation } = store;
  assert.equal(pool.bind(binding, id, HOUR_MS, START_MS + 35_999), false);
  assert.deepEqual([store.generation, binding.expiresMs], [generation, START_MS + HOUR_MS]);
  assert.equal(pool.bind(binding, { ...id, hostname: 'new' }, HOUR_MS, START_MS + 35_999), true);
  assert.equal(pool.bind(binding, { ...id, hostname: 'new' }, HOUR_MS, START_MS + 80_000), true);
  assert.equal(pool.bind(binding, { ...id, hostname: 'new' }, 2 * HOUR_MS, START_MS + 80_001), true);
  store.onNicGone('a/0', START_MS + 80_002);
  store.onNicHere('a/0', START_MS + 80_003);
  assert.equal(pool.bind(binding, { ...id, hostname: 'new' }, 2 * HOUR_MS, START_MS + 80_004), true);
  assert.equal(store.generation, generation + 6);
});

test('a pool of one address for everybody: each NIC has it, and old ones are recycled', () => {
  const fixed = { first: 0, last: 3, excluded: new Set<number>(), distinct: false };
  const one = { ...fixed, format: () => '192.168.5.15', parse: (text: string) => (text === '192.168.5.15' ? 0 : -1) };
  const { store, pool } = setup(one);
  for (const name of ['a/0', 'b/0', 'c/0']) lease(store, pool, identity(name), START_MS);
  assert.deepEqual(
    store.list(START_MS).map(({ address, nic }) => `${address} ${nic}`),
    ['192.168.5.15 a/0', '192.168.5.15 b/0', '192.168.5.15 c/0'],
  );
  const next = setup(one);
  assert.deepEqual(next.store.restore(store.snapshot(), START_MS), { restored: 3, skipped: 0 });
  next.pool.decline(next.pool.bindings()[0] ?? assert.fail(), START_MS);
  assert.equal(next.store.snapshot().filter(({ state }) => state === 'declined').length, 0);
});

test('a /16 is leased, forgotten and leased again in seconds', () => {
  const { store, pool } = setup({ last: 65_534, format: (slot) => `${slot}`, parse: Number });
  for (let i = 0; i < 65_533; i++) assert.ok(lease(store, pool, identity(`g${i}/0`), START_MS) > 0);
  assert.equal(lease(store, pool, identity('n/0'), START_MS), -1);
  for (let i = 0; i < 65_533; i++) store.onNicGone(`g${i}/0`, START_MS + 1);
  for (let i = 0; i < 1000; i++) assert.equal(lease(store, pool, identity(`n${i}/0`), START_MS + 2), i + 2);
});
