/**
 * ICMPv6 (RFC 4443). Zone: packet. `o` is the offset of the ICMPv6 header, `len` the bytes of the whole message.
 * `pseudo` is the pseudo header's sum with length zero (`ipv6.pseudo(v, ip, PROTO_ICMPV6)`): the length is added here.
 *
 *   0 type | 1 code | 2 checksum | 4 rest of header (echo: id, sequence; too big: MTU; parameter problem: pointer) | 8 data
 */
import { finish, fold, incremental16, sum, VALID } from './checksum.ts';
import { BAD_CHECKSUM, OK, TOO_SHORT, type Verdict } from './verdict.ts';

export const HEADER_LEN = 8; // bytes

export const TYPE_UNREACHABLE = 1;
export const TYPE_PACKET_TOO_BIG = 2;
export const TYPE_TIME_EXCEEDED = 3;
export const TYPE_PARAMETER_PROBLEM = 4;
export const TYPE_ECHO_REQUEST = 128;
export const TYPE_ECHO_REPLY = 129;
export const TYPE_MLD_QUERY = 130; // RFC 2710, RFC 3810
export const TYPE_MLD_REPORT = 131;
export const TYPE_MLD_DONE = 132;
export const TYPE_ROUTER_SOLICIT = 133; // RFC 4861
export const TYPE_ROUTER_ADVERT = 134;
export const TYPE_NEIGHBOR_SOLICIT = 135;
export const TYPE_NEIGHBOR_ADVERT = 136;
export const TYPE_REDIRECT = 137;
export const TYPE_MLD2_REPORT = 143;

export const CODE_NO_ROUTE = 0; // of TYPE_UNREACHABLE
export const CODE_ADMIN_PROHIBITED = 1;
export const CODE_ADDRESS_UNREACHABLE = 3;
export const CODE_PORT_UNREACHABLE = 4;

export const CODE_HOP_LIMIT_EXCEEDED = 0; // of TYPE_TIME_EXCEEDED
export const CODE_REASSEMBLY_TIMEOUT = 1;

export const CODE_ERRONEOUS_FIELD = 0; // of TYPE_PARAMETER_PROBLEM
export const CODE_UNKNOWN_NEXT_HEADER = 1;
export const CODE_UNKNOWN_OPTION = 2;

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
export const mtu = (v: DataView, o: number): number => v.getUint32(o + REST);

/** RFC 4443 §2.1: errors are below 128; they carry a quoted packet and are never answered with an error. */
export const isError = (type: number): boolean => type < 128;

/** Length and checksum; any type. */
export function check(v: DataView, o: number, len: number, pseudo: number): Verdict {
  if (len < HEADER_LEN) return TOO_SHORT;
  return fold(sum(v, o, len, pseudo + len)) === VALID ? OK : BAD_CHECKSUM;
}

export function setChecksum(v: DataView, o: number, len: number, pseudo: number): void {
  v.setUint16(o + CHECKSUM, 0);
  v.setUint16(o + CHECKSUM, finish(sum(v, o, len, pseudo + len)));
}

/** Changes the echo identifier and updates the checksum. */
export function setEchoId(v: DataView, o: number, id: number): void {
  v.setUint16(o + CHECKSUM, incremental16(checksum(v, o), echoId(v, o), id));
  v.setUint16(o + REST, id);
}

/** Turns an echo request into its reply, in place; `pseudo` belongs to the addresses of the reply. */
export function emitEchoReply(v: DataView, o: number, len: number, pseudo: number): void {
  v.setUint16(o + TYPE, TYPE_ECHO_REPLY << 8);
  setChecksum(v, o, len, pseudo);
}

/** Writes the 8 header bytes with a zero checksum; end with `setChecksum` when the data is in place. */
export function emit(v: DataView, o: number, type: number, code: number, rest: number): void {
  v.setUint8(o + TYPE, type);
  v.setUint8(o + CODE, code);
  v.setUint16(o + CHECKSUM, 0);
  v.setUint32(o + REST, rest);
}
