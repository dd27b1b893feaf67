/**
 * What a frame costs the engine alone, in time and in memory: a program, so that no other heap is measured.
 *
 *   node --expose-gc --max-semi-space-size=256 frame-cost.ts '{"kind":"tcp-out","flows":1,"frames":1000000}'
 *
 * Prints one line of JSON, a FrameCost. `flows` is the number of guests for `switch`.
 *
 * Zone: control.
 */
import { pseudo4 } from '../../packages/vmlan/src/wire/checksum.ts';
import * as ipv4 from '../../packages/vmlan/src/wire/ipv4.ts';
import * as tcp from '../../packages/vmlan/src/wire/tcp.ts';
import * as udp from '../../packages/vmlan/src/wire/udp.ts';
import * as vnetHdr from '../../packages/vmlan/src/wire/vnet-hdr.ts';
import { engineConfig } from '../peers/engine-process.ts';
import { ipFrame, IP, L4, udpFrame, type Ends } from './frames.ts';
import { QuietEngine, SERVER, TCP_PORTS, UDP_PORT, type QuietGuest } from './quiet-engine.ts';
import { ipv4Of } from './sockets.ts';

export interface FrameCostLoad {
  /** `tcp-in` counts the segments that the guest is given, the others those that it gives. */
  readonly kind: 'tcp-out' | 'tcp-in' | 'udp-out' | 'switch';
  readonly flows: number;
  readonly frames: number;
}

export interface FrameCost {
  /** CPU time, which others on the machine do not lengthen by much. */
  readonly nsPerFrame: number;
  /** Of the heap, after garbage collection, over the last three quarters of the frames. */
  readonly growthBytes: number;
  /** Bytes that garbage collection would have to find again. */
  readonly allocatedPerFrame: number;
}

type Step = () => void;

const MTU = 1500;
const MSS = MTU - 40;
const SMALL = 64; // bytes of UDP payload
const FIRST_PORT = 10_000;
const FLOWS_PER_SERVER_PORT = 10_000;
const BATCH = 32; // frames between two turns of the loop
const WARM_UP = 0.1; // of the frames, before anything counts
const CHUNKS = 20;
/** By then all code is compiled and every pool is filled. */
const SETTLED_CHUNKS = 5;
const WINDOW = 0xffff;

const bench = new QuietEngine(engineConfig(MTU));
const { view } = bench;
const server = ipv4Of(SERVER);

const endsOf = (guest: QuietGuest, dst: number): Ends => {
  return { srcMac: guest.mac, dstMac: bench.gatewayMac, src: guest.address, dst };
};

/** A segment of a flow, its checksum left to be completed, as a TAP gives it. */
function segment(guest: QuietGuest, flow: number, flags: number, payloadLen: number): Uint8Array {
  const len = tcp.MIN_HEADER_LEN + payloadLen;
  const frame = ipFrame(endsOf(guest, server), ipv4.PROTO_TCP, len);
  const v = new DataView(frame.buffer);
  tcp.emit(v, L4, portOf(flow), serverPortOf(flow), 0, 0, tcp.MIN_HEADER_LEN, flags, WINDOW);
  tcp.setPartialChecksum(v, L4, len, pseudo4(guest.address, server, ipv4.PROTO_TCP, 0));
  return frame;
}

const portOf = (flow: number): number => FIRST_PORT + (flow % FLOWS_PER_SERVER_PORT);
const serverPortOf = (flow: number): number => TCP_PORTS[Math.floor(flow / FLOWS_PER_SERVER_PORT)] ?? 0;

function needsChecksum(): void {
  vnetHdr.emit(view, bench.frame - vnetHdr.LEN, vnetHdr.NEEDS_CSUM, vnetHdr.GSO_NONE, 0, 0, L4, tcp.CHECKSUM_OFFSET);
}

/** Opens the flows by three-way handshakes. */
function openFlows(guest: QuietGuest, flows: number): void {
  const { established, receiveNext } = guest.link;
  for (let flow = 0; flow < flows; flow++) {
    const port = portOf(flow);
    bench.put(segment(guest, flow, tcp.SYN, 0));
    needsChecksum();
    bench.says(guest, L4 + tcp.MIN_HEADER_LEN);
    bench.until(`flow ${flow}`, [guest], () => established[port] === 1);
    bench.put(segment(guest, flow, tcp.ACK, 0));
    needsChecksum();
    view.setInt32(bench.frame + L4 + 4, 1);
    view.setInt32(bench.frame + L4 + 8, receiveNext[port] ?? 0);
    bench.says(guest, L4 + tcp.MIN_HEADER_LEN);
  }
}

/** Flows in turn; what differs between their frames is ports and numbers. */
function tcpOut(guest: QuietGuest, flows: number): Step {
  openFlows(guest, flows);
  bench.silence();
  const sent = new Int32Array(flows).fill(1);
  bench.put(segment(guest, 0, tcp.ACK | tcp.PSH, MSS));
  needsChecksum();
  let flow = 0;
  return () => {
    const at = bench.frame + L4;
    const port = portOf(flow);
    view.setUint16(at, port);
    view.setInt32(at + 4, sent[flow] ?? 0);
    view.setInt32(at + 8, guest.link.receiveNext[port] ?? 0);
    sent[flow] = ((sent[flow] ?? 0) + MSS) | 0;
    bench.says(guest, L4 + tcp.MIN_HEADER_LEN + MSS);
    flow = flow + 1 === flows ? 0 : flow + 1;
  };
}

