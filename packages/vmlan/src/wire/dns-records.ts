/**
 * Records that users write: what may stand in a zone, and its octets.
 *
 * Zone: control.  A record is a name, a type (a mnemonic, or TYPE123 with octets in hex: RFC 3597), and a value in
 * zone-file form.  Names are absolute, with or without the final dot; `*.x` is a wildcard (RFC 4592).
 */
import { TYPE, typeName, typeNumber } from './dns.ts';
import { nameKey, parseName } from './dns-name.ts';
import { hasLayout, parseRdata } from './dns-rdata.ts';

export interface UserRecord {
  readonly name: string;
  readonly type: string;
  readonly value: string;
  /** Seconds; LOCAL_TTL_S if omitted. */
  readonly ttl?: number | undefined;
}

/** A record ready to be answered. */
export interface CompiledRecord {
  readonly key: string;
  readonly name: Uint8Array;
  readonly type: number;
  readonly ttl: number;
  readonly rdata: Uint8Array;
}

/** Guests come and go and users try things out: nobody should keep an answer for long. */
export const LOCAL_TTL_S = 5;
/** RFC 2181 §8. */
const MAX_TTL_S = 0x7fffffff;
/** A name may have several such values; together they must fit a message. */
export const MAX_RDATA_OCTETS = 4096;

const MNEMONICS: ReadonlySet<number> = new Set([
  TYPE.A,
  TYPE.AAAA,
  TYPE.CAA,
  TYPE.CNAME,
  TYPE.HTTPS,
  TYPE.MX,
  TYPE.NAPTR,
  TYPE.NS,
  TYPE.PTR,
  TYPE.SRV,
  TYPE.SVCB,
  TYPE.TXT,
]);

const EXAMPLES: ReadonlyMap<number, string> = new Map<number, string>([
  [TYPE.A, '192.168.105.10'],
  [TYPE.AAAA, 'fd00::10'],
  [TYPE.CAA, '0 issue "ca.example.net"'],
  [TYPE.CNAME, 'web.lab.internal'],
  [TYPE.HTTPS, '1 . alpn=h2,h3'],
  [TYPE.MX, '10 mail.lab.internal'],
  [TYPE.NAPTR, '100 10 "s" "SIP+D2U" "" _sip._udp.lab.internal'],
  [TYPE.NS, 'ns.lab.internal'],
  [TYPE.PTR, 'web.lab.internal'],
  [TYPE.SRV, '0 5 5060 sip.lab.internal'],
  [TYPE.SVCB, '1 svc.lab.internal port=8443'],
  [TYPE.TXT, '"any text"'],
]);

/** Null for a good record, else what is wrong with it, without naming it again. */
export function validateRecord(record: UserRecord): string | null {
  const compiled = compileRecord(record);
  return typeof compiled === 'string' ? compiled : null;
}

/** The record's octets, or what is wrong with it. */
export function compileRecord(record: UserRecord): CompiledRecord | string {
  const name = parseName(record.name);
  if (name === null || name.length === 1) return `"${record.name}" is not a domain name`;
  const type = writableType(record.type);
  if (typeof type === 'string') return type;
  const ttl = record.ttl ?? LOCAL_TTL_S;
  if (!Number.isInteger(ttl) || ttl < 0 || ttl > MAX_TTL_S) return `ttl must be a whole number of seconds, not ${ttl}`;
  const rdata = parseRdata(type, record.value);
  if (rdata === null) return wrongValue(type, record.value);
  if (rdata.length > MAX_RDATA_OCTETS)
    return `the value has ${rdata.length} octets, at most ${MAX_RDATA_OCTETS} are allowed`;
  return { key: nameKey(name), name, type, ttl, rdata };
}

function writableType(text: string): number | string {
  const type = typeNumber(text);
  if (type === undefined) return `"${text}" is not a record type; write it as TYPE123 with the octets in hex`;
  if (type === TYPE.SOA) return 'SOA records are made by the network itself';
  // RFC 6895 §3.1: zero, OPT, 128 to 255 are no data.
  if (type === 0 || type === TYPE.OPT || (type >= 128 && type <= 255)) return `${text} is not a type of stored data`;
  if (MNEMONICS.has(type)) return /^TYPE/i.test(text) ? `write ${text} as ${typeName(type)}` : type;
  if (!/^TYPE/i.test(text)) return `${text} records are not supported; write it as TYPE${type} with the octets in hex`;
  return hasLayout(type) ? `${text} records are not supported` : type;
}

function wrongValue(type: number, value: string): string {
  const example = EXAMPLES.get(type) ?? String.raw`\# 4 0a000001`;
  return `"${value}" is not a value of type ${typeName(type)}; an example: ${example}`;
}
