/**
 * An engine with nothing around it that costs anything: real flows are opened over the kernel in memory, then the calls of
 * the packet path answer at once and without allocating, and guests are links that only remember numbers. What is left
 * is the engine's own work for a frame.
 *
 * Zone: control to set up, packet once `quiet`.
 */
import type { EngineConfig } from '../../packages/vmlan/src/engine/control-messages.ts';
import { NetworkEngine } from '../../packages/vmlan/src/engine/network-engine.ts';
import type { LinkOutput, Port } from '../../packages/vmlan/src/switching/port.ts';
import * as C from '../../packages/vmlan/src/sys/constants.ts';
import { FakeSys } from '../../packages/vmlan/src/sys/fake/fake-sys.ts';
import { FakeKernel } from '../../packages/vmlan/src/sys/fake/kernel.ts';
import { sink, udpSink } from '../../packages/vmlan/src/sys/fake/services.ts';
import type { MacAddress } from '../../packages/vmlan/src/wire/address.ts';
import * as arp from '../../packages/vmlan/src/wire/arp.ts';
import * as ethernet from '../../packages/vmlan/src/wire/ethernet.ts';
import * as ipv4 from '../../packages/vmlan/src/wire/ipv4.ts';
import * as tcp from '../../packages/vmlan/src/wire/tcp.ts';
import * as vnetHdr from '../../packages/vmlan/src/wire/vnet-hdr.ts';
import { arpFrame, IP } from './frames.ts';
import { ipv4Of } from './sockets.ts';

const ARENA_BYTES = 384 << 20; // what is not touched costs nothing
const MAX_FDS = 60_000;
const FRAME_ROOM = 70_000; // bytes
const TURNS_PER_MS = 16;
export const SERVER = '10.1.2.3';
export const TCP_PORTS: readonly number[] = [9, 10];
export const UDP_PORT = 9;
const PORTS = 1 << 16;

/**
 * Once quiet, sockets take whatever is sent, all streams become readable once, and then give whatever is asked or nothing
 * at all; time goes by turns of the loop.
 */
class QuietSys extends FakeSys {
  quiet = false;
  gives = false;
  #turns = 0;
  /** Of registered streams; those before `#told` know that they are readable. */
  readonly #streams: number[] = [];
  #told = 0;
  #events = 0;

  override epollCtl(epollFd: number, op: number, fd: number, events: number, data: number): number {
    if (op === C.EPOLL_CTL_ADD && (events & C.EPOLLRDHUP) !== 0) this.#streams.push(data);
    return super.epollCtl(epollFd, op, fd, events, data);
  }

  override eventMask(index: number): number {
    return this.quiet ? C.EPOLLIN : super.eventMask(index);
  }

