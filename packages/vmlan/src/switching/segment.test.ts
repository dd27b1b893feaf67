import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { FrameRun } from '../core/frame-run.ts';
import { hex } from '../wire/frames.fixture.ts';
import { BROADCAST_MAC, GATEWAY_MAC, arpFrame, etherFrame, icmpOf, ipv4Frame } from '../wire/packets.fixture.ts';
import { SegmentBench } from './bench.fixture.ts';
import { AGEING_MS } from './mac-table.ts';
import { Port } from './port.ts';

const A = '52:54:00:00:00:0a';
const B = '52:54:00:00:00:0b';
const C = '52:54:00:00:00:0c';
const frame = (from: string, to: string): Uint8Array => etherFrame(from, to, 0x88b5, hex('cafe'));
const line = (from: string, to: string): string => `${from} > ${to} type 0x88b5 length 2`;

describe('learning and forwarding', () => {
  test('an unknown station: flooded to all but the sender; known ones: to them alone', () => {
    const bench = new SegmentBench();
    const [a, b, c] = [bench.port(), bench.port(), bench.port()];
    bench.sends(a, frame(A, B));
    assert.deepEqual([a.hears(), b.hears(), c.hears()], [[], [line(A, B)], [line(A, B)]]);
    bench.sends(b, frame(B, A));
    assert.deepEqual([a.hears(), b.hears(), c.hears()], [[line(B, A)], [], []]);
    bench.sends(a, frame(A, B));
    assert.deepEqual([b.hears(), c.hears()], [[line(A, B)], []]);
    assert.deepEqual(bench.gatewayHears(), []);
    assert.equal(bench.counters.get('switch_flooded'), 1);
    assert.equal(bench.counters.get('switch_forwarded'), 2);
    assert.deepEqual([a.framesFromGuest, a.framesToGuest, a.bytesFromGuest, a.bytesToGuest], [2, 1, 32, 16]);
  });

  test('broadcast and multicast go to all and to the gateway', () => {
    const bench = new SegmentBench();
    const [a, b, c] = [bench.port(), bench.port(), bench.port()];
    for (const group of [BROADCAST_MAC, '01:00:5e:00:00:fb', '33:33:00:00:00:01']) {
      bench.sends(a, frame(A, group));
      assert.deepEqual([a.hears(), b.hears(), c.hears()], [[], [line(A, group)], [line(A, group)]]);
      assert.deepEqual(bench.gatewayHears(), [`1: ${line(A, group)}`]);
    }
  });

  test('what is for the gateway goes to nobody else', () => {
    const bench = new SegmentBench();
    const [a, b] = [bench.port(), bench.port()];
    bench.sends(a, frame(A, GATEWAY_MAC));
    assert.deepEqual(bench.gatewayHears(), [`1: ${line(A, GATEWAY_MAC)}`]);
    assert.deepEqual(b.hears(), []);
  });

  test('a segment without a gateway carries frames all the same', () => {
    const bench = new SegmentBench();
    bench.segment.gateway = null;
    bench.segment.observer = null;
    const [a, b] = [bench.port(), bench.port()];
    bench.sends(a, frame(A, GATEWAY_MAC));
    bench.sends(a, frame(A, BROADCAST_MAC));
    assert.deepEqual(b.hears(), [line(A, BROADCAST_MAC)]);
  });

  test('a guest that bridges: its own stations are not sent back to it', () => {
    const bench = new SegmentBench();
    const [a, b] = [bench.port(), bench.port()];
    bench.sends(a, frame(A, BROADCAST_MAC));
    bench.sends(a, frame(C, BROADCAST_MAC));
    b.hears();
    bench.sends(a, frame(A, C));
    assert.deepEqual([a.hears(), b.hears()], [[], []]);
    assert.deepEqual(bench.stations, [`1: ${A}`, `1: ${C}`]);
  });

  test('a station is reported once', () => {
    const bench = new SegmentBench();
    const a = bench.port();
    for (let i = 0; i < 3; i++) bench.sends(a, frame(A, BROADCAST_MAC));
    assert.deepEqual(bench.stations, [`1: ${A}`]);
  });

  test('a station that moved is found behind its new port', () => {
    const bench = new SegmentBench();
    const [a, b, c] = [bench.port(), bench.port(), bench.port()];
    bench.sends(a, frame(A, BROADCAST_MAC));
    bench.segment.removePort(a);
    bench.sends(b, frame(A, BROADCAST_MAC));
    assert.equal(b.aliasHi, 0, 'no alias: the first one is gone');
    b.hears();
    bench.sends(c, frame(C, A));
    assert.deepEqual([a.hears(), b.hears()], [[], [line(C, A)]]);
    assert.equal(bench.segment.portOf(0x5254, 0xa, 0), b);
  });

  test('many sources of one guest: the others are still found', () => {
    const bench = new SegmentBench({ sets: 1 });
    const [a, b] = [bench.port(), bench.port()];
    bench.sends(b, frame(B, BROADCAST_MAC));
    a.hears();
    for (let i = 16; i < 80; i++) bench.sends(a, frame(`52:54:00:00:01:${i.toString(16)}`, B));
    assert.equal(b.hears().length, 64, 'forwarded, not lost');
    assert.ok(a.learned <= 3);
  });

  test('a full table floods and says so', () => {
    const bench = new SegmentBench({ sets: 1 });
    const ports = Array.from({ length: 5 }, () => bench.port());
    for (const [i, port] of ports.entries()) bench.sends(port, frame(`52:54:00:00:00:0${i + 1}`, BROADCAST_MAC));
    assert.equal(bench.counters.get('switch_mac_table_full'), 1);
    for (const port of ports) port.hears();
    bench.sends(ports[0]!, frame('52:54:00:00:00:01', '52:54:00:00:00:05'));
    assert.deepEqual(
      ports.map((port) => port.hears().length),
      [0, 1, 1, 1, 1],
    );
  });
});