/** Acknowledges whatever has come; each acknowledgement lets more come. */
function tcpIn(guest: QuietGuest, flows: number): Step {
  openFlows(guest, flows);
  bench.silence({ gives: true });
  bench.put(segment(guest, 0, tcp.ACK, 0));
  needsChecksum();
  let flow = 0;
  return () => {
    const at = bench.frame + L4;
    const port = portOf(flow);
    view.setUint16(at, port);
    view.setInt32(at + 4, guest.link.acknowledged[port] ?? 0);
    view.setInt32(at + 8, guest.link.receiveNext[port] ?? 0);
    bench.says(guest, L4 + tcp.MIN_HEADER_LEN);
    flow = flow + 1 === flows ? 0 : flow + 1;
  };
}

function udpOut(guest: QuietGuest, flows: number): Step {
  const frame = udpFrame(endsOf(guest, server), FIRST_PORT, UDP_PORT, new Uint8Array(SMALL));
  new DataView(frame.buffer).setUint16(L4 + udp.CHECKSUM_OFFSET, 0); // none, so that ports may change
  let flow = 0;
  const step = (): void => {
    view.setUint16(bench.frame + L4, FIRST_PORT + flow);
    bench.says(guest, frame.length);
    flow = flow + 1 === flows ? 0 : flow + 1;
  };
  bench.put(frame);
  for (let i = 0; i < flows; i++) step();
  bench.until('flows', [guest], () => bench.engine.udp.size >= flows);
  bench.silence();
  bench.put(frame);
  return step;
}

/** Each guest sends to the next. */
function switched(guests: readonly QuietGuest[]): Step {
  const [first] = guests;
  if (first === undefined) throw new Error('no guests');
  const ends = { ...endsOf(first, first.address), dstMac: first.mac };
  const frame = udpFrame(ends, FIRST_PORT, UDP_PORT, new Uint8Array(SMALL));
  new DataView(frame.buffer).setUint16(L4 + udp.CHECKSUM_OFFSET, 0);
  bench.silence();
  bench.put(frame);
  let from = 0;
  return () => {
    const to = from + 1 === guests.length ? 0 : from + 1;
    const sender = guests[from] ?? first;
    const receiver = guests[to] ?? first;
    view.setUint32(bench.frame + 2, receiver.mac.lo);
    view.setUint32(bench.frame + 8, sender.mac.lo);
    ipv4.setSrc(view, bench.frame + IP, sender.address);
    ipv4.setDst(view, bench.frame + IP, receiver.address);
    ipv4.setChecksum(view, bench.frame + IP);
    bench.says(sender, frame.length);
    from = to;
  };
}

function stepOf({ kind, flows }: FrameCostLoad): { step: Step; guests: QuietGuest[] } {
  const guests = Array.from({ length: kind === 'switch' ? Math.max(2, flows) : 1 }, (_, index) => bench.guest(index));
  const [guest] = guests;
  if (guest === undefined) throw new Error('no guest');
  if (kind === 'switch') return { step: switched(guests), guests };
  return { step: { 'tcp-out': tcpOut, 'tcp-in': tcpIn, 'udp-out': udpOut }[kind](guest, flows), guests };
}

function run(step: Step, frames: number): void {
  for (let done = 0; done < frames; done += BATCH) {
    for (let i = 0; i < BATCH; i++) step();
    bench.turn();
  }
}

/** Frames that guests were given, so that a load that does nothing is seen. */
const heard = (guests: readonly QuietGuest[]): number => guests.reduce((sum, { link }) => sum + link.frames, 0);

function measure(load: FrameCostLoad): FrameCost {
  const { step, guests } = stepOf(load);
  run(step, load.frames * WARM_UP);
  const gc = globalThis.gc ?? (() => undefined);
  const chunk = Math.ceil(load.frames / CHUNKS);
  const before = heard(guests);
  let settled = 0;
  let us = 0;
  let allocated = 0;
  for (let i = 0; i < CHUNKS; i++) {
    if (i === SETTLED_CHUNKS) {
      gc();
      settled = process.memoryUsage().heapUsed;
    }
    const heap = process.memoryUsage().heapUsed;
    const started = process.cpuUsage();
    run(step, chunk);
    const { user, system } = process.cpuUsage(started);
    us += user + system;
    // A collection in between hides what was allocated before it; the young generation is large enough for most.
    allocated += Math.max(0, process.memoryUsage().heapUsed - heap);
  }
  gc();
  const given = heard(guests) - before;
  if (load.kind !== 'udp-out' && given === 0) throw new Error('the engine gave nothing to the guests');
  const frames = load.kind === 'tcp-in' ? given : chunk * CHUNKS;
  return {
    nsPerFrame: (us * 1000) / frames,
    growthBytes: process.memoryUsage().heapUsed - settled,
    allocatedPerFrame: allocated / frames,
  };
}

process.stdout.write(`${JSON.stringify(measure(JSON.parse(process.argv[2] ?? '{}') as FrameCostLoad))}\n`);
