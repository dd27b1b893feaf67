/**
 * Captures: frames of ports copied into rings that the control thread reads.
 *
 * Zone: packet, control to start and stop.  While nobody captures, a port has no tap and a frame costs one look at a
 * field.  A frame is copied before it is looked at, because it may be changed in place; what became of it is written
 * into its record afterwards.  So a record is settled before the ring is published, at the end of the turn or when much
 * has come together.  A reader that is behind costs the datapath nothing: its frames are counted as lost.
 */
import { type Counters, counter, dropReasons } from '../core/counters.ts';
import { VmlanError } from '../core/errors.ts';
import { RingWriter } from '../core/record-ring.ts';
import type { FrameTap, Port } from '../switching/port.ts';
import type { Sys } from '../sys/sys.ts';
import { formatMac } from '../wire/address.ts';
import * as captured from '../wire/captured-frame.ts';
import { FrameFilter, type NameLookup, compileFilter } from '../wire/frame-filter.ts';
import type { CaptureSpec, CaptureStarted, CaptureTotals } from './control-messages.ts';

/** Of one network at one time. */
export const MAX_CAPTURES = 8;
/** Cards that one capture tells apart. */
const MAX_CARDS = 4096;
/** Bytes after which the reader may begin before the turn ends. */
const PUBLISH_AT = 256 * 1024;
const HOST = 'host';
const FROM_GUEST = 0;
const TO_GUEST = 1;

const NOT_CONNECTED = counter('drop_nic_disconnected');
const LOST = counter('capture_frames_lost');

/** A card, by the name it had when its first frame came by. */
interface Card {
  readonly id: number;
  readonly nic: string;
  received: number;
  accepted: number;
  lost: number;
  /** Lost since the last frame of this card that found room. */
  gap: number;
}

class Capture {
  readonly id: number;
  readonly #spec: CaptureSpec;
  readonly #filter: FrameFilter;
  readonly #ring: RingWriter;
  readonly #view: DataView;
  readonly #u8: Uint8Array;
  readonly #clockUs: () => number;
  readonly #counters: Counters;
  readonly #cards: Card[] = [];
  readonly #cardByNic = new Map<string, Card>();
  /** By port id, as long as the port's NIC has that name. */
  readonly #cardByPort = new Map<number, Card>();
  /** Records that are not settled. */
  #open = 0;

  constructor(
    parts: { sys: Sys; counters: Counters; clockUs: () => number },
    id: number,
    spec: CaptureSpec,
    filter: FrameFilter,
    ring: SharedArrayBuffer,
  ) {
    this.id = id;
    this.#spec = spec;
    this.#filter = filter;
    this.#ring = new RingWriter(ring);
    this.#view = parts.sys.arena.view;
    this.#u8 = parts.sys.arena.u8;
    this.#clockUs = parts.clockUs;
    this.#counters = parts.counters;
  }

