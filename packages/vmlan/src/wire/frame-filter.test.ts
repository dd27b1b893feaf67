import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { parseIpv4, parseIpv6 } from './address.ts';
import { compileFilter, FrameFilter, MAX_FILTER_CHARS } from './frame-filter.ts';
import { hex, view } from './frames.fixture.ts';
import * as ipv4 from './ipv4.ts';
import { arpFrame, etherFrame, icmp6Of, icmpOf, ipv4Frame, ipv6Frame, raw, tcpOf, udpOf } from './packets.fixture.ts';

const WEB = '192.168.104.5';
const DB = '192.168.104.6';
const WEB6 = 'fd00::5';

const FRAMES: Readonly<Record<string, Uint8Array>> = {
  http: ipv4Frame({ src: WEB, dst: '192.0.2.1' }, tcpOf({ srcPort: 40_000, dstPort: 80, flags: 2 })),
  dns: ipv4Frame({ src: WEB, dst: DB }, udpOf(40_001, 53)),
  dns6: ipv6Frame({ src: WEB6, dst: 'fd00::6' }, udpOf(40_001, 53)),
  ping: ipv4Frame({ src: DB, dst: WEB }, icmpOf(8, 0, 1)),
  ping6: ipv6Frame({ src: WEB6, dst: 'fd00::6' }, icmp6Of(128, 0, 1)),
  arp: arpFrame({ sender: WEB, target: DB }),
  fragment: ipv4Frame({ src: WEB, dst: DB, fragment: 0x2000 | 185 }, raw(ipv4.PROTO_UDP, hex('00500050 00000000'))),
  other: etherFrame('52:54:00:00:00:01', '52:54:00:00:00:02', 0x88b5, hex('cafe')),
  broadcast: etherFrame('52:54:00:00:00:01', 'ff:ff:ff:ff:ff:ff', 0x88b5, hex('cafe')),
  tagged: etherFrame('52:54:00:00:00:01', '52:54:00:00:00:02', 0x8100, hex('0007 0806 0000')),
};

const lookup = (name: string): readonly Int32Array[] =>
  name === 'web' ? [Int32Array.of(0, 0, 0xffff, parseIpv4(WEB)!), Int32Array.from(parseIpv6(WEB6)!)] : [];

function filterOf(text: string): FrameFilter {
  const filter = compileFilter(text, lookup);
  assert.ok(filter instanceof FrameFilter, `${text}: ${JSON.stringify(filter)}`);
  return filter;
}

const takenBy = (text: string, fromGuest = true): string[] => {
  const filter = filterOf(text);
  return Object.keys(FRAMES).filter((name) => {
    const frame = FRAMES[name]!;
    return filter.check(view(frame), 0, frame.length, fromGuest);
  });
};

