/**
 * Replies from upstream as octets: check, store for several clients, age, cut to a size.
 *
 * Zone: flow.  RFC 1035 §4.2.1 and RFC 2181 §9 (truncation), RFC 2308 (negative answers), RFC 6891 §6.1 (OPT belongs to one
 * hop: a stored reply has none).  Records are never reordered or rewritten, so compression pointers stay right.
 */
import {
  ADDITIONAL_COUNT,
  ANSWER_COUNT,
  AUTHORITY_COUNT,
  FLAGS,
  FLAG_AUTHORITATIVE,
  FLAG_RESPONSE,
  FLAG_TRUNCATED,
  HEADER_OCTETS,
  QUESTION_COUNT,
  RCODE,
  RecordCursor,
  TYPE,
  copyOctets,
  questionEnd,
  rcodeOf,
  readUint16,
  readUint32,
  recordCount,
  writeUint16,
  writeUint32,
} from '../wire/dns.ts';
import { sameOctets } from '../wire/dns-name.ts';

export interface StoredReply {
  /** Without OPT and without AA. */
  readonly bytes: Uint8Array;
  readonly ttlOffsets: readonly number[];
  /** How long the reply may be given again; 0 = to those only who are waiting for it now. */
  readonly lifetimeS: number;
  /** Says that a name or type does not exist. */
  readonly isNegative: boolean;
}

const MAX_TTL_S = 0x7fffffff; // RFC 2181 §8: larger ones count as zero
const NO_SOA = -1;
const $cursor = new RecordCursor();

/** Whether octets are a response to the one question (name, type, class) given; letters compare without case. */
export function answersQuestion(reply: Uint8Array, question: Uint8Array): boolean {
  return (
    reply.length >= HEADER_OCTETS + question.length &&
    (readUint16(reply, FLAGS) & FLAG_RESPONSE) !== 0 &&
    readUint16(reply, QUESTION_COUNT) === 1 &&
    sameOctets(reply, HEADER_OCTETS, question, 0, question.length - 4) &&
    Buffer.compare(
      reply.subarray(HEADER_OCTETS + question.length - 4, HEADER_OCTETS + question.length),
      question.subarray(-4),
    ) === 0
  );
}

/** A copy that may be given to others than the asker; null if the reply is malformed, truncated, or about EDNS itself. */
export function storeReply(reply: Uint8Array): StoredReply | null {
  const start = questionEnd(reply);
  const flags = readUint16(reply, FLAGS);
  if (start < 0 || (flags & FLAG_TRUNCATED) !== 0) return null;
  const total = recordCount(reply);
  const additional = total - readUint16(reply, ADDITIONAL_COUNT);
  const ttlOffsets: number[] = [];
  let shortestS = MAX_TTL_S;
  let negativeS = NO_SOA;
  let end = start;
  $cursor.start(reply, start);
  for (let i = 0; i < total; i++) {
    if (!$cursor.next()) return null;
    if ($cursor.type === TYPE.OPT) {
      if ($cursor.ttl >>> 24 !== 0) return null; // an extended RCODE
      break; // what follows OPT is additional, and dispensable
    }
    const ttlS = $cursor.ttl > MAX_TTL_S ? 0 : $cursor.ttl;
    shortestS = Math.min(shortestS, ttlS);
    if ($cursor.type === TYPE.SOA && i < additional) negativeS = soaLifetime($cursor, ttlS);
    ttlOffsets.push($cursor.ttlOffset);
    end = $cursor.end;
  }
  const bytes = copyOctets(reply, 0, end);
  writeUint16(bytes, FLAGS, flags & ~FLAG_AUTHORITATIVE);
  writeUint16(bytes, ADDITIONAL_COUNT, Math.max(0, ttlOffsets.length - additional));
  const isNegative = rcodeOf(flags) !== RCODE.NOERROR || readUint16(reply, ANSWER_COUNT) === 0 || negativeS !== NO_SOA;
  return { bytes, ttlOffsets, lifetimeS: lifetime(rcodeOf(flags), isNegative, shortestS, negativeS), isNegative };
}

