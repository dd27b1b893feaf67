/**
 * The guest of TCP transcripts: writes segments as frames into the arena, reads the frames it is sent.
 *
 * Zone: control.  Sequence numbers are relative to the initial ones.  Every frame towards the guest is checked for what
 * all must have: addresses, IP header, partial checksum, offload header.
 */
import assert from 'node:assert/strict';
import type { Arena } from '../../core/arena.ts';
import type { FrameRun } from '../../core/frame-run.ts';
import { parseIpv6 } from '../../wire/address.ts';
import { fold } from '../../wire/checksum.ts';
import * as ethernet from '../../wire/ethernet.ts';
import * as ipv4 from '../../wire/ipv4.ts';
import * as ipv6 from '../../wire/ipv6.ts';
import * as tcp from '../../wire/tcp.ts';
import * as vnetHdr from '../../wire/vnet-hdr.ts';
import { Packet } from '../packet.ts';
import { type GuestPort, MAPPED, Path, type SegmentOutput } from '../path.ts';
import { type Heard, type Said, bytes, compare, print, sameBytes, units } from './segment.fixture.ts';
import type { TcpTranslator } from './translator.ts';

export const MAC = { hi: 0x5254, lo: 0x0000_000a } as const;
export const GATEWAY_MAC = { hi: 0x0276, lo: 0x6d00_0001 } as const;
const GUEST_4: Words = [0, 0, MAPPED, 0xc0a8_6902]; // 192.168.105.2
const REMOTE_4: Words = [0, 0, MAPPED, 0xc633_6407]; // 198.51.100.7
const GUEST_6 = words('fd00:1::2');
const REMOTE_6 = words('2001:db8::7');
export const GUEST_PORT = 40_000;
export const REMOTE_PORT = 80;
const GAP = 4;

type Words = readonly [number, number, number, number];

function words(text: string): Words {
  const [w0, w1, w2, w3] = parseIpv6(text)!;
  return [w0!, w1!, w2!, w3!];
}

/** What the guest needs of the transcript around it. */
export interface Surroundings {
  readonly translator: TcpTranslator;
  readonly nowMs: number;
}

export class ScriptedGuest implements SegmentOutput {
  readonly id = 1;
  /** Bytes that the guest's link takes. */
  linkRoom: number = Infinity;
  port: GuestPort;
  /** Segments not yet looked at. */
  readonly inbox: Heard[] = [];
  seq = 0;
  ack = 0;
  window = 1024;
  /** Segments that were built in place, and how often that came to an end. */
  inPlace = 0;
  runs = 0;
  readonly #transcript: Surroundings;
  readonly #arena: Arena;
  readonly #view: DataView;
  readonly #u8: Uint8Array;
  readonly #rx: number;
  readonly #packet = new Packet();
  readonly #family: 4 | 6;
  readonly #isn: number;
  readonly #ourIsn: number;

  constructor(transcript: Surroundings, arena: Arena, family: 4 | 6, isn: number, ourIsn: number) {
    this.#transcript = transcript;
    this.#arena = arena;
    this.#view = arena.view;
    this.#u8 = arena.u8;
    this.#rx = arena.alloc(1 << 17) + 64;
    this.#family = family;
    this.#isn = isn;
    this.#ourIsn = ourIsn;
    this.port = { id: 1, nicKey: 'web/0', guest: 'web', room: () => this.linkRoom };
  }