describe('what a filter takes', () => {
  const all = Object.keys(FRAMES);
  const table: readonly (readonly [text: string, want: readonly string[]])[] = [
    ['', all],
    ['arp', ['arp', 'tagged']],
    ['ip', ['http', 'dns', 'ping', 'fragment']],
    ['ip6', ['dns6', 'ping6']],
    ['tcp', ['http']],
    ['udp', ['dns', 'dns6', 'fragment']],
    ['icmp or icmp6', ['ping', 'ping6']],
    ['port 53', ['dns', 'dns6']],
    ['port domain', ['dns', 'dns6']],
    ['udp dst port 53', ['dns', 'dns6']],
    ['udp src port 53', []],
    ['tcp port 53', []],
    ['port 80 or 53', ['http', 'dns', 'dns6']],
    ['portrange 50-90', ['http', 'dns', 'dns6']],
    ['src portrange 50-90', []],
    [`host ${WEB}`, ['http', 'dns', 'ping', 'arp', 'fragment']],
    [WEB, ['http', 'dns', 'ping', 'arp', 'fragment']],
    [`src ${WEB}`, ['http', 'dns', 'arp', 'fragment']],
    [`dst host ${WEB}`, ['ping']],
    [`src or dst host ${DB}`, ['dns', 'ping', 'arp', 'fragment']],
    [`src and dst net 192.168.104.0/24`, ['dns', 'ping', 'arp', 'fragment']],
    [`ip host ${WEB}`, ['http', 'dns', 'ping', 'fragment']],
    [`host ${WEB6}`, ['dns6', 'ping6']],
    ['host web', ['http', 'dns', 'dns6', 'ping', 'ping6', 'arp', 'fragment']],
    ['net 192.0.2.0/24', ['http']],
    ['net 192.0', ['http']],
    ['192.0.2.0/24', ['http']],
    ['net fd00::/16', ['dns6', 'ping6']],
    ['net 0.0.0.0/0 and not ip', ['arp']],
    ['proto 1', ['ping']],
    ['ip6 proto icmp6', ['ping6']],
    ['ether proto 0x88b5', ['other', 'broadcast']],
    ['ether src 52:54:00:00:00:01', ['other', 'broadcast', 'tagged']],
    ['ether host 52:54:00:00:00:02', ['other', 'tagged']],
    ['broadcast', ['arp', 'broadcast']],
    ['ether multicast and not arp', ['broadcast']],
    ['vlan', ['tagged']],
    ['vlan 7', ['tagged']],
    ['vlan 8', []],
    ['inbound', all],
    ['outbound', []],
    ['less 16', ['other', 'broadcast']],
    ['greater 60 and udp', ['dns6']],
    ['not (ip or ip6)', ['arp', 'other', 'broadcast', 'tagged']],
    ['! ip && ! ip6', ['arp', 'other', 'broadcast', 'tagged']],
    // Equally strong, from left to right: (arp or tcp) and port 80.
    ['arp or tcp and port 80', ['http']],
    ['arp or (tcp and port 80)', ['http', 'arp', 'tagged']],
    ['tcp || not not udp', ['http', 'dns', 'dns6', 'fragment']],
  ];
  for (const [text, want] of table) {
    test(text === '' ? 'nothing said' : text, () => assert.deepEqual(takenBy(text), want));
  }

  test('the direction is told', () => assert.equal(takenBy('outbound', false).length, all.length));

  test('what is shorter than a header is taken by none', () => {
    assert.equal(filterOf('').check(view(new Uint8Array(13)), 0, 13, true), false);
  });
});

describe('what is no filter', () => {
  const table: readonly (readonly [text: string, column: number, message: RegExp])[] = [
    ['tcp and', 8, /ends too early/],
    ['(tcp', 5, /parenthesis is missing/],
    ['tcp)', 4, /"\)" was not expected/],
    ['tcp udp', 5, /"udp" was not expected/],
    ['tcp and tpc', 9, /"tpc" is no address/],
    ['80', 1, /e\.g\. port 80/],
    ['port 70000', 6, /no number of 0 to 65535/],
    ['port http2', 6, /no number/],
    ['portrange 80', 11, /8000-8010/],
    ['net 10.0.0.0/33', 5, /no prefix length of 0 to 32/],
    ['net lab', 5, /no network/],
    ['host', 5, /ends too early/],
    ['src and', 5, /"and" was not expected/],
    ['and tcp', 1, /"and" was not expected/],
    ['ether host web', 12, /no MAC address/],
    ['vlan 5000', 6, /0 to 4095/],
    ['host constructor', 6, /no address/],
    ['tcp[13]', 1, /no address/],
    [`${'not '.repeat(40)}tcp`, 129, /nested deeper/],
    [Array.from({ length: 140 }, () => 'ip').join(' or '), 769, /at most 128 terms/],
    ['x'.repeat(MAX_FILTER_CHARS + 1), MAX_FILTER_CHARS + 1, /at most 1024 characters/],
  ];
  for (const [text, column, message] of table) {
    test(text.slice(0, 40), () => {
      const fault = compileFilter(text);
      assert.ok(!(fault instanceof FrameFilter));
      assert.equal(fault.column, column);
      assert.match(fault.message, message);
    });
  }
});

