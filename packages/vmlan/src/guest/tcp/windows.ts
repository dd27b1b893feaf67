/**
 * Both windows of a connection: what the other side has said it takes, and what we have said that we take.
 *
 * Zone: control.  A window field has 16 bits and is shifted by the scale of who says it, if both sides said one in their
 * SYN (RFC 7323 §2.2); in a SYN it is never shifted.
 */
import { before, beforeOrAt, distance } from '../../core/sequence.ts';
import { MAX_WINDOW_SCALE, SYN } from '../../wire/tcp.ts';
import type { Segment } from './segment.ts';

export const WINDOW_SCALE = 3; // 65 535 << 3 is more than the buffer
const MAX_FIELD = 65_535;

/** Of the other side. */
export class PeerWindow {
  /** Bytes behind what is acknowledged. */
  bytes = 0;
  #scale = 0;
  #seq = 0;
  #ack = 0;

  /** Of its SYN; `windowScale` -1: none. */
  onSyn({ windowScale, window }: Segment): void {
    this.#scale = windowScale < 0 ? 0 : Math.min(windowScale, MAX_WINDOW_SCALE);
    this.bytes = window;
  }

  /** Of the segment that establishes the connection. */
  onEstablished({ seq, ack, flags, window }: Segment): void {
    this.bytes = window << ((flags & SYN) !== 0 ? 0 : this.#scale);
    this.#seq = seq;
    this.#ack = ack;
  }

  /** RFC 9293 §3.10.7.4, fifth step: never by an older segment. True: it was closed, and is open. */
  update({ seq, ack, window }: Segment, unacknowledged: number): boolean {
    const isNewer = before(this.#seq, seq) || (this.#seq === seq && beforeOrAt(this.#ack, ack));
    if (!isNewer || before(ack, unacknowledged)) return false;
    const wasClosed = this.bytes === 0;
    this.bytes = window << this.#scale;
    this.#seq = seq;
    this.#ack = ack;
    return wasClosed && this.bytes > 0;
  }

  /** Whether a segment says what is known. */
  isSame({ window }: Segment): boolean {
    return window << this.#scale === this.bytes;
  }
}

/** Ours. */
export class OwnWindow {
  /** 0: the other side knows of none. */
  scale: number = WINDOW_SCALE;
  #offeredUpTo = 0;

  /** Of `room` bytes what the field can say. */
  offer(room: number): number {
    return Math.min(Math.max(room, 0) >>> this.scale, MAX_FIELD) << this.scale;
  }

  /** The field of a segment that acknowledges up to `next`. */
  say(next: number, room: number): number {
    const offer = this.offer(room);
    this.#offeredUpTo = (next + offer) | 0;
    return offer >>> this.scale;
  }

  sayInSyn(next: number, room: number): number {
    const offer = Math.min(room, MAX_FIELD);
    this.#offeredUpTo = (next + offer) | 0;
    return offer;
  }

  /** Bytes that could be offered beyond what was. */
  news(next: number, room: number): number {
    return distance((next + this.offer(room)) | 0, this.#offeredUpTo);
  }
}
