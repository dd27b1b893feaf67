/**
 * Ports of the load server (server.ts), as its clients know them.
 *
 * Zone: control.
 */
/**
 * TCP: sends back what comes. Many, since one address pair and port holds 64 000 connections, and a client's kernel, which
 * keeps the port of each for a minute (TIME_WAIT) unless both sides have timestamps, searches for a free one ever longer:
 * measured 15 ms for each connect() once half of them are taken, with tcp-crr at one port.
 */
export const ECHO_PORTS: readonly number[] = [7001, ...Array.from({ length: 15 }, (_, index) => 7011 + index)];
/** UDP: sends each datagram back. */
export const UDP_ECHO_PORT = 7002;
/** UDP: counts. */
export const UDP_SINK_PORT = 7003;
/** UDP: answers one datagram of FLOOD_REQUEST_LEN bytes with a flood. */
export const UDP_SOURCE_PORT = 7004;
/** TCP: reads and counts. */
export const SINK_PORT = 7005;
/** TCP: writes until the client has gone. */
export const SOURCE_PORT = 7006;

/** Milliseconds (uint32), bytes of a datagram (uint16), 1 for many datagrams in one call (uint16); little-endian. */
export const FLOOD_REQUEST_LEN = 8;

/** Most bytes that the kernel cuts into datagrams in one call, and most datagrams (man 7 udp, UDP_SEGMENT). */
const SEGMENTED_MAX_BYTES = 63_000;
const SEGMENTS_MAX = 45;

/** Bytes of one send call whose payload the kernel cuts into datagrams of `size`. */
export const segmentedLength = (size: number): number =>
  size * Math.max(1, Math.min(SEGMENTS_MAX, Math.floor(SEGMENTED_MAX_BYTES / size)));
