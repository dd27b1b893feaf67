/**
 * One TCP conversation of a guest, small but whole: it opens and accepts, sends again what is lost, keeps what comes out
 * of order, speaks SACK and window scaling, and slows down when the link loses (RFC 9293, 5681, 6298, 6675, 2018, 7323).
 *
 * Theory.  Positions count the bytes of a stream from 1, its SYN is 0, its FIN the one behind the last byte; on the wire
 * they begin at the initial sequence number.  Sending: #una is acknowledged, #nxt is next, #max was ever sent, #sacked
 * lies in between; a recovery sends the holes below #lostEnd again, as far as #cwnd lets.  Receiving: #next is expected,
 * #held and #pieces lie beyond it, #edge is the window's end as it was told last.
 *
 * Zone: control.  Time comes in; what it sends goes out through a function.
 */
import { createHash } from 'node:crypto';
import * as tcp from '../wire/tcp.ts';
import { type HeardSegment, type TcpPath, type TcpSegment, writeSegment } from './tcp-frame.fixture.ts';
import { Ranges } from './tcp-ranges.fixture.ts';

const { SYN, ACK, FIN, RST, PSH } = tcp;
const RTO_INITIAL_MS = 1000;
const RTO_MIN_MS = 200;
const RTO_MAX_MS = 60_000;
const INITIAL_WINDOW_SEGMENTS = 10; // RFC 6928
const MAX_SACK_BLOCKS = 3;
const EMPTY = new Uint8Array(0);

export interface TcpOptions {
  readonly mss?: number;
  readonly sack?: boolean;
  /** Window scale that is offered; -1: none. */
  readonly scale?: number;
  readonly receiveBuffer?: number;
  /** Initial sequence number. */
  readonly isn?: number;
}

export type Wire = (frame: Uint8Array) => void;

export class TcpConnection {
  readonly path: TcpPath;
  state: 'syn-sent' | 'syn-received' | 'open' | 'closed' = 'syn-sent';
  /** Both ends have finished, or it was reset. */
  reset = false;
  /** The peer has finished sending, and all of it is here. */
  ended = false;
  received = 0;
  /** Segments that were sent again, and timers that ran out. */
  resent = 0;
  timeouts = 0;
  /** What is received waits while this is true, and closes the window. */
  paused = false;
  onData: (bytes: Uint8Array) => void = () => {};
  onEnd: () => void = () => {};
  readonly #hash = createHash('sha256');
  readonly #wire: Wire;
  readonly #offersSack: boolean;
  readonly #offersScale: number;
  readonly #buffer: number;
  readonly #isn: number;

  // sending
  #data: Uint8Array = EMPTY;
  #finAt = -1;
  #una = 0;
  #nxt = 0;
  #max = 0;
  #mss: number;
  #window = 0;
  #shift = 0;
  #sack = false;
  readonly #sacked: Ranges = new Ranges();
  #cwnd: number;
  #ssthresh = Infinity;
  #dupAcks = 0;
  /** Recovering up to here from loss; -1: not. */
  #recover = -1;
  #timedOut = false;
  #resentTo = 0;
  #srtt = 0;
  #rttvar = 0;
  #rto = RTO_INITIAL_MS;
  #timerAt = Infinity;
  #timed = -1;
  #timedAt = 0;

  // receiving
  #irs = 0;
  #next = 0;
  #edge = 0;
  #scaled = 0;
  readonly #held: Ranges = new Ranges();
  readonly #pieces = new Map<number, Uint8Array>();
  #unread: Uint8Array[] = [];
  #unreadBytes = 0;
  #finFrom = -1;
  #ackDue = false;
  #unacked = 0;

