/**
 * One TCP conversation between a guest and a host socket.
 *
 * Zone: packet to use, flow to open.  Records are pooled by their id in the flow table; every field is a number from the
 * start, so that all flows share one shape.  Sequence numbers are int32.  Directions: `fromGuest` is what the guest
 * sends (we are the receiver of RFC 9293 §3.3.1), `toGuest` is what we send.
 */
import { type FlowTraffic, NO_TRAFFIC } from '../../core/flow-traffic.ts';
import { Path } from '../path.ts';
import { WINDOW_NEAR } from './limits.ts';
import { Scoreboard } from './scoreboard.ts';

// Life of a flow. CONNECTING: the host's connect is under way. RESOLVING: the guest's MAC is asked for.
export const CLOSED = 0;
export const CONNECTING = 1;
export const SYN_RECEIVED = 2;
export const RESOLVING = 3;
export const SYN_SENT = 4;
export const ESTABLISHED = 5;
export const TIME_WAIT = 6;

// Event bits: what has happened, in any order.
export const FIN_FROM_GUEST: number = 1 << 0; // received in sequence
export const HOST_SHUT: number = 1 << 1; // and passed on by shutdown(SHUT_WR)
export const FIN_TO_GUEST: number = 1 << 2; // the host's end of stream, sent to the guest
export const FIN_TO_GUEST_ACKED: number = 1 << 3;
export const HOST_READABLE: number = 1 << 4; // the last peek did not find the socket empty
export const HOST_BLOCKED: number = 1 << 5; // the last send found the socket full
export const ACK_DUE: number = 1 << 6;
export const DIRTY: number = 1 << 7; // on the list that is flushed at the end of the wake-up
export const SACK_OK: number = 1 << 8;
export const IN_RECOVERY: number = 1 << 9; // fast recovery (RFC 6675)
export const STARVED: number = 1 << 10; // waits for room on the guest's link
export const ACTIVE_OPEN: number = 1 << 11; // opened by us, for a forward
export const HALF_OPEN: number = 1 << 12; // counted as half open
export const GUEST_CLOSED_FIRST: number = 1 << 16; // its FIN came before ours: TIME_WAIT is its burden
export const HOST_RESET: number = 1 << 17; // the host's peer has reset; what it said before is still passed on
export const TAIL_PROBED: number = 1 << 18; // a probe went out for the end of what is under way
export const HOST_ENDING: number = 1 << 19; // the host's peer has ended its stream; what it said before may be unread
export const SHORT_IS_ALL: number = 1 << 20; // a peek that gets less than it asked for has emptied the socket
export const ACK_NOW: number = 1 << 21; // the acknowledgement that is due must not wait for company
export const ACK_LATER: number = 1 << 22; // on the list of those that wait
export const WINDOW_MARKED: number = 1 << 23; // markFromGuest is an edge that the guest has not reached yet
export const DOUBTED: number = 1 << 25; // its guest came back on another link and has not spoken here since
export const BULK: number = 1 << 24; // the last peek got more than a short answer
export const FIN_NOTED: number = 1 << 15; // a FIN was seen at finFromGuest, maybe ahead of missing bytes
export const TIMED_OUT: number = 1 << 14; // the recovery began with a time-out: all that is not acknowledged is lost
export const PROBING: number = 1 << 13; // the retransmission timer is a zero-window or keep-alive probe

export class TcpFlow extends Path {
  id = -1;
  state: number = CLOSED;
  bits = 0;
  fd = -1;
  /** Registration of `fd` with the event loop. */
  token = -1;
  guestPort = 0;
  remotePort = 0;
  openedMs = 0;
  /** The forward that it is of; empty: the guest opened it. */
  forwardId = '';
  /** By `id`. */
  traffic: FlowTraffic = NO_TRAFFIC;
  /** Segments that were sent again. */
  resent = 0;
  /** Port id whose limits this flow counts against, or -1. */
  countedPort = -1;

  // from guest
  /** Next sequence number expected; everything before is accepted. */
  nextFromGuest = 0;
  /** Right edge of the window we advertised: it never moves left. */
  edgeFromGuest = 0;
  /** Last acknowledgement number we sent. */
  ackedFromGuest = 0;
  /** The window as it is while the host takes everything: larger for a guest that is far away. */
  windowFromGuest: number = WINDOW_NEAR;
  /** An edge, advertised at `markAtMs`: how long the guest needs to get there tells how far away it is. */
  markFromGuest = 0;
  markAtMs = 0;
  /** How long the guest needs for a window, smoothed; in eighths of a millisecond. */
  roundMs8 = 0;
  /** Sequence number of the guest's FIN, once FIN_NOTED. */
  finFromGuest = 0;
  /** Shift we announced, or 0 when the guest knows no window scale. */
  shiftFromGuest = 0;
  /** Pending and out-of-order bytes: id in the receive queues, or -1. */
  queue = -1;

  // to guest
  /** Initial sequence number, oldest unacknowledged, next to send. */
  initialToGuest = 0;
  unackedToGuest = 0;
  nextToGuest = 0;
  /** The guest's window in bytes, scaled, and the segment it came with (RFC 9293 SND.WL1, SND.WL2). */
  windowToGuest = 0;
  windowSeq = 0;
  windowAck = 0;
  shiftToGuest = 0;
  mssToGuest = 536; // RFC 9293 §3.7.1 default
  /** Bytes that may be in flight: the cap, or less after a time-out. */
  burstToGuest = 0;

  // loss recovery
  srttMs = 0; // 0: no sample yet
  rttvarMs = 0;
  rtoMs = 0;
  retries = 0;
  /** When the timer is really due; the wheel may fire earlier and is then set again. 0: nothing to wait for. */
  timerAtMs = 0;
  timedSeq = 0; // the segment whose acknowledgement is a round-trip sample
  timedAtMs = 0; // 0: none
  dupAcks = 0;
  recoverSeq = 0;
  /** Up to here holes have been resent in this recovery. */
  resentSeq = 0;
  resentAtMs = 0;
  lastHeardMs = 0;
  readonly scoreboard: Scoreboard = new Scoreboard();

  has(bit: number): boolean {
    return (this.bits & bit) !== 0;
  }

  /** Back to the state of a new record; identity and key are set by whoever opens it. */
  reset(): void {
    this.segment = null;
    this.port = null;
    this.state = CLOSED;
    this.bits = 0;
    this.fd = -1;
    this.token = -1;
    this.countedPort = -1;
    this.forwardId = '';
    this.resent = 0;
    this.shiftFromGuest = 0;
    this.windowFromGuest = WINDOW_NEAR;
    this.markFromGuest = 0;
    this.markAtMs = 0;
    this.roundMs8 = 0;
    this.queue = -1;
    this.windowToGuest = 0;
    this.windowSeq = 0;
    this.windowAck = 0;
    this.shiftToGuest = 0;
    this.mssToGuest = 536;
    this.burstToGuest = 0;
    this.srttMs = 0;
    this.rttvarMs = 0;
    this.rtoMs = 0;
    this.retries = 0;
    this.timerAtMs = 0;
    this.timedSeq = 0;
    this.timedAtMs = 0;
    this.dupAcks = 0;
    this.recoverSeq = 0;
    this.resentSeq = 0;
    this.resentAtMs = 0;
    this.lastHeardMs = 0;
    this.scoreboard.clear();
  }
}
