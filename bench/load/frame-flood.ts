/**
 * Frames from guest to guest through a switch: one program sends on some ports, another counts on others. A counting port
 * first says who it is, so that the switch knows where it sits.
 *
 * Zone: control. Both block until they are over.
 */
import * as C from '../../packages/vmlan/src/sys/constants.ts';
import type { Sys } from '../../packages/vmlan/src/sys/sys.ts';
import type { MacAddress } from '../../packages/vmlan/src/wire/address.ts';
import * as ethernet from '../../packages/vmlan/src/wire/ethernet.ts';
import * as udp from '../../packages/vmlan/src/wire/udp.ts';
import { arpFrame, BROADCAST, IP, L4, udpFrame } from './frames.ts';
import { ipv4Of, ok } from './sockets.ts';
import { LENGTH_LEN, StreamPort, type FrameHandler, type FramePort } from './stream-port.ts';
import { VdePort } from './vde-port.ts';

/** Where cards plug in: a stream socket for all of them, or the folder of a VDE switch. */
export interface Wall {
  readonly kind: 'stream' | 'vde';
  readonly path: string;
}

export interface SendLoad {
  readonly wall: Wall;
  /** Gives the guests of a run MAC addresses of their own: vde2 lets none move for a while. */
  readonly run: number;
  /** Guest `from` sends to guest `to`; null is everybody. */
  readonly flows: readonly { readonly from: number; readonly to: number | null }[];
  /** Bytes of an IP packet. */
  readonly mtuBytes: number;
  readonly seconds: number;
  /** Frames per second of each flow; 0 as fast as they are taken. */
  readonly perSecond: number;
}

export interface CountLoad {
  readonly wall: Wall;
  readonly run: number;
  readonly guests: readonly number[];
  readonly mtuBytes: number;
  readonly seconds: number;
}

export interface FrameCount {
  readonly framesPerSecond: number;
  /** All that came, beginning with the first: what CPU time is set against. */
  readonly gbit: number;
}

const SUBNET = ipv4Of('10.144.0.0');
const FIRST_GUEST = 16;
const PORT = 9; // discard
const BATCH_BYTES = 128 << 10;
const MAX_BATCH = 64; // frames
const ANNOUNCEMENTS = 3;
const FIRST_FRAME_MS = 3000;
const SILENCE_MS = 100;
const WARM_UP = 0.25; // of the time
let ports = 0;

const macOf = (run: number, guest: number): MacAddress => ({ hi: 0x5254, lo: 0x0100_0000 + (run << 8) + guest });
const addressOf = (guest: number): number => SUBNET + FIRST_GUEST + guest;

function plugIn(sys: Sys, wall: Wall, onFrame: FrameHandler): FramePort {
  if (wall.kind === 'stream') return new StreamPort(sys, wall.path, onFrame);
  return new VdePort(sys, wall.path, `${wall.path}/bench-${process.pid}-${ports++}`, onFrame);
}

function put(sys: Sys, off: number, frame: Uint8Array): number {
  sys.arena.view.setUint32(off, frame.length);
  sys.arena.u8.set(frame, off + LENGTH_LEN);
  return LENGTH_LEN + frame.length;
}

/** A gratuitous ARP request (RFC 5227 §2.3). */
function announce(sys: Sys, port: FramePort, mac: MacAddress, own: number, buffer: number): void {
  const stride = put(sys, buffer, arpFrame(mac, own, own));
  for (let i = 0; i < ANNOUNCEMENTS; i++) port.sendFrames(buffer, 1, stride);
}

interface Flow {
  readonly port: FramePort;
  readonly batch: number;
  readonly frames: number;
  readonly stride: number;
  sent: number;
}

const arenas = new WeakMap<Sys, number[]>();

/** Batches outlive a load, since arenas only grow. */
function batchBuffer(sys: Sys, index: number): number {
  const known = arenas.get(sys) ?? [];
  known[index] ??= sys.arena.alloc(2 * BATCH_BYTES, 4096);
  arenas.set(sys, known);
  return known[index];
}

