import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { Arena } from '../core/arena.ts';
import { Counters } from '../core/counters.ts';
import { fold } from '../wire/checksum.ts';
import * as ethernet from '../wire/ethernet.ts';
import { hex } from '../wire/frames.fixture.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import { $upper } from '../wire/ipv6.ts';
import * as udp from '../wire/udp.ts';
import * as vnetHdr from '../wire/vnet-hdr.ts';
import { IpOutput, pseudoToGuest } from './ip-output.ts';
import { Packet } from './packet.ts';
import { MAPPED, type GuestPort, Path } from './path.ts';
import { Reassembler } from './reassembly.ts';

const port: GuestPort = { id: 3, nicKey: '', guest: '', room: () => 0 };
const stream = (len: number, seed = 1): Uint8Array =>
  Uint8Array.from({ length: len }, (_, i) => (i * 13 + seed) & 0xff);

/** IpOutput whose frames are kept, virtio header first; behind each, they can be put together again. */
class Bench {
  readonly arena: Arena = new Arena(new ArrayBuffer(2 << 20));
  readonly counters: Counters = new Counters();
  readonly frames: Uint8Array[] = [];
  readonly floods: Uint8Array[] = [];
  readonly output: IpOutput;
  readonly path: Path = new Path();

  constructor(family: 4 | 6, mtu = 1500) {
    this.output = new IpOutput(this.arena, { mtu, macHi: 0x0276, macLo: 0x6d00_0001 }, this.counters);
    const keep = (frames: Uint8Array[], off: number, len: number): void =>
      void frames.push(this.arena.u8.slice(off - vnetHdr.LEN, off + len));
    this.path.segment = {
      id: 1,
      sendTo: (to, off, len) => {
        assert.equal(to, port);
        keep(this.frames, off, len);
      },
      flood: (off, len) => keep(this.floods, off, len),
    };
    this.path.port = port;
    this.path.family = family;
    this.path.macHi = 0x5254;
    this.path.macLo = 0x0000_000a;
    if (family === 4) {
      this.path.setGuest(0, 0, MAPPED, 0xc0a8_6902);
      this.path.setRemote(0, 0, MAPPED, 0xc633_6407);
    } else {
      this.path.setGuest(0xfd00_0001, 0, 0, 2);
      this.path.setRemote(0x2001_0db8, 0, 0, 7);
    }
  }

  send(data: Uint8Array, protocol: number = ipv4.PROTO_UDP, hopLimit = 64): void {
    this.arena.u8.set(data, this.output.l4(this.path.family));
    this.output.send(this.path, protocol, hopLimit, data.length);
  }

  /** What the guest's stack makes of the fragments. */
  reassembled(): Uint8Array | null {
    const reassembler = new Reassembler(this.arena, this.counters);
    const at = this.arena.alloc(1 << 17) + 64;
    let whole: Uint8Array | null = null;
    for (const frame of this.frames) {
      this.arena.u8.set(frame, at - vnetHdr.LEN);
      const done = addFragment(reassembler, this.arena.view, at, frame.length - vnetHdr.LEN, this.path.family);
      if (done < 0) continue;
      const header = ethernet.HEADER_LEN + (this.path.family === 4 ? ipv4.MIN_HEADER_LEN : ipv6.HEADER_LEN);
      whole = this.arena.u8.slice(done + header, done + reassembler.frameLen);
    }
    return whole;
  }
}

function addFragment(reassembler: Reassembler, v: DataView, frame: number, len: number, family: number): number {
  const p = new Packet();
  p.port = port;
  p.frame = frame;
  p.ip = frame + ethernet.HEADER_LEN;
  p.family = family;
  const avail = len - ethernet.HEADER_LEN;
  if (family === 4) {
    assert.equal(ipv4.check(v, p.ip, avail), 0);
    assert.equal(ipv4.totalLen(v, p.ip), avail);
    const [data, dataLen] = [ipv4.payload(v, p.ip), ipv4.payloadLen(v, p.ip)];
    const [at, more] = [ipv4.fragmentOffset(v, p.ip), ipv4.moreFragments(v, p.ip)];
    return reassembler.add(p, ipv4.id(v, p.ip), ipv4.protocol(v, p.ip), data, dataLen, at, more, 0);
  }
  assert.equal(ipv6.check(v, p.ip, avail), 0);
  assert.equal(ipv6.upper(v, p.ip), 0);
  assert.equal(ipv6.HEADER_LEN + ipv6.payloadLen(v, p.ip), avail);
  const f = $upper.fragment;
  const [at, more] = [ipv6.fragmentOffset(v, f), ipv6.moreFragments(v, f)];
  return reassembler.add(p, ipv6.fragmentId(v, f), $upper.protocol, $upper.offset, $upper.length, at, more, 0);
}

test('a packet that fits, IPv4', () => {
  const bench = new Bench(4);
  bench.send(hex('dead beef'), 253, 9);
  assert.deepEqual(bench.frames, [
    hex(`
      0000 0000 0000 0000 0000 0000
      5254 0000 000a 0276 6d00 0001 0800
      45 00 0018 0000 4000 09 fd 1d04     // 24 bytes, DF, TTL 9, protocol 253
      c633 6407 c0a8 6902
      dead beef
    `),
  ]);
});