test('what is flooded counts against its sender, what is forwarded does not', () => {
  const bench = new SegmentBench();
  const ports = Array.from({ length: 16 }, () => bench.port());
  const a = ports[0]!;
  const b = ports[1]!;
  bench.sends(b, frame(B, BROADCAST_MAC));
  for (let i = 0; i < 2000; i++) bench.sends(a, frame(A, B));
  assert.equal(a.floods.restMs(bench.nowMs), 0);
  for (let i = 0; i < 2000; i++) bench.sends(a, frame(A, BROADCAST_MAC));
  assert.ok(a.floods.restMs(bench.nowMs) > 0);
  assert.equal(b.floods.restMs(bench.nowMs), 0);
});

describe('what is dropped', () => {
  const table: { name: string; frame: Uint8Array; header?: Uint8Array; drops: string }[] = [
    { name: 'shorter than a header', frame: frame(A, B).slice(0, 13), drops: 'drop_short_frame' },
    { name: 'nothing', frame: new Uint8Array(0), drops: 'drop_short_frame' },
    { name: 'a group as source', frame: frame('01:00:00:00:00:01', B), drops: 'drop_bad_source_mac' },
    { name: 'no source', frame: frame('00:00:00:00:00:00', B), drops: 'drop_bad_source_mac' },
    { name: 'the gateway as source', frame: frame(GATEWAY_MAC, B), drops: 'drop_spoofed_gateway_mac' },
    { name: 'an alias as source', frame: frame('02:76:6c:00:00:09', B), drops: 'drop_bad_source_mac' },
    { name: 'a bridge protocol', frame: frame(A, '01:80:c2:00:00:00'), drops: 'drop_reserved_group' },
    { name: 'LLDP', frame: frame(A, '01:80:c2:00:00:0e'), drops: 'drop_reserved_group' },
    {
      name: 'a checksum that lies outside',
      frame: frame(A, B),
      header: hex('01 00 0000 0000 6400 1000 0000'),
      drops: 'drop_bad_offload',
    },
    {
      name: 'segmentation without a size',
      frame: frame(A, B),
      header: hex('01 01 0000 0000 0e00 0000 0000'),
      drops: 'drop_bad_offload',
    },
  ];
  for (const { name, frame, header, drops } of table) {
    test(name, () => {
      const bench = new SegmentBench();
      const [a, b] = [bench.port(), bench.port()];
      bench.sends(a, frame, header);
      assert.deepEqual(b.hears(), []);
      assert.deepEqual(bench.gatewayHears(), []);
      bench.dropped(drops);
      assert.equal(a.dropsFromGuest, 1);
    });
  }

  test('not the group behind the reserved ones', () => {
    const bench = new SegmentBench();
    const [a, b] = [bench.port(), bench.port()];
    bench.sends(a, frame(A, '01:80:c2:00:00:10'));
    assert.equal(b.hears().length, 1);
  });

  test('what a guard refuses reaches nobody', () => {
    const bench = new SegmentBench({ guard: true });
    const [a, b] = [bench.port(), bench.port()];
    bench.sends(a, arpFrame({ from: A, op: 2, sender: '192.168.105.1', target: '192.168.105.2' }));
    assert.deepEqual([b.hears(), bench.gatewayHears()], [[], []]);
    bench.dropped('drop_spoofed_arp_sender');
  });
});

describe('a NIC whose cable is pulled', () => {
  test('neither sends nor receives', () => {
    const bench = new SegmentBench();
    const [a, b] = [bench.port(), bench.port()];
    a.connected = false;
    bench.sends(a, frame(A, BROADCAST_MAC));
    bench.dropped('drop_nic_disconnected');
    bench.sends(b, frame(B, BROADCAST_MAC));
    assert.deepEqual([a.hears(), b.hears()], [[], []]);
    assert.equal(a.dropsToGuest, 1);
    assert.equal(a.room(), 0);
  });
});

