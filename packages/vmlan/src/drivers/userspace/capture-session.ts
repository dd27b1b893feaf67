/**
 * One capture in the network process: from the ring that the engine fills to the connection of whoever reads it.
 *
 * Zone: control.  A reader that is slow is waited for, and the ring fills meanwhile; then the engine counts what finds no
 * room.  A capture ends when its reader goes away, says so, or has what it wanted; in the last two cases the statistics
 * follow.
 */
import type { Writable } from 'node:stream';
import { RingReader, newRing } from '../../core/record-ring.ts';
import type { CaptureStarted, CaptureTotals, GuestSnapshot } from '../../engine/control-messages.ts';
import * as captured from '../../wire/captured-frame.ts';
import type { CaptureRequest } from '../driver.ts';
import { type CaptureFormat, type KnownName, LinesFormat, PcapngFormat } from './capture-format.ts';
import type { EngineHandle } from '../../engine/control-messages.ts';

/** Frames that wait for the reader, bytes; a power of two. */
export const RING_BYTES: number = 8 << 20;
/** Written at once, bytes; then others get their turn. */
const BATCH_BYTES = 256 * 1024;
/** Names of guests that one capture tells, the first ones. */
const MAX_NAMES = 8192;

const nowUs = (): number => Math.floor((performance.timeOrigin + performance.now()) * 1000);

export class CaptureSession {
  readonly id: number;
  readonly #engine: EngineHandle;
  readonly #request: CaptureRequest;
  readonly #format: CaptureFormat;
  readonly #ring = newRing(RING_BYTES);
  readonly #reader = new RingReader(this.#ring);
  readonly #reasons = new Map<number, string>();
  readonly #delivered: number[] = [];
  /** Cards that the reader knows of. */
  #described = 0;
  readonly #named = new Set<string>();
  readonly #ended = Promise.withResolvers<void>();
  #output: Writable | null = null;
  #left: number;
  #timer: NodeJS.Timeout | null = null;
  #isPumping = false;
  #isWaiting = false;
  #isStopping = false;
  #totals: CaptureTotals | null = null;

  constructor(engine: EngineHandle, id: number, network: string, request: CaptureRequest) {
    this.id = id;
    this.#engine = engine;
    this.#request = request;
    this.#left = request.count ?? Infinity;
    const { filter, snapLen, format } = request;
    const options = { network, filter, snapLen, startUs: nowUs() };
    this.#format = format === 'pcapng' ? new PcapngFormat(options) : new LinesFormat(options);
  }

  /** Resolves when nothing is left of it. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Throws what the engine says of the filter. Frames are kept from now on. */
  async start(): Promise<void> {
    const { guest, filter, snapLen, dropsOnly } = this.#request;
    const spec = { guest, filter, snapLen, dropsOnly };
    const started = await this.#engine.request({ type: 'start-capture', captureId: this.id, spec, ring: this.#ring });
    for (const [reason, name] of (started as CaptureStarted).reasons) this.#reasons.set(reason, name);
  }

  /** Begins to write; `guests` are those whose names are known now. */
  begin(output: Writable, guests: readonly GuestSnapshot[]): void {
    this.#output = output;
    output.on('close', () => void this.#close());
    output.on('error', () => undefined); // 'close' follows
    if (output.destroyed) return void this.#close();
    output.write(this.#format.begin());
    this.tellNames(guests);
    if (this.#request.durationMs !== null) this.#timer = setTimeout(() => this.finish(), this.#request.durationMs);
    this.#pump();
    return undefined;
  }

  /** The engine has something. */
  onReady(): void {
    this.#pump();
  }

  /** Guests that came, or have a new address. */
  tellNames(guests: readonly GuestSnapshot[]): void {
    if (this.#output === null || this.#output.writableEnded) return;
    const records: KnownName[] = [];
    for (const { guest, address4, address6 } of guests) {
      for (const address of [...address4, ...address6]) {
        const key = `${address} ${guest}`;
        if (this.#named.has(key) || this.#named.size >= MAX_NAMES) continue;
        this.#named.add(key);
        records.push({ address, name: guest });
      }
    }
    if (records.length > 0) this.#output.write(this.#format.names(records));
  }

  /** Writes what has been captured, then the statistics, and ends. */
  finish(): void {
    void this.#stop();
  }

  async #stop(): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#totals = await this.#stopEngine();
    this.#pump();
  }

  async #stopEngine(): Promise<CaptureTotals> {
    try {
      return (await this.#engine.request({ type: 'stop-capture', captureId: this.id })) as CaptureTotals;
    } catch {
      return []; // the engine has ended
    }
  }

  async #close(): Promise<void> {
    await this.#stop();
    this.#ended.resolve();
  }

  #pump(): void {
    const output = this.#output;
    if (output === null || output.destroyed || this.#isPumping || this.#isWaiting) return;
    const batch = this.#left > 0 ? this.#nextBatch() : [];
    if (batch.length > 0 && !output.write(Buffer.concat(batch))) {
      this.#isWaiting = true;
      output.once('drain', () => {
        this.#isWaiting = false;
        this.#pump();
      });
      return;
    }
    if (this.#left <= 0) this.finish();
    if (this.#left > 0 && (batch.length > 0 || !this.#reader.rest())) return this.#pumpSoon();
    if (this.#totals !== null) this.#end(output, this.#totals);
  }

  #pumpSoon(): void {
    this.#isPumping = true;
    setImmediate(() => {
      this.#isPumping = false;
      this.#pump();
    });
  }

  #end(output: Writable, totals: CaptureTotals): void {
    if (output.writableEnded) return;
    // A card that turned up after the last frame that was wanted is none of this capture's.
    const told = totals.filter(({ card }) => card < this.#described);
    output.end(this.#format.end(told, this.#delivered, nowUs()));
  }

  #nextBatch(): Uint8Array[] {
    const batch: Uint8Array[] = [];
    const reader = this.#reader;
    for (let bytes = 0; bytes < BATCH_BYTES && this.#left > 0;) {
      const o = reader.next();
      if (o < 0) break;
      const block = this.#blockOf(o);
      reader.release();
      if (block === null) continue;
      batch.push(block);
      bytes += block.length;
    }
    return batch;
  }

  #blockOf(o: number): Uint8Array | null {
    const { view, u8 } = this.#reader;
    const card = captured.card(view, o);
    switch (captured.kind(view, o)) {
      case captured.FRAME: {
        this.#left--;
        this.#delivered[card] = (this.#delivered[card] ?? 0) + 1;
        return this.#format.frame(view, u8, o, this.#reasons.get(captured.reason(view, o)) ?? null);
      }
      case captured.CARD: {
        const data = o + captured.HEADER_LEN;
        this.#described = Math.max(this.#described, card + 1);
        const text = Buffer.from(u8.slice(data, data + captured.kept(view, o))).toString('utf8');
        return this.#format.card(card, JSON.parse(text) as captured.CardDescription);
      }
      default:
        return null;
    }
  }
}
