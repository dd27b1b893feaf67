import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import * as frames from './frames.fixture.ts';
import { hex, view } from './frames.fixture.ts';
import * as ipv4 from './ipv4.ts';
import { printFrame } from './print.ts';
import { VERDICT_COUNT, VERDICT_NAMES } from './verdict.ts';

const print = (frame: Uint8Array): string => printFrame(view(frame), 0, frame.length);
const A_TO_B = '52:54:00:00:00:0a > 52:54:00:00:00:0b';
const B_TO_A = '52:54:00:00:00:0b > 52:54:00:00:00:0a';

const lines: { in: Uint8Array; want: string }[] = [
  { in: frames.ARP_REQUEST, want: '52:54:00:00:00:0a > ff:ff:ff:ff:ff:ff ARP who-has 192.0.2.2 tell 192.0.2.1' },
  { in: frames.ARP_REPLY, want: `${B_TO_A} ARP 192.0.2.2 is-at 52:54:00:00:00:0b` },
  {
    in: frames.ECHO_REQUEST_4,
    want: `${A_TO_B} IPv4 192.0.2.1 > 192.0.2.2 icmp echo request id 12310 seq 1 length 16`,
  },
  {
    in: frames.ECHO_REPLY_6,
    want: `${B_TO_A} IPv6 2001:db8::2 > 2001:db8::1 icmp6 echo reply id 12311 seq 1 length 16`,
  },
  { in: frames.FRAGMENT_4, want: `${A_TO_B} IPv4 192.0.2.1 > 192.0.2.2 frag 19740:28@1480` },
  { in: frames.FRAGMENT_6, want: `${A_TO_B} IPv6 2001:db8::1 > 2001:db8::2 frag 2557585601:60@1448` },
  {
    in: frames.NEIGHBOR_ADVERT,
    want: `${B_TO_A} IPv6 2001:db8::2 > 2001:db8::1 icmp6 is-at 2001:db8::2 mac 52:54:00:00:00:0b length 32`,
  },
  {
    in: frames.DAD_SOLICIT,
    want: '52:54:00:00:00:0a > 33:33:ff:00:00:0a IPv6 :: > ff02::1:ff00:a icmp6 who-has fe80::5054:ff:fe00:a length 32',
  },
  {
    in: frames.MLD_REPORT,
    want: '52:54:00:00:00:0a > 33:33:00:00:00:16 IPv6 fe80::5054:ff:fe00:a > ff02::16 icmp6 type 143 code 0 rest 2 length 48',
  },
  {
    in: frames.TCP_SYN_4,
    want: `${A_TO_B} IPv4 192.0.2.1.60932 > 192.0.2.2.80 tcp [S] seq 2569239438 win 64240 options [mss 1460, wscale 10, sackOK, TS val 2154976951 ecr 0] length 0`,
  },
  {
    in: frames.TCP_DATA_4,
    want: `${B_TO_A} IPv4 192.0.2.2.80 > 192.0.2.1.60932 tcp [P.] seq 2040504072:2040504075 ack 2569239444 win 64 options [TS val 2673992411 ecr 2154976952] length 3`,
  },
  {
    in: frames.TCP_RST_4,
    want: `${B_TO_A} IPv4 192.0.2.2.99 > 192.0.2.1.43422 tcp [R.] seq 0 ack 1464085253 win 0 length 0`,
  },
  { in: frames.UDP_6, want: `${A_TO_B} IPv6 2001:db8::1.55789 > 2001:db8::2.9 udp length 2` },
  { in: frames.PORT_UNREACHABLE_4, want: `${B_TO_A} IPv4 192.0.2.2 > 192.0.2.1 icmp type 3 code 3 rest 0 length 38` },
  { in: hex('5254 0000 000b 5254 0000 000a 88cc 0000'), want: `${A_TO_B} type 0x88cc length 2` },
  { in: hex('5254 0000 000b 5254 0000 000a 8100 000c 88cc 0000'), want: `${A_TO_B} vlan 12 type 0x88cc length 2` },
  { in: hex('5254 0000 000b 5254 0000 000a 8100 000c 8100 0000'), want: `${A_TO_B} vlan 12 QinQ` },
  { in: hex('5254 0000'), want: '[too-short] frame of 4 bytes' },
  { in: frames.ARP_REPLY.slice(0, 40), want: `${B_TO_A} ARP [malformed]` },
  { in: frames.ARP_REPLY.with(21, 9), want: `${B_TO_A} ARP op 9` },
  { in: frames.UDP_4.slice(0, 40), want: `${A_TO_B} IPv4 [bad-length]` },
  { in: frames.UDP_4.with(42, 0), want: `${A_TO_B} IPv4 192.0.2.1.46273 > 192.0.2.2.9 udp [bad-checksum] length 2` },
  { in: frames.UDP_6.slice(0, 40), want: `${A_TO_B} IPv6 [too-short]` },
  { in: frames.UDP_6.with(20, 43), want: `${A_TO_B} IPv6 [bad-header-length] 2001:db8::1 > 2001:db8::2` },
  { in: frames.UDP_6.with(20, 59), want: `${A_TO_B} IPv6 2001:db8::1 > 2001:db8::2 proto 59 length 10` },
  {
    in: frames.NEIGHBOR_ADVERT.with(21, 64),
    want: `${B_TO_A} IPv6 2001:db8::2 > 2001:db8::1 icmp6 is-at [bad-hop-limit]`,
  },
];
for (const { in: frame, want } of lines) {
  test(`prints: ${want.slice(0, 110)}`, () => assert.equal(print(frame), want));
}

