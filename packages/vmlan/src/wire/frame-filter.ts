/**
 * Filters for captures in the words of pcap-filter(7): `tcp and port 80 and not host 10.0.0.5`.
 *
 * Zone: control to compile, packet to check: what comes out is a tree of closures over `$frame` (frame-facts.ts) that
 * allocates nothing.  As there, `and` and `or` bind equally strong, from left to right, `not` binds strongest, and what
 * stands before a bare value is taken from the one before it: `port 80 or 443`.
 *
 *   words:   arp ip ip6 tcp udp icmp icmp6 igmp sctp, broadcast, multicast, vlan [ID], inbound, outbound, less N, greater N
 *   values:  [src|dst] host ADDRESS|GUEST, net CIDR, port N, portrange N-M, ether [src|dst] [host] MAC, [ip|ip6] proto N,
 *            each behind a protocol where that makes sense (`udp dst port 53`)
 */
import { mask4, maskWord6, parseIpv4, parseIpv6, parseMac } from './address.ts';
import * as ethernet from './ethernet.ts';
import { $frame, NONE, readFacts } from './frame-facts.ts';
import * as ipv4 from './ipv4.ts';

export const MAX_FILTER_CHARS = 1024;
const MAX_DEPTH = 32;
const MAX_TERMS = 128;
const MAPPED = 0xffff;
const MAX_PORT = 65_535;

/** About the frame that `readFacts` has read last. */
type Test = () => boolean;

export class FrameFilter {
  readonly #test: Test;

  constructor(test: Test) {
    this.#test = test;
  }

  /** Whether the filter takes the frame. `fromGuest`: the direction, for `inbound` and `outbound`. */
  check(v: DataView, off: number, len: number, fromGuest: boolean): boolean {
    return readFacts(v, off, len, fromGuest) && this.#test();
  }
}

export interface FilterFault {
  /** Counted from 1. */
  readonly column: number;
  readonly message: string;
}

/** Four int32 words per address. */
export type NameLookup = (name: string) => readonly Int32Array[];

/** The filter, or what is wrong with its text. An empty text takes everything. */
export function compileFilter(text: string, lookup: NameLookup = () => []): FrameFilter | FilterFault {
  if (text.length > MAX_FILTER_CHARS) {
    return { column: MAX_FILTER_CHARS + 1, message: `a filter has at most ${MAX_FILTER_CHARS} characters` };
  }
  try {
    return new FrameFilter(new Parser(text, lookup).parse());
  } catch (error) {
    if (error instanceof Fault) return { column: error.column, message: error.message };
    throw error;
  }
}

class Fault extends Error {
  readonly column: number;

  constructor(column: number, message: string) {
    super(message);
    this.column = column;
  }
}

interface Token {
  readonly text: string;
  readonly column: number;
}

const PROTOCOLS: Readonly<Record<string, Test>> = {
  arp: () => $frame.etherType === ethernet.TYPE_ARP,
  ip: () => $frame.etherType === ethernet.TYPE_IPV4,
  ip6: () => $frame.etherType === ethernet.TYPE_IPV6,
  tcp: () => $frame.protocol === ipv4.PROTO_TCP,
  udp: () => $frame.protocol === ipv4.PROTO_UDP,
  icmp: () => $frame.family === 4 && $frame.protocol === ipv4.PROTO_ICMP,
  icmp6: () => $frame.family === 6 && $frame.protocol === ipv4.PROTO_ICMPV6,
  igmp: () => $frame.family === 4 && $frame.protocol === ipv4.PROTO_IGMP,
  sctp: () => $frame.protocol === ipv4.PROTO_SCTP,
};

const PROTOCOL_NUMBERS: Readonly<Record<string, number>> = {
  icmp: ipv4.PROTO_ICMP,
  igmp: ipv4.PROTO_IGMP,
  tcp: ipv4.PROTO_TCP,
  udp: ipv4.PROTO_UDP,
  gre: ipv4.PROTO_GRE,
  icmp6: ipv4.PROTO_ICMPV6,
  sctp: ipv4.PROTO_SCTP,
};

