/**
 * 32-bit sequence arithmetic (RFC 9293 §3.4, RFC 1982).
 *
 * Zone: packet.  Sequence numbers are int32 (`|0`), so that differences wrap by themselves.
 */

/** `a` lies before `b` in sequence space. */
export const before = (a: number, b: number): boolean => ((a - b) | 0) < 0;
/** `a` lies before or at `b`. */
export const beforeOrAt = (a: number, b: number): boolean => ((a - b) | 0) <= 0;
/** Distance from `b` to `a`, signed, in bytes. */
export const distance = (a: number, b: number): number => (a - b) | 0;
export const add = (a: number, n: number): number => (a + n) | 0;
