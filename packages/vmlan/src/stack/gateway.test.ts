import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { ALL_FRAMES, hex } from '../wire/frames.fixture.ts';
import * as ipv4 from '../wire/ipv4.ts';
import {
  BROADCAST_MAC,
  arpFrame,
  etherFrame,
  icmp6Of,
  icmpOf,
  ipv4Frame,
  ipv6Frame,
  raw,
  tcpOf,
  udpOf,
  type Upper,
} from '../wire/packets.fixture.ts';
import { GatewayBench, rows } from './gateway.fixture.ts';

const SYN = 0x02;
const some = (len: number): Uint8Array => Uint8Array.from({ length: len }, (_, i) => i & 0xff);
const from4 = (dst: string, upper: Upper, more: object = {}): Uint8Array =>
  ipv4Frame({ src: '192.168.105.2', dst, ...more }, upper);
const from6 = (dst: string, upper: Upper, more: object = {}): Uint8Array =>
  ipv6Frame({ src: 'fd00:1::2', dst, ...more }, upper);
const ping4 = icmpOf(8, 0, 0x0001_0002, some(16));
const ping6 = icmp6Of(128, 0, 0x0001_0002, some(16));

describe('IPv4: where a packet goes', () => {
  rows([
    {
      name: 'ping to the gateway',
      frame: from4('192.168.105.1', ping4),
      says: ['IPv4 192.168.105.1 > 192.168.105.2 icmp echo reply id 1 seq 2 length 24'],
    },
    { name: 'ping to elsewhere', frame: from4('8.8.8.8', ping4), passes: ['echo 192.168.105.2 > 8.8.8.8 24'] },
    {
      name: 'TCP to elsewhere',
      frame: from4('8.8.8.8', tcpOf({ flags: SYN })),
      passes: ['tcp 192.168.105.2 > 8.8.8.8 20'],
    },
    {
      name: 'TCP to the gateway',
      frame: from4('192.168.105.1', tcpOf({ flags: SYN })),
      passes: ['tcp 192.168.105.2 > 192.168.105.1 20'],
    },
    {
      name: 'UDP to elsewhere',
      frame: from4('8.8.8.8', udpOf(5, 53, some(3))),
      passes: ['udp 192.168.105.2 > 8.8.8.8 11'],
    },
    {
      name: 'UDP to a service',
      frame: from4('192.168.105.1', udpOf(5, 53, some(3))),
      passes: ['service 5 > 53 192.168.105.2 > 192.168.105.1 3'],
    },
    {
      name: 'UDP to the gateway, no service',
      frame: from4('192.168.105.1', udpOf(5, 99)),
      passes: ['udp 192.168.105.2 > 192.168.105.1 8'],
    },
    {
      name: 'another protocol',
      frame: from4('8.8.8.8', raw(132, some(20))),
      says: ['IPv4 192.168.105.1 > 192.168.105.2 icmp type 3 code 2 rest 0 length 48'],
    },
    {
      name: 'a TTL that ends here',
      frame: from4('8.8.8.8', udpOf(5, 33_434), { ttl: 1 }),
      says: ['IPv4 192.168.105.1 > 192.168.105.2 icmp type 11 code 0 rest 0 length 36'],
    },
    {
      name: 'a TTL that ends at its destination',
      frame: from4('192.168.105.1', udpOf(5, 53), { ttl: 1 }),
      passes: ['service 5 > 53 192.168.105.2 > 192.168.105.1 0'],
    },
    { name: 'an echo reply, unasked', frame: from4('192.168.105.1', icmpOf(0, 0, 1)) },
    {
      name: 'options that are harmless',
      frame: from4('8.8.8.8', udpOf(5, 6), { options: hex('94 04 0000') }),
      passes: ['udp 192.168.105.2 > 8.8.8.8 8'],
    },
  ]);
});

