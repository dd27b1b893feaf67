/**
 * The network's own names: guests, gateway, user records, reverse names, special-use names (RFC 1034, 4592, 6303, 6761, 7686).
 *
 * Zone: flow (lookup, setGuest, removeGuest), control (constructor, setRecords, list).  Answers are borrowed record sets.
 *
 * A name is *local*, and then never asked upstream, whatever its type, if it
 *   - lies in a zone: DOMAIN, vmlan.internal, the reverse zones of the subnets, localhost, resolver.arpa (RFC 9462 §6.1: its
 *     answer would lead guests around this server), or below a fence: invalid, onion, host.lima.internal;
 *   - has records: a guest's bare name and lima-GUEST.internal, a user record anywhere; or a user's wildcard covers it;
 *   - looks like lima-*.internal.
 * All else is outside.  A local name without records is NXDOMAIN, without records of the type NODATA; both with SOA (RFC 2308).
 */
import { VmlanError } from '../core/errors.ts';
import { contains6, formatIpv4, formatIpv6, mask4 } from '../wire/address.ts';
import { RCODE, TYPE, typeName, writeUint32 } from '../wire/dns.ts';
import { nameKey, nameText, parseName } from '../wire/dns-name.ts';
import { parseRdata, rdataText } from '../wire/dns-rdata.ts';
import { parseReverseKey, reverseKey4, reverseKey6 } from '../wire/dns-reverse.ts';
import type { Cut, Entry, RecordSet, ZoneNode } from './dns-nodes.ts';
import { BUILT_IN, FROM_GUEST, FROM_USER, MAX_ENTRIES_PER_NAME, ZoneTree } from './dns-nodes.ts';
import type { CompiledRecord, UserRecord } from '../wire/dns-records.ts';
import { LOCAL_TTL_S, compileRecord } from '../wire/dns-records.ts';

export interface ZoneOptions {
  /** The network's domain, such as `lab.internal`. */
  readonly domain: string;
  readonly subnet4?: { readonly network: number; readonly prefix: number } | undefined;
  readonly prefix6?: { readonly words: Uint32Array; readonly prefix: number } | undefined;
  readonly gateway4?: number | undefined;
  readonly gateway6?: Uint32Array | undefined;
}

/** A record set under the name it answers for: undefined = the name asked for, as with a wildcard. */
export interface Answer {
  readonly owner: Uint8Array | undefined;
  readonly set: RecordSet;
}

export interface LocalResult {
  readonly kind: 'local';
  readonly rcode: number;
  readonly answers: readonly Answer[];
  /** With negative answers only. */
  readonly soa: RecordSet | null;
}

export type ZoneResult =
  | LocalResult
  | { readonly kind: 'outside' }
  /** The local chain leads to a name outside. */
  | { readonly kind: 'alias'; readonly answers: readonly Answer[]; readonly target: Uint8Array }
  /** A chain longer than MAX_CHAIN, most likely a circle. */
  | { readonly kind: 'loop' };

export interface ListedRecord {
  readonly name: string;
  readonly type: string;
  readonly value: string;
  readonly ttl: number;
  readonly origin: 'guest' | 'built-in' | 'user';
}

export const MAX_GUESTS = 4096;
/** Of each family. */
export const MAX_GUEST_ADDRESSES = 16;
export const MAX_USER_RECORDS = 10_000;
/** CNAME records followed for one answer. */
export const MAX_CHAIN = 8;

const COMMON_DOMAIN = 'vmlan.internal';
const GATEWAY_NAME = `gateway.${COMMON_DOMAIN}`;
/** Names of the gateway, of which the last has no zone around it. */
const HOST_NAMES = [GATEWAY_NAME, `host.${COMMON_DOMAIN}`, 'host.lima.internal'];
const GUEST_NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const LIMA_NAME = /(?:^|\.)lima-[^.]*\.internal$/;
const ORIGINS = ['guest', 'built-in', 'user'] as const;
/** Refresh, retry, expire, and last the TTL of negative answers: who waits for a guest must soon see it come. */
const SOA_TIMES_S = '3600 600 86400 2';
const NEGATIVE_TTL_S = 2;

const OUTSIDE: ZoneResult = { kind: 'outside' };
const LOOP: ZoneResult = { kind: 'loop' };