const SIMPLE: Readonly<Record<string, Test>> = {
  broadcast: () => $frame.dstHi === 0xffff && $frame.dstLo === -1,
  multicast: () => ($frame.dstHi & 0x0100) !== 0,
  inbound: () => $frame.fromGuest,
  outbound: () => !$frame.fromGuest,
};

/** Names of ports that are written more often than their numbers. */
const SERVICES: Readonly<Record<string, number>> = {
  ssh: 22,
  smtp: 25,
  domain: 53,
  bootps: 67,
  bootpc: 68,
  http: 80,
  ntp: 123,
  https: 443,
  mdns: 5353,
};

type Direction = 'src' | 'dst' | 'either' | 'both';
type Kind = 'host' | 'net' | 'port' | 'portrange' | 'ether' | 'proto';

interface Qualifier {
  readonly protocol: Test | null;
  readonly direction: Direction;
  readonly kind: Kind;
}

const KINDS: readonly string[] = ['host', 'net', 'port', 'portrange', 'proto'];
const RESERVED = new Set(['and', 'or', 'not', '&&', '||', '!', '(', ')', 'src', 'dst', ...KINDS]);
const own = <Value>(table: Readonly<Record<string, Value>>, key: string): Value | undefined =>
  Object.hasOwn(table, key) ? table[key] : undefined;

class Parser {
  readonly #tokens: Token[] = [];
  readonly #lookup: NameLookup;
  readonly #end: number;
  #at = 0;
  #depth = 0;
  #terms = 0;
  #last: Qualifier | null = null;

  constructor(text: string, lookup: NameLookup) {
    this.#lookup = lookup;
    this.#end = text.length + 1;
    for (const match of text.matchAll(/[()]|&&|\|\||!|[^\s()!&|]+|\S/g)) {
      this.#tokens.push({ text: match[0], column: match.index + 1 });
    }
  }

