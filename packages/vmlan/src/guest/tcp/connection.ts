/**
 * One TCP connection of a guest: the state machine of RFC 9293 §3.10, with the checks of RFC 5961.
 *
 * Zone: control.  It knows no sockets and no promises: a `ConnectionOwner` hears what happens, and asks for the rest.
 *
 * Numbers: `una` is the oldest one that is not acknowledged, `next` the one that goes out next, `highest` the one behind
 * all that was ever sent.  After a time-out `next` goes back to `una`, and what lies between is sent again (RFC 5681 §3.1).
 * The outbox starts at `una`, but for SYN and FIN, which take a number and no byte.
 */
import { before, distance } from '../../core/sequence.ts';
import { ACK, FIN, PSH, RST, SYN } from '../../wire/tcp.ts';
import { Alarm } from '../clock.ts';
import type { Clock } from '../clock.ts';
import { GuestError } from '../errors.ts';
import { ByteQueue } from './byte-queue.ts';
import { Congestion } from './congestion.ts';
import { Inbox } from './inbox.ts';
import {
  FIN_WAIT_MS,
  MAX_RETRIES,
  MAX_SYN_RETRIES,
  RECEIVE_BUFFER_BYTES,
  SEND_BUFFER_BYTES,
  TIME_WAIT_MS,
} from './limits.ts';
import { spanOf } from './segment.ts';
import type { Segment, SegmentFields } from './segment.ts';
import { OwnWindow, PeerWindow, WINDOW_SCALE } from './windows.ts';

/** States of a connection (RFC 9293 §3.3.2). */
export type TcpState =
  | 'syn-sent'
  | 'syn-received'
  | 'established'
  | 'fin-wait-1'
  | 'fin-wait-2'
  | 'close-wait'
  | 'closing'
  | 'last-ack'
  | 'time-wait'
  | 'closed';

const DEFAULT_MSS = 536; // RFC 9293 §3.7.1

export interface ConnectionOwner {
  readonly clock: Clock;
  readonly send: (fields: Omit<SegmentFields, 'srcPort' | 'dstPort'>) => void;
  /** Established, readable, writable, half closed: look again. */
  readonly changed: () => void;
  /** The last word; `error` null: both sides have closed. */
  readonly closed: (error: GuestError | null) => void;
  /** An acknowledgement is due when the frames that came together are all read. */
  readonly acknowledgeSoon: () => void;
}

export class Connection {
  state: TcpState;
  readonly inbox: Inbox;
  readonly outbox: ByteQueue = new ByteQueue(SEND_BUFFER_BYTES);
  /** The other side has closed its half. */
  ended = false;
  error: GuestError | null = null;
  readonly #owner: ConnectionOwner;
  readonly #mssOffered: number;
  #mss: number;
  readonly #initial: number;
  #una: number;
  #next: number;
  #highest: number;
  readonly #peerWindow = new PeerWindow();
  readonly #window = new OwnWindow();
  #finQueued = false;
  #acknowledgementDue = false;
  /** Nobody reads any more: what still comes is refused. */
  #deaf = false;
  #remoteFin: number | null = null;
  #congestion: Congestion;
  #timed: { readonly seq: number; readonly sentMs: number } | null = null;
  #retries = 0;
  readonly #retransmit: Alarm;
  readonly #wait: Alarm;

  /** `from`: the SYN that somebody sent; null: we send one. */
  constructor(owner: ConnectionOwner, initialSeq: number, mss: number, from: Segment | null) {
    this.#owner = owner;
    this.#mssOffered = mss;
    this.#mss = mss;
    this.#initial = initialSeq;
    this.#una = this.#next = this.#highest = initialSeq;
    this.#congestion = new Congestion(mss, initialSeq);
    this.#retransmit = new Alarm(owner.clock, () => this.#onTimeout());
    this.#wait = new Alarm(owner.clock, () => this.#finish(null));
    this.inbox = new Inbox(RECEIVE_BUFFER_BYTES, 0);
    this.state = from === null ? 'syn-sent' : 'syn-received';
    if (from !== null) this.#acceptSyn(from);
  }

