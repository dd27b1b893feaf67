/**
 * DNS queries as they come from guests: header, the one question, and EDNS (RFC 1035 §4.1, RFC 6891 §6.1).
 *
 * Zone: flow.  One reused record, filled from a borrowed message; its only allocation is the key of the name.
 * Everything is linear in the message and bounded by it; nothing throws.
 */
import {
  ADDITIONAL_COUNT,
  FLAGS,
  FLAG_RESPONSE,
  HEADER_OCTETS,
  ID,
  OPCODE_QUERY,
  PLAIN_UDP_OCTETS,
  QUESTION_COUNT,
  RecordCursor,
  TYPE,
  opcodeOf,
  readUint16,
  recordCount,
} from './dns.ts';
import { nameKey, nameOctets } from './dns-name.ts';

/** A query to be answered. */
export const QUERY_OK = 0;
/** Too short to answer, or a response: stay silent, or two servers would talk for ever. */
export const QUERY_DROP = 1;
export const QUERY_MALFORMED = 2;
export const QUERY_NOT_IMPLEMENTED = 3;
export type QueryVerdict = typeof QUERY_OK | typeof QUERY_DROP | typeof QUERY_MALFORMED | typeof QUERY_NOT_IMPLEMENTED;

/** DO, the first of the OPT record's flags (RFC 3225 §3). */
const DNSSEC_OK = 0x8000;
/** Options that concern one hop only and never the answer: keepalive (RFC 7828), cookie (RFC 7873), padding (RFC 7830). */
const HOP_OPTIONS: ReadonlySet<number> = new Set([10, 11, 12]);

export class DnsQuery {
  id = 0;
  /** The second header word. */
  flags = 0;
  /** Octet behind the question, 0 while none could be read: a reply then repeats no question. */
  questionEnd = 0;
  /** Key of the name (dns-name.ts). */
  key = '';
  type = 0;
  class = 0;
  hasEdns = false;
  /** What the client takes over UDP, never below 512 (RFC 6891 §6.2.3). */
  udpOctets: number = PLAIN_UDP_OCTETS;
  ednsVersion = 0;
  dnssecOk = false;
  /** Nothing but a question and EDNS without options that may change the answer (client subnet, NSID, …). */
  isOrdinary = false;

  readonly #cursor: RecordCursor = new RecordCursor();

  parse(bytes: Uint8Array): QueryVerdict {
    this.#reset();
    if (bytes.length < HEADER_OCTETS) return QUERY_DROP;
    this.id = readUint16(bytes, ID);
    this.flags = readUint16(bytes, FLAGS);
    if ((this.flags & FLAG_RESPONSE) !== 0) return QUERY_DROP;
    if (opcodeOf(this.flags) !== OPCODE_QUERY) return QUERY_NOT_IMPLEMENTED;
    if (readUint16(bytes, QUESTION_COUNT) !== 1 || !this.#readQuestion(bytes)) return QUERY_MALFORMED;
    return this.#readRecords(bytes) ? QUERY_OK : QUERY_MALFORMED;
  }

  #reset(): void {
    this.questionEnd = 0;
    this.key = '';
    this.hasEdns = false;
    this.udpOctets = PLAIN_UDP_OCTETS;
    this.ednsVersion = 0;
    this.dnssecOk = false;
    this.isOrdinary = true;
  }

  /** Nothing stands before the first question, so its name cannot be compressed. */
  #readQuestion(bytes: Uint8Array): boolean {
    const octets = nameOctets(bytes, HEADER_OCTETS);
    const end = HEADER_OCTETS + octets + 4;
    if (octets < 0 || end > bytes.length) return false;
    this.key = nameKey(bytes, HEADER_OCTETS);
    this.type = readUint16(bytes, end - 4);
    this.class = readUint16(bytes, end - 2);
    this.questionEnd = end;
    return true;
  }

  #readRecords(bytes: Uint8Array): boolean {
    const total = recordCount(bytes);
    if (total === 0) return true;
    const firstAdditional = total - readUint16(bytes, ADDITIONAL_COUNT);
    const cursor = this.#cursor;
    cursor.start(bytes, this.questionEnd);
    for (let i = 0; i < total; i++) {
      if (!cursor.next()) return false;
      if (cursor.type !== TYPE.OPT) this.isOrdinary = false;
      else if (i < firstAdditional || !this.#readEdns(cursor)) return false;
    }
    return true;
  }

  /**
   *   NAME root | TYPE OPT | CLASS = UDP size | TTL = extended RCODE 8, version 8, DO 1, zero 15 | options …
   * RFC 6891 §6.1.1: more than one OPT, or an owner that is not the root, is a format error.
   */
  #readEdns(cursor: RecordCursor): boolean {
    if (this.hasEdns || cursor.bytes[cursor.name] !== 0) return false;
    this.hasEdns = true;
    this.udpOctets = Math.max(PLAIN_UDP_OCTETS, cursor.class);
    this.ednsVersion = (cursor.ttl >>> 16) & 0xff;
    this.dnssecOk = (cursor.ttl & DNSSEC_OK) !== 0;
    return this.#readOptions(cursor);
  }

  #readOptions(cursor: RecordCursor): boolean {
    let at = cursor.rdata;
    while (at < cursor.end) {
      if (at + 4 > cursor.end) return false;
      if (!HOP_OPTIONS.has(readUint16(cursor.bytes, at))) this.isOrdinary = false;
      at += 4 + readUint16(cursor.bytes, at + 2);
    }
    return at === cursor.end;
  }
}
