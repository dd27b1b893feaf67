import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { ALL_FRAMES, hex } from '../wire/frames.fixture.ts';
import * as ipv4 from '../wire/ipv4.ts';
import {
  arpFrame,
  etherFrame,
  fragmentHeader,
  icmp6Of,
  icmpOf,
  ipv4Frame,
  ipv6Frame,
  neighborOf,
  raw,
  tagged,
  udpOf,
  type Upper,
} from '../wire/packets.fixture.ts';
import { ADDRESSES, SegmentBench, type TestPort } from './bench.fixture.ts';
import {
  BAD_HEADERS,
  FRAGMENTED_ND,
  Guard,
  NESTED_TAGS,
  PASS,
  ROGUE_DHCP,
  ROGUE_ROUTER,
  SPOOFED_ARP,
  SPOOFED_IPV4,
  SPOOFED_IPV6,
  SPOOFED_ND,
} from './guard.ts';

const some = (len: number): Uint8Array => Uint8Array.from({ length: len }, (_, i) => i & 0xff);
const ping4 = icmpOf(8, 0, 1);
const ping6 = icmp6Of(128, 0, 1);
const from4 = (src: string, upper: Upper = ping4, more: object = {}): Uint8Array =>
  ipv4Frame({ src, dst: '8.8.8.8', ...more }, upper);
const from6 = (src: string, upper: Upper = ping6, more: object = {}): Uint8Array =>
  ipv6Frame({ src, dst: 'ff02::1', hopLimit: 255, ...more }, upper);

const EMPTY = { first: 60, bytes: hex('3a 00 0104 00000000') }; // destination options, then ICMPv6
const fragment = (protocol: number, offset: number, more: boolean): { first: number; bytes: Uint8Array } => ({
  first: 44,
  bytes: fragmentHeader(protocol, offset, more),
});

/** A guard and two guests; the victim has …:2 and fd00:1::2 and fe80::2. */
class Bench {
  readonly #bench = new SegmentBench();
  readonly guard: Guard = new Guard(ADDRESSES, 64, 3);
  readonly victim: TestPort = this.#bench.port();
  readonly attacker: TestPort = this.#bench.port();

  constructor() {
    for (const src of ['192.168.105.2', '192.168.105.77']) assert.equal(this.check(from4(src), this.victim), PASS);
    for (const src of ['fd00:1::2', 'fe80::2']) assert.equal(this.check(from6(src), this.victim), PASS);
  }

