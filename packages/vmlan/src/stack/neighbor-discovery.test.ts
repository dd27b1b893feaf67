import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { hex } from '../wire/frames.fixture.ts';
import * as ndp from '../wire/ndp.ts';
import { GUEST_MAC, arpFrame, icmp6Of, ipv6Frame, neighborOf, tagged } from '../wire/packets.fixture.ts';
import { GatewayBench } from './gateway.fixture.ts';
import type { Neighbor } from './neighbor.ts';
import { MAPPED } from './path.ts';

const OTHER_MAC = '52:54:00:00:00:0b';
const IP_2 = 0xc0a8_6902;
const lookup4 = (bench: GatewayBench, ip: number): Neighbor | null => bench.gateway.neighbors.lookup(0, 0, MAPPED, ip);
const lookup6 = (bench: GatewayBench, last: number, first = 0xfd00_0001): Neighbor | null =>
  bench.gateway.neighbors.lookup(first, 0, 0, last);

describe('ARP', () => {
  const table: { name: string; frame: Uint8Array; says?: string[]; learns?: boolean; drops?: string[] }[] = [
    {
      name: 'who has the gateway',
      frame: arpFrame({ sender: '192.168.105.2', target: '192.168.105.1' }),
      says: [`02:76:6d:00:00:01 > ${GUEST_MAC} ARP 192.168.105.1 is-at 02:76:6d:00:00:01`],
      learns: true,
    },
    {
      name: 'a probe for the gateway (RFC 5227 §2.1.1): answered, nothing learned',
      frame: arpFrame({ sender: '0.0.0.0', target: '192.168.105.1' }),
      says: [`02:76:6d:00:00:01 > ${GUEST_MAC} ARP 192.168.105.1 is-at 02:76:6d:00:00:01`],
    },
    { name: 'who has another', frame: arpFrame({ sender: '192.168.105.2', target: '192.168.105.9' }), learns: true },
    {
      name: 'an announcement',
      frame: arpFrame({ sender: '192.168.105.2', target: '192.168.105.2' }),
      learns: true,
    },
    {
      name: 'a reply',
      frame: arpFrame({ op: 2, sender: '192.168.105.2', target: '192.168.105.1', to: '02:76:6d:00:00:01' }),
      learns: true,
    },
    { name: 'of another network', frame: arpFrame({ sender: '10.0.0.2', target: '192.168.105.9' }) },
    {
      name: 'too short',
      frame: arpFrame({ sender: '192.168.105.2', target: '192.168.105.1' }).slice(0, 40),
      drops: ['drop_arp_malformed'],
    },
    {
      name: 'behind a tag',
      frame: tagged(arpFrame({ sender: '192.168.105.2', target: '192.168.105.1' }), 5),
      drops: ['drop_ethertype'],
    },
  ];
  for (const { name, frame, says = [], learns = false, drops = [] } of table) {
    test(name, () => {
      const bench = new GatewayBench();
      bench.hears(frame);
      assert.deepEqual(bench.sent, says);
      assert.equal(lookup4(bench, IP_2) !== null, learns);
      bench.dropped(...drops);
    });
  }

  test('nobody takes the address of the gateway', () => {
    const bench = new GatewayBench();
    bench.hears(arpFrame({ op: 2, sender: '192.168.105.1', target: '192.168.105.2' }));
    assert.equal(lookup4(bench, 0xc0a8_6901), null);
  });
});

/** Solicited-node address and MAC of an address that ends in …:1. */
const GROUP = { dst: 'ff02::1:ff00:1', to: '33:33:ff:00:00:01', hopLimit: 255 };

