/**
 * Whole streams over a link that loses, doubles and reorders: whatever happens, each side gets every byte once, in order.
 *
 * A plain guest TCP plays the other end: it keeps what comes out of order, acknowledges with SACK or without, and sends
 * again what is not acknowledged after a while.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { type Heard, ack, anySynAck, data, fin, sameBytes, syn, transcript } from './transcript.fixture.ts';

type Made = ReturnType<typeof transcript>;
const LIMIT_MS = 600_000;

/** The same numbers in every run: 0 ≤ next() < 1. */
function randomOf(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b_3c6d);
    state = (state + 0x9e37_79b1) | 0;
    return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32;
  };
}

const stream = (len: number): Uint8Array => Uint8Array.from({ length: len }, (_, i) => (i * 31 + (i >>> 8)) & 0xff);

interface Plan {
  readonly seed: number;
  readonly bytes: number;
  readonly mss: number;
  readonly loss: number;
  readonly sack: boolean;
  readonly ourIsn: number;
}

const plan: fc.Arbitrary<Plan> = fc.record({
  seed: fc.integer(),
  bytes: fc.integer({ min: 1, max: 60_000 }),
  mss: fc.constantFrom(100, 536, 1460),
  loss: fc.constantFrom(0, 0.02, 0.2),
  sack: fc.boolean(),
  ourIsn: fc.constantFrom(700_000, -20_000, 0x7fff_f000),
});

function connect({ mss, sack, ourIsn }: Plan): Made {
  const made = transcript({ ourIsn, guestIsn: ourIsn ^ 0x5555 });
  made.guest.sends(syn({ mss, sackPermitted: sack }));
  made.host.connects();
  made.guest.receives(anySynAck());
  made.guest.sends(ack({ seq: 1, ack: 1, window: 512 }));
  return made;
}

/** What the guest has of the host's stream. */
class Receiver {
  readonly bytes: Uint8Array;
  readonly #has: Uint8Array;
  next = 1;
  ended = false;
  #finAt = -1;
  #latest = 0;

  constructor(len: number) {
    this.bytes = new Uint8Array(len);
    this.#has = new Uint8Array(len + 1);
  }

  take(heard: Heard): void {
    for (const [i, byte] of heard.data.entries()) {
      const at = heard.seq - 1 + i;
      assert.ok(at >= 0 && at < this.bytes.length, `byte ${at} of ${this.bytes.length}`);
      if (this.#has[at] === 1) assert.equal(byte, this.bytes[at], 'a byte never changes');
      this.bytes[at] = byte;
      this.#has[at] = 1;
    }
    if (heard.data.length > 0) this.#latest = heard.seq - 1;
    if ((heard.flags & 1) !== 0) this.#finAt = heard.seq + heard.data.length;
    while (this.#has[this.next - 1] === 1) this.next++;
    this.ended ||= this.next === this.#finAt;
  }

  get acknowledgement(): number {
    return this.ended ? this.next + 1 : this.next;
  }

  /** Up to three blocks above the acknowledgement, the latest first. */
  get blocks(): [number, number][] {
    const found: [number, number][] = [];
    for (let at = this.next; at < this.#has.length; at++) {
      if (this.#has[at] === 0) continue;
      const start = at;
      while (this.#has[at] === 1) at++;
      found.push([start + 1, at + 1]);
    }
    return found.sort((a, b) => Number(holds(b, this.#latest)) - Number(holds(a, this.#latest))).slice(0, 3);
  }
}

const holds = ([from, to]: [number, number], at: number): boolean => from - 1 <= at && at < to - 1;

/** The order in which a bad link delivers. */
function mangle<T>(items: T[], random: () => number, loss: number): T[] {
  const kept = items.filter(() => random() >= loss);
  if (loss === 0) return kept;
  const doubled = kept.flatMap((item) => (random() < 0.05 ? [item, item] : [item]));
  return doubled
    .map((item, i) => ({ item, at: i + (random() < 0.1 ? 4 : 0) }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

/** The link cuts long segments; each piece may be lost by itself. */
function cut(heard: Heard): Heard[] {
  if (heard.gso === 0) return [heard];
  const pieces: Heard[] = [];
  for (let at = 0; at < heard.data.length; at += heard.gso) {
    pieces.push({ ...heard, seq: heard.seq + at, data: heard.data.slice(at, at + heard.gso) });
  }
  return pieces;
}

test('from the host to the guest', () => {
  fc.assert(
    fc.property(plan, (how) => {
      const random = randomOf(how.seed);
      const made = connect(how);
      const { guest, host } = made;
      const all = stream(how.bytes);
      const receiver = new Receiver(how.bytes);
      const end = made.nowMs + LIMIT_MS;
      for (let written = 0; made.nowMs < end && !receiver.ended;) {
        if (written < all.length) {
          const n = 1 + Math.floor(random() * 20_000);
          host.writes(all.subarray(written, written + n));
          written += n;
          if (written >= all.length) host.ends();
        }
        made.passes(1 + Math.floor(random() * 30));
        for (const heard of mangle(guest.inbox.splice(0).flatMap(cut), random, how.loss)) {
          receiver.take(heard);
          if (random() < how.loss) continue;
          const { blocks } = receiver;
          const sack = how.sack && blocks.length > 0 ? { sack: blocks } : {};
          guest.sends(ack({ seq: 1, ack: receiver.acknowledgement, ...sack }));
        }
      }
      assert.ok(receiver.ended, `${receiver.next} of ${how.bytes} after ${LIMIT_MS} ms`);
      sameBytes(receiver.bytes, all);
      guest.sends(ack({ seq: 1, ack: receiver.acknowledgement }));
      assert.equal(host.socket.discarded, how.bytes, 'each byte is consumed once');
    }),
    { numRuns: 50 },
  );
});

test('from the guest to the host', () => {
  fc.assert(
    fc.property(plan, fc.boolean(), (how, slowHost) => {
      const random = randomOf(how.seed);
      const made = connect(how);
      const { guest, host, queues } = made;
      const all = stream(how.bytes);
      let acked = 1;
      const end = made.nowMs + LIMIT_MS;
      if (slowHost) host.takesOnly(500);
      while (made.nowMs < end && acked < how.bytes + 2) {
        const burst = Array.from({ length: 20 }, (_, i) => acked + i * how.mss).filter((seq) => seq <= how.bytes + 1);
        for (const start of mangle(burst, random, how.loss)) {
          // Repacketized: what is sent again need not begin where it began before.
          const seq = Math.max(acked, start - Math.floor(random() * how.mss));
          const part = all.subarray(seq - 1, seq - 1 + how.mss);
          const last = seq + part.length === how.bytes + 1;
          guest.sends(last ? fin({ seq, ack: 1, data: part }) : data(part, { seq, ack: 1 }));
        }
        if (slowHost) host.takes(Math.floor(random() * 5000));
        made.passes(Math.floor(random() * 20));
        for (const heard of mangle(guest.inbox.splice(0), random, how.loss)) {
          acked = Math.max(acked, heard.ack);
          for (const [from, to] of heard.sack) assert.ok(heard.ack < from && from < to, 'blocks lie above the ACK');
        }
      }
      assert.equal(acked, how.bytes + 2, 'all of it is acknowledged, the FIN too');
      host.takes();
      sameBytes(host.socket.received, all);
      assert.equal(host.socket.shut, true);
      assert.equal(queues.inUse, 0);
    }),
    { numRuns: 50 },
  );
});
