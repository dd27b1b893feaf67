import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { ClientIdentity, PoolConfig } from './lease-binding.ts';
import { HOLD_MS, QUARANTINE_MS, RECONNECT_MS } from './lease-pool.ts';
import type { LeasePool } from './lease-pool.ts';
import { LeaseStore } from './lease-store.ts';
import type { LeaseRecord } from './lease-store.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const START_MS = 1_700_000_000_000;
const NO_WISH = { reserved: -1, requested: -1 };

/** 10.0.0.0/28 with its gateway at .1: 13 addresses. */
const config = (more: Partial<PoolConfig> = {}): PoolConfig => ({
  first: 1,
  last: 14,
  excluded: new Set([1]),
  reserved: new Set(),
  distinct: true,
  format: (slot) => `10.0.0.${slot}`,
  parse: (address) => (/^10\.0\.0\.\d+$/.test(address) ? Number(address.split('.')[3]) : -1),
  ...more,
});

const identity = (nic: string, more: Partial<ClientIdentity> = {}): ClientIdentity => ({
  nic,
  client: `hw:1:${nic}`,
  guest: nic.split('/')[0] ?? null,
  mac: `mac of ${nic}`.slice(0, 17),
  clientId: null,
  hostname: null,
  ...more,
});

const setup = (more: Partial<PoolConfig> = {}): { store: LeaseStore; pool: LeasePool } => {
  const store = new LeaseStore();
  return { store, pool: store.open(4, config(more)) };
};

/** DISCOVER and REQUEST in one; the slot, or -1 when there was none. */
function lease(store: LeaseStore, pool: LeasePool, id: ClientIdentity, nowMs: number, wish = NO_WISH): number {
  store.onNicHere(id.nic, nowMs);
  const binding = pool.choose(id, wish, nowMs);
  if (binding === null) return -1;
  pool.hold(binding, nowMs);
  pool.bind(binding, id, HOUR_MS, nowMs);
  return binding.slot;
}

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

test('the other family gets the same host number', () => {
  const store = new LeaseStore();
  const four = store.open(4, config());
  const six = store.open(
    6,
    config({ format: (slot) => `fd00::${slot}`, parse: (text) => Number(text.split('::')[1]) }),
  );
  assert.equal(lease(store, four, identity('a/0'), START_MS), 2);
  assert.equal(lease(store, six, identity('late/0'), START_MS), 3); // IPv6 alone: not the number of somebody else
  assert.equal(lease(store, four, identity('b/0'), START_MS), 4);
  assert.equal(lease(store, six, identity('b/0'), START_MS), 4);
  assert.equal(lease(store, six, identity('a/0'), START_MS), 2);
  assert.equal(lease(store, four, identity('late/0'), START_MS), 3);
  assert.deepEqual([store.addressOf('late/0', 4), store.addressOf('late/0', 6)], ['10.0.0.3', 'fd00::3']);
  assert.equal(store.holder(6, 'fd00::4')?.guest, 'b');
  assert.equal(store.holder(6, 'fd00::9'), null);
  store.onNicGone('b/0', START_MS + 1);
  assert.equal(store.addressOf('b/0', 6), null);
  assert.equal(store.addressOf('nobody/0', 4), null);
});

test('restart: leases come back, guests that reconnect keep theirs, the others are recycled after a grace', () => {
  const { store, pool } = setup();
  for (let i = 0; i < 13; i++) lease(store, pool, identity(`g${i}/0`), START_MS + i);
  store.onNicGone('g12/0', START_MS + 20);
  const stored = JSON.parse(JSON.stringify(store.snapshot())) as unknown[];

  const next = new LeaseStore();
  const later = START_MS + DAY_MS; // all leases ran out meanwhile
  assert.deepEqual(next.restore(stored, later), { restored: 13, skipped: 0 });
  assert.deepEqual(next.snapshot(), stored);
  const pool2 = next.open(4, config());
  next.onNicHere('g0/0', later + 1);
  assert.equal(lease(next, pool2, identity('n1/0'), later + 2), 14, 'of the guest that was gone already');
  assert.equal(lease(next, pool2, identity('n2/0'), later + 3), -1);
  assert.equal(lease(next, pool2, identity('g5/0'), later + 4), 7);
  assert.equal(lease(next, pool2, identity('n2/0'), later + RECONNECT_MS), 3);
  assert.equal(lease(next, pool2, identity('g0/0'), later + RECONNECT_MS), 2);
});

