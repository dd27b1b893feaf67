/**
 * Whole DNS messages as plain objects (RFC 1035 §4.1).
 *
 * Zone: flow.  Names are expanded, also those inside the RDATA of the types that may compress them (RFC 3597 §4).
 * Every record takes at least 11 octets of the message and brings at most three names of 255, so what is decoded is bounded
 * by about 50 times the message, and the time by the same.  Nothing throws; a malformed part makes the whole null.
 */
import {
  ADDITIONAL_COUNT,
  ANSWER_COUNT,
  AUTHORITY_COUNT,
  FLAGS,
  HEADER_OCTETS,
  ID,
  MAX_MESSAGE_OCTETS,
  QUESTION_COUNT,
  RecordCursor,
  readUint16,
} from './dns.ts';
import { MAX_NAME_OCTETS, expandName, skipName } from './dns-name.ts';
import { expandRdata } from './dns-rdata.ts';

export interface DnsQuestion {
  /** Uncompressed wire name, as all names here. */
  readonly name: Uint8Array;
  readonly type: number;
  readonly class: number;
}

export interface DnsRecord {
  readonly name: Uint8Array;
  readonly type: number;
  readonly class: number;
  /** Seconds. */
  readonly ttl: number;
  readonly rdata: Uint8Array;
}

export interface DnsMessage {
  readonly id: number;
  /** The second header word. */
  readonly flags: number;
  readonly questions: readonly DnsQuestion[];
  readonly answers: readonly DnsRecord[];
  readonly authority: readonly DnsRecord[];
  /** The OPT record included. */
  readonly additional: readonly DnsRecord[];
}

const $name = new Uint8Array(MAX_NAME_OCTETS);

/** The message, or null if any part of it is malformed.  Octets behind the last record are ignored. */
export function parseMessage(bytes: Uint8Array): DnsMessage | null {
  if (bytes.length < HEADER_OCTETS || bytes.length > MAX_MESSAGE_OCTETS) return null;
  const cursor = new RecordCursor();
  const questions = parseQuestions(bytes, cursor);
  if (questions === null) return null;
  const answers = parseRecords(cursor, readUint16(bytes, ANSWER_COUNT));
  if (answers === null) return null;
  const authority = parseRecords(cursor, readUint16(bytes, AUTHORITY_COUNT));
  if (authority === null) return null;
  const additional = parseRecords(cursor, readUint16(bytes, ADDITIONAL_COUNT));
  if (additional === null) return null;
  return { id: readUint16(bytes, ID), flags: readUint16(bytes, FLAGS), questions, answers, authority, additional };
}

function parseQuestions(bytes: Uint8Array, cursor: RecordCursor): DnsQuestion[] | null {
  const questions: DnsQuestion[] = [];
  let at = HEADER_OCTETS;
  for (let left = readUint16(bytes, QUESTION_COUNT); left > 0; left--) {
    const name = copyName(bytes, at);
    const fields = skipName(bytes, at);
    if (name === null || fields + 4 > bytes.length) return null;
    questions.push({ name, type: readUint16(bytes, fields), class: readUint16(bytes, fields + 2) });
    at = fields + 4;
  }
  cursor.start(bytes, at);
  return questions;
}

function parseRecords(cursor: RecordCursor, count: number): DnsRecord[] | null {
  const records: DnsRecord[] = [];
  for (let left = count; left > 0; left--) {
    if (!cursor.next()) return null;
    const name = copyName(cursor.bytes, cursor.name);
    const rdata = expandRdata(cursor.type, cursor.bytes, cursor.rdata, cursor.rdataOctets);
    if (name === null || rdata === null) return null;
    records.push({ name, type: cursor.type, class: cursor.class, ttl: cursor.ttl, rdata });
  }
  return records;
}

function copyName(bytes: Uint8Array, offset: number): Uint8Array | null {
  const octets = expandName(bytes, offset, $name, 0);
  return octets < 0 ? null : $name.slice(0, octets);
}
