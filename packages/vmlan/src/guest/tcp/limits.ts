/**
 * Bounds of a guest's TCP connection.
 *
 * Zone: control.
 */
/** Bytes that wait to be acknowledged, and bytes that wait to be read. */
export const SEND_BUFFER_BYTES: number = 262_144;
export const RECEIVE_BUFFER_BYTES: number = 262_144;
/** Times that a SYN, and other segments, are sent again before the connection is given up. */
export const MAX_SYN_RETRIES: number = 6;
export const MAX_RETRIES: number = 12;
/** Not the four minutes of RFC 9293: nothing here lives that long, and ports are chosen at random. */
export const TIME_WAIT_MS: number = 2000;
/** A connection whose program has closed it waits so long for the other side to close, too. */
export const FIN_WAIT_MS: number = 30_000;