  parse(): Test {
    if (this.#tokens.length === 0) return () => true;
    const test = this.#expression();
    const rest = this.#tokens[this.#at];
    if (rest !== undefined) throw new Fault(rest.column, `"${rest.text}" was not expected here`);
    return test;
  }

  #expression(): Test {
    let left = this.#factor();
    for (;;) {
      if (this.#take('and', '&&')) left = both(left, this.#factor());
      else if (this.#take('or', '||')) left = either(left, this.#factor());
      else return left;
    }
  }

  #factor(): Test {
    if (++this.#terms > MAX_TERMS) throw new Fault(this.#column(), `a filter has at most ${MAX_TERMS} terms`);
    if (++this.#depth > MAX_DEPTH) throw new Fault(this.#column(), `nested deeper than ${MAX_DEPTH}`);
    const test = this.#inner();
    this.#depth--;
    return test;
  }

  #inner(): Test {
    if (this.#take('not', '!')) {
      const inner = this.#factor();
      return () => !inner();
    }
    if (!this.#take('(')) return this.#primitive();
    const inner = this.#expression();
    if (!this.#take(')')) throw new Fault(this.#column(), 'a closing parenthesis is missing');
    return inner;
  }

  #primitive(): Test {
    const token = this.#next();
    const simple = own(SIMPLE, token.text);
    if (simple !== undefined) return simple;
    if (token.text === 'vlan') return this.#vlan();
    if (token.text === 'less' || token.text === 'greater') return this.#length(token.text);
    if (token.text === 'ether') return this.#ether();
    const protocol = own(PROTOCOLS, token.text);
    if (protocol === undefined) return this.#qualified(null, token);
    const next = this.#peek();
    if (next === 'src' || next === 'dst' || KINDS.includes(next)) return this.#qualified(protocol, this.#next());
    this.#last = null;
    return protocol;
  }

  #vlan(): Test {
    const next = this.#peek();
    if (!/^\d+$/.test(next)) return () => $frame.vlan !== NONE;
    const id = this.#number(this.#next(), 4095);
    return () => $frame.vlan === id;
  }

  #length(word: 'less' | 'greater'): Test {
    const n = this.#number(this.#next(), 0xff_ffff);
    return word === 'less' ? () => $frame.len <= n : () => $frame.len >= n; // inclusive, as in pcap-filter
  }

  #ether(): Test {
    if (this.#take('broadcast')) return SIMPLE['broadcast']!;
    if (this.#take('multicast')) return SIMPLE['multicast']!;
    if (this.#take('proto')) {
      const type = this.#number(this.#next(), 0xffff);
      return () => $frame.etherType === type;
    }
    const direction = this.#direction();
    this.#take('host');
    this.#last = { protocol: null, direction, kind: 'ether' };
    return this.#value(this.#last, this.#next());
  }

  /** `first` begins `[src|dst] [host|net|port|portrange|proto] VALUE`, or is a bare value. */
  #qualified(protocol: Test | null, first: Token): Test {
    this.#at--;
    const direction = this.#direction();
    const kind = this.#peek();
    if (KINDS.includes(kind)) {
      this.#at++;
      this.#last = { protocol, direction, kind: kind as Kind };
      return this.#value(this.#last, this.#next());
    }
    const token = this.#next();
    if (RESERVED.has(token.text)) throw new Fault(token.column, `"${token.text}" was not expected here`);
    if (first !== token) {
      this.#last = { protocol, direction, kind: 'host' }; // `src 10.0.0.1`
    } else if (this.#last === null) {
      if (/^\d+$/.test(token.text)) throw new Fault(token.column, `say what ${token.text} is, e.g. port ${token.text}`);
      this.#last = { protocol, direction, kind: token.text.includes('/') ? 'net' : 'host' };
    }
    return this.#value(this.#last, token);
  }

  #direction(): Direction {
    if (!this.#take('src')) return this.#take('dst') ? 'dst' : 'either';
    const [connective, other] = [this.#peek(), this.#tokens[this.#at + 1]?.text];
    if (other !== 'dst' || (connective !== 'or' && connective !== 'and')) return 'src';
    this.#at += 2;
    return connective === 'or' ? 'either' : 'both';
  }

  #value({ protocol, direction, kind }: Qualifier, token: Token): Test {
    const test = this.#plainValue(direction, kind, token);
    return protocol === null ? test : both(protocol, test);
  }

  #plainValue(direction: Direction, kind: Kind, token: Token): Test {
    switch (kind) {
      case 'portrange':
        return this.#portRange(direction, token);
      case 'host':
        return this.#host(direction, token);
      case 'net':
        return this.#net(direction, token);
      case 'port': {
        const port = own(SERVICES, token.text) ?? this.#number(token, MAX_PORT);
        return portTest(direction, port, port);
      }
      case 'ether': {
        const mac = parseMac(token.text);
        if (mac === null) throw new Fault(token.column, `"${token.text}" is no MAC address`);
        return etherTest(direction, mac.hi, mac.lo | 0);
      }
      default: {
        const number = own(PROTOCOL_NUMBERS, token.text) ?? this.#number(token, 255);
        return () => $frame.protocol === number;
      }
    }
  }

  #portRange(direction: Direction, token: Token): Test {
    const [, first, last] = /^(\d+)-(\d+)$/.exec(token.text) ?? [];
    if (first === undefined) throw new Fault(token.column, 'a range of ports looks like 8000-8010');
    const from = this.#number({ ...token, text: first }, MAX_PORT);
    return portTest(direction, from, this.#number({ ...token, text: last! }, MAX_PORT));
  }