  /** Sends the first segment. */
  start(): void {
    this.#output();
  }

  // ---- the program's side

  get isOpen(): boolean {
    return this.state === 'established' || this.state === 'close-wait';
  }

  /** Takes as much as there is room for. */
  write(bytes: Uint8Array): number {
    const taken = this.#finQueued ? 0 : this.outbox.push(bytes);
    if (taken > 0) this.#output();
    return taken;
  }

  read(): Uint8Array | null {
    const bytes = this.inbox.read();
    // RFC 9293 §3.8.6.2.2: the window moves by whole segments, or by half of the buffer.
    const news = this.#window.news(this.inbox.next, this.inbox.window);
    if (bytes !== null && this.#mayReceive && news >= Math.min(RECEIVE_BUFFER_BYTES >>> 1, 2 * this.#mss))
      this.#acknowledge();
    return bytes;
  }

  /** Nothing more is written: FIN, behind what is written already. */
  end(): void {
    if (this.#finQueued || this.state === 'closed') return;
    this.#finQueued = true;
    this.#output();
  }

  /** Nothing more is written or read. */
  close(): void {
    if (this.#deaf) return;
    this.#deaf = true;
    // RFC 2525 §2.17: data that was never read is worth a reset.
    if (this.inbox.length > 0) return this.abort();
    this.end();
    if (this.state === 'fin-wait-2') this.#wait.set(FIN_WAIT_MS);
  }

  /** Ends at once, and says so. */
  abort(error: GuestError | null = null): void {
    if (this.state === 'closed') return;
    if (this.state !== 'syn-sent' && this.state !== 'time-wait') this.#reset(this.#highest);
    this.#finish(error ?? new GuestError('ECONNRESET', 'the connection was reset by this side'));
  }

  /** ICMP says that it cannot be reached: final while connecting, hearsay afterwards (RFC 5461). */
  onUnreachable(error: GuestError): void {
    if (this.state === 'syn-sent') this.#finish(error);
  }

  /** No word to anybody: the guest is gone. */
  drop(error: GuestError): void {
    this.#finish(error);
  }

  // ---- in

  onSegment(segment: Segment): void {
    if (this.state === 'syn-sent') return this.#onSynSent(segment);
    if (!this.#isAcceptable(segment)) {
      if ((segment.flags & RST) === 0) this.#acknowledge();
      return;
    }
    // RFC 5961 §3.2: a reset counts at the very next number, elsewhere in the window it is asked about.
    if ((segment.flags & RST) !== 0) {
      if (segment.seq === this.inbox.next) this.#onReset();
      else this.#acknowledge();
      return;
    }
    if ((segment.flags & SYN) !== 0) return this.#acknowledge(); // RFC 5961 §4.2
    if ((segment.flags & ACK) === 0 || !this.#onAck(segment) || this.#isClosed()) return;
    this.#onPayload(segment);
    if (this.#isClosed()) return;
    this.#output();
  }

  /** Says what the other side waits for, unless something else has said it. */
  acknowledgeDue(): void {
    if (this.#acknowledgementDue && this.state !== 'closed') this.#acknowledge();
  }

  get #mayReceive(): boolean {
    return this.state === 'established' || this.state === 'fin-wait-1' || this.state === 'fin-wait-2';
  }

  #isClosed(): boolean {
    return this.state === 'closed';
  }

  #onSynSent(segment: Segment): void {
    const { flags, ack } = segment;
    const hasAck = (flags & ACK) !== 0;
    if (hasAck && ack !== ((this.#initial + 1) | 0)) {
      if ((flags & RST) === 0) this.#reset(ack);
      return;
    }
    if ((flags & RST) !== 0) {
      if (hasAck) this.#finish(new GuestError('ECONNREFUSED', 'the connection was refused'));
      return;
    }
    if ((flags & SYN) === 0) return;
    this.#acceptSyn(segment);
    if (hasAck) {
      this.#measure(ack);
      this.#advance(ack);
      this.#establish(segment);
      this.#retransmit.clear();
      this.#acknowledge();
      this.#output();
    } else {
      this.state = 'syn-received'; // both sides open at once
      this.#next = this.#initial;
      this.#output();
    }
  }

  #acceptSyn(segment: Segment): void {
    const { seq, mss, windowScale } = segment;
    this.inbox.next = (seq + 1) | 0;
    this.#mss = Math.max(1, Math.min(this.#mssOffered, mss < 0 ? DEFAULT_MSS : mss));
    this.#congestion = new Congestion(this.#mss, this.#initial);
    if (windowScale < 0) this.#window.scale = 0; // RFC 7323 §2.2: both sides, or none
    this.#peerWindow.onSyn(segment);
  }

  #establish(segment: Segment): void {
    this.state = 'established';
    this.#retries = 0;
    this.#peerWindow.onEstablished(segment);
    this.#owner.changed();
  }

  /** RFC 9293 §3.10.7.4, first step. */
  #isAcceptable(segment: Segment): boolean {
    const span = spanOf(segment);
    const from = distance(segment.seq, this.inbox.next);
    const window = Math.max(this.inbox.window, 0);
    const last = from + Math.max(span, 1) - 1;
    if (window === 0) return from === 0; // nothing is taken but its acknowledgement
    return (from >= 0 && from < window) || (last >= 0 && last < window);
  }

  #onReset(): void {
    const refused = this.state === 'syn-received';
    this.#finish(
      this.state === 'time-wait' || this.state === 'last-ack' || this.state === 'closing'
        ? null
        : new GuestError(
            'ECONNRESET',
            refused ? 'the connection was refused' : 'the connection was reset by the other side',
          ),
    );
  }

