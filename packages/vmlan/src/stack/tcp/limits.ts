/**
 * The numbers of the TCP translator, each a decision (docs/limits.md).
 *
 * Zone: packet.  Milliseconds and bytes.
 */

/** Flows of one network. */
export const MAX_FLOWS = 65_536;
/** Flows of one guest, and how many of them may still be opening. */
export const MAX_FLOWS_PER_PORT = 32_768;
export const MAX_HALF_OPEN_PER_PORT = 4_096;

/** Most bytes in flight towards a guest. */
export const IN_FLIGHT_CAP: number = 1 << 20;
/** The same where peeking far ahead costs no more and the link's socket bounds what is under way. */
export const IN_FLIGHT_FAR: number = 1 << 22;
/**
 * Window of a guest at the other end of a local link: what is under way stays in the processor's cache (measured:
 * docs/datapath.md). One on a stream socket gets all there is: the socket's buffer is the bound.
 */
export const WINDOW_NEAR: number = 1 << 18;
/** A guest that fills that window and needs this long for it is far away, or slow to hear: it gets all there is. */
export const WINDOW_FAR_MS = 2;
/** Bytes of one segment before the link cuts it: the IP packet must stay below 64 KiB. */
export const MAX_SEGMENT = 65_000;
/** Bytes and segments that are read at once where they are built in place: what a link with an empty queue takes. */
export const MAX_RUN: number = 280 * 1024;
export const MAX_RUN_SEGMENTS = 256;
/** Window shift we announce (RFC 7323 §2): 1 MiB needs 5; 7 leaves room. */
export const WINDOW_SHIFT = 7;

export const RTO_INITIAL = 1_000; // RFC 6298 §2.1
export const RTO_MIN = 200; // as Linux; the RFC's one second is meant for the Internet
/** Shortest wait before the end of what is under way is sent again; one lost segment must not cost a time-out. */
export const PROBE_MIN = 20;
export const RTO_MAX = 60_000;
/** Retransmissions of one segment before the conversation is given up: with back-off, four to six minutes. */
export const MAX_RETRIES = 10;
export const MAX_SYN_RETRIES = 5;
/** Zero-window probes back off to this. */
export const PROBE_MAX = 30_000;
/** An idle conversation is probed after two hours (RFC 1122 §4.2.3.6), then every 75 s, nine times. */
export const KEEP_ALIVE_IDLE = 7_200_000;
export const KEEP_ALIVE_INTERVAL = 75_000;
export const KEEP_ALIVE_TRIES = 9;
/**
 * A guest that came back on another link may have been started anew: what it had open is asked after a second, then after
 * two, four … up to the interval above, as often as a silent one. One that knows nothing of it answers with a reset.
 */
export const RETURN_PROBE = 1_000;
/** How long we answer for a conversation that we closed first. The link is local: segments do not linger for minutes. */
export const TIME_WAIT_MS = 10_000;
/** Conversations held in TIME_WAIT; beyond, the oldest is forgotten early (as Linux, tcp_max_tw_buckets). */
export const MAX_TIME_WAIT = 8_192;
/** A flow that waits for room on its link is tried again after 1 ms, then ever more slowly up to this. */
export const STARVED_MAX = 64;
/** How long an acknowledgement of less than two segments waits for data to travel with: as ticks pass, 1 to 2 ms. */
export const ACK_DELAY = 2;
/** Segments read from one socket before others get their turn. */
export const PUMP_BUDGET = 16;
/** Resets and challenge acknowledgements a second, all flows together (RFC 5961 §7). */
export const RESPONSES_PER_SECOND = 2_000;
export const RESPONSE_BURST = 1_000;
