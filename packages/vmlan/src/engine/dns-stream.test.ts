import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { Counters } from '../core/counters.ts';
import { DnsService } from '../services/dns.ts';
import { Zone } from '../services/zone.ts';
import * as C from '../sys/constants.ts';
import { FakeKernel } from '../sys/fake/kernel.ts';
import { TYPE } from '../wire/dns.ts';
import { makeQuery, makeReply, showReply } from '../wire/dns.fixture.ts';
import { DnsStream } from './dns-stream.ts';
import { EventLoop } from './loop.ts';

const IDLE_MS = 30_000;
const MAX_PENDING = 64;
const SCRATCH_LEN = 64 * 1024 + 64;
const LOCAL = 'gateway.vmlan.internal';

/** A message as it is on a stream (RFC 1035 §4.2.2). */
const framed = (message: Uint8Array): Uint8Array =>
  Uint8Array.from([message.length >> 8, message.length & 0xff, ...message]);
const join = (...parts: Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
const question = (name: string, id: number): Uint8Array => framed(makeQuery(name, TYPE.A, { id }));

/** One connection: a DNS service with its zone at one end, the test at the other. */
class StreamBench {
  readonly kernel: FakeKernel = new FakeKernel();
  readonly loop: EventLoop;
  readonly dns: DnsService;
  readonly stream: DnsStream;
  /** Questions that went upstream and were not answered. */
  readonly asked: { readonly id: number; readonly query: Uint8Array }[] = [];
  closings = 0;
  readonly #fd: number;
  readonly #buffer: number;
  #received: Uint8Array = new Uint8Array(0);

  constructor() {
    const { sys } = this.kernel;
    this.loop = new EventLoop(sys, sys.epollCreate(), new Counters());
    const zone = new Zone({ domain: 'lab.internal', gateway4: 0xc0a8_6801 });
    this.dns = new DnsService(zone, {
      upstream: 'host',
      askUpstream: (id, query) => void this.asked.push({ id, query }),
    });
    this.#fd = sys.socketpair(C.AF_UNIX, C.SOCK_STREAM | C.SOCK_NONBLOCK);
    this.#buffer = sys.arena.alloc(128 * 1024);
    const scratch = sys.arena.alloc(SCRATCH_LEN);
    const parts = { sys, poller: this.loop, dns: this.dns, scratch, onClosed: () => void this.closings++ };
    this.stream = new DnsStream(parts, sys.pairSecond(), 1, this.kernel.now);
  }

  get isOpen(): boolean {
    return this.loop.size > 0;
  }

  /** Lets events come; times pass when nothing does. */
  turn(maxWaitMs = 0): void {
    const { dns } = this;
    this.loop.turn({ pollAt: () => dns.pollAt(), poll: (nowMs) => dns.poll(nowMs) }, maxWaitMs);
  }

  passes(ms: number): void {
    for (const end = this.kernel.now + ms; this.kernel.now < end;) this.turn(end - this.kernel.now);
    this.turn();
  }

  says(bytes: Uint8Array): void {
    const { sys } = this.kernel;
    for (let at = 0; at < bytes.length;) {
      const part = bytes.subarray(at, at + 65_536);
      sys.arena.u8.set(part, this.#buffer);
      const sent = sys.send(this.#fd, this.#buffer, part.length, 0);
      assert.ok(sent > 0, `sending answers ${sent}`);
      at += sent;
      this.turn();
    }
  }

  ends(): void {
    this.kernel.sys.shutdown(this.#fd, C.SHUT_WR);
    this.turn();
  }

  leaves(): void {
    this.kernel.sys.close(this.#fd);
    this.turn();
    this.turn();
  }

  /** Upstream answers the oldest question, or the one at `index`. */
  answers(records: readonly string[], index = 0): void {
    const [{ id, query }] = this.asked.splice(index, 1) as [{ id: number; query: Uint8Array }];
    this.dns.onUpstreamReply(id, makeReply(query, records), this.kernel.now);
    this.turn();
  }

  /** Whole messages that came since the last call. */
  hears(): Uint8Array[] {
    const { sys } = this.kernel;
    for (;;) {
      const n = sys.recv(this.#fd, this.#buffer, 128 * 1024, 0);
      if (n <= 0) break;
      this.#received = join(this.#received, sys.arena.u8.subarray(this.#buffer, this.#buffer + n));
      this.turn();
    }
    const messages: Uint8Array[] = [];
    for (;;) {
      const len = (this.#received[0]! << 8) | this.#received[1]!;
      if (this.#received.length < 2 || this.#received.length < 2 + len) return messages;
      messages.push(this.#received.slice(2, 2 + len));
      this.#received = this.#received.slice(2 + len);
    }
  }

  ids(): number[] {
    return this.hears().map((message) => (message[0]! << 8) | message[1]!);
  }

  /** Whether the end of the stream was reached. */
  get atEnd(): boolean {
    return this.kernel.sys.recv(this.#fd, this.#buffer, 1, 0) === 0;
  }
}

describe('a question', () => {
  test('of the zone is answered at once', () => {
    const bench = new StreamBench();
    bench.says(question(LOCAL, 7));
    const [reply, ...more] = bench.hears();
    assert.match(showReply(reply), new RegExp(`^NOERROR \\| aa ra \\| ${LOCAL}\\.? A \\d+ 192\\.168\\.104\\.1$`));
    assert.deepEqual(more, []);
    assert.equal(bench.isOpen, true);
  });

  test('for upstream is answered when upstream does', () => {
    const bench = new StreamBench();
    bench.says(question('example.com', 7));
    assert.deepEqual(bench.hears(), []);
    bench.answers(['example.com A 60 203.0.113.7']);
    assert.deepEqual(bench.ids(), [7]);
  });

  test('that upstream never answers fails after its time', () => {
    const bench = new StreamBench();
    bench.says(question('example.com', 7));
    bench.passes(10_000);
    assert.match(showReply(bench.hears()[0]), /^SERVFAIL/);
  });

  test('in pieces, whatever they are, is one', () => {
    const queries = [question(LOCAL, 1), question('example.com', 2), question(LOCAL, 3)];
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (sizes) => {
        const bench = new StreamBench();
        const all = join(...queries);
        for (let at = 0, i = 0; at < all.length; at += sizes[i++ % sizes.length]!) {
          bench.says(all.subarray(at, at + sizes[i % sizes.length]!));
        }
        bench.answers([]);
        assert.deepEqual(bench.ids(), [1, 3, 2]);
      }),
      { numRuns: 30 },
    );
  });

  test('may be as long as a message can be', () => {
    const bench = new StreamBench();
    const long = new Uint8Array(0xffff);
    long.set(makeQuery(LOCAL));
    bench.says(framed(long));
    bench.says(question(LOCAL, 9));
    const [first, second] = bench.hears();
    assert.match(showReply(first), /^NOERROR/);
    assert.equal(second![1], 9);
  });
});

describe('several questions at once', () => {
  test('are answered as their answers become ready', () => {
    const bench = new StreamBench();
    bench.says(join(question('a.example', 1), question('b.example', 2), question(LOCAL, 3)));
    bench.answers([], 1);
    bench.answers([], 0);
    assert.deepEqual(bench.ids(), [3, 2, 1]);
  });

  test('more than are open at a time wait for answers, and are asked then', () => {
    const bench = new StreamBench();
    const count = MAX_PENDING + 40;
    bench.says(join(...Array.from({ length: count }, (_, i) => question(`n${i}.example`, i))));
    assert.equal(bench.asked.length, MAX_PENDING);
    bench.answers([]);
    assert.equal(bench.asked.length, MAX_PENDING, 'the next took the place');
    while (bench.asked.length > 0) bench.answers([]);
    assert.deepEqual(
      bench.ids(),
      Array.from({ length: count }, (_, i) => i),
    );
  });

  test('and are not read meanwhile: the guest is held up, not the memory filled', () => {
    const bench = new StreamBench();
    const batch = join(...Array.from({ length: MAX_PENDING }, (_, i) => question(`n${i}.example`, i)));
    bench.says(batch);
    bench.says(question('late.example', 1000));
    bench.turn();
    assert.equal(bench.asked.length, MAX_PENDING);
    bench.answers([]);
    bench.turn();
    assert.equal(bench.asked.length, MAX_PENDING, 'read now');
    while (bench.asked.length > 0) bench.answers([]);
    assert.equal(bench.ids().length, MAX_PENDING + 1);
  });

  test('with the end of the stream behind them are all answered', () => {
    const bench = new StreamBench();
    const count = 2 * MAX_PENDING + 5;
    bench.says(join(...Array.from({ length: count }, (_, i) => question(`n${i}.example`, i))));
    bench.ends();
    while (bench.asked.length > 0) bench.answers([]);
    assert.equal(bench.ids().length, count);
    assert.equal(bench.isOpen, false);
    assert.equal(bench.closings, 1);
  });

  test('hundreds for the zone are answered in one go', () => {
    const bench = new StreamBench();
    const count = 500;
    bench.says(join(...Array.from({ length: count }, (_, i) => question(LOCAL, i))));
    assert.equal(bench.ids().length, count);
  });
});

describe('what is no query', () => {
  for (const [name, bytes] of [
    ['an empty message', new Uint8Array(0)],
    ['a response', makeReply(makeQuery(LOCAL), [])],
    ['one byte', Uint8Array.of(1)],
  ] as const) {
    test(`${name} is passed over`, () => {
      const bench = new StreamBench();
      for (let i = 0; i < 2 * MAX_PENDING; i++) bench.says(framed(bytes));
      bench.says(question(LOCAL, 5));
      assert.deepEqual(bench.ids(), [5]);
    });
  }

  test('garbage never throws', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 80 }), { maxLength: 20 }), (parts) => {
        const bench = new StreamBench();
        for (const part of parts) if (part.length > 0 && bench.isOpen) bench.says(part);
        bench.passes(2 * IDLE_MS);
        assert.equal(bench.isOpen, false);
        assert.equal(bench.closings, 1);
      }),
      { numRuns: 50 },
    );
  });
});

describe('a guest that does not read', () => {
  const big = Array.from({ length: 200 }, (_, i) => `example.com TXT 60 "${'x'.repeat(250)}${i}"`);

  test('has its answers when it does', () => {
    const bench = new StreamBench();
    for (let i = 0; i < 6; i++) bench.says(question(`n${i}.example`, i));
    while (bench.asked.length > 0) bench.answers(big);
    assert.equal(bench.isOpen, true);
    assert.deepEqual(bench.ids(), [0, 1, 2, 3, 4, 5]);
  });

  test('is let go when too much waits', () => {
    const bench = new StreamBench();
    for (let i = 0; i < 40; i++) bench.says(question(`n${i}.example`, i));
    while (bench.asked.length > 0 && bench.isOpen) bench.answers(big);
    assert.equal(bench.isOpen, false);
    assert.equal(bench.closings, 1);
    bench.dns.onUpstreamReply(bench.asked[0]!.id, null, bench.kernel.now); // too late for everybody
  });
});

describe('the end', () => {
  test('comes with the guest’s, when every answer has left', () => {
    const bench = new StreamBench();
    bench.says(question('example.com', 7));
    bench.ends();
    assert.equal(bench.isOpen, true);
    bench.answers([]);
    assert.deepEqual(bench.ids(), [7]);
    assert.equal(bench.atEnd, true);
    assert.equal(bench.closings, 1);
  });

  test('comes at once when nothing is open', () => {
    const bench = new StreamBench();
    bench.says(Uint8Array.of(0, 50, 1, 2)); // a piece that nobody completes
    bench.ends();
    assert.equal(bench.isOpen, false);
  });

  test('comes when the guest is gone; answers then have nowhere to go', () => {
    const bench = new StreamBench();
    bench.says(question('example.com', 7));
    bench.leaves();
    assert.equal(bench.isOpen, false);
    bench.answers([]);
    bench.stream.close();
    assert.equal(bench.closings, 1);
    assert.equal(bench.kernel.openCount, 1, 'the loop’s own');
  });

  test('comes after 30 s of silence, however often it was spoken before', () => {
    const bench = new StreamBench();
    bench.passes(IDLE_MS - 1000);
    bench.says(question(LOCAL, 1));
    bench.passes(IDLE_MS - 1);
    assert.equal(bench.isOpen, true);
    bench.passes(1);
    assert.equal(bench.isOpen, false);
    assert.deepEqual(bench.ids(), [1]);
    assert.equal(bench.atEnd, true);
  });

  test('comes when the socket fails', () => {
    for (const call of ['recv', 'send'] as const) {
      const bench = new StreamBench();
      bench.says(question('example.com', 1));
      bench.kernel.fail(call, { errno: C.EPIPE, nth: call === 'recv' ? 1 : 2 });
      bench.says(question(LOCAL, 1));
      assert.equal(bench.isOpen, false, call);
    }
  });

  test('of one in the midst of answering many leaves the rest alone', () => {
    const bench = new StreamBench();
    const many = join(...Array.from({ length: 10 }, (_, i) => question(LOCAL, i)));
    bench.kernel.fail('send', { errno: C.EPIPE, nth: 3 });
    bench.says(many);
    assert.equal(bench.isOpen, false);
    assert.equal(bench.closings, 1);
  });
});
