import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as ethernet from '../wire/ethernet.ts';
import { view } from '../wire/frames.fixture.ts';
import {
  BROADCAST_MAC,
  GATEWAY_MAC,
  arpFrame,
  etherFrame,
  icmp6Of,
  icmpOf,
  ipv4Frame,
  ipv6Frame,
  neighborOf,
  tcpOf,
  udpOf,
  fragmentHeader,
  raw,
} from '../wire/packets.fixture.ts';
import { SegmentBench, type TestPort } from './bench.fixture.ts';

const TWIN = '52:54:00:00:00:0a'; // of both guests
const ALIAS = '02:76:6c:00:00:02'; // of the second, by its port id
const PEER = '52:54:00:00:00:0c';

/** Two guests with one MAC and a third; all have spoken. */
function twins(guard = false): { bench: SegmentBench; first: TestPort; second: TestPort; peer: TestPort } {
  const bench = new SegmentBench({ guard });
  const [first, second, peer] = [bench.port(), bench.port(), bench.port()];
  bench.sends(first, arpFrame({ from: TWIN, sender: '0.0.0.0', target: '192.168.105.2' }));
  bench.sends(second, arpFrame({ from: TWIN, sender: '0.0.0.0', target: '192.168.105.3' }));
  bench.sends(peer, arpFrame({ from: PEER, sender: '0.0.0.0', target: '192.168.105.4' }));
  for (const port of [first, second, peer]) port.hears();
  bench.gatewayHears();
  return { bench, first, second, peer };
}

test('the second one gets an alias, the first keeps its own', () => {
  const { first, second, bench } = twins();
  assert.equal(first.aliasHi, 0);
  assert.deepEqual([second.aliasHi, second.aliasLo], [0x0276, 0x6c00_0002]);
  assert.deepEqual([second.macHi, second.macLo], [0x5254, 0x0000_000a]);
  assert.deepEqual(bench.stations, [`1: ${TWIN}`, `2: ${ALIAS}`, `3: ${PEER}`]);
});

