/**
 * What makes octets from a name server the reply to a query, and what its response code means for us.
 *
 * Zone: control.
 */
import {
  FLAGS,
  FLAG_RESPONSE,
  FLAG_TRUNCATED,
  HEADER_OCTETS,
  ID,
  QUESTION_COUNT,
  RCODE,
  copyOctets,
  questionEnd,
  rcodeOf,
  readUint16,
} from '../../wire/dns.ts';
import { sameOctets } from '../../wire/dns-name.ts';

/** A copy of a message under another ID. */
export function withId(message: Uint8Array, id: number): Uint8Array {
  const copy = copyOctets(message);
  copy[ID] = id >>> 8;
  copy[ID + 1] = id;
  return copy;
}

/**
 * Whether `reply` answers `query`, its ID included.  Servers that do not understand EDNS may leave the question out of
 * their complaint (RFC 6891 §7), so an error without question counts too.
 */
export function isReplyTo(reply: Uint8Array, query: Uint8Array): boolean {
  if (reply.length < HEADER_OCTETS || readUint16(reply, ID) !== readUint16(query, ID)) return false;
  const flags = readUint16(reply, FLAGS);
  if ((flags & FLAG_RESPONSE) === 0) return false;
  if (readUint16(reply, QUESTION_COUNT) === 0) return rcodeOf(flags) !== RCODE.NOERROR;
  const octets = questionEnd(query) - HEADER_OCTETS;
  const fields = HEADER_OCTETS + octets - 4;
  return (
    readUint16(reply, QUESTION_COUNT) === 1 &&
    sameOctets(reply, HEADER_OCTETS, query, HEADER_OCTETS, octets - 4) &&
    reply.length >= fields + 4 &&
    readUint16(reply, fields) === readUint16(query, fields) &&
    readUint16(reply, fields + 2) === readUint16(query, fields + 2)
  );
}

export function replyCode(reply: Uint8Array): number {
  return rcodeOf(readUint16(reply, FLAGS));
}

export function isTruncated(reply: Uint8Array): boolean {
  return (readUint16(reply, FLAGS) & FLAG_TRUNCATED) !== 0;
}

/** Says something about the name; other codes are the server's own trouble, and another may do better. */
export function isAnswer(reply: Uint8Array): boolean {
  const code = replyCode(reply);
  return code === RCODE.NOERROR || code === RCODE.NXDOMAIN;
}