interface Term {
  readonly text: string;
  /** The reference: what a person would say of the fields. */
  readonly holds: (packet: Packet) => boolean;
}

interface Packet {
  readonly src: number;
  readonly dst: number;
  readonly protocol: 'tcp' | 'udp' | 'icmp';
  readonly srcPort: number;
  readonly dstPort: number;
}

const hostOf = (last: number): string => `10.0.${last >> 1}.${last}`;
const packets: fc.Arbitrary<Packet> = fc.record({
  src: fc.nat(3),
  dst: fc.nat(3),
  protocol: fc.constantFrom('tcp', 'udp', 'icmp'),
  srcPort: fc.nat(3),
  dstPort: fc.nat(3),
});
const leaves: fc.Arbitrary<Term> = fc.oneof(
  fc.constantFrom('tcp', 'udp', 'icmp').map((text) => ({ text, holds: ({ protocol }: Packet) => protocol === text })),
  fc.nat(3).map((n) => ({ text: `host ${hostOf(n)}`, holds: ({ src, dst }: Packet) => src === n || dst === n })),
  fc.nat(3).map((n) => ({ text: `src ${hostOf(n)}`, holds: ({ src }: Packet) => src === n })),
  fc.nat(1).map((n) => ({ text: `dst net 10.0.${n}.0/24`, holds: ({ dst }: Packet) => dst >> 1 === n })),
  fc.nat(3).map((n) => ({
    text: `port ${n}`,
    holds: (p: Packet) => p.protocol !== 'icmp' && (p.srcPort === n || p.dstPort === n),
  })),
  fc.nat(3).map((n) => ({
    text: `udp dst port ${n}`,
    holds: (p: Packet) => p.protocol === 'udp' && p.dstPort === n,
  })),
);
const { expression } = fc.letrec<{ expression: Term }>((tie) => ({
  expression: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaves,
    tie('expression').map(({ text, holds }) => ({ text: `not (${text})`, holds: (p: Packet) => !holds(p) })),
    fc.tuple(tie('expression'), tie('expression')).map(([a, b]) => ({
      text: `(${a.text}) and (${b.text})`,
      holds: (p: Packet) => a.holds(p) && b.holds(p),
    })),
    fc.tuple(tie('expression'), leaves).map(([a, b]) => ({
      text: `${a.text} || ${b.text}`,
      holds: (p: Packet) => a.holds(p) || b.holds(p),
    })),
  ),
}));

function frameOf({ src, dst, protocol, srcPort, dstPort }: Packet): Uint8Array {
  const upper =
    protocol === 'tcp'
      ? tcpOf({ srcPort, dstPort, flags: 16 })
      : protocol === 'udp'
        ? udpOf(srcPort, dstPort)
        : icmpOf(8, 0, 0);
  return ipv4Frame({ src: hostOf(src), dst: hostOf(dst) }, upper);
}

test('says what a naive reading of the expression says', () => {
  fc.assert(
    fc.property(expression, packets, ({ text, holds }, packet) => {
      if (text.length > MAX_FILTER_CHARS || text.split(/and|\|\|/).length > 30) return;
      const frame = frameOf(packet);
      assert.equal(filterOf(text).check(view(frame), 0, frame.length, true), holds(packet), text);
    }),
    { numRuns: 1000 },
  );
});

test('never throws, whatever text and whatever bytes', () => {
  const filter = filterOf('tcp port 80 or udp src port 5 or host 10.0.0.5 or ip6 proto 6 or vlan');
  fc.assert(
    fc.property(
      fc.string(),
      fc.uint8Array({ maxLength: 120 }),
      fc.constantFrom(0x0800, 0x86dd, 0x0806, 0x8100),
      (text, bytes, type) => {
        compileFilter(text);
        if (bytes.length >= 14) view(bytes).setUint16(12, type);
        filter.check(view(bytes), 0, bytes.length, true);
      },
    ),
    { numRuns: 2000 },
  );
});