function flowOf(sys: Sys, load: SendLoad, index: number): Flow {
  const { from = 0, to = null } = load.flows[index] ?? {};
  const batch = batchBuffer(sys, index);
  const port = plugIn(sys, load.wall, () => undefined);
  announce(sys, port, macOf(load.run, from), addressOf(from), batch);
  const dst = to === null ? SUBNET + 0xffff : addressOf(to);
  const ends = {
    srcMac: macOf(load.run, from),
    dstMac: to === null ? BROADCAST : macOf(load.run, to),
    src: addressOf(from),
    dst,
  };
  const frame = udpFrame(ends, PORT, PORT, new Uint8Array(load.mtuBytes - (L4 - IP) - udp.HEADER_LEN));
  const stride = LENGTH_LEN + frame.length;
  const frames = load.perSecond > 0 ? 1 : Math.max(1, Math.min(MAX_BATCH, Math.floor(BATCH_BYTES / stride)));
  for (let i = 0; i < frames; i++) put(sys, batch + i * stride, frame);
  return { port, batch, frames, stride, sent: 0 };
}

/** What is sent to us (broadcasts of others, ARP) is thrown away. */
export function frameSend(sys: Sys, load: SendLoad): { frames: number } {
  const flows = load.flows.map((_, index) => flowOf(sys, load, index));
  const start = performance.now();
  const end = start + load.seconds * 1000;
  for (let now = start; now < end; now = performance.now()) {
    const due = load.perSecond > 0 ? ((now - start) / 1000) * load.perSecond : Infinity;
    for (const flow of flows) {
      if (flow.sent >= due) continue;
      flow.port.sendFrames(flow.batch, flow.frames, flow.stride);
      flow.sent += flow.frames;
      flow.port.receive();
    }
  }
  for (const { port } of flows) port.close();
  return { frames: flows.reduce((sum, { sent }) => sum + sent, 0) };
}

/** Counts from the first frame on, the warm-up left out. */
export function frameCount(sys: Sys, load: CountLoad): FrameCount {
  const wanted = IP + load.mtuBytes; // bytes of a frame that counts
  let frames = 0;
  let bytes = 0;
  const { view } = sys.arena;
  // What a switch floods for want of knowledge does not count where it is not meant to go.
  const counter =
    (lo: number): FrameHandler =>
    (off, len) => {
      if (len !== wanted || ethernet.dstLo(view, off) !== lo) return;
      frames++;
      bytes += len;
    };
  const epoll = ok('epoll', sys.epollCreate());
  const cards = load.guests.map((guest, index) => {
    const port = plugIn(sys, load.wall, counter(macOf(load.run, guest).lo));
    announce(sys, port, macOf(load.run, guest), addressOf(guest), batchBuffer(sys, index));
    ok('epoll_ctl', sys.epollCtl(epoll, C.EPOLL_CTL_ADD, port.fd, C.EPOLLIN, index));
    return port;
  });
  const takeFor = (ms: number, done: () => boolean): void => {
    const end = performance.now() + ms;
    for (let now = 0; now < end && !done(); now = performance.now()) {
      const n = sys.epollWait(epoll, load.guests.length, SILENCE_MS);
      for (let i = 0; i < n; i++) cards[sys.eventData(i)]?.receive();
    }
  };
  takeFor(FIRST_FRAME_MS, () => frames > 0);
  if (frames === 0) throw new Error('no frame came');
  takeFor(load.seconds * 1000 * WARM_UP, () => false);
  const [before, started] = [frames, performance.now()];
  takeFor(load.seconds * 1000, () => false);
  const rate = (frames - before) / ((performance.now() - started) / 1000);
  for (const port of cards) port.close();
  sys.close(epoll);
  return { framesPerSecond: rate, gbit: (bytes * 8) / 1e9 };
}