describe('neighbor solicitations', () => {
  test('for the gateway: an advertisement to who asked, who is learned', () => {
    const bench = new GatewayBench();
    bench.hears(ipv6Frame({ src: 'fd00:1::2', ...GROUP }, neighborOf('solicit', 'fd00:1::1', GUEST_MAC)));
    assert.equal(bench.frames[0]![58], ndp.NA_ROUTER | ndp.NA_SOLICITED | ndp.NA_OVERRIDE);
    assert.deepEqual(bench.sent, [
      `02:76:6d:00:00:01 > ${GUEST_MAC} IPv6 fd00:1::1 > fd00:1::2 icmp6 is-at fd00:1::1 mac 02:76:6d:00:00:01 length 32`,
    ]);
    assert.equal(lookup6(bench, 2)!.macLo, 0xa);
  });

  test('for its link-local address', () => {
    const bench = new GatewayBench();
    bench.hears(ipv6Frame({ src: 'fe80::2', ...GROUP }, neighborOf('solicit', 'fe80::1', GUEST_MAC)));
    assert.deepEqual(bench.says(), ['IPv6 fe80::1 > fe80::2 icmp6 is-at fe80::1 mac 02:76:6d:00:00:01 length 32']);
  });

  test('without a link-layer option: answered to where the frame came from, nothing learned', () => {
    const bench = new GatewayBench();
    bench.hears(
      ipv6Frame({ src: 'fd00:1::2', dst: 'fd00:1::1', hopLimit: 255 }, neighborOf('solicit', 'fd00:1::1', null)),
    );
    assert.equal(bench.says().length, 1);
    assert.equal(lookup6(bench, 2), null);
  });

  test('for another: learned, not answered', () => {
    const bench = new GatewayBench();
    bench.hears(ipv6Frame({ src: 'fd00:1::2', ...GROUP }, neighborOf('solicit', 'fd00:1::3', GUEST_MAC)));
    assert.deepEqual(bench.says(), []);
    assert.notEqual(lookup6(bench, 2), null);
  });

  const invalid: { name: string; frame: Uint8Array; drop: string }[] = [
    {
      name: 'came through a router',
      frame: ipv6Frame({ src: 'fd00:1::2', ...GROUP, hopLimit: 254 }, neighborOf('solicit', 'fd00:1::1', GUEST_MAC)),
      drop: 'drop_nd_bad_hop_limit',
    },
    {
      name: 'target is a group',
      frame: ipv6Frame({ src: 'fd00:1::2', ...GROUP }, neighborOf('solicit', 'ff02::1', GUEST_MAC)),
      drop: 'drop_nd_bad_address',
    },
    {
      name: 'option of length zero',
      frame: ipv6Frame({ src: 'fd00:1::2', ...GROUP }, icmp6Of(135, 0, 0, new Uint8Array(24))),
      drop: 'drop_nd_bad_option',
    },
    {
      name: 'a probe with a link-layer option',
      frame: ipv6Frame({ src: '::', ...GROUP }, neighborOf('solicit', 'fd00:1::1', GUEST_MAC)),
      drop: 'drop_nd_bad_option',
    },
    {
      name: 'code is not zero',
      frame: ipv6Frame({ src: 'fd00:1::2', ...GROUP }, icmp6Of(136, 1, 0, new Uint8Array(16))),
      drop: 'drop_nd_bad_code',
    },
  ];
  for (const { name, frame, drop } of invalid) {
    test(`dropped: ${name}`, () => {
      const bench = new GatewayBench();
      bench.hears(frame);
      assert.deepEqual(bench.says(), []);
      bench.dropped(drop);
    });
  }
});

describe('duplicate address detection (RFC 4862 §5.4)', () => {
  const probe = (target: string): Uint8Array => ipv6Frame({ src: '::', ...GROUP }, neighborOf('solicit', target, null));

  test('for an address of the gateway: everybody hears that it is taken', () => {
    const bench = new GatewayBench();
    bench.hears(probe('fd00:1::1'));
    assert.equal(bench.frames[0]![58], ndp.NA_ROUTER | ndp.NA_OVERRIDE);
    assert.deepEqual(bench.sent, [
      'flood: 02:76:6d:00:00:01 > 33:33:00:00:00:01 IPv6 fd00:1::1 > ff02::1 icmp6 is-at fd00:1::1 mac 02:76:6d:00:00:01 length 32',
    ]);
  });

  test('for a free address: it is known before it is used', () => {
    const bench = new GatewayBench();
    bench.hears(probe('fd00:1::5'));
    assert.equal(lookup6(bench, 5)!.macLo, 0xa);
    assert.deepEqual(bench.sent, []);
  });

  test('for the address of another: it stays where it is', () => {
    const bench = new GatewayBench();
    bench.hears(
      ipv6Frame({ from: OTHER_MAC, src: 'fd00:1::5', ...GROUP }, neighborOf('solicit', 'fd00:1::1', OTHER_MAC)),
    );
    bench.hears(probe('fd00:1::5'));
    assert.equal(lookup6(bench, 5)!.macLo, 0xb);
  });
});