describe('from the second guest', () => {
  test('ARP says the alias, in the frame and in the packet', () => {
    const { bench, second, first, peer } = twins();
    bench.sends(
      second,
      arpFrame({ from: TWIN, op: 2, sender: '192.168.105.3', target: '192.168.105.4', to: BROADCAST_MAC }),
    );
    assert.deepEqual(peer.hears(), [`${ALIAS} > ${BROADCAST_MAC} ARP 192.168.105.3 is-at ${ALIAS}`]);
    assert.equal(first.hears().length, 1);
    assert.deepEqual(bench.gatewayHears(), [`2: ${ALIAS} > ${BROADCAST_MAC} ARP 192.168.105.3 is-at ${ALIAS}`]);
  });

  test('ARP about somebody else stays as it is', () => {
    const { bench, second, peer } = twins();
    bench.sends(
      second,
      arpFrame({ from: TWIN, op: 2, senderMac: '52:54:00:00:00:99', sender: '192.168.105.3', target: '192.168.105.4' }),
    );
    assert.deepEqual(peer.hears(), [`${ALIAS} > ${BROADCAST_MAC} ARP 192.168.105.3 is-at 52:54:00:00:00:99`]);
  });

  const discovery: { name: string; frame: Uint8Array; says: string }[] = [
    {
      name: 'solicitation',
      frame: ipv6Frame(
        { from: TWIN, to: PEER, src: 'fe80::3', dst: 'fe80::4', hopLimit: 255 },
        neighborOf('solicit', 'fe80::4', TWIN),
      ),
      says: `who-has fe80::4 mac ${ALIAS}`,
    },
    {
      name: 'advertisement',
      frame: ipv6Frame(
        { from: TWIN, to: PEER, src: 'fe80::3', dst: 'fe80::4', hopLimit: 255 },
        neighborOf('advert', 'fe80::3', TWIN, 0x60),
      ),
      says: `is-at fe80::3 mac ${ALIAS}`,
    },
    {
      name: 'advertisement without the option',
      frame: ipv6Frame(
        { from: TWIN, to: PEER, src: 'fe80::3', dst: 'fe80::4', hopLimit: 255 },
        neighborOf('advert', 'fe80::3', null, 0x60),
      ),
      says: 'is-at fe80::3',
    },
    {
      name: 'solicitation of a router',
      frame: ipv6Frame(
        { from: TWIN, to: PEER, src: 'fe80::3', dst: 'ff02::2', hopLimit: 255 },
        icmp6Of(133, 0, 0, Uint8Array.of(1, 1, 0x52, 0x54, 0, 0, 0, 0x0a)),
      ),
      says: `router solicit mac ${ALIAS}`,
    },
  ];
  for (const { name, frame, says } of discovery) {
    test(`ND ${name}: the option says the alias, and the checksum holds`, () => {
      const { bench, second, peer } = twins();
      bench.sends(second, frame);
      const [line] = peer.hears();
      assert.ok(line!.startsWith(`${ALIAS} > ${PEER} IPv6`), line);
      assert.ok(line!.includes(says), line);
      assert.ok(!line!.includes('['), line);
    });
  }

  const others: { name: string; frame: Uint8Array }[] = [
    {
      name: 'ping',
      frame: ipv4Frame({ from: TWIN, to: PEER, src: '192.168.105.3', dst: '192.168.105.4' }, icmpOf(8, 0, 1)),
    },
    {
      name: 'TCP',
      frame: ipv4Frame({ from: TWIN, to: PEER, src: '192.168.105.3', dst: '192.168.105.4' }, tcpOf({ flags: 2 })),
    },
    { name: 'UDP over IPv6', frame: ipv6Frame({ from: TWIN, to: PEER, src: 'fe80::3', dst: 'fe80::4' }, udpOf(5, 6)) },
    {
      name: 'ping over IPv6',
      frame: ipv6Frame({ from: TWIN, to: PEER, src: 'fe80::3', dst: 'fe80::4' }, icmp6Of(128, 0, 1)),
    },
    {
      name: 'ICMPv6 cut short',
      frame: ipv6Frame({ from: TWIN, to: PEER, src: 'fe80::3', dst: 'fe80::4' }, raw(58, Uint8Array.of(135))),
    },
    {
      name: 'ND cut short',
      frame: ipv6Frame({ from: TWIN, to: PEER, src: 'fe80::3', dst: 'fe80::4' }, icmp6Of(135, 0, 0)),
    },
    {
      name: 'a fragment',
      frame: ipv6Frame(
        {
          from: TWIN,
          to: PEER,
          src: 'fe80::3',
          dst: 'fe80::4',
          extensions: { first: 44, bytes: fragmentHeader(58, 8, false) },
        },
        raw(58, new Uint8Array(8)),
      ),
    },
    { name: 'another EtherType', frame: etherFrame(TWIN, PEER, 0x88b5, Uint8Array.of(1, 2)) },
    { name: 'broken IPv6', frame: etherFrame(TWIN, PEER, ethernet.TYPE_IPV6, new Uint8Array(40)) },
  ];
  for (const { name, frame } of others) {
    test(`${name}: only the Ethernet source changes`, () => {
      const { bench, second, peer } = twins();
      bench.sends(second, frame);
      const got = peer.frames[0]!;
      assert.deepEqual([ethernet.srcHi(view(got), 0), ethernet.srcLo(view(got), 0)], [0x0276, 0x6c00_0002]);
      assert.deepEqual(got.subarray(12), frame.subarray(12));
    });
  }

  test('its other stations keep their MACs', () => {
    const { bench, second, peer } = twins();
    bench.sends(second, etherFrame('52:54:00:00:00:77', PEER, 0x88b5, Uint8Array.of(1)));
    assert.match(peer.hears()[0]!, /^52:54:00:00:00:77/);
  });
});

describe('to the second guest', () => {
  test('frames for the alias arrive with its own MAC', () => {
    const { bench, second, first, peer } = twins();
    bench.sends(
      peer,
      ipv4Frame({ from: PEER, to: ALIAS, src: '192.168.105.4', dst: '192.168.105.3' }, icmpOf(0, 0, 1)),
    );
    assert.deepEqual(second.hears(), [
      `${PEER} > ${TWIN} IPv4 192.168.105.4 > 192.168.105.3 icmp echo reply id 0 seq 1 length 8`,
    ]);
    assert.deepEqual(first.hears(), []);
  });

  test('ARP answers, too, in the packet', () => {
    const { bench, second, peer } = twins();
    bench.sends(
      peer,
      arpFrame({ from: PEER, to: ALIAS, op: 2, sender: '192.168.105.4', targetMac: ALIAS, target: '192.168.105.3' }),
    );
    const arp = second.frames[0]!.subarray(14);
    assert.deepEqual([...arp.subarray(18, 24)], [0x52, 0x54, 0, 0, 0, 0x0a]);
  });

  test('flooded frames reach both, each as it must be, and the others unchanged', () => {
    const { bench, first, second, peer } = twins();
    const other = bench.port();
    const request = arpFrame({ from: PEER, sender: '192.168.105.4', target: '192.168.105.3' });
    bench.sends(peer, request);
    for (const port of [first, second, other]) assert.deepEqual(port.frames, [request]);
    assert.deepEqual(bench.gatewayHears().length, 1);
  });

  test('the frame of the sender is not touched by what the twin is sent', () => {
    const { bench, second, peer } = twins();
    const last = bench.port();
    const frame = arpFrame({
      from: PEER,
      to: BROADCAST_MAC,
      op: 2,
      sender: '192.168.105.4',
      targetMac: ALIAS,
      target: '192.168.105.3',
    });
    bench.sends(peer, frame);
    assert.deepEqual(last.frames, [frame]);
    assert.notDeepEqual(second.frames, [frame]);
  });
});

