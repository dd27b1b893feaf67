/**
 * DNS messages for tests: queries and replies from a line of text, and replies as a line of text.
 *
 * Zone: control.
 */
import { ANSWER_COUNT, AUTHORITY_COUNT, RCODE, TYPE, rcodeOf, typeName, typeNumber } from './dns.ts';
import { parseMessage } from './dns-message.ts';
import { nameText, parseName } from './dns-name.ts';
import { parseRdata, rdataText } from './dns-rdata.ts';
import { DnsWriter } from './dns-writer.ts';

export interface QueryOptions {
  readonly id?: number;
  readonly flags?: number;
  readonly class?: number;
  readonly edns?: boolean;
  readonly dnssecOk?: boolean;
  /** Advertised UDP size. */
  readonly udp?: number;
}

const RECURSION_DESIRED = 0x0100;

export function makeQuery(name: string, type: number = TYPE.A, options: QueryOptions = {}): Uint8Array {
  const writer = new DnsWriter();
  writer.begin(options.id ?? 0x1234, options.flags ?? RECURSION_DESIRED, 0, 65535);
  const question = Uint8Array.from([...parseName(name)!, type >> 8, type & 255, 0, options.class ?? 1]);
  writer.question(question, 0, question.length);
  if (options.edns === true || options.dnssecOk !== undefined || options.udp !== undefined) {
    writer.edns(options.dnssecOk === true);
  }
  const query = writer.finish().slice();
  if (options.udp !== undefined) query.set([options.udp >> 8, options.udp & 255], query.length - 8);
  return query;
}

export interface ReplyOptions {
  readonly rcode?: number;
  readonly flags?: number;
  readonly edns?: boolean;
}

/** Answers a query with records written as `name TYPE ttl data`; SOA goes to the authority section. */
export function makeReply(query: Uint8Array, records: readonly string[], options: ReplyOptions = {}): Uint8Array {
  const { id, questions } = parseMessage(query)!;
  const { name, type, class: cls } = questions[0]!;
  const writer = new DnsWriter();
  writer.begin(id, options.flags ?? 0x8180, options.rcode ?? 0, 65535);
  writer.question(Uint8Array.from([...name, type >> 8, type & 255, 0, cls]), 0, name.length + 4);
  if (options.edns === true) writer.edns(false);
  for (const record of records) addRecord(writer, record);
  return writer.finish().slice();
}

function addRecord(writer: DnsWriter, record: string): void {
  const [, name = '', typeText = '', ttl = '', data = ''] = /^(\S+) (\S+) (\d+) (.*)$/.exec(record) ?? [];
  const type = typeNumber(typeText)!;
  const section = type === TYPE.SOA ? AUTHORITY_COUNT : ANSWER_COUNT;
  writer.record(section, parseName(name)!, type, 1, Number(ttl), parseRdata(type, data)!);
}

/** `RCODE | aa tc ra | name TYPE ttl data | …`; of SOA and OPT without data; `nothing` if there is no good message. */
export function showReply(reply: Uint8Array | null | undefined): string {
  const message = parseMessage(reply ?? new Uint8Array(0));
  if (message === null) return 'nothing';
  const rcode = Object.entries(RCODE).find(([, number]) => number === rcodeOf(message.flags))?.[0];
  const flag = (bit: number, name: string): string[] => ((message.flags & bit) === 0 ? [] : [name]);
  const flags = [...flag(0x0400, 'aa'), ...flag(0x0200, 'tc'), ...flag(0x0080, 'ra')].join(' ');
  const records = [...message.answers, ...message.authority, ...message.additional].map(
    ({ name, type, ttl, rdata }) => {
      if (type === TYPE.OPT) return 'OPT';
      const data = type === TYPE.SOA ? [] : [rdataText(type, rdata)];
      return [nameText(name), typeName(type), ttl, ...data].join(' ');
    },
  );
  return [rcode, flags, ...records].join(' | ');
}