test('a packet that fits, IPv6', () => {
  const bench = new Bench(6);
  bench.send(hex('dead beef'), 253, 9);
  assert.deepEqual(bench.frames, [
    hex(`
      0000 0000 0000 0000 0000 0000
      5254 0000 000a 0276 6d00 0001 86dd
      6000 0000 0004 fd 09
      2001 0db8 0000 0000 0000 0000 0000 0007
      fd00 0001 0000 0000 0000 0000 0000 0002
      dead beef
    `),
  ]);
});

for (const family of [4, 6] as const) {
  const header = family === 4 ? ipv4.MIN_HEADER_LEN : ipv6.HEADER_LEN;

  describe(`fragments, IPv${family}`, () => {
    test('the MTU itself still fits, one byte more does not', () => {
      const bench = new Bench(family);
      bench.send(stream(1500 - header));
      assert.equal(bench.frames.length, 1);
      bench.send(stream(1501 - header));
      assert.equal(bench.frames.length, 3);
      assert.equal(bench.counters.get('gateway_fragments_to_guest'), 2);
    });

    test('any datagram over any MTU is put together again', () => {
      const mtu = fc.oneof(fc.constantFrom(576, 1280, 1500, 9000, 65_535), fc.integer({ min: 576, max: 65_535 }));
      fc.assert(
        fc.property(mtu, fc.nat(65_535), fc.nat(255), (bytes, wanted, seed) => {
          const bench = new Bench(family, bytes);
          const data = stream(Math.max(1, Math.min(wanted, 65_535 - header)), seed);
          bench.send(data);
          assert.ok(bench.frames.every((frame) => frame.length - vnetHdr.LEN - ethernet.HEADER_LEN <= bytes));
          if (data.length + header <= bytes) assert.equal(bench.frames.length, 1);
          else assert.ok(Buffer.from(bench.reassembled()!).equals(data));
        }),
        { numRuns: 60 },
      );
    });

    test('each datagram has an identification of its own', () => {
      const bench = new Bench(family);
      bench.send(stream(2000));
      const [first] = bench.frames.splice(0);
      bench.send(stream(2000));
      assert.notDeepEqual(bench.frames[0], first);
      assert.notEqual(bench.reassembled(), null);
    });

    test('what no IP packet can hold is dropped and counted', () => {
      const bench = new Bench(family);
      bench.output.send(bench.path, ipv4.PROTO_UDP, 64, 65_536 - header);
      assert.deepEqual(bench.frames, []);
      assert.equal(bench.counters.get('drop_datagram_over_64k'), 1);
    });
  });

  describe(`UDP, IPv${family}`, () => {
    const sendUdp = (bench: Bench, payload: Uint8Array): void => {
      bench.arena.u8.set(payload, bench.output.l4(family) + udp.HEADER_LEN);
      bench.output.sendUdp(bench.path, 53, 40_000, payload.length);
    };

    test('the checksum is left to the link', () => {
      const bench = new Bench(family);
      sendUdp(bench, stream(11));
      const frame = bench.frames[0]!;
      const v = new DataView(frame.buffer);
      const l4 = vnetHdr.LEN + ethernet.HEADER_LEN + header;
      assert.equal(vnetHdr.flags(v, 0), vnetHdr.NEEDS_CSUM);
      assert.deepEqual([vnetHdr.csumStart(v, 0), vnetHdr.csumOffset(v, 0)], [ethernet.HEADER_LEN + header, 6]);
      assert.deepEqual([udp.srcPort(v, l4), udp.dstPort(v, l4), udp.length(v, l4)], [53, 40_000, 19]);
      assert.equal(udp.checksum(v, l4), fold(pseudoToGuest(bench.path, ipv4.PROTO_UDP, 19)));
      assert.deepEqual(frame.subarray(l4 + udp.HEADER_LEN), stream(11));
    });

    test('in fragments the checksum is whole', () => {
      const bench = new Bench(family);
      const payload = stream(60_000);
      sendUdp(bench, payload);
      const whole = bench.reassembled()!;
      const v = new DataView(whole.buffer);
      assert.equal(udp.check(v, 0, whole.length, pseudoToGuest(bench.path, ipv4.PROTO_UDP, 0), false), 0);
      assert.ok(Buffer.from(whole.subarray(udp.HEADER_LEN)).equals(payload));
    });

    test('the longest payload, and one byte more', () => {
      const bench = new Bench(family);
      const most = 65_535 - header - udp.HEADER_LEN;
      sendUdp(bench, stream(most));
      assert.equal(bench.reassembled()!.length, most + udp.HEADER_LEN);
      bench.frames.length = 0;
      sendUdp(bench, stream(most + 1));
      assert.deepEqual(bench.frames, []);
      assert.equal(bench.counters.get('drop_datagram_over_64k'), 1);
    });
  });
}

test('a path without a port is flooded', () => {
  const bench = new Bench(4);
  bench.path.port = null;
  bench.send(stream(10));
  assert.equal(bench.frames.length, 0);
  assert.equal(bench.floods.length, 1);
});