  #host(direction: Direction, token: Token): Test {
    const words = parseAddress(token.text);
    if (words !== null) return netTest(direction, words, ALL_BITS);
    const found = this.#lookup(token.text);
    if (found.length === 0) {
      throw new Fault(token.column, `"${token.text}" is no address, no guest that has one, and no word of a filter`);
    }
    return found.map((each) => netTest(direction, each, ALL_BITS)).reduce(either);
  }

  #net(direction: Direction, token: Token): Test {
    const [address = '', prefix] = token.text.split('/');
    const parts = /^\d+(\.\d+){0,2}$/.test(address) ? address.split('.').length : 4;
    const four = parseIpv4([...address.split('.'), '0', '0', '0'].slice(0, Math.max(4, parts)).join('.'));
    const words = four === null ? parseAddress(address) : mapped(four);
    if (words === null) throw new Fault(token.column, `"${token.text}" is no network, e.g. 10.0.0.0/8`);
    const bits = four === null ? 128 : 32;
    const length = prefix === undefined ? (four === null ? 128 : 8 * parts) : this.#prefix(token, prefix, bits);
    const mask = four === null ? mask6(length) : Int32Array.of(-1, -1, -1, mask4(length));
    return netTest(direction, words, mask);
  }

  #prefix(token: Token, text: string, bits: number): number {
    if (/^\d{1,3}$/.test(text) && Number(text) <= bits) return Number(text);
    throw new Fault(token.column, `"/${text}" is no prefix length of 0 to ${bits}`);
  }

  #number(token: Token, max: number): number {
    const value = /^(\d{1,9}|0x[0-9a-f]{1,6})$/i.test(token.text) ? Number(token.text) : NaN;
    if (value <= max) return value;
    throw new Fault(token.column, `"${token.text}" is no number of 0 to ${max}`);
  }

  #next(): Token {
    const token = this.#tokens[this.#at++];
    if (token === undefined) throw new Fault(this.#end, 'the filter ends too early');
    return token;
  }

  #peek(): string {
    return this.#tokens[this.#at]?.text ?? '';
  }

  #column(): number {
    return this.#tokens[this.#at]?.column ?? this.#end;
  }

  #take(...words: readonly string[]): boolean {
    if (!words.includes(this.#peek())) return false;
    this.#at++;
    return true;
  }
}

const ALL_BITS = Int32Array.of(-1, -1, -1, -1);

const both =
  (a: Test, b: Test): Test =>
  () =>
    a() && b();
const either =
  (a: Test, b: Test): Test =>
  () =>
    a() || b();

const mapped = (ip: number): Int32Array => Int32Array.of(0, 0, MAPPED, ip);
const mask6 = (prefix: number): Int32Array => Int32Array.from([0, 1, 2, 3], (i) => maskWord6(prefix, i));

function parseAddress(text: string): Int32Array | null {
  const four = parseIpv4(text);
  if (four !== null) return mapped(four);
  const six = parseIpv6(text);
  return six === null ? null : Int32Array.from(six);
}

function ofDirection(direction: Direction, src: Test, dst: Test): Test {
  if (direction === 'src') return src;
  if (direction === 'dst') return dst;
  return direction === 'both' ? both(src, dst) : either(src, dst);
}

function netTest(direction: Direction, words: Int32Array, mask: Int32Array): Test {
  const [m0, m1, m2, m3] = mask as unknown as readonly [number, number, number, number];
  const w0 = words[0]! & m0;
  const w1 = words[1]! & m1;
  const w2 = words[2]! & m2;
  const w3 = words[3]! & m3;
  const src = (): boolean =>
    $frame.hasAddresses &&
    ($frame.src3 & m3) === w3 &&
    ($frame.src2 & m2) === w2 &&
    ($frame.src1 & m1) === w1 &&
    ($frame.src0 & m0) === w0;
  const dst = (): boolean =>
    $frame.hasAddresses &&
    ($frame.dst3 & m3) === w3 &&
    ($frame.dst2 & m2) === w2 &&
    ($frame.dst1 & m1) === w1 &&
    ($frame.dst0 & m0) === w0;
  return ofDirection(direction, src, dst);
}

function portTest(direction: Direction, first: number, last: number): Test {
  const src = (): boolean => $frame.srcPort >= first && $frame.srcPort <= last;
  const dst = (): boolean => $frame.dstPort >= first && $frame.dstPort <= last;
  return ofDirection(direction, src, dst);
}

function etherTest(direction: Direction, hi: number, lo: number): Test {
  const src = (): boolean => $frame.srcHi === hi && $frame.srcLo === lo;
  const dst = (): boolean => $frame.dstHi === hi && $frame.dstLo === lo;
  return ofDirection(direction, src, dst);
}