test('a NIC that is back after a crash has its lease at once, though its guest says nothing', () => {
  const { store, pool } = setup();
  lease(store, pool, identity('web/0'), START_MS);
  lease(store, pool, identity('old/0'), START_MS - DAY_MS);
  const events: [string, string][] = [];
  const next = new LeaseStore((event, { address }) => events.push([event, address]));
  next.open(4, config());
  next.restore(JSON.parse(JSON.stringify(store.snapshot())) as unknown[], START_MS + 1);
  next.advance(START_MS + 2);
  const { generation } = next;
  events.length = 0;
  for (const nic of ['web/0', 'web/0', 'old/0']) next.onNicHere(nic, START_MS + 3);
  assert.deepEqual(events, [['back', '10.0.0.2']], 'once, and not what has run out');
  assert.equal(next.generation, generation, 'nothing to store');
});

test('a stored file that is damaged, doubled or of another subnet loses only its bad records', () => {
  const good: LeaseRecord = {
    ...{ family: 4, address: '10.0.0.5', nic: 'web/0', client: 'id:01', guest: 'web', mac: '52:54:00:12:34:56' },
    ...{
      clientId: '01',
      hostname: 'web',
      state: 'bound',
      startMs: START_MS,
      expiresMs: START_MS + HOUR_MS,
      goneMs: null,
    },
  };
  const bad: unknown[] = [
    null,
    7,
    [],
    'lease',
    {},
    { ...good, family: 5 },
    { ...good, address: '10.0.0.99', nic: 'x/0' },
    { ...good, address: '10.0.0.1', nic: 'x/1' },
    { ...good, address: 'nonsense', nic: 'x/2' },
    { ...good, address: '10.0.0.6', nic: 7 },
    { ...good, address: '10.0.0.6', nic: '' },
    { ...good, address: '10.0.0.6', state: 'offered' },
    { ...good, address: '10.0.0.6', expiresMs: Number.NaN },
    { ...good, address: '10.0.0.6', expiresMs: 1 },
    { ...good, address: '10.0.0.6', goneMs: 'yes' },
    { ...good, address: '10.0.0.6', hostname: 'x'.repeat(64) },
    { ...good, address: '10.0.0.6', clientId: 1 },
    { ...good, startMs: START_MS - 1 },
    { ...good, address: '10.0.0.7', startMs: START_MS - 1 },
  ];
  const { store, pool } = setup();
  assert.deepEqual(store.restore([...bad, good], START_MS), { restored: 1, skipped: bad.length });
  assert.deepEqual(store.snapshot(), [good]);
  assert.equal(lease(store, pool, identity('web/0', { client: 'id:01' }), START_MS + 1), 5);
});

test('a clock that was set back does not make leases eternal', () => {
  const { store, pool } = setup();
  lease(store, pool, identity('a/0'), START_MS);
  const next = setup();
  next.store.restore(store.snapshot(), START_MS - DAY_MS);
  assert.equal(next.store.list(START_MS - DAY_MS)[0]?.expiresMs, START_MS - DAY_MS + HOUR_MS);
  assert.equal(next.store.list(START_MS - DAY_MS + HOUR_MS)[0]?.state, 'expired');
  assert.equal(pool.size, 1);
});

