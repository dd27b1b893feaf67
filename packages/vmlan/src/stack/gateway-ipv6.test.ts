import { describe } from 'node:test';
import { hex } from '../wire/frames.fixture.ts';
import { icmp6Of, ipv6Frame, raw, tcpOf, udpOf, type Upper } from '../wire/packets.fixture.ts';
import { rows } from './gateway.fixture.ts';

const SYN = 0x02;
const some = (len: number): Uint8Array => Uint8Array.from({ length: len }, (_, i) => i & 0xff);
const from6 = (dst: string, upper: Upper, more: object = {}): Uint8Array =>
  ipv6Frame({ src: 'fd00:1::2', dst, ...more }, upper);
const ping6 = icmp6Of(128, 0, 0x0001_0002, some(16));

describe('IPv6: where a packet goes', () => {
  rows([
    {
      name: 'ping to the gateway',
      frame: from6('fd00:1::1', ping6),
      says: ['IPv6 fd00:1::1 > fd00:1::2 icmp6 echo reply id 1 seq 2 length 24'],
    },
    {
      name: 'ping to its link-local address',
      frame: ipv6Frame({ src: 'fe80::2', dst: 'fe80::1' }, ping6),
      says: ['IPv6 fe80::1 > fe80::2 icmp6 echo reply id 1 seq 2 length 24'],
    },
    { name: 'ping to elsewhere', frame: from6('2001:db8::7', ping6), passes: ['echo fd00:1::2 > 2001:db8::7 24'] },
    { name: 'TCP', frame: from6('2001:db8::7', tcpOf({ flags: SYN })), passes: ['tcp fd00:1::2 > 2001:db8::7 20'] },
    { name: 'UDP', frame: from6('2001:db8::7', udpOf(5, 6)), passes: ['udp fd00:1::2 > 2001:db8::7 8'] },
    {
      name: 'UDP of a guest whose address ends in zeros',
      frame: ipv6Frame({ src: 'fd00:1::5:0:0', dst: '2001:db8::7' }, udpOf(5, 6)),
      passes: ['udp fd00:1::5:0:0 > 2001:db8::7 8'],
    },
    {
      name: 'DHCPv6',
      frame: ipv6Frame({ src: 'fe80::2', dst: 'ff02::1:2', to: '33:33:00:01:00:02' }, udpOf(546, 547)),
      passes: ['service 546 > 547 fe80::2 > ff02::1:2 0'],
    },
    {
      name: 'another protocol: the error points at the byte that names it',
      frame: from6('2001:db8::7', raw(132, some(20))),
      says: ['IPv6 fd00:1::1 > fd00:1::2 icmp6 type 4 code 1 rest 6 length 68'],
    },
    {
      name: 'another protocol behind an extension header',
      frame: from6('2001:db8::7', raw(132, some(20)), { extensions: { first: 60, bytes: hex('84 00 0104 00000000') } }),
      says: ['IPv6 fd00:1::1 > fd00:1::2 icmp6 type 4 code 1 rest 40 length 76'],
    },
    { name: 'no next header: nothing to do (RFC 8200 §4.7)', frame: from6('2001:db8::7', raw(59, some(4))) },
    {
      name: 'a hop limit that ends here',
      frame: from6('2001:db8::7', udpOf(5, 33_434), { hopLimit: 1 }),
      says: ['IPv6 fd00:1::1 > fd00:1::2 icmp6 type 3 code 0 rest 0 length 56'],
    },
    { name: 'an echo reply, unasked', frame: from6('fd00:1::1', icmp6Of(129, 0, 1)) },
    { name: 'ping to all nodes', frame: from6('ff02::1', ping6) },
  ]);
});

describe('IPv6: what is dropped', () => {
  rows([
    { name: 'version 4', frame: from6('2001:db8::7', udpOf(5, 6)).with(14, 0x45), drops: ['drop_ipv6_bad_version'] },
    {
      name: 'length beyond the frame',
      frame: from6('2001:db8::7', udpOf(5, 6)).with(19, 99),
      drops: ['drop_ipv6_bad_length'],
    },
    { name: 'no whole header', frame: from6('2001:db8::7', udpOf(5, 6)).slice(0, 50), drops: ['drop_ipv6_too_short'] },
    {
      name: 'routing header',
      frame: from6('2001:db8::7', udpOf(5, 6), { extensions: { first: 43, bytes: hex('11 00 00 01 00000000') } }),
      drops: ['drop_ipv6_source_routed'],
    },
    {
      name: 'UDP without checksum',
      frame: from6('2001:db8::7', raw(17, hex('0005 0006 0008 0000'))),
      drops: ['drop_udp_bad_checksum'],
    },
    { name: 'ICMPv6 checksum', frame: from6('fd00:1::1', ping6).with(56, 0x77), drops: ['drop_icmp_bad_checksum'] },
    {
      name: 'source elsewhere',
      frame: ipv6Frame({ src: '2001:db8::9', dst: '2001:db8::7' }, udpOf(5, 6)),
      drops: ['drop_source_not_on_segment'],
    },
    {
      name: 'no source',
      frame: ipv6Frame({ src: '::', dst: '2001:db8::7' }, udpOf(5, 6)),
      drops: ['drop_source_not_on_segment'],
    },
    { name: 'loopback', frame: from6('::1', udpOf(5, 6)), drops: ['drop_martian_destination'] },
    { name: 'IPv4-mapped', frame: from6('::ffff:8.8.8.8', udpOf(5, 6)), drops: ['drop_martian_destination'] },
    { name: 'a neighbor', frame: from6('fd00:1::3', udpOf(5, 6)), drops: ['drop_martian_destination'] },
    { name: 'link-local of another', frame: from6('fe80::3', udpOf(5, 6)), drops: ['drop_martian_destination'] },
    { name: 'a group of others', frame: from6('ff02::fb', udpOf(5353, 5353)), drops: ['drop_group_not_ours'] },
    { name: 'TCP to all nodes', frame: from6('ff02::1', tcpOf({ flags: SYN })), drops: ['drop_gateway_service_off'] },
  ]);
});

describe('a segment without IPv6', () => {
  rows([{ name: 'drops it', frame: from6('2001:db8::7', udpOf(5, 6)), drops: ['drop_source_not_on_segment'] }], {
    address6: null,
  });
});
