/**
 * ICMP for IPv4 (RFC 792, RFC 1191 for the next-hop MTU). Zone: packet. `o` is the offset of the ICMP header, `len` the
 * bytes of the whole message. Accessors assume `check` returned OK.
 *
 *   0 type | 1 code | 2 checksum | 4 rest of header (echo: id, sequence; fragmentation needed: 0, MTU) | 8 data
 */
import { finish, fold, incremental16, sum, VALID } from './checksum.ts';
import { BAD_CHECKSUM, OK, TOO_SHORT, type Verdict } from './verdict.ts';

export const HEADER_LEN = 8; // bytes

export const TYPE_ECHO_REPLY = 0;
export const TYPE_UNREACHABLE = 3;
export const TYPE_REDIRECT = 5;
export const TYPE_ECHO_REQUEST = 8;
export const TYPE_TIME_EXCEEDED = 11;
export const TYPE_PARAMETER_PROBLEM = 12;

export const CODE_NET_UNREACHABLE = 0;
export const CODE_HOST_UNREACHABLE = 1;
export const CODE_PROTOCOL_UNREACHABLE = 2;
export const CODE_PORT_UNREACHABLE = 3;
export const CODE_FRAGMENTATION_NEEDED = 4;
export const CODE_NET_PROHIBITED = 9; // RFC 1122 §3.2.2.1
export const CODE_HOST_PROHIBITED = 10;
export const CODE_ADMIN_PROHIBITED = 13; // RFC 1812 §5.2.7.1

export const CODE_TTL_EXCEEDED = 0; // of TYPE_TIME_EXCEEDED
export const CODE_REASSEMBLY_TIMEOUT = 1;

const TYPE = 0;
const CODE = 1;
const CHECKSUM = 2;
const REST = 4;

export const type = (v: DataView, o: number): number => v.getUint8(o + TYPE);
export const code = (v: DataView, o: number): number => v.getUint8(o + CODE);
export const checksum = (v: DataView, o: number): number => v.getUint16(o + CHECKSUM);
export const rest = (v: DataView, o: number): number => v.getUint32(o + REST);
export const echoId = (v: DataView, o: number): number => v.getUint16(o + REST);
export const echoSequence = (v: DataView, o: number): number => v.getUint16(o + REST + 2);
export const nextHopMtu = (v: DataView, o: number): number => v.getUint16(o + REST + 2);

/** Errors carry a quoted packet at `o + HEADER_LEN`, and are never answered with an error (RFC 1122 §3.2.2). */
export function isError(type: number): boolean {
  return (
    type === TYPE_UNREACHABLE ||
    type === TYPE_REDIRECT ||
    type === TYPE_TIME_EXCEEDED ||
    type === TYPE_PARAMETER_PROBLEM
  );
}

/** Length and checksum; any type. */
export function check(v: DataView, o: number, len: number): Verdict {
  if (len < HEADER_LEN) return TOO_SHORT;
  return fold(sum(v, o, len)) === VALID ? OK : BAD_CHECKSUM;
}

export function setChecksum(v: DataView, o: number, len: number): void {
  v.setUint16(o + CHECKSUM, 0);
  v.setUint16(o + CHECKSUM, finish(sum(v, o, len)));
}

/** Changes the echo identifier and updates the checksum. */
export function setEchoId(v: DataView, o: number, id: number): void {
  v.setUint16(o + CHECKSUM, incremental16(checksum(v, o), echoId(v, o), id));
  v.setUint16(o + REST, id);
}

/** Turns an echo request into its reply, in place. */
export function emitEchoReply(v: DataView, o: number): void {
  const was = v.getUint16(o + TYPE);
  v.setUint16(o + TYPE, TYPE_ECHO_REPLY << 8);
  v.setUint16(o + CHECKSUM, incremental16(checksum(v, o), was, TYPE_ECHO_REPLY << 8));
}

/** Writes the 8 header bytes with a zero checksum; end with `setChecksum` when the data is in place. */
export function emit(v: DataView, o: number, type: number, code: number, rest: number): void {
  v.setUint8(o + TYPE, type);
  v.setUint8(o + CODE, code);
  v.setUint16(o + CHECKSUM, 0);
  v.setUint32(o + REST, rest);
}