  /** False when nothing more of the segment counts. */
  #onAck(segment: Segment): boolean {
    const { ack } = segment;
    if (this.state === 'syn-received') {
      if (!before(this.#una, ack) || before(this.#highest, ack)) {
        this.#reset(ack);
        return false;
      }
      this.#measure(ack);
      this.#advance(ack);
      this.#establish(segment);
      this.#retransmit.clear();
    } else if (before(this.#highest, ack)) {
      this.#acknowledge(); // of something that was never sent
      return false;
    } else if (before(this.#una, ack)) {
      this.#onNewAck(ack);
    } else if (ack === this.#una) {
      this.#onOldAck(segment);
    }
    if (this.#peerWindow.update(segment, this.#una)) {
      this.#next = this.#una; // what probed the window was refused
      this.#retransmit.clear();
    }
    if (this.#peerWindow.bytes === 0) this.#retries = 0; // it answers: a window may stay closed for ever (RFC 9293 §3.8.6.1)
    this.#onFinAcknowledged();
    return true;
  }

  #onNewAck(ack: number): void {
    const acked = distance(ack, this.#una);
    this.#measure(ack);
    this.#advance(ack);
    this.#retries = 0;
    const isPartial = this.#congestion.onNewAck(ack, acked);
    if (isPartial) this.#sendAgain();
    if (this.#una === this.#highest) this.#retransmit.clear();
    else this.#await();
    this.#owner.changed(); // there is room again
  }

  #measure(ack: number): void {
    if (this.#timed === null || before(ack, this.#timed.seq)) return;
    this.#congestion.onRoundTrip(this.#owner.clock.now() - this.#timed.sentMs);
    this.#timed = null;
  }

  #onOldAck(segment: Segment): void {
    const isDuplicate =
      segment.payload.length === 0 &&
      (segment.flags & FIN) === 0 &&
      this.#una !== this.#highest &&
      this.#peerWindow.isSame(segment);
    if (!isDuplicate) return;
    const inFlight = distance(this.#highest, this.#una);
    if (this.#congestion.onDuplicate(this.#una, inFlight, this.#highest)) this.#sendAgain();
  }

  /** What is acknowledged leaves the outbox. */
  #advance(ack: number): void {
    const hadSyn = this.#una === this.#initial;
    const bytes = distance(ack, this.#una) - (hadSyn ? 1 : 0);
    this.outbox.drop(Math.min(bytes, this.outbox.length)); // FIN is no byte
    this.#una = ack;
    if (before(this.#next, ack)) this.#next = ack;
  }

  #onFinAcknowledged(): void {
    if (!this.#finQueued || this.outbox.length > 0 || this.#una !== this.#highest || !this.#finSent()) return;
    if (this.state === 'fin-wait-1') {
      this.state = 'fin-wait-2';
      if (this.#deaf) this.#wait.set(FIN_WAIT_MS);
      this.#owner.changed();
    } else if (this.state === 'closing') this.#enterTimeWait();
    else if (this.state === 'last-ack') this.#finish(null);
  }

  #finSent(): boolean {
    return ['fin-wait-1', 'fin-wait-2', 'closing', 'last-ack', 'time-wait'].includes(this.state);
  }

  #onPayload(segment: Segment): void {
    const { seq, payload, flags } = segment;
    if (!this.#mayReceive) {
      if (payload.length > 0 || (flags & FIN) !== 0) this.#acknowledge();
      if (this.state === 'time-wait') this.#wait.set(TIME_WAIT_MS);
      return;
    }
    if (payload.length > 0) {
      // RFC 9293 §3.10.7.4: nobody is there to read it.
      if (this.#deaf && before(this.inbox.next, (seq + payload.length) | 0)) return this.abort();
      const inOrder = seq === this.inbox.next && !this.inbox.hasGap;
      this.inbox.add(seq, payload);
      if (inOrder) {
        this.#acknowledgementDue = true;
        this.#owner.acknowledgeSoon();
      } else this.#acknowledge(); // at once: the other side counts these
    }
    if ((flags & FIN) !== 0) this.#remoteFin = (seq + payload.length) | 0;
    if (this.#remoteFin === this.inbox.next) this.#onFin();
    else if (payload.length > 0) this.#owner.changed();
  }

  #onFin(): void {
    this.inbox.next = (this.inbox.next + 1) | 0;
    this.#remoteFin = null;
    this.ended = true;
    this.#acknowledge();
    if (this.state === 'established') this.state = 'close-wait';
    else if (this.state === 'fin-wait-1') this.state = 'closing';
    else this.#enterTimeWait();
    this.#owner.changed();
  }

  #enterTimeWait(): void {
    this.state = 'time-wait';
    this.#retransmit.clear();
    this.#wait.set(TIME_WAIT_MS);
    this.#owner.changed();
  }

  #finish(error: GuestError | null): void {
    if (this.state === 'closed') return;
    this.state = 'closed';
    this.error = error;
    this.#retransmit.clear();
    this.#wait.clear();
    if (error !== null) this.inbox.clear();
    this.#owner.closed(error);
  }

  // ---- out

  #output(): void {
    if (this.state === 'closed' || this.state === 'time-wait') return;
    if (this.#una === this.#initial) {
      if (this.#next === this.#initial) this.#sendSyn();
      return;
    }
    while (this.#sendNext());
    if (this.#retransmit.isSet) return;
    // What is on its way is waited for; a closed window is asked about (RFC 9293 §3.8.6.1).
    const waits = this.#una !== this.#highest || this.outbox.length > 0;
    if (waits) this.#await();
  }

  /** One segment of what is written and not sent; false when nothing may go out now. */
  #sendNext(): boolean {
    const inFlight = distance(this.#next, this.#una);
    const unsent = this.outbox.length - inFlight;
    if (unsent < 0 || this.state === 'fin-wait-2') return false; // FIN is out
    const room = Math.min(this.#congestion.windowBytes, this.#peerWindow.bytes) - inFlight;
    const length = Math.min(unsent, room, this.#mss);
    const isLast = this.#finQueued && Math.max(length, 0) === unsent;
    if (length <= 0 && !(isLast && unsent === 0)) return false;
    // RFC 9293 §3.8.6.2.1: no small segment for want of room, while more room is to be expected.
    if (length < this.#mss && length < unsent && inFlight > 0) return false;
    this.#transmit(this.#next, Math.max(length, 0), isLast);
    return true;
  }

  #transmit(seq: number, length: number, withFin: boolean): void {
    const from = distance(seq, this.#una);
    const isFresh = seq === this.#highest;
    const push = length > 0 && from + length === this.outbox.length;
    this.#send(seq, ACK | (push ? PSH : 0) | (withFin ? FIN : 0), length, from);
    const end = (seq + length + (withFin ? 1 : 0)) | 0;
    if (isFresh && this.#timed === null) this.#timed = { seq: end, sentMs: this.#owner.clock.now() };
    if (!isFresh) this.#timed = null; // Karn
    if (before(this.#next, end)) this.#next = end;
    if (before(this.#highest, end)) this.#highest = end;
    if (!this.#retransmit.isSet) this.#await();
    if (withFin) this.#onFinSent();
  }

  #onFinSent(): void {
    if (this.state === 'established') this.state = 'fin-wait-1';
    else if (this.state === 'close-wait') this.state = 'last-ack';
  }

  /** The oldest segment that is not acknowledged, and nothing else. */
  #sendAgain(): void {
    const next = this.#next;
    const length = Math.min(this.outbox.length, this.#mss);
    const withFin = this.#finQueued && this.#finSent() && length === this.outbox.length;
    if (length > 0 || withFin) this.#transmit(this.#una, length, withFin);
    if (before(this.#next, next)) this.#next = next;
  }

  #sendSyn(): void {
    const isAnswer = this.state === 'syn-received';
    const windowScale = isAnswer && this.#window.scale === 0 ? null : WINDOW_SCALE;
    this.#owner.send({
      ...{ seq: this.#initial, ack: isAnswer ? this.inbox.next : 0, flags: SYN | (isAnswer ? ACK : 0) },
      window: this.#window.sayInSyn(this.inbox.next, this.inbox.window),
      options: { mss: this.#mssOffered, windowScale },
    });
    this.#next = this.#highest = (this.#initial + 1) | 0;
    if (this.#retries === 0) this.#timed = { seq: this.#next, sentMs: this.#owner.clock.now() };
    this.#await();
  }

  /** Time for an answer. */
  #await(): void {
    if (this.state !== 'closed') this.#retransmit.set(this.#congestion.rtoMs); // sending may have ended it
  }

  #acknowledge(): void {
    this.#send(this.#highest, ACK, 0, 0);
  }

  #send(seq: number, flags: number, length: number, from: number): void {
    const window = this.#window.say(this.inbox.next, this.inbox.window);
    this.#acknowledgementDue = false;
    this.#owner.send({
      ...{ seq, ack: this.inbox.next, flags, window, length },
      ...(length === 0 ? {} : { fill: (target, at) => this.outbox.copy(from, length, target, at) }),
    });
  }

  #reset(seq: number): void {
    this.#owner.send({ seq, ack: this.inbox.next, flags: RST | ACK, window: 0 });
  }

  #onTimeout(): void {
    const isProbe = this.#peerWindow.bytes === 0 && this.isSynced && this.outbox.length > 0;
    if (++this.#retries > (this.isSynced ? MAX_RETRIES : MAX_SYN_RETRIES)) {
      return this.#finish(new GuestError('ETIMEDOUT', 'the other side does not answer'));
    }
    this.#timed = null;
    if (isProbe) return this.#probe();
    this.#congestion.onTimeout(distance(this.#highest, this.#una), this.#highest);
    this.#next = this.#una;
    this.#await();
    if (this.isSynced) this.#output();
    else this.#sendSyn();
  }

  /** One byte into a closed window: its answer says whether it is open. */
  #probe(): void {
    this.#congestion.backOff();
    this.#next = this.#una;
    this.#send(this.#una, ACK, 1, 0);
    const end = (this.#una + 1) | 0;
    if (before(this.#highest, end)) this.#highest = end;
    this.#await();
  }

  get isSynced(): boolean {
    return this.state !== 'syn-sent' && this.state !== 'syn-received';
  }
}
