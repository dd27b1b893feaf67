/**
 * The least of TCP (RFC 9293) that can fill a network: one connection made of frames, in place of a guest whose own kernel
 * would cost more than what is measured. Frames are made once; only sequence numbers and checksums change.
 *
 * It sends up to the window it is given and never slows down, goes back to the last acknowledged byte when nothing moves
 * or three duplicates come, and acknowledges once per read, as a card with receive coalescing would.  The last segment of
 * a batch has PSH, as the last one of a write has in a kernel.
 *
 * Zone: control, but written like the packet zone: no allocation while data flows.
 */
import type { MacAddress } from '../../packages/vmlan/src/wire/address.ts';
import * as arp from '../../packages/vmlan/src/wire/arp.ts';
import { finish, pseudo4, sum } from '../../packages/vmlan/src/wire/checksum.ts';
import * as ethernet from '../../packages/vmlan/src/wire/ethernet.ts';
import * as ipv4 from '../../packages/vmlan/src/wire/ipv4.ts';
import * as tcp from '../../packages/vmlan/src/wire/tcp.ts';
import type { Sys } from '../../packages/vmlan/src/sys/sys.ts';
import { arpFrame, ipFrame, IP, L4 } from './frames.ts';
import { LENGTH_LEN, StreamPort } from './stream-port.ts';

export interface Addressing {
  readonly mac: MacAddress;
  /** IPv4 addresses, uint32. */
  readonly own: number;
  readonly gateway: number;
  readonly server: number;
  readonly mtuBytes: number;
}

const PAYLOAD: number = L4 + tcp.MIN_HEADER_LEN;
const WINDOW_SHIFT = 6;
const WINDOW = 0xffff; // times 2^WINDOW_SHIFT: 4 MiB
const MAX_IN_FLIGHT = 2 << 20; // bytes
const BATCH_BYTES = 256 << 10;
const MAX_BATCH = 64; // frames
const RTO_MS = 200;
const PATIENCE_MS = 3000;
const DUPLICATES = 3;
const SYN_OPTIONS_LEN = 8; // maximum segment size, no-op, window scale
const batches = new WeakMap<Sys, number>();

/** Where frames are put together: a batch of data, and one frame of control in front of it. */
function batchOf(sys: Sys): number {
  const off = batches.get(sys) ?? sys.arena.alloc(2 * BATCH_BYTES + (128 << 10), 4096);
  batches.set(sys, off);
  return off;
}

export class FrameTcp {
  readonly #sys: Sys;
  readonly #port: StreamPort;
  readonly #at: Addressing;
  readonly #ports: { readonly own: number; readonly server: number };
  readonly #control: number;
  readonly #batch: number;
  readonly #mss: number;
  readonly #stride: number;
  readonly #batchFrames: number;
  #gatewayMac: MacAddress | null = null;
  #dataSum = 0; // of a data segment with sequence and acknowledgement numbers of zero
  #una = 0;
  #next = 0;
  #peerWindow = 0;
  #peerShift = 0;
  #duplicates = 0;
  #receiveNext = 0;
  #established = false;
  #ackDue = false;
  /** Payload that was acknowledged, and that came in order. */
  sentBytes = 0;
  receivedBytes = 0;
  resentBytes = 0;

  constructor(sys: Sys, socketPath: string, at: Addressing, ports: { readonly own: number; readonly server: number }) {
    this.#sys = sys;
    this.#at = at;
    this.#ports = ports;
    this.#control = batchOf(sys);
    this.#batch = this.#control + 4096;
    this.#mss = at.mtuBytes - ipv4.MIN_HEADER_LEN - tcp.MIN_HEADER_LEN;
    this.#stride = LENGTH_LEN + PAYLOAD + this.#mss;
    this.#batchFrames = Math.max(1, Math.min(MAX_BATCH, Math.floor(BATCH_BYTES / this.#stride)));
    this.#port = new StreamPort(sys, socketPath, (off, len) => this.#onFrame(off, len));
  }

