/**
 * Writes one DNS message at a time into its own buffer: question, records, OPT, truncation to a size.
 *
 * Zone: flow.  Owner names are compressed (RFC 1035 §4.1.4); names inside RDATA are written out, which is right for every
 * type (RFC 3597 §4 forbids compression for the newer ones).  Room for the OPT record is kept free, whole records are left
 * out when the next one does not fit.  `finish` returns a view of the buffer: borrowed until the next `begin`.
 */
import {
  ADDITIONAL_COUNT,
  ANSWER_COUNT,
  CLASS_IN,
  EDNS_UDP_OCTETS,
  FLAGS,
  FLAG_TRUNCATED,
  HEADER_OCTETS,
  ID,
  MAX_MESSAGE_OCTETS,
  QUESTION_COUNT,
  TYPE,
  readUint16,
  writeUint16,
  writeUint32,
} from './dns.ts';
import type { AUTHORITY_COUNT } from './dns.ts';
import { nameKey, sameOctets } from './dns-name.ts';

/** A section is named by its counter in the header. */
export type Section = typeof ANSWER_COUNT | typeof AUTHORITY_COUNT | typeof ADDITIONAL_COUNT;

/** Root owner, type, class, TTL, RDLENGTH: an OPT record without options. */
export const OPT_OCTETS = 11;
const DNSSEC_OK = 0x8000;
const POINTER = 0xc000;
/** A pointer has 14 bits. */
const MAX_POINTER = 0x3fff;
/** Names remembered as targets of pointers; further ones are written out. */
const MAX_TARGETS = 64;

/** An OPT record without options: advertises our receive size, version 0, DO as the client sent it (RFC 6891 §6.1). */
export function writeEdns(bytes: Uint8Array, offset: number, rcode: number, dnssecOk: boolean): void {
  bytes[offset] = 0;
  writeUint16(bytes, offset + 1, TYPE.OPT);
  writeUint16(bytes, offset + 3, EDNS_UDP_OCTETS);
  writeUint16(bytes, offset + 5, (rcode >>> 4) << 8);
  writeUint16(bytes, offset + 7, dnssecOk ? DNSSEC_OK : 0);
  writeUint16(bytes, offset + 9, 0);
}

export class DnsWriter {
  readonly #bytes: Uint8Array = new Uint8Array(MAX_MESSAGE_OCTETS);
  readonly #targets: Map<string, number> = new Map();
  #length = 0;
  #limit = 0;
  /** End of the question's name, its zero octet included. */
  #questionName = 0;
  #rcode = 0;
  #hasEdns = false;
  #dnssecOk = false;
  #truncated = false;

  /** Starts a message of at most `limitOctets`; `rcode` may have extended bits if `edns` follows. */
  begin(id: number, flags: number, rcode: number, limitOctets: number): void {
    const bytes = this.#bytes;
    bytes.fill(0, 0, HEADER_OCTETS);
    writeUint16(bytes, ID, id);
    writeUint16(bytes, FLAGS, (flags & ~0xf) | (rcode & 0xf));
    this.#length = HEADER_OCTETS;
    this.#limit = Math.min(limitOctets, MAX_MESSAGE_OCTETS);
    this.#questionName = 0;
    this.#rcode = rcode;
    this.#hasEdns = false;
    this.#truncated = false;
    if (this.#targets.size > 0) this.#targets.clear();
  }

  /** Announces an OPT record, which `finish` puts last; its room is kept free from now on. */
  edns(dnssecOk: boolean): void {
    this.#hasEdns = true;
    this.#dnssecOk = dnssecOk;
    this.#limit -= OPT_OCTETS;
  }

  /** Repeats the question octet by octet: a client that mixes cases must find its own spelling again. */
  question(bytes: Uint8Array, from: number, end: number): void {
    this.#append(bytes.subarray(from, end));
    this.#questionName = this.#length - 4;
    writeUint16(this.#bytes, QUESTION_COUNT, 1);
  }

  /** An answer of class IN; owner undefined = the name of the question.  False, with TC set, if it did not fit. */
  answer(owner: Uint8Array | undefined, type: number, ttl: number, rdata: Uint8Array): boolean {
    return this.record(ANSWER_COUNT, owner, type, CLASS_IN, ttl, rdata);
  }

  /** Any record.  A full additional section is no truncation (RFC 2181 §9). */
  record(
    section: Section,
    owner: Uint8Array | undefined,
    type: number,
    cls: number,
    ttl: number,
    rdata: Uint8Array,
  ): boolean {
    if (this.#truncated) return false;
    const pointer = owner === undefined ? HEADER_OCTETS : this.#findOwner(owner);
    const ownerOctets = owner === undefined || pointer > 0 ? 2 : owner.length;
    if (this.#length + ownerOctets + 10 + rdata.length > this.#limit) {
      this.#truncated = section !== ADDITIONAL_COUNT;
      return false;
    }
    if (owner === undefined || pointer > 0) this.#appendUint16(POINTER | pointer);
    else this.#appendName(owner);
    this.#appendFields(type, cls, ttl, rdata.length);
    if (type === TYPE.CNAME) this.#remember(rdata, this.#length); // the next owner of a chain
    this.#append(rdata);
    writeUint16(this.#bytes, section, readUint16(this.#bytes, section) + 1);
    return true;
  }

  finish(): Uint8Array {
    const bytes = this.#bytes;
    if (this.#truncated) writeUint16(bytes, FLAGS, readUint16(bytes, FLAGS) | FLAG_TRUNCATED);
    if (this.#hasEdns) {
      writeEdns(bytes, this.#length, this.#rcode, this.#dnssecOk);
      this.#length += OPT_OCTETS;
      writeUint16(bytes, ADDITIONAL_COUNT, readUint16(bytes, ADDITIONAL_COUNT) + 1);
    }
    return bytes.subarray(0, this.#length);
  }

  #appendFields(type: number, cls: number, ttl: number, rdataOctets: number): void {
    this.#appendUint16(type);
    this.#appendUint16(cls);
    writeUint32(this.#bytes, this.#length, ttl);
    this.#length += 4;
    this.#appendUint16(rdataOctets);
  }

  #appendName(name: Uint8Array): void {
    this.#remember(name, this.#length);
    this.#append(name);
  }

  #append(octets: Uint8Array): void {
    this.#bytes.set(octets, this.#length);
    this.#length += octets.length;
  }

  #appendUint16(value: number): void {
    writeUint16(this.#bytes, this.#length, value);
    this.#length += 2;
  }

  #remember(name: Uint8Array, offset: number): void {
    if (offset <= MAX_POINTER && this.#targets.size < MAX_TARGETS) this.#targets.set(nameKey(name), offset);
  }

  /** Offset of an equal name written before, 0 if there is none.  The root is as short as its pointer would be long. */
  #findOwner(owner: Uint8Array): number {
    if (owner.length === 1) return 0;
    const tail = this.#findInQuestion(owner);
    return tail > 0 ? tail : (this.#targets.get(nameKey(owner)) ?? 0);
  }

  /** Zone apexes are tails of the question's name. */
  #findInQuestion(owner: Uint8Array): number {
    const start = this.#questionName - owner.length;
    if (start < HEADER_OCTETS || !sameOctets(this.#bytes, start, owner, 0, owner.length)) return 0;
    let label = HEADER_OCTETS;
    while (label < start) label += 1 + this.#bytes[label]!;
    return label === start ? start : 0;
  }
}