test('opening a pool again keeps what fits the new configuration', () => {
  const { store, pool } = setup();
  for (const name of ['a/0', 'b/0', 'c/0']) lease(store, pool, identity(name), START_MS);
  const offer = pool.choose(identity('d/0'), NO_WISH, START_MS);
  assert.equal(offer?.slot, 5);
  const narrower = store.open(4, config({ first: 3, excluded: new Set([1, 4]) }));
  assert.deepEqual(
    store.snapshot().map(({ address, nic }) => [address, nic]),
    [['10.0.0.3', 'b/0']],
  );
  assert.equal(lease(store, narrower, identity('a/0'), START_MS + 1), 5);
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

test('the listener hears what happens, in order', () => {
  const heard: string[] = [];
  const store = new LeaseStore((event, record) => heard.push(`${event} ${record.nic} ${record.address}`));
  const pool = store.open(4, config({ last: 2 }));
  lease(store, pool, identity('a/0'), START_MS);
  store.advance(START_MS + HOUR_MS);
  lease(store, pool, identity('a/0'), START_MS + HOUR_MS);
  store.onNicGone('a/0', START_MS + HOUR_MS + 1);
  store.onNicHere('a/0', START_MS + HOUR_MS + 2);
  store.release('a/0', START_MS + HOUR_MS + 3);
  lease(store, pool, identity('b/0'), START_MS + HOUR_MS + 4);
  const a = 'a/0 10.0.0.2';
  assert.deepEqual(heard, [
    ...[`bound ${a}`, `expired ${a}`, `bound ${a}`, `gone ${a}`, `back ${a}`, `released ${a}`, `forgotten ${a}`],
    'bound b/0 10.0.0.2',
  ]);
});

test('a /16 is leased, forgotten and leased again in seconds', () => {
  const { store, pool } = setup({ last: 65_534, format: (slot) => `${slot}`, parse: Number });
  for (let i = 0; i < 65_533; i++) assert.ok(lease(store, pool, identity(`g${i}/0`), START_MS) > 0);
  assert.equal(lease(store, pool, identity('n/0'), START_MS), -1);
  for (let i = 0; i < 65_533; i++) store.onNicGone(`g${i}/0`, START_MS + 1);
  for (let i = 0; i < 1000; i++) assert.equal(lease(store, pool, identity(`n${i}/0`), START_MS + 2), i + 2);
});

/** What one guest believes. Its own clock does not jump. */
interface Guest {
  attached: boolean;
  slot: number;
  untilMs: number;
}

type Step =
  | { readonly do: 'lease' | 'offer' | 'gone' | 'release' | 'decline'; readonly guest: number }
  | { readonly do: 'pass'; readonly ms: number }
  | { readonly do: 'jump'; readonly ms: number }
  | { readonly do: 'crash' };

const guestStep = fc
  .tuple(
    fc.constantFrom('lease', 'lease', 'lease', 'offer', 'gone', 'release', 'decline'),
    fc.integer({ min: 0, max: 9 }),
  )
  .map(([what, guest]): Step => ({ do: what as 'lease', guest }));
const stepList = fc.array(
  fc.oneof(
    { weight: 12, arbitrary: guestStep },
    { weight: 3, arbitrary: fc.integer({ min: 1, max: 2 * HOUR_MS }).map((ms): Step => ({ do: 'pass', ms })) },
    { weight: 1, arbitrary: fc.constantFrom(-DAY_MS, DAY_MS).map((ms): Step => ({ do: 'jump', ms })) },
    { weight: 1, arbitrary: fc.constant<Step>({ do: 'crash' }) },
  ),
  { minLength: 30, maxLength: 120 },
);

/** A network of ten guests and six addresses, with a store that is lost and restored as the contract allows. */
class Model {
  readonly guests: Guest[] = Array.from({ length: 10 }, () => ({ attached: false, slot: -1, untilMs: 0 }));
  readonly #config: PoolConfig;
  #store = new LeaseStore();
  #pool: LeasePool;
  #durable = '[]';
  #wallMs = START_MS;
  #trueMs = 0;

  constructor(last: number) {
    this.#config = config({ last, excluded: new Set([1, 3]) });
    this.#pool = this.#store.open(4, this.#config);
  }

  run(step: Step): void {
    if (step.do === 'pass') this.#pass(step.ms);
    else if (step.do === 'jump') this.#wallMs += step.ms;
    else if (step.do === 'crash') this.#crash();
    else this.#act(step.do, step.guest);
    this.#check();
  }

  #act(what: string, index: number): void {
    const guest = this.guests[index] ?? assert.fail();
    const id = identity(`g${index}/0`);
    if (what === 'lease' || what === 'offer') {
      guest.attached = true;
      this.#store.onNicHere(id.nic, this.#wallMs);
      const binding = this.#pool.choose(id, NO_WISH, this.#wallMs);
      if (binding !== null) this.#pool.hold(binding, this.#wallMs);
      if (binding === null || what === 'offer') return;
      if (this.#pool.bind(binding, id, HOUR_MS, this.#wallMs)) this.#durable = JSON.stringify(this.#store.snapshot());
      const leftMs = binding.expiresMs - this.#wallMs;
      Object.assign(guest, { slot: binding.slot, untilMs: this.#trueMs + leftMs });
      return;
    }
    if (what === 'gone') {
      guest.attached = false;
      this.#store.onNicGone(id.nic, this.#wallMs);
    } else {
      const own = this.#pool.find(id);
      if (own !== null && own.slot === guest.slot) this.#pool[what as 'release' | 'decline'](own, this.#wallMs);
    }
    guest.slot = -1;
  }

  #pass(ms: number): void {
    for (let left = ms; left > 0; left -= 60_000) {
      const stepMs = Math.min(left, 60_000);
      this.#wallMs += stepMs;
      this.#trueMs += stepMs;
      this.#store.advance(this.#wallMs);
    }
  }

  #crash(): void {
    this.#store = new LeaseStore();
    this.#pool = this.#store.open(4, this.#config);
    this.#store.restore(JSON.parse(this.#durable) as unknown[], this.#wallMs);
    this.#pass(1000);
    this.guests.forEach((guest, i) => guest.attached && this.#store.onNicHere(`g${i}/0`, this.#wallMs));
  }

  #check(): void {
    const used = this.guests.filter(({ attached, slot, untilMs }) => attached && slot >= 0 && untilMs > this.#trueMs);
    const slots = used.map(({ slot }) => slot);
    assert.equal(new Set(slots).size, slots.length, `an address is in use twice: ${slots.join(' ')}`);
    for (const slot of slots) assert.ok(slot >= 2 && slot <= this.#config.last && slot !== 3);
    assert.ok(this.#pool.size <= this.#config.last);
  }
}

test('property: no address is in use twice, whatever guests, clocks and crashes do', () => {
  fc.assert(
    fc.property(stepList, (steps) => {
      const model = new Model(8);
      for (const step of steps) model.run(step);
    }),
    { numRuns: 1500 },
  );
});

test('property: while there are addresses enough, every guest keeps its own for ever', () => {
  fc.assert(
    fc.property(stepList, (steps) => {
      const model = new Model(14);
      const first = new Map<number, number>();
      for (const step of steps) {
        if (step.do === 'decline') continue;
        model.run(step);
        if (step.do !== 'lease') continue;
        const slot = model.guests[step.guest]?.slot ?? -1;
        assert.equal(slot, first.get(step.guest) ?? slot);
        first.set(step.guest, slot);
      }
    }),
    { numRuns: 500 },
  );
});

test('property: a snapshot is restored as it was, and garbage among it is counted', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 60 }),
      fc.array(fc.anything()),
      (guests, garbage) => {
        const { store, pool } = setup();
        guests.forEach((guest, i) => {
          lease(store, pool, identity(`g${guest}/0`), START_MS + i);
          if (guest % 3 === 0) store.onNicGone(`g${guest}/0`, START_MS + i);
          if (guest % 4 === 0) store.release(`g${guest}/0`, START_MS + i);
        });
        const stored = store.snapshot();
        const next = setup();
        assert.deepEqual(next.store.restore([...garbage, ...stored], START_MS + 100), {
          restored: stored.length,
          skipped: garbage.length,
        });
        assert.deepEqual(next.store.snapshot(), stored);
      },
    ),
  );
});