export class Zone {
  readonly domain: string;
  readonly #tree: ZoneTree = new ZoneTree();
  readonly #options: ZoneOptions;
  /** Nodes that each guest has records at. */
  readonly #guests: Map<string, ZoneNode[]> = new Map();
  #userNodes: ZoneNode[] = [];
  /** Shared by all SOA records, so that one write renews the serial of all. */
  readonly #soaRdata: Uint8Array = rdataOf(TYPE.SOA, `${GATEWAY_NAME} hostmaster.${COMMON_DOMAIN} 1 ${SOA_TIMES_S}`);
  #serial = 1;

  constructor(options: ZoneOptions) {
    const name = parseName(options.domain);
    if (name === null || name.length === 1) {
      throw new VmlanError('invalid', `"${options.domain}" is not a domain name`, {
        hint: 'choose one like lab.internal',
      });
    }
    this.domain = nameKey(name);
    this.#options = options;
    this.#addSpecialNames();
    this.#addCut(this.domain, 'zone');
    this.#addCut(COMMON_DOMAIN, 'zone');
    this.#addReverseZones();
    this.#addGateway();
  }

  get guestCount(): number {
    return this.#guests.size;
  }

  /** Gives a guest's names their addresses, instead of any before.  False if the name is no host label or the zone is full. */
  setGuest(name: string, addresses4: readonly number[], addresses6: readonly Uint32Array[]): boolean {
    const label = name.toLowerCase();
    if (!GUEST_NAME.test(label) || (this.#guests.size >= MAX_GUESTS && !this.#guests.has(label))) return false;
    this.removeGuest(label);
    const all4 = addresses4.slice(0, MAX_GUEST_ADDRESSES);
    const all6 = addresses6.slice(0, MAX_GUEST_ADDRESSES);
    const nodes: ZoneNode[] = [];
    const add = (key: string, type: number, value: string): void => {
      const entry: Entry = { origin: FROM_GUEST, owner: label, type, ttl: LOCAL_TTL_S, rdata: rdataOf(type, value) };
      nodes.push(this.#tree.add(nameOf(key), entry));
    };
    for (const key of [`${label}.${this.domain}`, `${label}.${COMMON_DOMAIN}`, `lima-${label}.internal`, label]) {
      if (parseName(key) === null) continue; // lima-GUEST with a label of more than 58 octets
      for (const ip of all4) add(key, TYPE.A, formatIpv4(ip));
      for (const words of all6) add(key, TYPE.AAAA, formatIpv6(words));
    }
    for (const ip of all4) add(reverseKey4(ip), TYPE.PTR, `${label}.${this.domain}`);
    for (const words of all6) add(reverseKey6(words), TYPE.PTR, `${label}.${this.domain}`);
    this.#guests.set(label, [...new Set(nodes)]);
    this.#renewSerial();
    return true;
  }

  removeGuest(name: string): void {
    const label = name.toLowerCase();
    const nodes = this.#guests.get(label);
    if (nodes === undefined) return;
    for (const node of nodes) this.#tree.remove(node, FROM_GUEST, label);
    this.#guests.delete(label);
    this.#renewSerial();
  }

  /** Replaces all user records; throws, and changes nothing, if one of them is wrong. */
  setRecords(records: readonly UserRecord[]): void {
    const compiled = this.#compile(records);
    for (const node of this.#userNodes) this.#tree.remove(node, FROM_USER, '');
    const nodes = compiled.map(({ name, type, ttl, rdata }) =>
      this.#tree.add(name, { origin: FROM_USER, owner: '', type, ttl, rdata }),
    );
    this.#userNodes = [...new Set(nodes)];
    this.#renewSerial();
  }

  /** What the zone says about a name, given by its key (wire/dns-name.ts). */
  lookup(key: string, type: number): ZoneResult {
    const answers: Answer[] = [];
    let at = key;
    let owner: Uint8Array | undefined;
    while (answers.length <= MAX_CHAIN) {
      const node = this.#tree.get(at);
      const source = node ?? this.#tree.closestEncloser(at).wildcard;
      if (source === null || source.sets.size === 0) return this.#missing(at, node, answers, owner);
      const alias = source.sets.get(TYPE.CNAME);
      if (alias === undefined || type === TYPE.CNAME || type === TYPE.ANY) {
        return this.#present(source, type, answers, owner);
      }
      answers.push({ owner, set: alias });
      owner = alias.rdata[0]!;
      at = nameKey(owner);
    }
    return LOOP;
  }

  /** Every record, also those hidden by a stronger origin. */
  list(): ListedRecord[] {
    return [...this.#tree].flatMap((node) =>
      node.entries.map(({ type, rdata, ttl, origin }) => ({
        name: nameText(node.name),
        type: typeName(type),
        value: rdataText(type, rdata),
        ttl,
        origin: ORIGINS[origin],
      })),
    );
  }

  #present(source: ZoneNode, type: number, answers: Answer[], owner: Uint8Array | undefined): ZoneResult {
    if (type === TYPE.ANY) for (const set of source.sets.values()) answers.push({ owner, set });
    const set = source.sets.get(type);
    if (set !== undefined) answers.push({ owner, set });
    const found = type === TYPE.ANY || set !== undefined;
    return { kind: 'local', rcode: RCODE.NOERROR, answers, soa: found ? null : this.#soaOver(source) };
  }

  /** A name outside of all zones speaks for itself, a wildcard there for the name above it. */
  #soaOver(source: ZoneNode): RecordSet {
    const isWildcard = source.parent?.wildcard === source;
    return this.#soa(cutAbove(source) ?? (isWildcard ? source.parent : source));
  }

  #missing(key: string, node: ZoneNode | undefined, answers: Answer[], target: Uint8Array | undefined): ZoneResult {
    const soa = this.#authorityOver(key, node);
    if (soa === null) return target === undefined ? OUTSIDE : { kind: 'alias', answers, target };
    const exists = node !== undefined && node.cut !== 'fence'; // RFC 8020 §2: an empty non-terminal exists
    return { kind: 'local', rcode: exists ? RCODE.NOERROR : RCODE.NXDOMAIN, answers, soa };
  }

  /** The SOA that speaks for a name without records, null if the name is outside. */
  #authorityOver(key: string, node: ZoneNode | undefined): RecordSet | null {
    const nearest = node ?? this.#tree.closestEncloser(key);
    const cut = cutAbove(nearest);
    if (cut !== null) return this.#soa(cut);
    const covering = wildcardAbove(node === undefined ? nearest : nearest.parent);
    if (covering !== null) return this.#soa(covering);
    if (LIMA_NAME.test(key)) return this.#makeSoa(nameOf('internal'));
    return this.#reverseAuthority(key);
  }

  /** Subnets whose prefix ends inside an octet or nibble have no apex: their authority is named after the next larger one. */
  #reverseAuthority(key: string): RecordSet | null {
    const range = parseReverseKey(key);
    if (range === null) return null;
    const { subnet4, prefix6 } = this.#options;
    if (range.family === 4 && subnet4 !== undefined && range.prefix >= subnet4.prefix) {
      const inside = ((range.words[0]! ^ subnet4.network) & mask4(subnet4.prefix)) === 0;
      return inside ? this.#makeSoa(nameOf(reverseKey4(subnet4.network, subnet4.prefix))) : null;
    }
    if (range.family === 6 && prefix6 !== undefined && range.prefix >= prefix6.prefix) {
      const inside = contains6(prefix6.words, prefix6.prefix, range.words);
      return inside ? this.#makeSoa(nameOf(reverseKey6(prefix6.words, prefix6.prefix))) : null;
    }
    return null;
  }