  override eventData(index: number): number {
    return this.quiet ? (this.#streams[this.#told - this.#events + index] ?? 0) : super.eventData(index);
  }

  override monotonicMs(): number {
    return super.monotonicMs() + Math.floor(this.#turns / TURNS_PER_MS);
  }

  override epollWait(epollFd: number, maxEvents: number, timeoutMs: number): number {
    if (!this.quiet) return super.epollWait(epollFd, maxEvents, timeoutMs);
    this.#turns++;
    this.#events = Math.min(maxEvents, this.#streams.length - this.#told);
    this.#told += this.#events;
    return this.#events;
  }

  override send(fd: number, off: number, len: number, flags: number): number {
    return this.quiet ? len : super.send(fd, off, len, flags);
  }

  override sendmsg(fd: number, msgOff: number, flags: number): number {
    return this.quiet ? this.arena.view.getUint32(msgOff + 24, true) : super.sendmsg(fd, msgOff, flags);
  }

  override recv(fd: number, off: number, len: number, flags: number): number {
    if (!this.quiet) return super.recv(fd, off, len, flags);
    return this.gives && (flags & (C.MSG_PEEK | C.MSG_TRUNC)) !== 0 ? len : -C.EAGAIN;
  }
}

/** Remembers what TCP needs to go on; by the guest's port. */
class QuietLink implements LinkOutput {
  readonly kind = 'tap';
  readonly #view: DataView;
  /** The next byte expected from the engine, and what it acknowledged. */
  readonly receiveNext = new Int32Array(PORTS);
  readonly acknowledged = new Int32Array(PORTS);
  readonly established = new Uint8Array(PORTS);
  /** The engine asks for our address. */
  asked = false;
  frames = 0;

  constructor(view: DataView) {
    this.#view = view;
  }

  send(off: number, _len: number): boolean {
    const v = this.#view;
    this.frames++;
    const type = ethernet.etherType(v, off);
    if (type === ethernet.TYPE_ARP) this.asked ||= arp.op(v, off + IP) === arp.OP_REQUEST;
    if (type !== ethernet.TYPE_IPV4 || ipv4.protocol(v, off + IP) !== ipv4.PROTO_TCP) return true;
    const at = ipv4.payload(v, off + IP);
    const port = tcp.dstPort(v, at);
    const isSyn = (tcp.flags(v, at) & tcp.SYN) !== 0;
    const payload = ipv4.payloadLen(v, off + IP) - tcp.dataOffset(v, at);
    if (isSyn) this.established[port] = 1;
    this.acknowledged[port] = tcp.ack(v, at);
    if (isSyn || payload > 0) this.receiveNext[port] = (tcp.seq(v, at) + (isSyn ? 1 : payload)) | 0;
    return true;
  }

  room(): number {
    return 1 << 20;
  }
}

export interface QuietGuest {
  readonly mac: MacAddress;
  /** uint32. */
  readonly address: number;
  readonly port: Port;
  readonly link: QuietLink;
}

export class QuietEngine {
  readonly engine: NetworkEngine;
  readonly view: DataView;
  readonly gatewayMac: MacAddress = { hi: 0x0276, lo: 0x6c00_0001 };
  readonly #sys: QuietSys;
  readonly #kernel = new FakeKernel({ maxFds: MAX_FDS });
  readonly #frame: number;

  constructor(config: EngineConfig) {
    this.#sys = new QuietSys(this.#kernel, ARENA_BYTES);
    this.view = this.#sys.arena.view;
    const host = this.#kernel.host(SERVER);
    for (const port of TCP_PORTS) host.listenTcp(port, sink());
    host.listenUdp(UDP_PORT, udpSink());
    let random = 1;
    const onMessage = (): undefined => undefined;
    this.engine = new NetworkEngine(this.#sys, config, onMessage, () => (random = (random * 48_271) % 0x7fff_ffff));
    this.#frame = this.#sys.arena.alloc(FRAME_ROOM, 64) + 64;
  }

  /** Calls of the packet path cost nothing from here on; `gives`: streams from the host have no end. */
  silence({ gives = false }: { gives?: boolean } = {}): void {
    this.#sys.quiet = true;
    this.#sys.gives = gives;
  }

  /** A guest of the network, known by its address. */
  guest(index: number): QuietGuest {
    const mac = { hi: 0x5254, lo: 0x0010_0000 + index };
    const address = ipv4Of('10.144.0.16') + index;
    const link = new QuietLink(this.view);
    const port = this.engine.addPort(link, null, false);
    if (port === null) throw new Error(`the network has no room for guest ${index}`);
    const guest = { mac, address, port, link };
    this.inject(guest, arpFrame(mac, address, address));
    this.turn();
    return guest;
  }

  /** Where a guest's frame is put together; its virtio_net_hdr lies before it. */
  get frame(): number {
    return this.#frame;
  }

  put(frame: Uint8Array): void {
    vnetHdr.clear(this.view, this.#frame - vnetHdr.LEN);
    this.#sys.arena.u8.set(frame, this.#frame);
  }

  inject(guest: QuietGuest, frame: Uint8Array): void {
    this.put(frame);
    this.says(guest, frame.length);
  }

  /** The frame as it lies there, from this guest. */
  says(guest: QuietGuest, len: number): void {
    this.engine.onFrame(guest.port, this.#frame, len, this.engine.loop.now);
  }

  turn(): void {
    this.engine.turn(0);
  }

  /** Answers what the engine asks of guests, and lets a moment pass, until it holds. */
  until(what: string, guests: readonly QuietGuest[], holds: () => boolean): void {
    for (let i = 0; i < 1000 && !holds(); i++) {
      for (const guest of guests) this.#answer(guest);
      this.#kernel.advance(1);
      this.turn();
    }
    if (!holds()) throw new Error(`it did not come to ${what}`);
  }

  #answer(guest: QuietGuest): void {
    if (!guest.link.asked) return;
    guest.link.asked = false;
    this.inject(guest, arpFrame(guest.mac, guest.address, ipv4Of('10.144.0.1'), this.gatewayMac));
  }
}