  /** From now on segments may be built in place: `room` bytes for them, `GAP` between two. */
  lends(room: number): void {
    const place = this.#arena.alloc(room, 64);
    let filled = 0;
    const run: FrameRun = {
      get runOffset(): number {
        return place + filled + GAP;
      },
      runStride: (len) => len + GAP,
      reserveRun: (len, count) => Math.min(count, Math.floor((room - filled) / (len + GAP))),
      commitRun: (len) => {
        this.#u8.fill(0, this.#rx - vnetHdr.LEN, this.#rx);
        this.#u8.copyWithin(this.#rx, run.runOffset, run.runOffset + len);
        filled += GAP + len;
        this.inPlace++;
        this.sendTo(this.port, this.#rx, len);
      },
      endRun: () => {
        filled = 0;
        this.runs++;
      },
    };
    this.port = { ...this.port, isBounded: true, run };
  }

  // ---- what a test says

  /** Segments that arrive in one wake-up. */
  sends(...segments: Said[]): void {
    const { translator, nowMs } = this.#transcript;
    for (const segment of segments) translator.onSegment(this.#write(segment), nowMs);
    translator.poll(nowMs);
  }

  receives(...expected: Said[]): void {
    for (const want of expected) {
      const heard = this.inbox.shift();
      assert.ok(heard !== undefined, `the guest received nothing, expected ${print(want)}`);
      this.#follow(heard);
      compare(heard, want);
    }
  }

  receivesNothing(): void {
    assert.deepEqual(this.inbox.map(print), []);
  }

  /** All data segments so far, joined; control segments are skipped. */
  receivesStream(expected: Uint8Array): void {
    const parts: Uint8Array[] = [];
    for (const heard of this.inbox.splice(0)) {
      if (heard.data.length > 0) assert.equal(heard.seq, this.ack, `in sequence: ${print(heard)}`);
      this.#follow(heard);
      parts.push(heard.data);
    }
    sameBytes(Buffer.concat(parts), expected);
  }

  /** A path from this guest to the remote, as a forward opens it. */
  path(): Path {
    const path = new Path();
    path.copyFrom(this.#address());
    return path;
  }

  // ---- frames

  #follow(heard: Heard): void {
    this.ack = Math.max(this.ack, heard.seq + units(heard));
  }

  #address(): Packet {
    const p = this.#packet;
    const guest = this.#family === 4 ? GUEST_4 : GUEST_6;
    const remote = this.#family === 4 ? REMOTE_4 : REMOTE_6;
    p.segment = this;
    p.port = this.port;
    p.family = this.#family;
    p.macHi = MAC.hi;
    p.macLo = MAC.lo;
    p.setGuest(...guest);
    p.setRemote(...remote);
    p.protocol = ipv4.PROTO_TCP;
    p.hopLimit = 64;
    return p;
  }

  #write(said: Said): Packet {
    const payload = bytes(said.data ?? '');
    const seq = said.seq ?? this.seq;
    const acked = said.ack ?? this.ack;
    this.window = said.window ?? this.window;
    const v = this.#view;
    const p = this.#address();
    p.frame = this.#rx;
    p.ip = p.frame + ethernet.HEADER_LEN;
    p.l4 = p.ip + (this.#family === 4 ? ipv4.MIN_HEADER_LEN : ipv6.HEADER_LEN);
    const end = this.#writeOptions(said, p.l4 + tcp.MIN_HEADER_LEN);
    const ackField = (said.flags & tcp.ACK) === 0 ? 0 : (acked + this.#ourIsn) | 0;
    const guestPort = said.guestPort ?? GUEST_PORT;
    const remotePort = said.remotePort ?? REMOTE_PORT;
    const seqField = (seq + this.#isn) | 0;
    tcp.emit(v, p.l4, guestPort, remotePort, seqField, ackField, end - p.l4, said.flags, this.window);
    this.#u8.set(payload, end);
    p.l4Len = end + payload.length - p.l4;
    p.ipLen = p.l4 + p.l4Len - p.ip;
    if ((said.flags & tcp.RST) === 0) this.seq = Math.max(this.seq, seq + units(said));
    return p;
  }

  #writeOptions(said: Said, p: number): number {
    const v = this.#view;
    let end = p;
    if (said.mss !== undefined) end = tcp.emitMss(v, end, said.mss);
    if (said.windowScale !== undefined) end = tcp.emitWindowScale(v, end, said.windowScale);
    if (said.sackPermitted === true) end = tcp.emitSackPermitted(v, end);
    if (said.sack !== undefined) {
      const blocks = Int32Array.from(said.sack.flat(), (n) => (n + this.#ourIsn) | 0);
      end = tcp.emitSackBlocks(v, end, blocks, said.sack.length);
    }
    if (said.rawOptions !== undefined) {
      this.#u8.set(said.rawOptions, end);
      end += said.rawOptions.length;
    }
    return end;
  }

  // ---- SegmentOutput

  sendTo(port: { id: number }, off: number, len: number): void {
    assert.equal(port.id, this.port.id);
    this.linkRoom -= len;
    this.inbox.push(this.#read(off, len));
  }

  flood(): void {
    assert.fail('TCP is never flooded');
  }

  #read(off: number, len: number): Heard {
    const v = this.#view;
    assert.deepEqual(
      [ethernet.dstHi(v, off), ethernet.dstLo(v, off), ethernet.srcHi(v, off), ethernet.srcLo(v, off)],
      [MAC.hi, MAC.lo, GATEWAY_MAC.hi, GATEWAY_MAC.lo],
    );
    const ip = off + ethernet.HEADER_LEN;
    const { l4, l4Len, pseudo } = this.#family === 4 ? readIpv4(v, ip, off + len) : readIpv6(v, ip, off + len);
    const header = tcp.dataOffset(v, l4);
    const payload = this.#u8.slice(l4 + header, l4 + l4Len);
    assert.equal(tcp.check(v, l4, l4Len, tcp.UNVERIFIED), 0);
    assert.ok(tcp.parseOptions(v, l4));
    this.#checkOffload(off, l4, l4Len, header, pseudo);
    const { mss, windowScale, sackPermitted, sack, sackCount } = tcp.$options;
    const flags = tcp.flags(v, l4);
    return {
      flags,
      seq: (tcp.seq(v, l4) - ((flags & tcp.RST) !== 0 && tcp.seq(v, l4) === 0 ? 0 : this.#ourIsn)) | 0,
      ack: (flags & tcp.ACK) === 0 ? 0 : (tcp.ack(v, l4) - this.#isn) | 0,
      window: tcp.window(v, l4),
      data: payload,
      mss,
      windowScale,
      sackPermitted,
      sack: Array.from({ length: sackCount }, (_, i): [number, number] => [
        (sack[2 * i]! - this.#isn) | 0,
        (sack[2 * i + 1]! - this.#isn) | 0,
      ]),
      gso: vnetHdr.gsoSize(v, off - vnetHdr.LEN),
      guestPort: tcp.dstPort(v, l4),
      remotePort: tcp.srcPort(v, l4),
      atMs: this.#transcript.nowMs,
    };
  }

  /** The checksum is left to the link (or whole, in a reset without a flow), and so is cutting. */
  #checkOffload(frame: number, l4: number, l4Len: number, header: number, pseudo: number): void {
    const v = this.#view;
    const hdr = frame - vnetHdr.LEN;
    assert.equal(vnetHdr.check(v, hdr, l4 + l4Len - frame), 0);
    if (vnetHdr.flags(v, hdr) === 0) {
      assert.equal(tcp.check(v, l4, l4Len, pseudo), 0, 'the checksum is whole');
      return;
    }
    assert.equal(vnetHdr.flags(v, hdr), vnetHdr.NEEDS_CSUM);
    assert.equal(vnetHdr.csumStart(v, hdr), l4 - frame);
    assert.equal(vnetHdr.csumOffset(v, hdr), tcp.CHECKSUM_OFFSET);
    assert.equal(tcp.checksum(v, l4), fold(pseudo + l4Len), 'the field holds the sum of the pseudo header');
    const type = vnetHdr.gsoType(v, hdr);
    if (type === vnetHdr.GSO_NONE) return;
    assert.equal(type, this.#family === 4 ? vnetHdr.GSO_TCPV4 : vnetHdr.GSO_TCPV6);
    assert.equal(vnetHdr.hdrLen(v, hdr), l4 + header - frame);
    assert.ok(l4Len - header > vnetHdr.gsoSize(v, hdr));
  }
}

interface Transport {
  readonly l4: number;
  readonly l4Len: number;
  readonly pseudo: number;
}

function readIpv4(v: DataView, ip: number, end: number): Transport {
  assert.equal(ipv4.check(v, ip, end - ip), 0);
  assert.equal(ip + ipv4.totalLen(v, ip), end);
  assert.deepEqual([ipv4.src(v, ip), ipv4.dst(v, ip), ipv4.protocol(v, ip)], [REMOTE_4[3], GUEST_4[3], 6]);
  assert.ok(ipv4.dontFragment(v, ip));
  return { l4: ipv4.payload(v, ip), l4Len: ipv4.payloadLen(v, ip), pseudo: ipv4.pseudo(v, ip, 6) };
}

function readIpv6(v: DataView, ip: number, end: number): Transport {
  assert.equal(ipv6.check(v, ip, end - ip), 0);
  assert.equal(ip + ipv6.HEADER_LEN + ipv6.payloadLen(v, ip), end);
  assert.deepEqual(
    [ipv6.src0(v, ip), ipv6.src3(v, ip), ipv6.dst0(v, ip), ipv6.dst3(v, ip), ipv6.nextHeader(v, ip)],
    [REMOTE_6[0], REMOTE_6[3], GUEST_6[0], GUEST_6[3], 6],
  );
  return { l4: ip + ipv6.HEADER_LEN, l4Len: ipv6.payloadLen(v, ip), pseudo: ipv6.pseudo(v, ip, 6) };
}