  /** Copies a frame that is wanted; its record, or -1. */
  write(port: Port, off: number, len: number, fromGuest: boolean): number {
    const { guest, snapLen } = this.#spec;
    if (guest !== null && port.guest !== guest) return -1;
    const card = this.#cardOf(port);
    if (card === null) return -1;
    card.received++;
    if (!this.#filter.check(this.#view, off, len, fromGuest)) return -1;
    card.accepted++;
    const kept = Math.min(len, snapLen);
    const ring = this.#ring;
    const record = ring.reserve(captured.HEADER_LEN + kept);
    if (record < 0) {
      this.#lose(card);
      return -1;
    }
    captured.emit(ring.view, record, card.id, this.#clockUs(), kept, len, fromGuest, card.gap);
    const data = record + captured.HEADER_LEN;
    ring.u8.set(this.#u8.subarray(off, off + kept), data);
    card.gap = 0;
    this.#open++;
    return record;
  }

  /** What became of the frame is known: a reason to drop, or PASSED. True when the reader has to be told. */
  settle(record: number, reason: number): boolean {
    if (record < 0) return false;
    const ring = this.#ring;
    this.#open--;
    if (reason !== captured.PASSED) {
      captured.setReason(ring.view, record, reason);
    } else if (this.#spec.dropsOnly) {
      this.#cards[captured.card(ring.view, record)]!.accepted--;
      if (!ring.takeBack(record)) captured.setVoid(ring.view, record);
    }
    return this.#open === 0 && ring.unpublished >= PUBLISH_AT && ring.publish();
  }

  get hasUnpublished(): boolean {
    return this.#ring.unpublished > 0;
  }

  /** True when the reader has to be told. */
  publish(): boolean {
    return this.#ring.publish();
  }

  totals(): CaptureTotals {
    return this.#cards.map(({ id, received, accepted, lost }) => ({ card: id, received, accepted, lost }));
  }

  #lose(card: Card): void {
    card.lost++;
    card.gap++;
    this.#counters.count(LOST);
  }

  #cardOf(port: Port): Card | null {
    const known = this.#cardByPort.get(port.id);
    const nic = port.hostSide ? HOST : port.nicKey;
    if (known !== undefined && known.nic === nic) return known;
    const card = this.#cardByNic.get(nic) ?? this.#declare(port, nic);
    if (card !== null) this.#cardByPort.set(port.id, card);
    return card;
  }

  /** Rare: a card's first frame. It is tried again with the next one while there is no room. */
  #declare(port: Port, nic: string): Card | null {
    if (this.#cards.length >= MAX_CARDS) return null;
    const mac = port.macHi + port.macLo === 0 ? null : formatMac(port.macHi, port.macLo);
    const description: captured.CardDescription = { nic, guest: port.hostSide ? HOST : port.guest, mac };
    const text = new TextEncoder().encode(JSON.stringify(description));
    const record = this.#ring.reserve(captured.HEADER_LEN + text.length);
    if (record < 0) {
      this.#counters.count(LOST);
      return null;
    }
    const card = { id: this.#cards.length, nic, received: 0, accepted: 0, lost: 0, gap: 0 };
    captured.emitCard(this.#ring.view, record, card.id, text.length);
    this.#ring.u8.set(text, record + captured.HEADER_LEN);
    this.#cards.push(card);
    this.#cardByNic.set(nic, card);
    return card;
  }
}

/** One port, and all captures that may want its frames. */
class PortTap implements FrameTap {
  readonly #port: Port;
  readonly #captures: readonly Capture[];
  readonly #counters: Counters;
  readonly #tell: (capture: Capture) => void;
  /** Records of the frame under way, by direction and capture. */
  readonly #records = new Int32Array(2 * MAX_CAPTURES);
  readonly #before = new Int32Array(2);

  constructor(port: Port, captures: readonly Capture[], counters: Counters, tell: (capture: Capture) => void) {
    this.#port = port;
    this.#captures = captures;
    this.#counters = counters;
    this.#tell = tell;
  }

  beforeFromGuest(off: number, len: number): void {
    this.#begin(FROM_GUEST, off, len);
  }

  afterFromGuest(): void {
    this.#end(FROM_GUEST, captured.PASSED);
  }

  beforeToGuest(off: number, len: number): void {
    this.#begin(TO_GUEST, off, len);
  }

  afterToGuest(sent: boolean): void {
    this.#end(TO_GUEST, sent ? captured.PASSED : NOT_CONNECTED);
  }

  #begin(direction: number, off: number, len: number): void {
    for (let i = 0; i < this.#captures.length; i++) {
      this.#records[direction * MAX_CAPTURES + i] = this.#captures[i]!.write(
        this.#port,
        off,
        len,
        direction === FROM_GUEST,
      );
    }
    this.#before[direction] = this.#counters.lastDrop;
    this.#counters.lastDrop = -1;
  }

  /** What was dropped in between was this frame; the frame that led to it is not meant. */
  #end(direction: number, otherwise: number): void {
    const drop = this.#counters.lastDrop;
    const reason = drop >= 0 ? drop : otherwise;
    this.#counters.lastDrop = this.#before[direction]!;
    for (let i = 0; i < this.#captures.length; i++) {
      const capture = this.#captures[i]!;
      if (capture.settle(this.#records[direction * MAX_CAPTURES + i]!, reason)) this.#tell(capture);
    }
  }
}

export interface CapturesParts {
  readonly sys: Sys;
  readonly counters: Counters;
  readonly ports: () => Iterable<Port>;
  /** The addresses of a guest, for filters that name it. */
  readonly addressesOf: NameLookup;
  /** The reader of a capture wants to know that there is something. */
  readonly onReady: (captureId: number) => void;
}

export class Captures {
  readonly #parts: CapturesParts;
  readonly #running: Capture[] = [];
  readonly #clockUs: () => number;

  constructor(parts: CapturesParts) {
    this.#parts = parts;
    const { sys } = parts;
    const originUs = sys.epochMs() * 1000 - sys.monotonicUs();
    this.#clockUs = () => originUs + sys.monotonicUs();
  }

  /** Throws VmlanError when the filter is none or too many run. */
  start(id: number, spec: CaptureSpec, ring: SharedArrayBuffer): CaptureStarted {
    if (this.#running.length >= MAX_CAPTURES) {
      throw new VmlanError('exhausted', `${MAX_CAPTURES} captures of this network run already`, {
        hint: 'end one of them: Ctrl-C where `vmlan capture` runs; pgrep -af "vmlan capture" finds it',
      });
    }
    const filter = compileFilter(spec.filter, this.#parts.addressesOf);
    if (!(filter instanceof FrameFilter)) {
      throw new VmlanError('invalid', `filter, column ${filter.column}: ${filter.message}`, {
        hint: 'for example: tcp and port 80 and not host 10.0.0.5',
      });
    }
    const { sys, counters } = this.#parts;
    this.#running.push(new Capture({ sys, counters, clockUs: this.#clockUs }, id, spec, filter, ring));
    for (const port of this.#parts.ports()) this.watch(port);
    return { reasons: [...dropReasons()] };
  }

  /** What was written is published; throws VmlanError when there is none of this id. */
  stop(id: number): CaptureTotals {
    const index = this.#running.findIndex((capture) => capture.id === id);
    const capture = this.#running[index];
    if (capture === undefined) throw new VmlanError('not-found', `no capture ${id} runs`);
    this.#running.splice(index, 1);
    if (this.#running.length === 0) for (const port of this.#parts.ports()) port.tap = null;
    capture.publish();
    return capture.totals();
  }

  /** A port that is new. */
  watch(port: Port): void {
    if (this.#running.length === 0) return;
    const tell = (capture: Capture): void => this.#parts.onReady(capture.id);
    port.tap ??= new PortTap(port, this.#running, this.#parts.counters, tell);
  }

  /** The end of a turn. */
  flush(): void {
    if (this.#running.length === 0) return;
    for (const capture of this.#running) if (capture.publish()) this.#parts.onReady(capture.id);
  }

  /** Something waits for the next `flush`. */
  get isDue(): boolean {
    if (this.#running.length === 0) return false;
    for (const capture of this.#running) if (capture.hasUnpublished) return true;
    return false;
  }
}