describe('ports', () => {
  test('a link that is full drops for itself alone', () => {
    const bench = new SegmentBench();
    const [a, b, c] = [bench.port(), bench.port(), bench.port()];
    b.window = 20;
    for (let i = 0; i < 3; i++) bench.sends(a, frame(A, BROADCAST_MAC));
    assert.deepEqual([b.hears().length, c.hears().length], [1, 3]);
    assert.deepEqual([b.dropsToGuest, c.dropsToGuest], [2, 0]);
    assert.equal(b.room(), 4);
  });

  test('without a link everything is dropped', () => {
    const port = new Port(7);
    port.send(0, 60);
    assert.deepEqual([port.dropsToGuest, port.framesToGuest, port.room(), port.live], [1, 0, 0, false]);
  });

  test('lends its link’s place where nothing has to be rewritten, and counts what is built there', () => {
    const port = new Port(7);
    assert.equal(port.run, null);
    const lengths: number[] = [];
    const run: FrameRun = {
      runOffset: 4096,
      runStride: (len) => len + 4,
      reserveRun: (_len, count) => count - 1,
      commitRun: (len) => void lengths.push(len),
      endRun: () => void lengths.push(0),
    };
    port.link = { kind: 'stream', send: () => true, room: () => 0, run };
    assert.equal(port.run, port);
    assert.deepEqual([port.runOffset, port.runStride(60), port.reserveRun(60, 3)], [4096, 64, 2]);
    port.commitRun(60);
    port.commitRun(50);
    port.endRun();
    assert.deepEqual([lengths, port.framesToGuest, port.bytesToGuest], [[60, 50, 0], 2, 110]);
    port.connected = false;
    assert.equal(port.run, null);
    port.connected = true;
    port.aliasHi = 0x0276;
    assert.equal(port.run, null);
  });

  test('one that was never there is removed without harm', () => {
    const bench = new SegmentBench();
    const a = bench.port();
    bench.segment.removePort(new Port(99));
    assert.deepEqual(bench.segment.ports, [a]);
  });
});

describe('isolated guests', () => {
  test('see the gateway and the host, but not each other', () => {
    const bench = new SegmentBench({ isolateGuests: true });
    const [a, b, host] = [bench.port(), bench.port(), bench.port(true)];
    bench.sends(a, frame(A, BROADCAST_MAC));
    assert.deepEqual([b.hears().length, host.hears().length, bench.gatewayHears().length], [0, 1, 1]);
    bench.sends(b, frame(B, A));
    assert.deepEqual(a.hears(), []);
    assert.equal(bench.counters.get('drop_isolated_guest'), 1);
    bench.sends(b, frame(B, C));
    assert.deepEqual([a.hears().length, host.hears().length], [0, 1]);
    bench.sends(host, frame(C, A));
    assert.deepEqual(a.hears(), [line(C, A)]);
  });
});

test('the guard does not ask the host for its papers', () => {
  const bench = new SegmentBench({ guard: true });
  const [host, b] = [bench.port(true), bench.port()];
  bench.sends(host, ipv4Frame({ from: A, to: BROADCAST_MAC, src: '10.0.0.1', dst: '10.0.0.2' }, icmpOf(8, 0, 1)));
  assert.equal(b.hears().length, 1);
});

test('the gateway sends to one or to all', () => {
  const bench = new SegmentBench();
  const [a, b] = [bench.port(), bench.port()];
  const [off, len] = bench.place(frame(GATEWAY_MAC, A));
  bench.segment.sendTo(a, off, len);
  assert.deepEqual([a.hears().length, b.hears().length], [1, 0]);
  bench.segment.flood(off, len);
  assert.deepEqual([a.hears().length, b.hears().length], [1, 1]);
});

describe('who is silent', () => {
  test('keeps its MAC: nobody takes it over', () => {
    const bench = new SegmentBench();
    const [a, b, c] = [bench.port(), bench.port(), bench.port()];
    bench.sends(a, frame(A, BROADCAST_MAC));
    bench.nowMs = 10 * AGEING_MS;
    bench.sends(b, frame(A, BROADCAST_MAC));
    assert.notEqual(b.aliasHi, 0, 'the second one gets an alias');
    a.hears();
    b.hears();
    bench.sends(c, frame(C, A));
    assert.deepEqual([a.hears().length, b.hears().length], [1, 0]);
  });

  test('and its leased address', () => {
    const bench = new SegmentBench({ guard: true });
    const [a, b] = [bench.port(), bench.port()];
    bench.segment.bindAddress(a, 0, 0, 0xffff, 0xc0a8_6905, 0);
    bench.nowMs = 10 * AGEING_MS;
    const stolen = ipv4Frame({ from: B, src: '192.168.105.5', dst: '8.8.8.8' }, icmpOf(8, 0, 1));
    bench.sends(b, stolen);
    bench.dropped('drop_spoofed_ipv4_source');
    bench.segment.forget(a);
    bench.sends(b, stolen);
    assert.equal(bench.gatewayHears().length, 1);
  });

  test('a segment without guard binds nothing', () => {
    const bench = new SegmentBench();
    bench.segment.bindAddress(bench.port(), 0, 0, 0xffff, 5, 0);
    assert.equal(bench.guard, null);
  });
});
