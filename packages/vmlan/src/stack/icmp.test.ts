import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { hex } from '../wire/frames.fixture.ts';
import * as ipv4 from '../wire/ipv4.ts';
import { icmp6Of, icmpOf, ipv4Frame, ipv6Frame, raw, udpOf, type Upper } from '../wire/packets.fixture.ts';
import { GatewayBench } from './gateway.fixture.ts';
import { quote } from './icmp-quote.ts';
import type { Unreachable } from './icmp.ts';
import type { Packet } from './packet.ts';
import { MAPPED, Path } from './path.ts';

const some = (len: number): Uint8Array => Uint8Array.from({ length: len }, (_, i) => i & 0xff);
const from4 = (upper: Upper, more: object = {}): Uint8Array =>
  ipv4Frame({ src: '192.168.105.2', dst: '8.8.8.8', ...more }, upper);
const from6 = (upper: Upper, more: object = {}): Uint8Array =>
  ipv6Frame({ src: 'fd00:1::2', dst: '2001:db8::7', ...more }, upper);

/** A bench that rejects every UDP datagram with the given reason. */
function rejecting(why: Unreachable): GatewayBench {
  const bench = new GatewayBench();
  bench.onUdp = (packet: Packet) => bench.gateway.reject(packet, why, bench.nowMs);
  return bench;
}

describe('why a packet did not get through', () => {
  const table: { why: Unreachable; type4: [number, number]; type6: [number, number] }[] = [
    { why: 'net', type4: [3, 0], type6: [1, 0] },
    { why: 'host', type4: [3, 1], type6: [1, 3] },
    { why: 'protocol', type4: [3, 2], type6: [4, 1] },
    { why: 'port', type4: [3, 3], type6: [1, 4] },
    { why: 'prohibited', type4: [3, 13], type6: [1, 1] },
    { why: 'hop-limit', type4: [11, 0], type6: [3, 0] },
  ];
  for (const { why, type4, type6 } of table) {
    test(why, () => {
      const bench = rejecting(why);
      bench.hears(from4(udpOf(5, 6)));
      bench.hears(from6(udpOf(5, 6)));
      assert.deepEqual(bench.says(), [
        `IPv4 192.168.105.1 > 192.168.105.2 icmp type ${type4[0]} code ${type4[1]} rest 0 length 36`,
        `IPv6 fd00:1::1 > fd00:1::2 icmp6 type ${type6[0]} code ${type6[1]} rest 0 length 56`,
      ]);
      assert.equal(bench.counters.get('icmp_errors_to_guest'), 2);
    });
  }
});

test('the quote is the packet as it was, cut so that the error fits 576 or 1280 bytes', () => {
  const bench = rejecting('port');
  for (const [frame, header, most] of [
    [from4(udpOf(5, 6, some(4))), 20, 576],
    [from4(udpOf(5, 6, some(1400))), 20, 576],
    [from6(udpOf(5, 6, some(4))), 40, 1280],
    [from6(udpOf(5, 6, some(1400))), 40, 1280],
  ] as const) {
    bench.hears(frame);
    const error = bench.frames.splice(0)[0]!.subarray(14);
    const packet = frame.subarray(14);
    assert.equal(error.length, Math.min(header + 8 + packet.length, most));
    assert.deepEqual(error.subarray(header + 8), packet.subarray(0, error.length - header - 8));
  }
});

