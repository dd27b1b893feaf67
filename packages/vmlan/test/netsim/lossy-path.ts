/**
 * A guest's TCP receiver behind a bad wire, in virtual time: what the sender towards guests does when frames are lost,
 * doubled, overtaken and late. Same seed, same run.
 *
 *   const { ms } = deliver(4 << 20, { loss: 0.01, delayMs: 20 });
 *
 * The receiver is a plain one: cumulative and selective acknowledgements (RFC 2018), every second segment acknowledged,
 * gaps at once (RFC 5681 §4.2), the rest after 40 ms as Linux does.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { ack, syn, transcript } from '../../src/stack/tcp/transcript.fixture.ts';
import { FIN } from '../../src/wire/tcp.ts';

const MSS = 1460;
const WINDOW_SHIFT = 7;
const WINDOW = 3 << 20; // bytes, what Linux grows to on such a path
const DELAYED_ACK_MS = 40;
const MAX_SACK_BLOCKS = 4;
const REORDERED_BY_MS = 2;
/** Bytes that wait in the host's socket. */
const BACKLOG = 2 << 20;
const SEND_BUDGET_MS = 600_000;

/** What the wire does: probabilities from 0 to 1, and times. */
export interface WireFaults {
  readonly loss?: number;
  readonly duplicate?: number;
  readonly reorder?: number;
  readonly delayMs?: number;
  /** Up to this much more. */
  readonly jitterMs?: number;
}

export interface Delivery {
  readonly ms: number;
  readonly mbitPerSecond: number;
  /** Segments on the wire towards the guest, again and again. */
  readonly segments: number;
  readonly counters: Readonly<Record<string, number>>;
}

/** The same generator as that of shaped lines (mulberry32), as a fraction. */
function generator(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Event {
  readonly atMs: number;
  readonly run: () => void;
}

/** One direction of the wire. */
class Wire {
  readonly events: Event[] = [];
  readonly #faults: WireFaults;
  readonly #random: () => number;

  constructor(faults: WireFaults, seed: number) {
    this.#faults = faults;
    this.#random = generator(seed);
  }

  carry(nowMs: number, arrive: () => void): void {
    const { loss = 0, duplicate = 0, reorder = 0, delayMs = 0, jitterMs = 0 } = this.#faults;
    if (this.#random() < loss) return;
    for (let copies = this.#random() < duplicate ? 2 : 1; copies > 0; copies--) {
      const late = this.#random() < reorder ? REORDERED_BY_MS : 0;
      this.#add({ atMs: nowMs + delayMs + late + Math.floor(this.#random() * (jitterMs + 1)), run: arrive });
    }
  }

  #add(event: Event): void {
    let at = this.events.length;
    while (at > 0 && this.events[at - 1]!.atMs > event.atMs) at--;
    this.events.splice(at, 0, event);
  }
}

/** What the guest has of the stream. Sequence numbers are relative; 1 is the first byte. */
class Receiver {
  next = 1;
  /** Ranges beyond `next`, the most recent first. */
  later: (readonly [number, number])[] = [];
  unacknowledged = 0;

  /** True when the segment must be acknowledged at once. */
  accept(seq: number, end: number): boolean {
    if (end <= this.next) return true;
    if (seq > this.next) {
      this.#addLater(seq, end);
      return true;
    }
    const filled = this.later.length > 0;
    this.next = end;
    for (let joined = true; joined;) {
      const range = this.later.find(([start]) => start <= this.next);
      joined = range !== undefined;
      if (range !== undefined) {
        this.next = Math.max(this.next, range[1]);
        this.later = this.later.filter((other) => other !== range);
      }
    }
    return filled || ++this.unacknowledged >= 2;
  }

  #addLater(seq: number, end: number): void {
    let [low, high] = [seq, end];
    const apart: (readonly [number, number])[] = [];
    for (const range of this.later) {
      if (range[1] < low || range[0] > high) apart.push(range);
      else [low, high] = [Math.min(low, range[0]), Math.max(high, range[1])];
    }
    this.later = [[low, high], ...apart];
  }
}

/** Sends `bytes` from the host to a guest over a wire with these faults in both directions. Throws when it takes for ever. */
export function deliver(bytes: number, faults: WireFaults, seed = 1): Delivery {
  const made = transcript({ arenaBytes: 80 << 20 });
  const { guest, host, translator } = made;
  const start = made.nowMs;
  const down = new Wire(faults, seed);
  const up = new Wire(faults, seed + 1000);
  const receiver = new Receiver();
  let segments = 0;
  let delayedAckAt = Infinity;
  let appended = 0;

  const acknowledge = (): void => {
    receiver.unacknowledged = 0;
    delayedAckAt = Infinity;
    const [at, sack] = [receiver.next, receiver.later.slice(0, MAX_SACK_BLOCKS)];
    up.carry(made.nowMs, () => {
      const said = ack({ seq: 1, ack: at, window: WINDOW >> WINDOW_SHIFT });
      guest.sends(sack.length === 0 ? said : { ...said, sack });
    });
  };
  const arrive = (seq: number, end: number, last: boolean): void => {
    if (receiver.accept(seq, last ? end + 1 : end)) acknowledge();
    else delayedAckAt = Math.min(delayedAckAt, made.nowMs + DELAYED_ACK_MS);
  };
  /** What the sender has said, cut as the link would, onto the wire. */
  const take = (): void => {
    for (const heard of guest.inbox.splice(0)) {
      const end = heard.seq + heard.data.length;
      if ((heard.flags & FIN) !== 0) down.carry(made.nowMs, () => arrive(end, end, true));
      for (let seq = heard.seq; seq < end; seq += MSS) {
        segments++;
        const to = Math.min(seq + MSS, end);
        const from = seq;
        down.carry(made.nowMs, () => arrive(from, to, false));
      }
    }
  };
  const feed = (): void => {
    if (host.socket.closed !== 'no') return;
    while (appended < bytes && host.socket.inbox.length < BACKLOG) {
      const part = Math.min(bytes - appended, BACKLOG);
      appended += part;
      host.writes(new Uint8Array(part));
    }
    if (appended === bytes && !host.socket.ended) host.ends();
  };

  guest.sends(syn({ window: 65_535 }));
  host.connects();
  guest.inbox.splice(0);
  guest.sends(ack({ seq: 1, ack: 1, window: WINDOW >> WINDOW_SHIFT }));
  while (receiver.next <= bytes + 1) {
    feed();
    take();
    const at = Math.min(
      down.events[0]?.atMs ?? Infinity,
      up.events[0]?.atMs ?? Infinity,
      translator.pollAt(),
      delayedAckAt,
    );
    assert.ok(at - start < SEND_BUDGET_MS, `stalls at byte ${receiver.next}`);
    made.nowMs = Math.max(made.nowMs, at);
    while (down.events.length > 0 && down.events[0]!.atMs <= made.nowMs) down.events.shift()!.run();
    while (up.events.length > 0 && up.events[0]!.atMs <= made.nowMs) up.events.shift()!.run();
    if (delayedAckAt <= made.nowMs) acknowledge();
    translator.poll(made.nowMs);
  }
  const ms = made.nowMs - start;
  return { ms, mbitPerSecond: (bytes * 8) / ms / 1000, segments, counters: made.counters.snapshot() };
}