/** RFC 2308 §5: the smaller of the SOA's TTL and its last number. */
function soaLifetime(soa: RecordCursor, ttlS: number): number {
  return soa.rdataOctets >= 4 ? Math.min(ttlS, readUint32(soa.bytes, soa.end - 4)) : 0;
}

/** RFC 2308 §5, §7: failures and negative answers without SOA are not kept. */
function lifetime(rcode: number, isNegative: boolean, shortestS: number, negativeS: number): number {
  if (rcode !== RCODE.NOERROR && rcode !== RCODE.NXDOMAIN) return 0;
  return isNegative ? Math.min(shortestS, Math.max(0, negativeS)) : shortestS;
}

/** Writes a stored reply to `out` with the TTLs that are left after `ageS`; returns its octets. */
export function renewReply({ bytes, ttlOffsets }: StoredReply, ageS: number, out: Uint8Array): number {
  out.set(bytes);
  if (ageS > 0) {
    for (const offset of ttlOffsets) writeUint32(out, offset, Math.max(0, readUint32(bytes, offset) - ageS));
  }
  return bytes.length;
}

/**
 * Cuts the message of `length` octets in `bytes` to whole records within `limit`; returns the octets left.
 * Its OPT record stays; TC tells if answers or authority are missing.
 */
export function cutReply(bytes: Uint8Array, length: number, limit: number): number {
  const message = bytes.subarray(0, length);
  if (length <= limit) return length;
  const start = questionEnd(message);
  if (start < 0 || start > limit) return cutToHeader(bytes);
  const opt = findOpt(message, start);
  const room = limit - (opt === null || start + opt.length > limit ? 0 : opt.length);
  const kept = countFitting(message, start, room);
  let end = kept.end;
  const required = readUint16(bytes, ANSWER_COUNT) + readUint16(bytes, AUTHORITY_COUNT);
  if (kept.count < required) writeUint16(bytes, FLAGS, readUint16(bytes, FLAGS) | FLAG_TRUNCATED);
  takeCounts(bytes, kept.count);
  if (opt !== null && room < limit) {
    bytes.set(opt, end);
    end += opt.length;
    writeUint16(bytes, ADDITIONAL_COUNT, readUint16(bytes, ADDITIONAL_COUNT) + 1);
  }
  return end;
}

function cutToHeader(bytes: Uint8Array): number {
  writeUint16(bytes, FLAGS, readUint16(bytes, FLAGS) | FLAG_TRUNCATED);
  bytes.fill(0, QUESTION_COUNT, HEADER_OCTETS);
  return HEADER_OCTETS;
}

/** A copy of the OPT record, null if there is none. */
function findOpt(message: Uint8Array, start: number): Uint8Array | null {
  $cursor.start(message, start);
  for (let left = recordCount(message); left > 0 && $cursor.next(); left--) {
    if ($cursor.type === TYPE.OPT) return copyOctets(message, $cursor.name, $cursor.end);
  }
  return null;
}

/** How many records, OPT and what follows it excluded, end within `room`. */
function countFitting(message: Uint8Array, start: number, room: number): { count: number; end: number } {
  const total = recordCount(message);
  let end = start;
  let count = 0;
  $cursor.start(message, start);
  while (count < total && $cursor.next() && $cursor.end <= room && $cursor.type !== TYPE.OPT) {
    end = $cursor.end;
    count++;
  }
  return { count, end };
}

/** Leaves `count` records in the counters, the later sections losing theirs first. */
function takeCounts(bytes: Uint8Array, count: number): void {
  let left = count;
  for (const section of [ANSWER_COUNT, AUTHORITY_COUNT, ADDITIONAL_COUNT]) {
    const kept = Math.min(left, readUint16(bytes, section));
    writeUint16(bytes, section, kept);
    left -= kept;
  }
}
