import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { hex, view } from '../wire/frames.fixture.ts';
import * as tcp from '../wire/tcp.ts';
import {
  BROADCAST_MAC,
  arpFrame,
  etherFrame,
  fragmentHeader,
  icmp6Of,
  icmpOf,
  ipv4Frame,
  ipv6Frame,
  neighborOf,
  raw,
  tcpOf,
  udpOf,
} from '../wire/packets.fixture.ts';
import { ADDRESSES, SegmentBench } from './bench.fixture.ts';
import { ANSWER_MS, GATE_PASS, HOST_CLOSED, HostGate, NO_ROUTER } from './host-gate.ts';

const GUEST = '192.168.105.9';
const HOST = '192.168.105.254';
const GUEST6 = 'fd00:1::9';
const HOST6 = 'fd00:1::ffff:0:1';

const gate = (access: 'all' | readonly number[]): HostGate =>
  new HostGate({ ...ADDRESSES, access: access === 'all' ? access : new Set(access), seed: 7 });
const check = (tested: HostGate, frame: Uint8Array, nowMs = 0): number =>
  tested.check(view(frame), 0, frame.length, nowMs);

const to4 = (upper: Parameters<typeof ipv4Frame>[1], dst = HOST): Uint8Array => ipv4Frame({ src: GUEST, dst }, upper);
const to6 = (upper: Parameters<typeof ipv6Frame>[1], dst = HOST6): Uint8Array => ipv6Frame({ src: GUEST6, dst }, upper);
const syn = (dstPort: number): ReturnType<typeof tcpOf> => tcpOf({ dstPort, flags: tcp.SYN });

describe('the host is no router', () => {
  for (const { name, frame, want } of [
    { name: 'for its own address', frame: to4(syn(22)), want: GATE_PASS },
    { name: 'for its own IPv6 address', frame: to6(syn(22)), want: GATE_PASS },
    { name: 'for the broadcast address', frame: to4(udpOf(68, 67), '255.255.255.255'), want: GATE_PASS },
    { name: 'for a group', frame: to4(udpOf(5353, 5353), '224.0.0.251'), want: GATE_PASS },
    { name: 'for an IPv6 group', frame: to6(udpOf(5353, 5353), 'ff02::fb'), want: GATE_PASS },
    { name: 'for a link-local address', frame: to6(syn(22), 'fe80::1'), want: GATE_PASS },
    { name: 'for the outside', frame: to4(syn(80), '203.0.113.1'), want: NO_ROUTER },
    { name: 'for another network of the host', frame: to4(syn(80), '192.168.106.9'), want: NO_ROUTER },
    { name: 'for its loopback', frame: to4(syn(80), '127.0.0.1'), want: NO_ROUTER },
    { name: 'for the outside over IPv6', frame: to6(syn(80), '2001:db8::1'), want: NO_ROUTER },
    { name: 'cut short', frame: to4(syn(80)).subarray(0, 30), want: NO_ROUTER },
    {
      name: 'behind a priority tag',
      frame: etherFrame(
        '52:54:00:00:00:0a',
        BROADCAST_MAC,
        0x8100,
        new Uint8Array([0, 0, ...to4(syn(80), '203.0.113.1').subarray(12)]),
      ),
      want: NO_ROUTER,
    },
    {
      name: 'of a protocol that it may speak',
      frame: etherFrame('52:54:00:00:00:0a', BROADCAST_MAC, 0x88cc, hex('00')),
      want: GATE_PASS,
    },
  ]) {
    test(name, () => assert.equal(check(gate('all'), frame), want));
  }
});