describe('IPv4: what is dropped', () => {
  const broken = (at: number, byte: number, frame = from4('8.8.8.8', udpOf(5, 6, some(4)))): Uint8Array =>
    frame.with(at, byte);
  rows([
    { name: 'version 5', frame: broken(14, 0x55), drops: ['drop_ipv4_bad_version'] },
    { name: 'header checksum', frame: broken(24, 0xee), drops: ['drop_ipv4_bad_checksum'] },
    { name: 'length beyond the frame', frame: broken(17, 200), drops: ['drop_ipv4_bad_length'] },
    { name: 'no whole header', frame: from4('8.8.8.8', udpOf(5, 6)).slice(0, 30), drops: ['drop_ipv4_too_short'] },
    {
      name: 'source route',
      frame: from4('8.8.8.8', udpOf(5, 6), { options: hex('83 07 04 01020304 00') }),
      drops: ['drop_ipv4_source_routed'],
    },
    { name: 'UDP checksum', frame: broken(45, 0x77), drops: ['drop_udp_bad_checksum'] },
    {
      name: 'UDP length',
      frame: from4('8.8.8.8', raw(17, hex('0005 0006 0040 0000'))),
      drops: ['drop_udp_bad_length'],
    },
    {
      name: 'TCP checksum',
      frame: broken(50, 0x77, from4('8.8.8.8', tcpOf({ flags: SYN }))),
      drops: ['drop_tcp_bad_checksum'],
    },
    { name: 'TCP header length', frame: from4('8.8.8.8', raw(6, some(20))), drops: ['drop_tcp_bad_header_length'] },
    {
      name: 'ICMP checksum',
      frame: broken(40, 0x77, from4('192.168.105.1', ping4)),
      drops: ['drop_icmp_bad_checksum'],
    },
    { name: 'ICMP too short', frame: from4('192.168.105.1', raw(1, some(4))), drops: ['drop_icmp_too_short'] },
    {
      name: 'source elsewhere',
      frame: ipv4Frame({ src: '10.0.0.1', dst: '8.8.8.8' }, udpOf(5, 6)),
      drops: ['drop_source_not_on_segment'],
    },
    {
      name: 'source of the gateway',
      frame: ipv4Frame({ src: '192.168.105.1', dst: '8.8.8.8' }, udpOf(5, 6)),
      drops: ['drop_source_not_on_segment'],
    },
    {
      name: 'no source',
      frame: ipv4Frame({ src: '0.0.0.0', dst: '8.8.8.8' }, tcpOf({ flags: SYN })),
      drops: ['drop_source_not_on_segment'],
    },
    {
      name: 'no source, UDP to elsewhere',
      frame: ipv4Frame({ src: '0.0.0.0', dst: '8.8.8.8' }, udpOf(5, 6)),
      drops: ['drop_gateway_service_off'],
    },
    { name: 'loopback', frame: from4('127.0.0.1', udpOf(5, 6)), drops: ['drop_martian_destination'] },
    { name: 'this network', frame: from4('0.1.2.3', udpOf(5, 6)), drops: ['drop_martian_destination'] },
    { name: 'class E', frame: from4('240.0.0.1', udpOf(5, 6)), drops: ['drop_martian_destination'] },
    {
      name: 'a neighbor: the switch carries that',
      frame: from4('192.168.105.3', udpOf(5, 6)),
      drops: ['drop_martian_destination'],
    },
    {
      name: 'unicast in a broadcast frame',
      frame: from4('8.8.8.8', udpOf(5, 6), { to: BROADCAST_MAC }),
      drops: ['drop_martian_destination'],
    },
    { name: 'ping to everybody', frame: from4('192.168.105.255', ping4), drops: ['drop_gateway_service_off'] },
    {
      name: 'TCP to everybody',
      frame: from4('255.255.255.255', tcpOf({ flags: SYN })),
      drops: ['drop_gateway_service_off'],
    },
    {
      name: 'UDP to everybody, no service',
      frame: from4('255.255.255.255', udpOf(5, 6)),
      drops: ['drop_gateway_service_off'],
    },
    { name: 'IGMP', frame: from4('224.0.0.22', raw(2, some(8))), drops: ['drop_group_not_ours'] },
    { name: 'multicast', frame: from4('239.1.2.3', udpOf(5, 6)), drops: ['drop_group_not_ours'] },
    {
      name: 'another EtherType',
      frame: etherFrame('52:54:00:00:00:0a', BROADCAST_MAC, 0x88cc, some(20)),
      drops: ['drop_ethertype'],
    },
  ]);
});

describe('IPv4: DHCP of guests without an address of ours', () => {
  rows([
    {
      name: 'none',
      frame: ipv4Frame({ src: '0.0.0.0', dst: '255.255.255.255' }, udpOf(68, 67)),
      passes: ['service 68 > 67 0.0.0.0 > 255.255.255.255 0'],
    },
    {
      name: 'one of elsewhere',
      frame: ipv4Frame({ src: '10.9.9.9', dst: '255.255.255.255' }, udpOf(68, 67)),
      passes: ['service 68 > 67 10.9.9.9 > 255.255.255.255 0'],
    },
  ]);
});

describe('a segment of addresses alone', () => {
  rows(
    [
      {
        name: 'answers ARP',
        frame: arpFrame({ sender: '192.168.105.2', target: '192.168.105.1' }),
        says: ['ARP 192.168.105.1 is-at 02:76:6d:00:00:01'],
      },
      {
        name: 'answers DHCP',
        frame: from4('255.255.255.255', udpOf(68, 67)),
        passes: ['service 68 > 67 192.168.105.2 > 255.255.255.255 0'],
      },
      { name: 'no ping', frame: from4('192.168.105.1', ping4), drops: ['drop_gateway_service_off'] },
      { name: 'no ping, IPv6', frame: from6('fd00:1::1', ping6), drops: ['drop_gateway_service_off'] },
      { name: 'no TCP', frame: from4('192.168.105.1', tcpOf({ flags: SYN })), drops: ['drop_gateway_service_off'] },
      { name: 'no UDP', frame: from4('192.168.105.1', udpOf(5, 99)), drops: ['drop_gateway_service_off'] },
      { name: 'nothing to elsewhere', frame: from4('8.8.8.8', udpOf(5, 53)), drops: ['drop_gateway_service_off'] },
      { name: 'no error about it', frame: from4('192.168.105.1', raw(132, some(20))) },
    ],
    { addressesOnly: true },
  );
});