  /** Finds the gateway, then shakes hands. Throws when nobody answers, or the connection is refused. */
  connect(): void {
    const { mac, own, gateway } = this.#at;
    this.#until(
      'the gateway',
      () => this.#gatewayMac !== null,
      () => this.#sendFrame(arpFrame(mac, own, gateway)),
    );
    this.#until(
      'the server',
      () => this.#established,
      () => this.#sendSyn(),
    );
    this.#next = this.#una;
    this.#sendAck();
    this.#prepareBatch();
  }

  /** Sends as much as the window takes, and hears what comes. Waits where it can do nothing. */
  pushData(): void {
    const window = Math.min(this.#peerWindow, MAX_IN_FLIGHT);
    const room = window - ((this.#next - this.#una) | 0);
    const frames = Math.min(this.#batchFrames, Math.floor(room / this.#mss));
    if (frames > 0) this.#sendBatch(frames);
    if (this.#port.receive() || frames > 0) return;
    if (!this.#port.wait(RTO_MS)) this.#goBack();
  }

  /** Takes what has come, and acknowledges it. */
  pullData(): void {
    if (!this.#port.receive() && !this.#port.wait(PATIENCE_MS)) throw new Error('no more data came');
    if (this.#ackDue) this.#sendAck();
  }

  close(): void {
    if (this.#established) this.#sendControl(tcp.RST | tcp.ACK);
    this.#port.close();
  }

  #until(what: string, done: () => boolean, ask: () => void): void {
    const deadline = performance.now() + PATIENCE_MS;
    while (!done()) {
      if (performance.now() > deadline) throw new Error(`${what} did not answer`);
      ask();
      if (this.#port.wait(RTO_MS)) while (this.#port.receive());
    }
  }

  #sendFrame(frame: Uint8Array): void {
    const { view, u8 } = this.#sys.arena;
    view.setUint32(this.#control, frame.length);
    u8.set(frame, this.#control + LENGTH_LEN);
    this.#port.send(this.#control, LENGTH_LEN + frame.length);
  }

  #frame(payloadLen: number): Uint8Array {
    const { mac, own, server } = this.#at;
    const ends = { srcMac: mac, dstMac: this.#gatewayMac ?? mac, src: own, dst: server };
    return ipFrame(ends, ipv4.PROTO_TCP, tcp.MIN_HEADER_LEN + payloadLen);
  }

  #pseudo(): number {
    return pseudo4(this.#at.own, this.#at.server, ipv4.PROTO_TCP, 0);
  }

  #sendSyn(): void {
    const frame = this.#frame(SYN_OPTIONS_LEN);
    const v = new DataView(frame.buffer);
    const { own, server } = this.#ports;
    tcp.emit(v, L4, own, server, this.#una, 0, tcp.MIN_HEADER_LEN + SYN_OPTIONS_LEN, tcp.SYN, WINDOW);
    v.setUint32(PAYLOAD, (2 << 24) | (4 << 16) | Math.min(this.#mss, 0xffff)); // RFC 9293 §3.7.1
    v.setUint32(PAYLOAD + 4, (1 << 24) | (3 << 16) | (3 << 8) | WINDOW_SHIFT); // RFC 7323 §2.2
    tcp.setChecksum(v, L4, frame.length - L4, this.#pseudo());
    this.#sendFrame(frame);
  }

  #sendControl(flags: number): void {
    const frame = this.#frame(0);
    const v = new DataView(frame.buffer);
    const { own, server } = this.#ports;
    tcp.emit(v, L4, own, server, this.#next, this.#receiveNext, tcp.MIN_HEADER_LEN, flags, WINDOW);
    tcp.setChecksum(v, L4, frame.length - L4, this.#pseudo());
    this.#sendFrame(frame);
  }

  #sendAck(): void {
    this.#ackDue = false;
    this.#sendControl(tcp.ACK);
  }

  /** All frames of the batch alike; what differs is written by `#sendBatch`. */
  #prepareBatch(): void {
    const { view, u8 } = this.#sys.arena;
    const frame = this.#frame(this.#mss).fill(0x5a, PAYLOAD);
    const v = new DataView(frame.buffer);
    tcp.emit(v, L4, this.#ports.own, this.#ports.server, 0, 0, tcp.MIN_HEADER_LEN, tcp.ACK, WINDOW);
    v.setUint16(L4 + tcp.CHECKSUM_OFFSET, 0);
    const len = frame.length - L4;
    this.#dataSum = sum(v, L4, len, this.#pseudo() + len);
    for (let i = 0; i < this.#batchFrames; i++) {
      view.setUint32(this.#batch + i * this.#stride, frame.length);
      u8.set(frame, this.#batch + i * this.#stride + LENGTH_LEN);
    }
  }

  #sendBatch(frames: number): void {
    const { view } = this.#sys.arena;
    const ackSum = (this.#receiveNext >>> 16) + (this.#receiveNext & 0xffff);
    for (let i = 0; i < frames; i++) {
      const segment = this.#batch + i * this.#stride + LENGTH_LEN + L4;
      const seq = this.#next;
      view.setInt32(segment + 4, seq);
      view.setInt32(segment + 8, this.#receiveNext);
      const push = i === frames - 1 ? tcp.PSH : 0;
      view.setUint8(segment + tcp.FLAGS_OFFSET, tcp.ACK | push);
      const varying = ackSum + push + (seq >>> 16) + (seq & 0xffff);
      view.setUint16(segment + tcp.CHECKSUM_OFFSET, finish(this.#dataSum + varying));
      this.#next = (seq + this.#mss) | 0;
    }
    this.#port.send(this.#batch, frames * this.#stride);
  }

  #onFrame(off: number, len: number): void {
    const { view: v } = this.#sys.arena;
    if (len < L4) return;
    const type = ethernet.etherType(v, off);
    if (type === ethernet.TYPE_ARP) this.#onArp(off);
    else if (type === ethernet.TYPE_IPV4 && ipv4.protocol(v, off + IP) === ipv4.PROTO_TCP) this.#onSegment(off + IP);
  }

  #onArp(off: number): void {
    const { view: v } = this.#sys.arena;
    const { mac, own, gateway } = this.#at;
    const at = off + ethernet.HEADER_LEN;
    const sender = { hi: arp.senderHi(v, at), lo: arp.senderLo(v, at) };
    if (arp.senderIp(v, at) === gateway && arp.op(v, at) === arp.OP_REPLY) this.#gatewayMac = sender;
    if (arp.op(v, at) === arp.OP_REQUEST && arp.targetIp(v, at) === own) {
      this.#sendFrame(arpFrame(mac, own, arp.senderIp(v, at), sender));
    }
  }

  #onSegment(ip: number): void {
    const { view: v } = this.#sys.arena;
    const at = ipv4.payload(v, ip);
    if (tcp.dstPort(v, at) !== this.#ports.own || tcp.srcPort(v, at) !== this.#ports.server) return;
    const flags = tcp.flags(v, at);
    if ((flags & tcp.RST) !== 0) throw new Error('the connection was reset');
    if ((flags & tcp.SYN) !== 0) return this.#onSynAck(at);
    if (!this.#established) return;
    this.#onAck(tcp.ack(v, at), tcp.window(v, at) << this.#peerShift);
    const len = ipv4.payloadLen(v, ip) - tcp.dataOffset(v, at);
    if (len > 0) this.#onData(tcp.seq(v, at), len);
  }

  #onSynAck(at: number): void {
    const { view: v } = this.#sys.arena;
    if (this.#established) return void (this.#ackDue = true);
    this.#established = true;
    this.#una = tcp.ack(v, at);
    this.#receiveNext = (tcp.seq(v, at) + 1) | 0;
    this.#peerWindow = tcp.window(v, at); // never scaled in a SYN (RFC 7323 §2.2)
    this.#peerShift = windowShift(v, at);
  }

  #onAck(ack: number, window: number): void {
    const advance = (ack - this.#una) | 0;
    if (advance > 0) {
      this.sentBytes += advance;
      this.#una = ack;
      this.#duplicates = 0;
      if (((this.#next - ack) | 0) < 0) this.#next = ack;
    } else if (advance === 0 && window === this.#peerWindow && ++this.#duplicates === DUPLICATES) {
      this.#goBack();
    }
    this.#peerWindow = window;
  }

  #goBack(): void {
    this.resentBytes += (this.#next - this.#una) | 0;
    this.#next = this.#una;
  }

  #onData(seq: number, len: number): void {
    this.#ackDue = true;
    if (seq !== this.#receiveNext) return;
    this.#receiveNext = (seq + len) | 0;
    this.receivedBytes += len;
  }
}

/** RFC 7323 §2.2: option 3; without it windows are as they stand. */
function windowShift(v: DataView, at: number): number {
  const end = at + tcp.dataOffset(v, at);
  for (let o = at + tcp.MIN_HEADER_LEN; o < end;) {
    const kind = v.getUint8(o);
    if (kind === 0) return 0;
    if (kind === 3) return v.getUint8(o + 2);
    o += kind === 1 ? 1 : Math.max(2, v.getUint8(o + 1));
  }
  return 0;
}