test('the twins talk to each other', () => {
  const { bench, first, second } = twins();
  bench.sends(first, arpFrame({ from: TWIN, sender: '192.168.105.2', target: '192.168.105.3' }));
  assert.deepEqual(second.hears(), [`${TWIN} > ${BROADCAST_MAC} ARP who-has 192.168.105.3 tell 192.168.105.2`]);
  bench.sends(
    second,
    arpFrame({ from: TWIN, to: TWIN, op: 2, sender: '192.168.105.3', targetMac: TWIN, target: '192.168.105.2' }),
  );
  assert.deepEqual(first.hears(), [`${ALIAS} > ${TWIN} ARP 192.168.105.3 is-at ${ALIAS}`]);
  bench.sends(first, ipv4Frame({ from: TWIN, to: ALIAS, src: '192.168.105.2', dst: '192.168.105.3' }, icmpOf(8, 0, 1)));
  assert.match(second.hears()[0]!, /echo request/);
});

test('both talk to the gateway, which tells them apart', () => {
  const { bench, first, second } = twins();
  const ping = (src: string): Uint8Array =>
    ipv4Frame({ from: TWIN, to: GATEWAY_MAC, src, dst: '192.168.105.1' }, icmpOf(8, 0, 1));
  bench.sends(first, ping('192.168.105.2'));
  bench.sends(second, ping('192.168.105.3'));
  assert.deepEqual(
    bench.gatewayHears().map((line) => line.slice(0, 20)),
    [`1: ${TWIN}`, `2: ${ALIAS}`],
  );
  const answer = ipv4Frame(
    { from: GATEWAY_MAC, to: ALIAS, src: '192.168.105.1', dst: '192.168.105.3' },
    icmpOf(0, 0, 1),
  );
  bench.segment.sendTo(second, ...bench.place(answer));
  assert.match(second.hears()[0]!, new RegExp(`^${GATEWAY_MAC} > ${TWIN}`));
});

test('guards see both as two guests', () => {
  const { bench, first, second } = twins(true);
  bench.sends(first, ipv4Frame({ from: TWIN, src: '192.168.105.2', dst: '8.8.8.8' }, icmpOf(8, 0, 1)));
  bench.sends(second, ipv4Frame({ from: TWIN, src: '192.168.105.2', dst: '8.8.8.8' }, icmpOf(8, 0, 1)));
  bench.dropped('drop_spoofed_ipv4_source');
  bench.sends(second, ipv4Frame({ from: TWIN, src: '192.168.105.3', dst: '8.8.8.8' }, icmpOf(8, 0, 1)));
  assert.equal(bench.gatewayHears().length, 2);
});

test('a third MAC of another guest is too much for one port', () => {
  const { bench, second } = twins();
  bench.sends(second, etherFrame(PEER, BROADCAST_MAC, 0x88b5, Uint8Array.of(1)));
  bench.dropped('drop_taken_source_mac');
});

test('who has spoken by a MAC of its own is no twin, and stays who it is', () => {
  const bench = new SegmentBench();
  const [first, liar] = [bench.port(), bench.port()];
  bench.sends(first, etherFrame(TWIN, BROADCAST_MAC, 0x88b5, Uint8Array.of(1)));
  bench.sends(liar, etherFrame(PEER, BROADCAST_MAC, 0x88b5, Uint8Array.of(1)));
  const { macHi, macLo } = liar;
  bench.sends(liar, etherFrame(TWIN, BROADCAST_MAC, 0x88b5, Uint8Array.of(1)));
  bench.dropped('drop_taken_source_mac');
  assert.deepEqual([liar.macHi, liar.macLo, liar.aliasHi], [macHi, macLo, 0]);
});

test('nobody takes the alias before or after it is given', () => {
  const bench = new SegmentBench();
  const [attacker, a, b] = [bench.port(), bench.port(), bench.port()];
  bench.sends(attacker, etherFrame('02:76:6c:00:00:03', BROADCAST_MAC, 0x88b5, Uint8Array.of(1)));
  bench.dropped('drop_bad_source_mac');
  bench.sends(a, etherFrame(TWIN, BROADCAST_MAC, 0x88b5, Uint8Array.of(1)));
  bench.sends(b, etherFrame(TWIN, BROADCAST_MAC, 0x88b5, Uint8Array.of(1)));
  assert.equal(bench.segment.portOf(0x0276, 0x6c00_0003, 0), b);
});
