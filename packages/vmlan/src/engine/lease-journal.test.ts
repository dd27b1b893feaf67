import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { Counters } from '../core/counters.ts';
import type { LeaseStore } from '../services/lease-store.ts';
import { EngineBench } from './bench.fixture.ts';
import { CONFIG } from './config.fixture.ts';
import { LeaseJournal, MAX_HELD } from './lease-journal.ts';

/** A journal over a store that is nothing but its generation. */
class JournalBench {
  generation = 0;
  readonly counters: Counters = new Counters();
  /** Generations that were posted, and those that were sent. */
  readonly posted: number[] = [];
  readonly sent: number[] = [];
  readonly journal: LeaseJournal;

  constructor() {
    const store = Object.defineProperties(
      {},
      {
        generation: { get: () => this.generation },
        takeChanges: { value: () => ({ isWhole: false, changes: [[`at ${this.generation}`, null]] }) },
      },
    ) as LeaseStore;
    this.journal = new LeaseJournal(
      store,
      (generation, { changes }) => {
        assert.deepEqual(changes, [[`at ${generation}`, null]]);
        this.posted.push(generation);
      },
      this.counters,
    );
  }

  /** A lease changed, and this is the reply about it. */
  changes(): boolean {
    this.generation++;
    return this.replies(this.generation);
  }

  replies(generation: number): boolean {
    return this.journal.whenDurable(generation, () => void this.sent.push(generation));
  }
}

describe('a reply', () => {
  test('waits until what it promises is on disk', () => {
    const bench = new JournalBench();
    bench.changes();
    bench.changes();
    bench.journal.flush();
    assert.deepEqual(bench.sent, []);
    bench.journal.onDurable(1);
    assert.deepEqual(bench.sent, [1]);
    bench.journal.onDurable(1);
    bench.journal.onDurable(2);
    assert.deepEqual(bench.sent, [1, 2]);
  });

  test('about what is on disk already leaves at once', () => {
    const bench = new JournalBench();
    assert.equal(bench.replies(0), true);
    bench.changes();
    bench.journal.onDurable(1);
    bench.replies(1);
    assert.deepEqual(bench.sent, [0, 1, 1]);
  });

  test('a confirmation that comes late takes nothing back', () => {
    const bench = new JournalBench();
    bench.changes();
    bench.changes();
    bench.journal.onDurable(2);
    bench.journal.onDurable(1);
    bench.replies(2);
    assert.deepEqual(bench.sent, [1, 2, 2]);
  });

  test('beyond the bound is dropped, counted, and said so', () => {
    const bench = new JournalBench();
    for (let i = 0; i < MAX_HELD; i++) assert.equal(bench.changes(), true);
    assert.equal(bench.changes(), false);
    assert.equal(bench.counters.get('drop_dhcp_reply_not_durable'), 1);
    bench.journal.onDurable(bench.generation);
    assert.equal(bench.sent.length, MAX_HELD);
    assert.equal(bench.changes(), true, 'there is room again');
  });

  test('never leaves before its generation, whatever the order of changes and confirmations', () => {
    const step = fc.oneof(
      fc.constant('change' as const),
      fc.constant('flush' as const),
      fc.nat(30), // confirms this generation, if it was posted
      fc.integer({ min: -30, max: -1 }), // asks about an older one
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const bench = new JournalBench();
        let durable = 0;
        let asked = 0;
        for (const what of steps) {
          if (what === 'change') asked += Number(bench.changes());
          else if (what === 'flush') bench.journal.flush();
          else if (what < 0) asked += Number(bench.replies(Math.max(bench.generation + what, 0)));
          else if (bench.posted.includes(what)) {
            durable = Math.max(durable, what);
            bench.journal.onDurable(what);
          }
          assert.ok(bench.sent.every((generation) => generation <= durable));
        }
        bench.journal.onDurable(bench.generation);
        assert.equal(bench.sent.length, asked, 'each once');
      }),
    );
  });
});

describe('a change', () => {
  test('is posted once for however many changes, and only after one', () => {
    const bench = new JournalBench();
    bench.journal.flush();
    assert.deepEqual(bench.posted, []);
    for (let i = 0; i < 5; i++) bench.changes();
    bench.journal.flush();
    bench.journal.flush();
    assert.deepEqual(bench.posted, [5]);
    bench.changes();
    bench.journal.flush();
    assert.deepEqual(bench.posted, [5, 6]);
  });
});

describe('in the engine', () => {
  test('no ACK leaves before its lease is stored; the exchange of a guest is one snapshot', () => {
    const bench = new EngineBench();
    const web = bench.guest('web');
    bench.holdsLeases = true;
    web.asksForLease();
    bench.passes(5000);
    assert.deepEqual(web.dhcpReplies(), []);
    assert.equal(bench.messages.filter(({ type }) => type === 'leases').length, 1);
    bench.storesLeases();
    const [ack, ...more] = web.dhcpReplies();
    assert.equal(ack?.yiaddr, 0xc0a8_6864);
    assert.deepEqual(more, []);
  });

  test('a client that asks again meanwhile gets its answers when the disk is done, not before', () => {
    const bench = new EngineBench();
    const web = bench.guest('web');
    bench.holdsLeases = true;
    web.asksForLease();
    web.asksForLease();
    assert.deepEqual(web.dhcpReplies(), []);
    bench.storesLeases();
    assert.equal(web.dhcpReplies().length, 2);
  });

  test('many guests at once are one snapshot', () => {
    const bench = new EngineBench();
    const guests = Array.from({ length: 20 }, (_, i) => bench.guest(`g${i}`));
    bench.messages.length = 0;
    const frames = guests.map((guest) => guest.dhcpFrame(1));
    for (const [i, guest] of guests.entries()) guest.link!.inject(frames[i]!, bench.kernel.now);
    bench.turn();
    assert.deepEqual(
      bench.messages.filter(({ type }) => type === 'leases'),
      [],
      'offers are not stored',
    );
    for (const guest of guests) {
      const offer = guest.dhcpReplies()[0]!;
      const ask = guest.dhcpFrame(3, [
        [50, Uint8Array.of(offer.yiaddr >>> 24, offer.yiaddr >>> 16, offer.yiaddr >>> 8, offer.yiaddr)],
        [54, Uint8Array.of(192, 168, 104, 1)],
      ]);
      guest.link!.inject(ask, bench.kernel.now);
    }
    bench.turn();
    assert.equal(bench.messages.filter(({ type }) => type === 'leases').length, 1);
    for (const guest of guests) assert.equal(guest.dhcpReplies().length, 1);
  });

  test('leases of an earlier run are there again', () => {
    const bench = new EngineBench();
    const web = bench.guest('web');
    assert.equal(web.obtainsLease(), '192.168.104.100');
    const other = bench.guest('other');
    assert.equal(other.obtainsLease(), '192.168.104.101');
    const leases = JSON.parse(JSON.stringify(bench.storedLeases())) as [];
    const next = new EngineBench({ config: { ...CONFIG, leases } });
    const back = next.guest('other', { mac: other.mac });
    assert.equal(back.obtainsLease(), '192.168.104.101');
    assert.equal(next.guest('third', { mac: '52:54:00:00:00:77' }).obtainsLease(), '192.168.104.102');
  });
});