for (const [name, frame] of Object.entries(frames.ALL_FRAMES)) {
  test(`nothing is wrong with captured ${name}`, () => assert.doesNotMatch(print(frame), /\[(?:bad|too|unknown|mal)/));
}

test('each verdict has a name', () => assert.equal(VERDICT_NAMES.length, VERDICT_COUNT));

test('SACK blocks, flags and malformed options are shown', () => {
  const frame = hex(`
    5254 0000 000a 5254 0000 000b 0800
    45 00 003c 0000 4000 40 06 0000 c0000202 c0000201
    0063 a99e 00000001 00000002 a0 ff 0000 0000 0000
    0101 050a 00000003 00000004  02 00 0000 0000 0000
  `);
  ipv4.setChecksum(view(frame), 14);
  assert.match(print(frame), /\[FSRP\.UEW\] seq 1 ack 2 win 0 options \[sack \{3:4\}, malformed\] length 0$/);
});

/** Some bytes of a captured frame overwritten, the IPv4 header mended so that the damage is seen further up. */
const damaged = fc
  .tuple(
    fc.constantFrom(...Object.values(frames.ALL_FRAMES)),
    fc.array(fc.tuple(fc.nat(120), fc.nat(255)), { maxLength: 5 }),
    fc.nat(120),
    fc.boolean(),
  )
  .map(([frame, changes, cut, mended]) => {
    const bytes = frame.slice(0, Math.max(0, frame.length - Math.max(0, cut - 60)));
    for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
    if (mended && bytes.length >= 34 && 14 + ipv4.headerLen(view(bytes), 14) <= bytes.length) {
      view(bytes).setUint16(16, Math.min(view(bytes).getUint16(16), bytes.length - 14));
      ipv4.setChecksum(view(bytes), 14);
    }
    return bytes;
  });

test('damaged and cut frames never make a codec throw or read past the end', () => {
  fc.assert(
    fc.property(damaged, (frame) => void print(frame)),
    { numRuns: 20_000 },
  );
});

test('random bytes never make a codec throw or read past the end', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), fc.constantFrom(0x0800, 0x0806, 0x86dd, 0x8100), (frame, type) => {
      if (frame.length >= 14) view(frame).setUint16(12, type);
      print(frame);
    }),
    { numRuns: 2000 },
  );
});