  constructor(path: TcpPath, wire: Wire, options: TcpOptions) {
    this.path = path;
    this.#wire = wire;
    this.#mss = options.mss ?? (path.local.includes(':') ? 1440 : 1460);
    this.#offersSack = options.sack ?? true;
    this.#offersScale = options.scale ?? 7;
    this.#buffer = options.receiveBuffer ?? 256 * 1024;
    this.#isn = options.isn ?? 10_000;
    this.#cwnd = INITIAL_WINDOW_SEGMENTS * this.#mss;
  }

  // ---- the program

  write(bytes: Uint8Array): void {
    this.#data = new Uint8Array(Buffer.concat([this.#data, bytes]));
  }

  end(): void {
    if (this.#finAt < 0) this.#finAt = 1 + this.#data.length;
  }

  /** Gives the connection up. */
  abort(): void {
    if (this.state === 'closed') return;
    this.#send(this.#max, RST | ACK, EMPTY);
    this.#close(true);
  }

  resume(): void {
    this.paused = false;
    this.#ackDue = true;
    for (const piece of this.#unread.splice(0)) this.#read(piece);
    this.#unreadBytes = 0;
  }

  /** The peer has acknowledged everything, the end too. */
  get acknowledged(): boolean {
    return this.#finAt >= 0 && this.#una === this.#finAt + 1;
  }

  /** SHA-256 of what was received, hex. */
  sha256(): string {
    return this.#hash.copy().digest('hex');
  }

  get nextAt(): number {
    return this.#timerAt;
  }

  // ---- opening

  open(nowMs: number): void {
    this.#sendSyn(SYN);
    this.#startTimer(nowMs);
  }

  accept(segment: HeardSegment, nowMs: number): void {
    this.state = 'syn-received';
    this.#takeSyn(segment);
    this.#sendSyn(SYN | ACK);
    this.#startTimer(nowMs);
  }

  #sendSyn(flags: number): void {
    // An answer offers only what was offered (RFC 7323 §2.2).
    const isAnswer = (flags & ACK) !== 0;
    const offersScale = this.#offersScale >= 0 && (!isAnswer || this.#scaled > 0);
    this.#max = Math.max(this.#max, 1);
    this.#nxt = Math.max(this.#nxt, 1);
    this.#wire(
      writeSegment(this.path, {
        flags,
        seq: this.#isn,
        ack: isAnswer ? (this.#irs + this.#next) | 0 : 0,
        window: Math.min(this.#buffer, 0xffff),
        data: EMPTY,
        mss: this.#mss,
        windowScale: offersScale ? this.#offersScale : undefined,
        sackPermitted: this.#offersSack && (!isAnswer || this.#sack),
      }),
    );
  }

  #takeSyn(segment: HeardSegment): void {
    this.#irs = segment.seq;
    this.#next = 1;
    this.#edge = 1 + Math.min(this.#buffer, 0xffff);
    this.#mss = Math.min(this.#mss, segment.mss ?? 536);
    this.#sack = this.#offersSack && segment.sackPermitted === true;
    if (segment.windowScale !== undefined && this.#offersScale >= 0) {
      this.#shift = segment.windowScale;
      this.#scaled = this.#offersScale;
    }
    this.#window = segment.window;
  }

  // ---- what comes

  onSegment(segment: HeardSegment, nowMs: number): void {
    if (this.state === 'syn-sent') return this.#inSynSent(segment, nowMs);
    const seq = this.#next + ((segment.seq - this.#irs - this.#next) | 0);
    if ((segment.flags & RST) !== 0) {
      if (seq === this.#next) this.#close(true);
      return;
    }
    if ((segment.flags & SYN) !== 0) {
      if (this.state === 'syn-received') this.#sendSyn(SYN | ACK);
      else this.#ackDue = true;
      return;
    }
    if ((segment.flags & ACK) === 0) return;
    const ack = this.#una + ((segment.ack - this.#isn - this.#una) | 0);
    if (ack > this.#max) return void (this.#ackDue = true);
    if (this.state === 'syn-received' && ack >= 1) this.state = 'open';
    this.#onAck(segment, ack, nowMs);
    this.#onData(segment, seq);
  }

  #inSynSent(segment: HeardSegment, nowMs: number): void {
    const acks = (segment.flags & ACK) !== 0 && segment.ack === ((this.#isn + 1) | 0);
    if ((segment.flags & RST) !== 0) {
      if (acks) this.#close(true);
      return;
    }
    if ((segment.flags & SYN) === 0 || !acks) return;
    this.#takeSyn(segment);
    this.state = 'open';
    this.#una = 1;
    this.#timerAt = Infinity;
    this.#rto = RTO_INITIAL_MS;
    this.#ackDue = true;
    this.#transmit(nowMs);
  }

  #onAck(segment: HeardSegment, ack: number, nowMs: number): void {
    const window = segment.window << this.#shift;
    const isDuplicate =
      ack === this.#una && segment.data.length === 0 && window === this.#window && this.#una < this.#nxt;
    if (ack >= this.#una) this.#window = window;
    let news = false;
    for (const [start, end] of this.#sack ? (segment.sack ?? []) : []) {
      const from = this.#una + ((start - this.#isn - this.#una) | 0);
      const to = from + ((end - start) | 0);
      if (from <= ack || to > this.#max) continue;
      news ||= this.#sacked.covered(from, to) < to - from;
      this.#sacked.add(from, to);
    }
    if (ack > this.#una) this.#onNewAck(ack, nowMs);
    else if (isDuplicate || news) this.#onDuplicate(nowMs);
  }

  #onNewAck(ack: number, nowMs: number): void {
    const acked = ack - this.#una;
    this.#una = ack;
    this.#nxt = Math.max(this.#nxt, ack);
    this.#sacked.dropBelow(ack);
    this.#dupAcks = 0;
    if (this.#timed >= 0 && ack > this.#timed) this.#sample(nowMs - this.#timedAt);
    if (this.#recover >= 0 && ack >= this.#recover) {
      this.#recover = -1;
      this.#timedOut = false;
      this.#cwnd = Math.max(this.#ssthresh, 2 * this.#mss);
    } else if (this.#recover < 0 || this.#timedOut) {
      // As Linux grows it: by all that one acknowledgement covers.
      this.#cwnd += this.#cwnd < this.#ssthresh ? acked : (this.#mss * acked) / this.#cwnd;
    }
    if (this.#recover >= 0 && !this.#sack && !this.#timedOut) this.#resentTo = ack; // RFC 6582: the next hole
    this.#timerAt = this.#una < this.#nxt ? nowMs + this.#rto : Infinity;
  }

  /** RFC 6675 §5: three duplicates, or as much selectively acknowledged, mean loss. */
  #onDuplicate(nowMs: number): void {
    this.#dupAcks++;
    if (this.#recover >= 0) {
      if (!this.#sack) this.#cwnd += this.#mss;
      return;
    }
    const lost = this.#dupAcks >= 3 || this.#sacked.covered(this.#una, this.#max) > 3 * this.#mss;
    if (!lost) return;
    this.#ssthresh = Math.max(this.#pipe() / 2, 2 * this.#mss);
    this.#cwnd = this.#ssthresh;
    this.#recover = this.#nxt;
    this.#resentTo = this.#una;
    this.#timed = -1;
    this.#timerAt = nowMs + this.#rto;
  }

  /** RFC 6298 §2. */
  #sample(rttMs: number): void {
    this.#timed = -1;
    if (this.#srtt === 0) {
      this.#srtt = rttMs;
      this.#rttvar = rttMs / 2;
    } else {
      this.#rttvar += (Math.abs(this.#srtt - rttMs) - this.#rttvar) / 4;
      this.#srtt += (rttMs - this.#srtt) / 8;
    }
    this.#rto = Math.min(Math.max(this.#srtt + 4 * this.#rttvar, RTO_MIN_MS), RTO_MAX_MS);
  }

  #onData(segment: HeardSegment, seq: number): void {
    const len = segment.data.length;
    const hasFin = (segment.flags & FIN) !== 0;
    if (len === 0 && !hasFin) return;
    const end = Math.min(seq + len, this.#edge);
    const from = Math.max(seq, this.#next);
    const isInOrder = seq <= this.#next;
    if (hasFin && seq + len <= this.#edge) this.#finFrom = seq + len;
    if (from < end && this.#held.covered(from, end) < end - from) {
      this.#held.add(from, end);
      this.#pieces.set(from, segment.data.subarray(from - seq, end - seq));
    }
    this.#advance();
    this.#ackDue = true;
    // A gap is told at once, and each of a pair of segments (RFC 5681 §4.2).
    if (!isInOrder || ++this.#unacked >= 2) this.#acknowledge();
  }

  #advance(): void {
    const end = this.#held.nextHole(this.#next);
    while (this.#next < end) {
      const [from, piece] = this.#pieceAt(this.#next);
      const fresh = piece.subarray(this.#next - from);
      this.#pieces.delete(from);
      this.#next += fresh.length;
      if (this.paused) {
        this.#unread.push(fresh);
        this.#unreadBytes += fresh.length;
      } else {
        this.#read(fresh);
      }
    }
    for (const [from, piece] of this.#pieces) if (from + piece.length <= this.#next) this.#pieces.delete(from);
    this.#held.dropBelow(this.#next);
    if (this.#finFrom === this.#next && !this.ended) {
      this.#next++;
      this.ended = true;
      this.onEnd();
      this.#settle();
    }
  }

  #pieceAt(position: number): [number, Uint8Array] {
    for (const [from, piece] of this.#pieces) {
      if (from <= position && position < from + piece.length) return [from, piece];
    }
    throw new Error(`no piece at ${position}`);
  }

  #read(bytes: Uint8Array): void {
    this.received += bytes.length;
    this.#hash.update(bytes);
    this.onData(bytes);
  }

  // ---- what goes

  /** Timers, then whatever may be sent, then the acknowledgement that is due. */
  poll(nowMs: number): void {
    if (this.state === 'closed') {
      if (this.#ackDue && !this.reset) this.#acknowledge(); // TIME-WAIT: the peer's FIN came again
      return;
    }
    if (nowMs >= this.#timerAt) this.#onTimer(nowMs);
    if (this.state === 'open') this.#transmit(nowMs);
    if (this.#ackDue) this.#acknowledge();
    this.#settle();
  }

  #onTimer(nowMs: number): void {
    this.timeouts++;
    this.#rto = Math.min(2 * this.#rto, RTO_MAX_MS);
    this.#timerAt = nowMs + this.#rto;
    if (this.state === 'syn-sent') return this.#sendSyn(SYN);
    if (this.state === 'syn-received') return this.#sendSyn(SYN | ACK);
    if (this.#una === this.#nxt) return this.#probe();
    this.#ssthresh = Math.max((this.#nxt - this.#una) / 2, 2 * this.#mss);
    this.#cwnd = this.#mss;
    this.#sacked.clear();
    this.#recover = this.#nxt;
    this.#timedOut = true;
    this.#resentTo = this.#una;
    this.#timed = -1;
    this.#dupAcks = 0;
  }

  /** One byte beyond a shut window (RFC 9293 §3.8.6.1). */
  #probe(): void {
    if (this.#nxt >= this.#end) return;
    this.#sendRange(this.#nxt, 1);
    this.#max = Math.max(this.#max, this.#nxt + 1);
  }

  get #end(): number {
    return 1 + this.#data.length + (this.#finAt >= 0 ? 1 : 0);
  }

  /** Bytes that are believed to be on their way. */
  #pipe(): number {
    const gone = (from: number, to: number): number => Math.max(0, to - from) - this.#sacked.covered(from, to);
    if (this.#recover < 0) return gone(this.#una, this.#nxt);
    return gone(this.#una, this.#resentTo) + gone(Math.max(this.#lostEnd(), this.#resentTo), this.#nxt);
  }

  #lostEnd(): number {
    if (this.#timedOut) return this.#recover;
    if (!this.#sack) return Math.min(this.#una + this.#mss, this.#recover);
    return Math.min(Math.max(this.#sacked.highest, this.#una + this.#mss), this.#recover);
  }

  #transmit(nowMs: number): void {
    if (this.#recover >= 0) this.#resendHoles(nowMs);
    const limit = this.#una + this.#window;
    while (this.#nxt < this.#end) {
      const room = Math.min(limit - this.#nxt, Math.floor(this.#cwnd - this.#pipe()), this.#mss);
      const len = Math.min(room, this.#end - this.#nxt);
      // RFC 9293 §3.8.6.2.1: no small segments while others are on their way.
      if (len <= 0 || (len < this.#mss && this.#nxt + len < this.#end && this.#una < this.#nxt)) break;
      if (this.#timed < 0 && this.#recover < 0) {
        this.#timed = this.#nxt;
        this.#timedAt = nowMs;
      }
      this.#sendRange(this.#nxt, len);
      this.#nxt += len;
      this.#max = Math.max(this.#max, this.#nxt);
      this.#startTimer(nowMs);
    }
    if (this.#una === this.#nxt && this.#nxt < this.#end) this.#startTimer(nowMs); // the window is shut: probes
  }

  #resendHoles(nowMs: number): void {
    for (;;) {
      const lostEnd = this.#lostEnd();
      const at = this.#sacked.nextHole(Math.max(this.#resentTo, this.#una));
      if (at >= lostEnd || (this.#pipe() > 0 && this.#pipe() + this.#mss > this.#cwnd)) return;
      const len = Math.min(this.#mss, this.#sacked.holeEnd(at, lostEnd) - at);
      this.#sendRange(at, len);
      this.#resentTo = at + len;
      this.resent++;
      this.#startTimer(nowMs);
    }
  }

  #startTimer(nowMs: number): void {
    if (this.#timerAt === Infinity) this.#timerAt = nowMs + this.#rto;
  }

  /** Bytes from a position on, and the FIN when they reach that far. */
  #sendRange(at: number, len: number): void {
    const data = this.#data.subarray(at - 1, at - 1 + len);
    const hasFin = this.#finAt >= 0 && at + len > this.#finAt;
    this.#send(at, (hasFin ? FIN : 0) | ACK | PSH, data);
  }

  #acknowledge(): void {
    this.#send(this.#max, ACK, EMPTY);
  }

  #send(at: number, flags: number, data: Uint8Array): void {
    const free = Math.max(this.#buffer - this.#unreadBytes, 0) >>> this.#scaled;
    const window = Math.min(free, 0xffff);
    // A window never shrinks (RFC 9293 §3.8.6).
    this.#edge = Math.max(this.#edge, this.#next + (window << this.#scaled));
    this.#ackDue = false;
    this.#unacked = 0;
    const segment: TcpSegment = {
      flags,
      seq: (this.#isn + at) | 0,
      ack: (this.#irs + this.#next) | 0,
      window: Math.max(window, (this.#edge - this.#next) >>> this.#scaled),
      data,
      sack: this.#sack && !this.#held.isEmpty ? this.#sackBlocks() : undefined,
    };
    this.#wire(writeSegment(this.path, segment));
  }

  #sackBlocks(): (readonly [number, number])[] {
    const wire = (position: number): number => (this.#irs + position) | 0;
    return this.#held.blocks(MAX_SACK_BLOCKS).map(([from, to]) => [wire(from), wire(to)] as const);
  }

  #settle(): void {
    if (this.ended && this.acknowledged) this.#close(false);
  }

  #close(reset: boolean): void {
    this.state = 'closed';
    this.reset = reset;
    this.#timerAt = Infinity;
  }
}