test('changes, taken whenever, add up to the snapshot; they are no more than what has changed', () => {
  const step = fc.tuple(fc.constantFrom('lease', 'gone', 'here', 'release', 'decline', 'take'), fc.nat(20));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const { store, pool } = setup();
      const stored = new Map<string, unknown>();
      let touched = 0;
      const take = (): void => {
        const { isWhole, changes } = store.takeChanges();
        if (isWhole) stored.clear();
        else assert.ok(changes.length <= 2 * touched, 'a slot that is handed on is two changes');
        for (const [place, record] of changes) {
          if (record === null) stored.delete(place);
          else stored.set(place, record);
        }
        touched = 0;
      };
      for (const [what, guest] of steps) {
        const nic = `g${guest}/0`;
        const own = pool.find(identity(nic));
        if (what === 'take') take();
        else touched++;
        if (what === 'lease') lease(store, pool, identity(nic), START_MS);
        else if (what === 'gone') store.onNicGone(nic, START_MS);
        else if (what === 'here') store.onNicHere(nic, START_MS);
        else if (what === 'release' && own !== null) pool.release(own, START_MS);
        else if (what === 'decline' && own !== null) pool.decline(own, START_MS);
      }
      take();
      const byAddress = (records: unknown[]): string[] => records.map((record) => JSON.stringify(record)).sort();
      assert.deepEqual(byAddress([...stored.values()]), byAddress(store.snapshot()));
    }),
  );
});