describe('no error is ever sent about', () => {
  const table: { name: string; frame: Uint8Array }[] = [
    { name: 'an error', frame: from4(icmpOf(3, 1, 0, some(28)), { ttl: 1 }) },
    { name: 'a time exceeded', frame: from4(icmpOf(11, 0, 0, some(28)), { ttl: 1 }) },
    { name: 'an ICMPv6 error', frame: from6(icmp6Of(1, 4, 0, some(48)), { hopLimit: 1 }) },
    { name: 'ICMP without a type', frame: from4(raw(1, new Uint8Array(0)), { ttl: 1 }) },
    { name: 'ICMPv6 without a type', frame: from6(raw(58, new Uint8Array(0)), { hopLimit: 1 }) },
    { name: 'a broadcast', frame: from4(raw(132, some(8)), { dst: '255.255.255.255' }) },
    { name: 'a multicast', frame: from6(raw(132, some(8)), { dst: 'ff02::1' }) },
    {
      name: 'a frame to everybody',
      frame: from4(raw(132, some(8)), { dst: '192.168.105.1', to: 'ff:ff:ff:ff:ff:ff' }),
    },
    { name: 'a fragment', frame: from4(raw(132, some(8)), { ttl: 1, fragment: ipv4.FLAG_MF }) },
    { name: 'a fragment behind the first', frame: from4(raw(132, some(8)), { ttl: 1, fragment: 9 }) },
  ];
  for (const { name, frame } of table) {
    test(name, () => {
      const bench = new GatewayBench();
      bench.hears(frame);
      assert.deepEqual(bench.says(), []);
    });
  }

  test('a packet without a source', () => {
    const bench = rejecting('port');
    const packet = { family: 4, guest0: 0, guest1: 0, guest2: MAPPED, guest3: 0, group: false } as Packet;
    assert.equal(bench.gateway.icmp.mayAnswer(packet), false);
    const packet6 = { family: 6, guest0: 0, guest1: 0, guest2: 0, guest3: 0, group: false } as Packet;
    assert.equal(bench.gateway.icmp.mayAnswer(packet6), false);
  });
});

test('an error about an echo request is sent', () => {
  const bench = new GatewayBench();
  bench.hears(from4(icmpOf(8, 0, 1), { ttl: 1 }));
  bench.hears(from6(icmp6Of(128, 0, 1), { hopLimit: 1 }));
  assert.equal(bench.says().length, 2);
});

test('errors come at a bounded rate', () => {
  const bench = rejecting('port');
  for (let i = 0; i < 300; i++) bench.hears(from4(udpOf(5, 6)));
  assert.equal(bench.says().length, 200);
  assert.equal(bench.counters.get('drop_icmp_error_rate'), 100);
  bench.nowMs += 50;
  for (let i = 0; i < 300; i++) bench.hears(from4(udpOf(5, 6)));
  assert.equal(bench.says().length, 50);
});

describe('echo', () => {
  test('as long as a packet can be, IPv4', () => {
    const bench = new GatewayBench({}, 65_535);
    bench.hears(from4(icmpOf(8, 0, 1, some(65_507)), { dst: '192.168.105.1' }));
    assert.deepEqual(bench.says(), ['IPv4 192.168.105.1 > 192.168.105.2 icmp echo reply id 0 seq 1 length 65515']);
  });

  test('of an odd length, with all data', () => {
    const bench = new GatewayBench();
    bench.hears(from6(icmp6Of(128, 0, 1, some(33)), { dst: 'fd00:1::1' }));
    assert.deepEqual(bench.frames[0]!.subarray(14 + 40 + 8), some(33));
    assert.deepEqual(bench.says(), ['IPv6 fd00:1::1 > fd00:1::2 icmp6 echo reply id 0 seq 1 length 41']);
  });
});

test('the quote of a packet that is gone is written again', () => {
  const bench = new GatewayBench();
  const path = new Path();
  const { icmp } = bench.gateway;
  path.family = 4;
  path.setGuest(0, 0, MAPPED, 0xc0a8_6902);
  path.setRemote(0, 0, MAPPED, 0x0808_0808);
  const at4 = icmp.quoteOffset(4);
  const len4 = quote(bench.output, icmp, path, 17, 0x0005_0006, 0x0010_0000);
  assert.deepEqual(
    bench.arena.u8.slice(at4, at4 + len4),
    hex('45 00 001c 0000 4000 40 11 0117 c0a8 6902 0808 0808 0005 0006 0010 0000'),
  );
  path.family = 6;
  path.setGuest(0xfd00_0001, 0, 0, 2);
  path.setRemote(0x2001_0db8, 0, 0, 7);
  const at6 = icmp.quoteOffset(6);
  const len6 = quote(bench.output, icmp, path, 6, 0x9c40_0050, 0x0102_0304);
  assert.deepEqual(
    bench.arena.u8.slice(at6, at6 + len6),
    hex(`6000 0000 0008 06 40 fd00 0001 0000 0000 0000 0000 0000 0002
         2001 0db8 0000 0000 0000 0000 0000 0007 9c40 0050 0102 0304`),
  );
});
