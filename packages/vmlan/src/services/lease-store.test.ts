import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { PoolConfig } from './lease-binding.ts';
import { RECONNECT_MS, type LeasePool } from './lease-pool.ts';
import { LeaseStore, type LeaseRecord } from './lease-store.ts';
import { DAY_MS, HOUR_MS, NO_WISH, START_MS, config, identity, lease, setup } from './leases.fixture.ts';

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