  check(frame: Uint8Array, port: TestPort = this.attacker, nowMs = 0): number {
    const [off, len] = this.#bench.place(frame);
    return this.guard.check(this.#bench.arena.view, off, len, port, nowMs);
  }
}

const table: { name: string; frame: Uint8Array; verdict: number }[] = [
  // IPv4
  { name: 'an address that nobody has', frame: from4('192.168.105.3'), verdict: PASS },
  { name: 'the address of another', frame: from4('192.168.105.2'), verdict: SPOOFED_IPV4 },
  { name: 'the address of the gateway', frame: from4('192.168.105.1'), verdict: SPOOFED_IPV4 },
  { name: 'an address of elsewhere', frame: from4('10.0.0.1'), verdict: SPOOFED_IPV4 },
  { name: 'loopback', frame: from4('127.0.0.1'), verdict: SPOOFED_IPV4 },
  { name: 'no address yet', frame: from4('0.0.0.0', udpOf(68, 67), { dst: '255.255.255.255' }), verdict: PASS },
  { name: 'DHCP from elsewhere', frame: from4('10.0.0.1', udpOf(68, 67), { dst: '255.255.255.255' }), verdict: PASS },
  {
    name: 'DHCP from elsewhere to one guest',
    frame: from4('10.0.0.1', udpOf(68, 67), { dst: '192.168.105.2' }),
    verdict: SPOOFED_IPV4,
  },
  { name: 'a DHCP server', frame: from4('192.168.105.3', udpOf(67, 68)), verdict: ROGUE_DHCP },
  { name: 'a DHCP server without address', frame: from4('0.0.0.0', udpOf(67, 68)), verdict: ROGUE_DHCP },
  {
    name: 'a DHCP server behind options',
    frame: from4('192.168.105.3', udpOf(67, 68), { options: hex('01 01 01 01') }),
    verdict: ROGUE_DHCP,
  },
  {
    name: 'a DHCP server in a first fragment',
    frame: from4('192.168.105.3', udpOf(67, 68), { fragment: ipv4.FLAG_MF }),
    verdict: ROGUE_DHCP,
  },
  {
    name: 'a later fragment that looks like one',
    frame: from4('192.168.105.3', udpOf(67, 68), { fragment: 9 }),
    verdict: PASS,
  },
  { name: 'IPv4 that is cut short', frame: from4('192.168.105.2').slice(0, 30), verdict: PASS },
  { name: 'UDP that is cut short', frame: from4('192.168.105.3', raw(17, hex('0043 0044'))), verdict: PASS },
  // ARP
  { name: 'ARP of its own', frame: arpFrame({ sender: '192.168.105.3', target: '192.168.105.1' }), verdict: PASS },
  {
    name: 'ARP for the address of another',
    frame: arpFrame({ op: 2, sender: '192.168.105.2', target: '192.168.105.3' }),
    verdict: SPOOFED_ARP,
  },
  {
    name: 'ARP for the gateway',
    frame: arpFrame({ op: 2, sender: '192.168.105.1', target: '192.168.105.3' }),
    verdict: SPOOFED_ARP,
  },
  {
    name: 'ARP probe for the address of another',
    frame: arpFrame({ sender: '0.0.0.0', target: '192.168.105.2' }),
    verdict: PASS,
  },
  { name: 'ARP of elsewhere', frame: arpFrame({ sender: '10.0.0.1', target: '192.168.105.2' }), verdict: SPOOFED_ARP },
  {
    name: 'ARP that is cut short',
    frame: arpFrame({ sender: '192.168.105.2', target: '192.168.105.2' }).slice(0, 40),
    verdict: PASS,
  },
  // IPv6
  { name: 'an IPv6 address that nobody has', frame: from6('fd00:1::3'), verdict: PASS },
  { name: 'a link-local address that nobody has', frame: from6('fe80::3'), verdict: PASS },
  { name: 'the IPv6 address of another', frame: from6('fd00:1::2'), verdict: SPOOFED_IPV6 },
  { name: 'the link-local address of another', frame: from6('fe80::2'), verdict: SPOOFED_IPV6 },
  { name: 'the IPv6 address of the gateway', frame: from6('fd00:1::1'), verdict: SPOOFED_IPV6 },
  { name: 'the link-local address of the gateway', frame: from6('fe80::1'), verdict: SPOOFED_IPV6 },
  { name: 'an IPv6 address of elsewhere', frame: from6('2001:db8::1'), verdict: SPOOFED_IPV6 },
  { name: 'no IPv6 address yet', frame: from6('::', neighborOf('solicit', 'fe80::3', null)), verdict: PASS },
  { name: 'a DHCPv6 client', frame: from6('fe80::3', udpOf(546, 547)), verdict: PASS },
  { name: 'a DHCPv6 server', frame: from6('fe80::3', udpOf(547, 546)), verdict: ROGUE_DHCP },
  {
    name: 'a DHCPv6 server in a first fragment',
    frame: from6('fe80::3', udpOf(547, 546, some(8)), { extensions: fragment(17, 0, true) }),
    verdict: ROGUE_DHCP,
  },
  {
    name: 'a client in a first fragment',
    frame: from6('fe80::3', udpOf(546, 547, some(8)), { extensions: fragment(17, 0, true) }),
    verdict: PASS,
  },
  { name: 'a router', frame: from6('fe80::3', icmp6Of(134, 0, 0)), verdict: ROGUE_ROUTER },
  { name: 'a redirect', frame: from6('fe80::3', icmp6Of(137, 0, 0, some(32))), verdict: ROGUE_ROUTER },
  {
    name: 'a router behind a harmless header',
    frame: from6('fe80::3', icmp6Of(134, 0, 0), { extensions: EMPTY }),
    verdict: ROGUE_ROUTER,
  },
  {
    name: 'a router behind many headers',
    frame: from6('fe80::3', icmp6Of(134, 0, 0), { extensions: many(9) }),
    verdict: BAD_HEADERS,
  },
  {
    name: 'a router in a first fragment (RFC 6980)',
    frame: from6('fe80::3', icmp6Of(134, 0, 0), { extensions: fragment(58, 0, true) }),
    verdict: FRAGMENTED_ND,
  },
  {
    name: 'a router hidden in a fragment behind a header (RFC 7112)',
    frame: from6('fe80::3', raw(58, hex('3a00 0104 0000 0000')), { extensions: fragment(60, 0, true) }),
    verdict: BAD_HEADERS,
  },
  {
    name: 'a router in an atomic fragment',
    frame: from6('fe80::3', icmp6Of(134, 0, 0), { extensions: fragment(58, 0, false) }),
    verdict: ROGUE_ROUTER,
  },
  {
    name: 'a long ping, first fragment',
    frame: from6('fd00:1::3', icmp6Of(128, 0, 1, some(8)), { extensions: fragment(58, 0, true) }),
    verdict: PASS,
  },
  {
    name: 'a long ping, later fragment',
    frame: from6('fd00:1::3', raw(58, some(16)), { extensions: fragment(58, 1280, false) }),
    verdict: PASS,
  },
  {
    name: 'a fragment of something else',
    frame: from6('fd00:1::3', raw(6, some(16)), { extensions: fragment(6, 0, true) }),
    verdict: PASS,
  },
  { name: 'a router solicitation', frame: from6('fe80::3', icmp6Of(133, 0, 0)), verdict: PASS },
  {
    name: 'an advertisement of its own address',
    frame: from6('fe80::3', neighborOf('advert', 'fd00:1::3', null)),
    verdict: PASS,
  },
  {
    name: 'an advertisement of the address of another',
    frame: from6('fe80::3', neighborOf('advert', 'fd00:1::2', null)),
    verdict: SPOOFED_ND,
  },
  {
    name: 'an advertisement of the gateway',
    frame: from6('fe80::3', neighborOf('advert', 'fe80::1', null)),
    verdict: SPOOFED_ND,
  },
  { name: 'an advertisement that is cut short', frame: from6('fe80::3', icmp6Of(136, 0, 0)), verdict: PASS },
  { name: 'ICMPv6 that is cut short', frame: from6('fe80::3', raw(58, hex('86'))), verdict: PASS },
  {
    name: 'a routing header',
    frame: from6('fe80::3', ping6, { extensions: { first: 43, bytes: hex('3a 00 00 01 00000000') } }),
    verdict: BAD_HEADERS,
  },
  { name: 'IPv6 of a wrong length', frame: from6('fd00:1::2').slice(0, 60), verdict: PASS },
  // Tags
  { name: 'a tag of VLAN 5: of another network', frame: tagged(from4('192.168.105.2'), 5), verdict: PASS },
  {
    name: 'a priority tag before the address of another',
    frame: tagged(from4('192.168.105.2'), 0xe000),
    verdict: SPOOFED_IPV4,
  },
  {
    name: 'a priority tag before ARP',
    frame: tagged(arpFrame({ op: 2, sender: '192.168.105.1', target: '192.168.105.3' }), 0),
    verdict: SPOOFED_ARP,
  },
  {
    name: 'a service tag before a router',
    frame: tagged(from6('fe80::3', icmp6Of(134, 0, 0)), 0, 0x88a8),
    verdict: ROGUE_ROUTER,
  },
  { name: 'two priority tags', frame: tagged(tagged(from4('192.168.105.2'), 0), 0), verdict: SPOOFED_IPV4 },
  { name: 'three of them', frame: tagged(tagged(tagged(from4('192.168.105.2'), 0), 0), 0), verdict: NESTED_TAGS },
  { name: 'a priority tag before its own', frame: tagged(from4('192.168.105.3'), 0), verdict: PASS },
  { name: 'a tag with nothing behind', frame: tagged(from4('192.168.105.2'), 0).slice(0, 16), verdict: PASS },
  {
    name: 'another EtherType',
    frame: etherFrame('52:54:00:00:00:0a', 'ff:ff:ff:ff:ff:ff', 0x88cc, some(9)),
    verdict: PASS,
  },
];

/** So many destination option headers before ICMPv6. */
function many(count: number): { first: number; bytes: Uint8Array } {
  const one = (next: string): string => `${next} 00 0104 00000000`;
  return { first: 60, bytes: hex(one('3c').repeat(count - 1) + one('3a')) };
}

describe('one guest says', () => {
  for (const { name, frame, verdict } of table) {
    test(name, () => {
      assert.equal(new Bench().check(frame), verdict);
    });
  }
});

test('the victim may say of itself what the attacker may not', () => {
  const bench = new Bench();
  for (const frame of [
    from4('192.168.105.2'),
    arpFrame({ op: 2, sender: '192.168.105.2', target: '192.168.105.3' }),
    from6('fd00:1::2'),
    from6('fe80::2', neighborOf('advert', 'fd00:1::2', null)),
  ]) {
    assert.equal(bench.check(frame, bench.victim), PASS);
    assert.notEqual(bench.check(frame), PASS);
  }
});

test('a lease binds an address before it is used', () => {
  const bench = new Bench();
  bench.guard.addresses.bind(bench.victim, 0, 0, 0xffff, 0xc0a8_6909, 0);
  assert.equal(bench.check(from4('192.168.105.9')), SPOOFED_IPV4);
  assert.equal(bench.check(from4('192.168.105.9'), bench.victim), PASS);
});

describe('a segment without addresses of its own', () => {
  test('lets guests use any, but not those of others', () => {
    const bench = new SegmentBench();
    const guard = new Guard({ ...ADDRESSES, mask4: 0, network4: 0, prefix6: null, gateway6: null }, 16, 1);
    const [a, b] = [bench.port(), bench.port()];
    for (const frame of [from4('10.9.8.7'), from6('2001:db8::7')]) {
      const [off, len] = bench.place(frame);
      assert.equal(guard.check(bench.arena.view, off, len, a, 0), PASS);
      assert.notEqual(guard.check(bench.arena.view, off, len, b, 0), PASS);
    }
  });
});

test('any bytes get a verdict', () => {
  const bench = new Bench();
  const verdicts = new Set([
    PASS,
    SPOOFED_IPV4,
    SPOOFED_IPV6,
    SPOOFED_ARP,
    SPOOFED_ND,
    ROGUE_DHCP,
    ROGUE_ROUTER,
    BAD_HEADERS,
    FRAGMENTED_ND,
    NESTED_TAGS,
  ]);
  const mutant = fc
    .tuple(
      fc.constantFrom(...Object.values(ALL_FRAMES), ...table.map(({ frame }) => frame)),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
      fc.nat(120),
    )
    .map(([frame, changes, length]) => {
      const bytes = frame.slice(0, Math.max(14, length));
      for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
      return bytes;
    });
  fc.assert(
    fc.property(fc.oneof(mutant, fc.uint8Array({ minLength: 14, maxLength: 100 })), (frame) => {
      assert.ok(verdicts.has(bench.check(frame)));
    }),
    { numRuns: 3000 },
  );
});