describe('neighbor advertisements', () => {
  const advert = (target: string, mac: string | null, more: object = {}): Uint8Array =>
    ipv6Frame({ src: 'fd00:1::2', dst: 'fd00:1::1', hopLimit: 255, ...more }, neighborOf('advert', target, mac, 0x60));

  test('teach the MAC of the option, or of the frame', () => {
    const bench = new GatewayBench();
    bench.hears(advert('fd00:1::2', OTHER_MAC));
    assert.equal(lookup6(bench, 2)!.macLo, 0xb);
    bench.hears(advert('fd00:1::3', null));
    assert.equal(lookup6(bench, 3)!.macLo, 0xa);
    assert.deepEqual(bench.says(), []);
  });

  test('teach nothing about the gateway', () => {
    const bench = new GatewayBench();
    bench.hears(advert('fd00:1::1', GUEST_MAC));
    assert.equal(lookup6(bench, 1), null);
  });

  test('to a group must not claim to be asked for', () => {
    const bench = new GatewayBench();
    bench.hears(advert('fd00:1::2', GUEST_MAC, { dst: 'ff02::1', to: '33:33:00:00:00:01' }));
    bench.dropped('drop_nd_bad_address');
  });
});

test('a router solicitation is passed on when it is valid', () => {
  const bench = new GatewayBench();
  const to = { src: 'fe80::2', dst: 'ff02::2', to: '33:33:00:00:00:02' };
  const solicit = icmp6Of(133, 0, 0, hex('0101 5254 0000 000a'));
  bench.hears(ipv6Frame({ ...to, hopLimit: 255 }, solicit));
  bench.hears(ipv6Frame({ ...to, hopLimit: 64 }, solicit));
  assert.deepEqual(bench.hasPassed(), ['router solicit fe80::2 > ff02::2']);
  bench.dropped('drop_nd_bad_hop_limit');
});

describe('the gateway asks', () => {
  test('by ARP, to everybody, and the answer is heard', () => {
    const bench = new GatewayBench();
    const found: (Neighbor | null)[] = [];
    bench.gateway.neighbors.resolve(Int32Array.of(0, 0, MAPPED, IP_2 | 0), bench.nowMs, (it) => void found.push(it));
    assert.deepEqual(bench.sent, [
      'flood: 02:76:6d:00:00:01 > ff:ff:ff:ff:ff:ff ARP who-has 192.168.105.2 tell 192.168.105.1',
    ]);
    bench.hears(arpFrame({ op: 2, sender: '192.168.105.2', target: '192.168.105.1', to: '02:76:6d:00:00:01' }));
    assert.equal(found[0]!.macLo, 0xa);
    assert.equal(bench.gateway.pollAt(), Infinity);
  });

  test('by ND, to the solicited-node group (RFC 4861 §7.2.2), again and again, then gives up', () => {
    const bench = new GatewayBench();
    const found: (Neighbor | null)[] = [];
    const target = Int32Array.of(0xfd00_0001, 0, 0x1234, 0xabcd_ef12);
    bench.gateway.neighbors.resolve(target, bench.nowMs, (it) => void found.push(it));
    assert.deepEqual(bench.sent.splice(0), [
      'flood: 02:76:6d:00:00:01 > 33:33:ff:cd:ef:12 IPv6 fe80::1 > ff02::1:ffcd:ef12 icmp6 ' +
        'who-has fd00:1::1234:abcd:ef12 mac 02:76:6d:00:00:01 length 32',
    ]);
    for (let i = 0; i < 10; i++) bench.gateway.poll((bench.nowMs += 250));
    assert.equal(bench.sent.length, 3);
    assert.deepEqual(found, [null]);
  });
});