describe('limited access', () => {
  const open = gate([80]);
  for (const { name, frame, want } of [
    { name: 'a SYN to an open port', frame: to4(syn(80)), want: GATE_PASS },
    { name: 'a SYN to another', frame: to4(syn(22)), want: HOST_CLOSED },
    {
      name: 'a SYN in disguise',
      frame: to4(tcpOf({ dstPort: 22, flags: tcp.SYN | tcp.FIN | tcp.PSH })),
      want: HOST_CLOSED,
    },
    {
      name: 'the answer to a SYN of the host',
      frame: to4(tcpOf({ dstPort: 40_000, flags: tcp.SYN | tcp.ACK })),
      want: GATE_PASS,
    },
    { name: 'data of a connection', frame: to4(tcpOf({ dstPort: 40_000, flags: tcp.ACK })), want: GATE_PASS },
    { name: 'a SYN to an open port over IPv6', frame: to6(syn(80)), want: GATE_PASS },
    { name: 'a SYN to another over IPv6', frame: to6(syn(22)), want: HOST_CLOSED },
    { name: 'a datagram to an open port', frame: to4(udpOf(9, 80)), want: GATE_PASS },
    { name: 'a datagram to another', frame: to4(udpOf(9, 53)), want: HOST_CLOSED },
    { name: 'a datagram to a group', frame: to4(udpOf(5353, 5353), '224.0.0.251'), want: HOST_CLOSED },
    { name: 'an echo request', frame: to4(icmpOf(8, 0, 1)), want: HOST_CLOSED },
    { name: 'an echo reply', frame: to4(icmpOf(0, 0, 1)), want: GATE_PASS },
    { name: 'an error', frame: to4(icmpOf(3, 3, 0)), want: GATE_PASS },
    { name: 'a redirect', frame: to4(icmpOf(5, 1, 0)), want: HOST_CLOSED },
    { name: 'an echo request over IPv6', frame: to6(icmp6Of(128, 0, 1)), want: HOST_CLOSED },
    { name: 'packet too big', frame: to6(icmp6Of(2, 0, 1400)), want: GATE_PASS },
    { name: 'a neighbor solicitation', frame: to6(neighborOf('solicit', HOST6, '52:54:00:00:00:0a')), want: GATE_PASS },
    { name: 'ARP', frame: arpFrame({ sender: GUEST, target: HOST }), want: GATE_PASS },
    { name: 'another protocol', frame: to4(raw(132, hex('0000 0016 0000 0000 0000 0000'))), want: HOST_CLOSED },
    {
      name: 'another EtherType',
      frame: etherFrame('52:54:00:00:00:0a', BROADCAST_MAC, 0x88cc, hex('00')),
      want: HOST_CLOSED,
    },
    {
      name: 'a first fragment',
      frame: ipv4Frame({ src: GUEST, dst: HOST, fragment: 0x2000 }, tcpOf({ flags: tcp.SYN }, new Uint8Array(4))),
      want: HOST_CLOSED,
    },
    { name: 'a later fragment', frame: ipv4Frame({ src: GUEST, dst: HOST, fragment: 1 }, syn(80)), want: HOST_CLOSED },
    {
      name: 'a fragment over IPv6',
      frame: ipv6Frame(
        { src: GUEST6, dst: HOST6, extensions: { first: 44, bytes: fragmentHeader(6, 0, true) } },
        raw(6, new Uint8Array(24)),
      ),
      want: HOST_CLOSED,
    },
    { name: 'TCP without a whole header', frame: to4(raw(6, hex('9c40 0050'))), want: HOST_CLOSED },
  ]) {
    test(name, () => assert.equal(check(open, frame), want));
  }

  test('a datagram that answers the host passes, for a while, and only that one', () => {
    for (const [asks, answers, others] of [
      [
        ipv4Frame({ src: HOST, dst: GUEST }, udpOf(40_000, 53)),
        to4(udpOf(53, 40_000)),
        [
          to4(udpOf(53, 40_001)),
          to4(udpOf(54, 40_000)),
          ipv4Frame({ src: '192.168.105.8', dst: HOST }, udpOf(53, 40_000)),
        ],
      ],
      [
        ipv6Frame({ src: HOST6, dst: GUEST6 }, udpOf(40_000, 53)),
        to6(udpOf(53, 40_000)),
        [to6(udpOf(53, 40_001)), ipv6Frame({ src: 'fd00:1::8', dst: HOST6 }, udpOf(53, 40_000))],
      ],
    ] as const) {
      const none = gate([]);
      assert.equal(check(none, answers), HOST_CLOSED);
      none.onFromHost(view(asks), 0, asks.length, 1000);
      assert.equal(check(none, answers, 1000), GATE_PASS);
      assert.equal(check(none, answers, 999 + ANSWER_MS), GATE_PASS);
      assert.equal(check(none, answers, 1000 + ANSWER_MS), HOST_CLOSED);
      for (const other of others) assert.equal(check(none, other, 1000), HOST_CLOSED);
      none.onFromHost(view(asks), 0, asks.length, 2000 + ANSWER_MS);
      assert.equal(check(none, answers, 2000 + ANSWER_MS), GATE_PASS);
    }
  });

  test('the newest conversations are remembered, whatever their number', () => {
    const none = gate([]);
    for (let port = 1; port <= 20_000; port++) {
      const asks = ipv4Frame({ src: HOST, dst: GUEST }, udpOf(port, 53));
      none.onFromHost(view(asks), 0, asks.length, port);
      assert.equal(check(none, to4(udpOf(53, port)), port), GATE_PASS);
    }
  });
});

test('in a segment: the host sends what it likes, guests what the gate lets through, also flooded', () => {
  const bench = new SegmentBench({ hostGate: gate([80]) });
  const [guest, host, other] = [bench.port(), bench.port(true), bench.port()];
  const hostMac = '02:76:68:00:00:01';
  bench.sends(guest, to4(syn(22)).with(0, 0x52)); // to a station nobody knows: flooded, but not to the host
  assert.deepEqual([host.hears().length, other.hears().length], [0, 1]);
  bench.sends(host, ipv4Frame({ from: hostMac, to: BROADCAST_MAC, src: HOST, dst: GUEST }, udpOf(40_000, 53)));
  guest.hears();
  other.hears();
  const toHost = { from: '52:54:00:00:00:0a', to: hostMac, src: GUEST, dst: HOST };
  bench.sends(guest, ipv4Frame(toHost, syn(22)));
  assert.deepEqual([host.hears().length, guest.dropsFromGuest], [0, 1]);
  bench.sends(guest, ipv4Frame(toHost, syn(80)));
  bench.sends(guest, ipv4Frame(toHost, udpOf(53, 40_000)));
  assert.equal(host.hears().length, 2);
  bench.dropped('drop_host_access');
});

test('property: garbage passes or is dropped, and never throws', () => {
  const tested = gate([80]);
  const kinds = fc.constantFrom(0x0800, 0x86dd, 0x0806, 0x8100);
  fc.assert(
    fc.property(kinds, fc.uint8Array({ maxLength: 120 }), (type, payload) => {
      const frame = etherFrame('52:54:00:00:00:0a', BROADCAST_MAC, type, payload);
      tested.onFromHost(view(frame), 0, frame.length, 0);
      assert.ok([GATE_PASS, NO_ROUTER, HOST_CLOSED].includes(check(tested, frame)));
    }),
  );
});
