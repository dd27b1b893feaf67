/**
 * A question for the DNS service of a network and its answer, between text and the octets of RFC 1035.
 *
 * Zone: control.
 */
import { VmlanError } from '../../core/errors.ts';
import type { Lookup, LookupAnswer } from '../../model/lookups.ts';
import { parseIpv4, parseIpv6 } from '../../wire/address.ts';
import {
  CLASS_IN,
  FLAG_AUTHORITATIVE,
  FLAG_RECURSION_DESIRED,
  MAX_MESSAGE_OCTETS,
  RCODE,
  TYPE,
  typeName,
  typeNumber,
} from '../../wire/dns.ts';
import { parseMessage } from '../../wire/dns-message.ts';
import type { DnsRecord } from '../../wire/dns-message.ts';
import { nameText, parseName } from '../../wire/dns-name.ts';
import { rdataText } from '../../wire/dns-rdata.ts';
import { reverseKey4, reverseKey6 } from '../../wire/dns-reverse.ts';
import { DnsWriter } from '../../wire/dns-writer.ts';

const RCODE_BITS = 0xf;
const QUESTION_ID = 1; // nobody else's answer can come this way

/** The query of a guest for it; an address stands for its name in the reverse zone. */
export function makeQuestion(text: string, type: string): Uint8Array {
  const name = parseName(reverseName(text) ?? text);
  if (name === null) throw new VmlanError('invalid', `name: "${text}" is no domain name`);
  const number = typeNumber(type.toUpperCase());
  if (number === undefined || number === TYPE.OPT) {
    throw new VmlanError('invalid', `type: "${type}" is no type of records`, { hint: 'e.g. A, AAAA, TXT or TYPE123' });
  }
  const question = Uint8Array.from([...name, number >> 8, number & 0xff, 0, CLASS_IN]);
  const writer = new DnsWriter();
  writer.begin(QUESTION_ID, FLAG_RECURSION_DESIRED, RCODE.NOERROR, MAX_MESSAGE_OCTETS);
  writer.question(question, 0, question.length);
  return writer.finish().slice();
}

export function readLookup(reply: Uint8Array | null): Lookup {
  const message = reply === null ? null : parseMessage(reply);
  if (message === null) return { status: 'SERVFAIL', authoritative: false, answers: [] };
  return {
    status: statusName(message.flags & RCODE_BITS),
    authoritative: (message.flags & FLAG_AUTHORITATIVE) !== 0,
    answers: message.answers.map(toAnswer),
  };
}

function reverseName(text: string): string | null {
  const v4 = parseIpv4(text);
  if (v4 !== null) return reverseKey4(v4);
  const v6 = parseIpv6(text);
  return v6 === null ? null : reverseKey6(v6);
}

const toAnswer = ({ name, type, ttl, rdata }: DnsRecord): LookupAnswer => ({
  name: nameText(name).replace(/(?<=.)\.$/, ''),
  type: typeName(type),
  ttl,
  value: rdataText(type, rdata),
});

const statusName = (rcode: number): string =>
  Object.entries(RCODE).find(([, value]) => value === rcode)?.[0] ?? `RCODE${rcode}`;