  #soa(node: ZoneNode): RecordSet {
    node.soa ??= this.#makeSoa(node.name);
    return node.soa;
  }

  #makeSoa(name: Uint8Array): RecordSet {
    return { name, type: TYPE.SOA, ttl: NEGATIVE_TTL_S, rdata: [this.#soaRdata] };
  }

  #renewSerial(): void {
    this.#serial = (this.#serial + 1) >>> 0;
    writeUint32(this.#soaRdata, this.#soaRdata.length - 20, this.#serial);
  }

  #compile(records: readonly UserRecord[]): CompiledRecord[] {
    if (records.length > MAX_USER_RECORDS) {
      throw new VmlanError('exhausted', `${records.length} DNS records, at most ${MAX_USER_RECORDS} are allowed`);
    }
    const compiled = records.map((record) => {
      const result = compileRecord(record);
      if (typeof result === 'string') throw recordError(record, result);
      return result;
    });
    const byName = Map.groupBy(compiled, ({ key }) => key);
    for (const [i, record] of records.entries()) {
      const problem = this.#conflict(byName.get(compiled[i]!.key)!);
      if (problem !== null) throw recordError(record, problem);
    }
    return compiled;
  }

  /** What is wrong with the records of one name together. */
  #conflict(records: readonly CompiledRecord[]): string | null {
    if (records.length > MAX_ENTRIES_PER_NAME) return `a name may have ${MAX_ENTRIES_PER_NAME} records`;
    if (records.every(({ type }) => type !== TYPE.CNAME)) return null;
    if (records.length > 1) return 'a name with a CNAME record can have no other record';
    return this.#tree.get(records[0]!.key)?.cut === 'zone' ? 'the top of a zone cannot be a CNAME' : null;
  }

  #addBuiltIn(key: string, type: number, value: string): ZoneNode {
    const entry: Entry = { origin: BUILT_IN, owner: '', type, ttl: LOCAL_TTL_S, rdata: rdataOf(type, value) };
    return this.#tree.add(nameOf(key), entry);
  }

  #addCut(key: string, cut: Cut): void {
    const node = this.#tree.ensure(nameOf(key));
    node.cut = cut;
    if (cut !== 'zone') return;
    this.#tree.add(node.name, { origin: BUILT_IN, owner: '', type: TYPE.SOA, ttl: LOCAL_TTL_S, rdata: this.#soaRdata });
    this.#addBuiltIn(key, TYPE.NS, GATEWAY_NAME);
  }

  #addSpecialNames(): void {
    // RFC 6761 §6.3
    for (const key of ['localhost', '*.localhost']) {
      this.#addBuiltIn(key, TYPE.A, '127.0.0.1');
      this.#addBuiltIn(key, TYPE.AAAA, '::1');
    }
    this.#addCut('localhost', 'zone');
    // RFC 6303 §4
    const loopback6 = reverseKey6([0, 0, 0, 1]);
    for (const key of ['127.in-addr.arpa', loopback6, 'resolver.arpa', '_dns.resolver.arpa']) this.#addCut(key, 'zone');
    for (const key of ['1.0.0.127.in-addr.arpa', loopback6]) this.#addBuiltIn(key, TYPE.PTR, 'localhost');
    // RFC 6761 §6.4, RFC 7686 §2
    for (const key of ['invalid', 'onion']) this.#addCut(key, 'fence');
  }

  #addReverseZones(): void {
    const { subnet4, prefix6 } = this.#options;
    if (subnet4 !== undefined && subnet4.prefix > 0 && subnet4.prefix % 8 === 0) {
      this.#addCut(reverseKey4(subnet4.network, subnet4.prefix), 'zone');
    }
    if (prefix6 !== undefined && prefix6.prefix > 0 && prefix6.prefix % 4 === 0) {
      this.#addCut(reverseKey6(prefix6.words, prefix6.prefix), 'zone');
    }
  }

  #addGateway(): void {
    const { gateway4, gateway6 } = this.#options;
    this.#addCut('host.lima.internal', 'fence');
    for (const key of HOST_NAMES) {
      if (gateway4 !== undefined) this.#addBuiltIn(key, TYPE.A, formatIpv4(gateway4));
      if (gateway6 !== undefined) this.#addBuiltIn(key, TYPE.AAAA, formatIpv6(gateway6));
    }
    if (gateway4 !== undefined) this.#addBuiltIn(reverseKey4(gateway4), TYPE.PTR, GATEWAY_NAME);
    if (gateway6 !== undefined) this.#addBuiltIn(reverseKey6(gateway6), TYPE.PTR, GATEWAY_NAME);
  }
}

function cutAbove(node: ZoneNode): ZoneNode | null {
  let at: ZoneNode | null = node;
  while (at !== null && at.cut === null) at = at.parent;
  return at;
}

function wildcardAbove(node: ZoneNode | null): ZoneNode | null {
  let at = node;
  while (at !== null && at.wildcard === null) at = at.parent;
  return at;
}

function recordError(record: UserRecord, problem: string): VmlanError {
  return new VmlanError('invalid', `DNS record ${record.name} ${record.type}: ${problem}`);
}

/** Of a name that this file made. */
function nameOf(key: string): Uint8Array {
  return parseName(key)!;
}

/** Of a value that this file made. */
function rdataOf(type: number, value: string): Uint8Array {
  return parseRdata(type, value)!;
}