test('a second address for DNS alone is the gateway, too', () => {
  const bench = new GatewayBench({ dns4: 0xc0a8_6903 });
  bench.hears(arpFrame({ sender: '192.168.105.2', target: '192.168.105.3' }));
  bench.hears(from4('192.168.105.3', ping4));
  assert.deepEqual(bench.says(), [
    'ARP 192.168.105.3 is-at 02:76:6d:00:00:01',
    'IPv4 192.168.105.3 > 192.168.105.2 icmp echo reply id 1 seq 2 length 24',
  ]);
});

test('what the link vouches for is not summed again', () => {
  const bench = new GatewayBench();
  for (const frame of [from4('8.8.8.8', udpOf(5, 6, some(4))), from4('8.8.8.8', tcpOf({ flags: SYN }))]) {
    bench.hears(frame.with(frame.length - 1, 0x77), true);
  }
  assert.deepEqual(bench.hasPassed(), ['udp 192.168.105.2 > 8.8.8.8 12', 'tcp 192.168.105.2 > 8.8.8.8 20']);
});

describe('fragments', () => {
  test('a long ping is answered in fragments', () => {
    const bench = new GatewayBench();
    const whole = from4('192.168.105.1', icmpOf(8, 0, 7, some(3000))).subarray(14 + 20);
    for (const [at, end, more] of [
      [0, 1480, true],
      [1480, 2960, true],
      [2960, 3008, false],
    ] as const) {
      const fragment = (more ? ipv4.FLAG_MF : 0) | (at >>> 3);
      bench.hears(from4('192.168.105.1', raw(1, whole.slice(at, end)), { id: 9, fragment }));
    }
    assert.deepEqual(bench.says(), [
      'IPv4 192.168.105.1 > 192.168.105.2 frag 1:1480@0+',
      'IPv4 192.168.105.1 > 192.168.105.2 frag 1:1480@1480+',
      'IPv4 192.168.105.1 > 192.168.105.2 frag 1:48@2960',
    ]);
    assert.equal(bench.counters.get('reassembled_packets'), 1);
  });

  test('a long datagram over IPv6 is put together before it goes on', () => {
    const bench = new GatewayBench();
    const whole = from6('2001:db8::7', udpOf(5, 6, some(3000))).subarray(14 + 40);
    const part = (at: number, end: number, more: number): Uint8Array => {
      const header = hex(`11 00 ${(at | more).toString(16).padStart(4, '0')} 0000 0009`);
      return from6('2001:db8::7', raw(17, whole.slice(at, end)), { extensions: { first: 44, bytes: header } });
    };
    bench.hears(part(1440, 3008, 0));
    bench.hears(part(0, 1440, 1));
    assert.deepEqual(bench.hasPassed(), ['udp fd00:1::2 > 2001:db8::7 3008']);
  });

  test('no error is sent about one alone', () => {
    const bench = new GatewayBench();
    bench.hears(from4('8.8.8.8', raw(132, some(16)), { fragment: ipv4.FLAG_MF, ttl: 1 }));
    assert.deepEqual(bench.says(), []);
  });
});

test('a router advertisement and a datagram of a service go out as they should', () => {
  const bench = new GatewayBench();
  bench.hears(from6('fd00:1::1', ping6));
  bench.says();
  const path = bench.gateway.icmp.$path;
  path.segment = bench;
  path.port = bench.port;
  path.family = 6;
  path.setGuest(0xfd00_0001, 0, 0, 2);
  path.setRemote(0xfe80_0000, 0, 0, 1);
  bench.gateway.sendIcmpv6(path, hex('86 00 0000 40 00 0708 0000 0000 0000 0000'));
  bench.gateway.sendDatagram(path, 53, 4000, some(5));
  assert.deepEqual(bench.says(), [
    'IPv6 fe80::1 > fd00:1::2 icmp6 router advert length 16',
    'IPv6 fe80::1.53 > fd00:1::2.4000 udp [bad-checksum] length 5', // left to the link
  ]);
});

test('no frame makes it throw, and none is answered more than once or twice', () => {
  const bench = new GatewayBench();
  bench.services.add(53);
  const mutant = fc
    .tuple(
      fc.constantFrom(...Object.values(ALL_FRAMES), from4('192.168.105.1', ping4)),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
      fc.nat(80),
    )
    .map(([frame, changes, cut]) => {
      const bytes = frame.slice(0, Math.max(14, frame.length - Math.max(0, cut - 60)));
      for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
      return bytes;
    });
  const noise = fc.uint8Array({ minLength: 14, maxLength: 200 });
  fc.assert(
    fc.property(fc.oneof(mutant, noise), (frame) => {
      bench.nowMs += 100;
      bench.hears(frame);
      assert.ok(bench.says().length <= 2);
      bench.hasPassed();
    }),
    { numRuns: 3000 },
  );
});
