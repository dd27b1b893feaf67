/**
 * DNS messages: numbers, header fields and the walk over resource records (RFC 1034, 1035, 3596, 6891, 2782, 8659, 9460).
 *
 * Zone: packet (constants, accessors, RecordCursor), flow (typeName, typeNumber).  Messages are borrowed, nothing is copied.
 * Names are in dns-name.ts, queries in dns-query.ts, whole messages in dns-message.ts, replies in dns-writer.ts and
 * dns-reply.ts, RDATA as text in dns-rdata.ts.
 */
import { skipName } from './dns-name.ts';

export const HEADER_OCTETS = 12;
/** A DNS message over TCP has a 16-bit length (RFC 1035 §4.2.2). */
export const MAX_MESSAGE_OCTETS = 65535;
/** What a client without EDNS takes over UDP (RFC 1035 §4.2.1). */
export const PLAIN_UDP_OCTETS = 512;
/** What we advertise as our own receive size: survives a 1280-octet path unfragmented. */
export const EDNS_UDP_OCTETS = 1232;

/** Record and query types (IANA registry). */
export const TYPE = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  NAPTR: 35,
  DNAME: 39,
  OPT: 41,
  SVCB: 64,
  HTTPS: 65,
  TSIG: 250,
  IXFR: 251,
  AXFR: 252,
  ANY: 255,
  CAA: 257,
} as const;

export const CLASS_IN = 1;

export const OPCODE_QUERY = 0;

/** Response codes; BADVERS needs the extended bits of an OPT record (RFC 6891 §6.1.3). */
export const RCODE = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  BADVERS: 16,
} as const;

/** Bits of the second header word (RFC 1035 §4.1.1, RFC 4035 §3). */
export const FLAG_RESPONSE = 0x8000;
export const FLAG_AUTHORITATIVE = 0x0400;
export const FLAG_TRUNCATED = 0x0200;
export const FLAG_RECURSION_DESIRED = 0x0100;
export const FLAG_RECURSION_AVAILABLE = 0x0080;
export const FLAG_AUTHENTIC = 0x0020;
export const FLAG_CHECKING_DISABLED = 0x0010;
const OPCODE_SHIFT = 11;
const RCODE_MASK = 0x000f;

/** Fields of the header by octet offset. */
export const ID = 0;
export const FLAGS = 2;
export const QUESTION_COUNT = 4;
export const ANSWER_COUNT = 6;
export const AUTHORITY_COUNT = 8;
export const ADDITIONAL_COUNT = 10;

export function readUint16(bytes: Uint8Array, offset: number): number {
  return (bytes[offset]! << 8) | bytes[offset + 1]!;
}

export function readUint32(bytes: Uint8Array, offset: number): number {
  return ((readUint16(bytes, offset) << 16) | readUint16(bytes, offset + 2)) >>> 0;
}

export function writeUint16(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 8;
  bytes[offset + 1] = value;
}

export function writeUint32(bytes: Uint8Array, offset: number, value: number): void {
  writeUint16(bytes, offset, value >>> 16);
  writeUint16(bytes, offset + 2, value);
}

/** A copy with memory of its own, also of a Buffer, whose `slice` would share. */
export function copyOctets(bytes: Uint8Array, from = 0, end: number = bytes.length): Uint8Array {
  return new Uint8Array(bytes.subarray(from, end));
}

export function opcodeOf(flags: number): number {
  return (flags >>> OPCODE_SHIFT) & 0xf;
}

/** The four RCODE bits of the header; the extended ones live in the OPT record. */
export function rcodeOf(flags: number): number {
  return flags & RCODE_MASK;
}

/** Number of records after the question section. */
export function recordCount(bytes: Uint8Array): number {
  return readUint16(bytes, ANSWER_COUNT) + readUint16(bytes, AUTHORITY_COUNT) + readUint16(bytes, ADDITIONAL_COUNT);
}

/** Octet after the first question, or -1 when it does not fit. */
export function questionEnd(bytes: Uint8Array): number {
  const nameEnd = skipName(bytes, HEADER_OCTETS);
  return nameEnd < 0 || nameEnd + 4 > bytes.length ? -1 : nameEnd + 4;
}

/**
 * Walks resource records without expanding names, so that any message costs time linear in its length.
 * `next` returns false at a record that does not fit; the fields then keep their former values.
 *
 *   | NAME … | TYPE 16 | CLASS 16 | TTL 32 | RDLENGTH 16 | RDATA … |
 */
export class RecordCursor {
  bytes: Uint8Array = new Uint8Array(0);
  /** Offset of the owner name. */
  name = 0;
  type = 0;
  class = 0;
  ttl = 0;
  ttlOffset = 0;
  rdata = 0;
  rdataOctets = 0;
  /** Offset behind the record: where the next one starts. */
  end = 0;

  start(bytes: Uint8Array, offset: number): void {
    this.bytes = bytes;
    this.end = offset;
  }

  next(): boolean {
    const { bytes } = this;
    const fields = skipName(bytes, this.end);
    if (fields < 0 || fields + 10 > bytes.length) return false;
    const octets = readUint16(bytes, fields + 8);
    if (fields + 10 + octets > bytes.length) return false;
    this.name = this.end;
    this.type = readUint16(bytes, fields);
    this.class = readUint16(bytes, fields + 2);
    this.ttlOffset = fields + 4;
    this.ttl = readUint32(bytes, fields + 4);
    this.rdata = fields + 10;
    this.rdataOctets = octets;
    this.end = fields + 10 + octets;
    return true;
  }
}

const TYPE_NAMES: ReadonlyMap<number, string> = new Map(Object.entries(TYPE).map(([name, number]) => [number, name]));
const TYPE_NUMBERS: ReadonlyMap<string, number> = new Map(Object.entries(TYPE));
const MAX_TYPE = 65535;

/** `A`, `MX`, …, or `TYPE123` (RFC 3597 §5). */
export function typeName(type: number): string {
  return TYPE_NAMES.get(type) ?? `TYPE${type}`;
}

/** The number of a type name in any case, `TYPE123` included; undefined if there is none. */
export function typeNumber(name: string): number | undefined {
  const upper = name.toUpperCase();
  const known = TYPE_NUMBERS.get(upper);
  if (known !== undefined || !/^TYPE\d{1,5}$/.test(upper)) return known;
  const number = Number(upper.slice(4));
  return number <= MAX_TYPE ? number : undefined;
}
