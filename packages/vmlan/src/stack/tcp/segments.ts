/**
 * TCP segments towards guests: headers, options, checksum, offload.
 *
 * Zone: packet.  Everything is built in IpOutput's scratch frame; the payload of a data segment is read from the host
 * straight to `payload(flow)`, and the headers are put before it.  The checksum is left to the link (NEEDS_CSUM: the
 * pseudo header's sum is in place), and so is cutting (gso_size = the guest's MSS).
 */
import { type Counters, counter } from '../../core/counters.ts';
import type { FrameRun } from '../../core/frame-run.ts';
import * as ipv4 from '../../wire/ipv4.ts';
import * as ipv6 from '../../wire/ipv6.ts';
import * as tcp from '../../wire/tcp.ts';
import * as vnetHdr from '../../wire/vnet-hdr.ts';
import { type IpOutput, pseudoToGuest } from '../ip-output.ts';
import type { Packet } from '../packet.ts';
import {
  ACK_DUE,
  ACK_NOW,
  ACTIVE_OPEN,
  ESTABLISHED,
  HOST_BLOCKED,
  SACK_OK,
  type TcpFlow,
  WINDOW_MARKED,
} from './flow.ts';
import { WINDOW_SHIFT } from './limits.ts';
import type { ReceiveQueues } from './receive-queue.ts';

const HOP_LIMIT = 64;
const MAX_SACK_BLOCKS = 3;
const MAX_UNSCALED_WINDOW = 65_535;
const SENT = counter('tcp_segments_to_guest');
const RESETS = counter('tcp_resets_to_guest');

export class TcpSegments {
  readonly #output: IpOutput;
  readonly #queues: ReceiveQueues;
  readonly #counters: Counters;
  readonly #blocks = new Int32Array(2 * MAX_SACK_BLOCKS);

  constructor(output: IpOutput, queues: ReceiveQueues, counters: Counters) {
    this.#output = output;
    this.#queues = queues;
    this.#counters = counters;
  }

  /** Largest segment that fits the MTU for this family. */
  maxMss(family: number): number {
    return this.#output.mtu - (family === 4 ? ipv4.MIN_HEADER_LEN : ipv6.HEADER_LEN) - tcp.MIN_HEADER_LEN;
  }

  /** Where the payload of a data segment belongs. */
  payload(flow: TcpFlow): number {
    return this.#output.l4(flow.family) + tcp.MIN_HEADER_LEN;
  }

  /** Data of `len` bytes that lie at `payload(flow)`. */
  sendData(flow: TcpFlow, seq: number, len: number, flags: number): void {
    this.#emit(flow, seq, tcp.ACK | flags, tcp.MIN_HEADER_LEN, len);
  }

  /** Bytes before the payload of a data segment, from the beginning of its frame. */
  headersLen(flow: TcpFlow): number {
    return this.payload(flow) - this.#output.frame;
  }

  /** Data of `len` bytes in segments of the guest's MSS, whose payloads lie where a run of `stride` wants them. */
  sendRun(flow: TcpFlow, run: FrameRun, stride: number, seq: number, len: number): void {
    const v = this.#output.view;
    const mss = flow.mssToGuest;
    const headers = this.headersLen(flow);
    const window = this.#windowField(flow, tcp.ACK);
    const pseudo = pseudoToGuest(flow, ipv4.PROTO_TCP, 0);
    let frame = run.runOffset;
    let count = 0;
    for (let done = 0; done < len; done += mss, count++) {
      const part = Math.min(mss, len - done);
      const l4 = frame + headers - tcp.MIN_HEADER_LEN;
      const l4Len = tcp.MIN_HEADER_LEN + part;
      const flags = done + part === len ? tcp.ACK | tcp.PSH : tcp.ACK;
      tcp.emit(
        v,
        l4,
        flow.remotePort,
        flow.guestPort,
        (seq + done) | 0,
        flow.nextFromGuest,
        tcp.MIN_HEADER_LEN,
        flags,
        window,
      );
      tcp.setChecksum(v, l4, l4Len, pseudo);
      this.#output.emitHeaders(flow, ipv4.PROTO_TCP, HOP_LIMIT, l4Len, frame);
      run.commitRun(headers + part);
      frame += stride;
    }
    this.#output.countRun(count);
    this.#counters.add(SENT, count);
    flow.traffic.toGuest(flow.id, 0, count);
    this.#acked(flow);
  }

  /** A segment without data; options as the state asks for. */
  sendControl(flow: TcpFlow, seq: number, flags: number): void {
    const o = this.#output.l4(flow.family);
    let end = o + tcp.MIN_HEADER_LEN;
    if ((flags & tcp.SYN) !== 0) end = this.#synOptions(flow, end, flags);
    else if (flow.queue >= 0 && flow.has(SACK_OK)) end = this.#sackOptions(flow, end);
    this.#emit(flow, seq, flags, end - o, 0);
  }

  /** RST for a segment that belongs to no flow (RFC 9293 §3.10.7.1). */
  sendReset(packet: Packet): void {
    const v = this.#output.view;
    const { l4 } = packet;
    const flags = tcp.flags(v, l4);
    const hasAck = (flags & tcp.ACK) !== 0;
    const syn = (flags & tcp.SYN) !== 0 ? 1 : 0;
    const fin = (flags & tcp.FIN) !== 0 ? 1 : 0;
    const len = packet.l4Len - tcp.dataOffset(v, l4);
    const seq = hasAck ? tcp.ack(v, l4) : 0;
    const ack = hasAck ? 0 : (tcp.seq(v, l4) + len + syn + fin) | 0;
    const o = this.#output.l4(packet.family);
    const out = hasAck ? tcp.RST : tcp.RST | tcp.ACK;
    tcp.emit(v, o, tcp.dstPort(v, l4), tcp.srcPort(v, l4), seq, ack, tcp.MIN_HEADER_LEN, out, 0);
    tcp.setChecksum(v, o, tcp.MIN_HEADER_LEN, pseudoToGuest(packet, ipv4.PROTO_TCP, 0));
    this.#output.send(packet, ipv4.PROTO_TCP, HOP_LIMIT, tcp.MIN_HEADER_LEN);
    this.#counters.count(RESETS);
  }

  /** Bytes the guest may send beyond `nextFromGuest`, and with it the edge we stand by. */
  window(flow: TcpFlow): number {
    if (flow.queue < 0) return flow.has(HOST_BLOCKED) ? 0 : flow.windowFromGuest;
    return Math.max(flow.windowFromGuest - this.#queues.pending(flow.queue), 0);
  }

  #emit(flow: TcpFlow, seq: number, flags: number, headerLen: number, len: number): void {
    const v = this.#output.view;
    const { frame } = this.#output;
    const o = this.#output.l4(flow.family);
    const l4Len = headerLen + len;
    const window = (flags & tcp.RST) === 0 ? this.#windowField(flow, flags) : 0;
    const ack = (flags & tcp.ACK) === 0 ? 0 : flow.nextFromGuest;
    tcp.emit(v, o, flow.remotePort, flow.guestPort, seq, ack, headerLen, flags, window);
    tcp.setPartialChecksum(v, o, l4Len, pseudoToGuest(flow, ipv4.PROTO_TCP, 0));
    const start = o - frame;
    const big = len > flow.mssToGuest;
    const gso = flow.family === 4 ? vnetHdr.GSO_TCPV4 : vnetHdr.GSO_TCPV6;
    vnetHdr.emit(
      v,
      frame - vnetHdr.LEN,
      vnetHdr.NEEDS_CSUM,
      big ? gso : vnetHdr.GSO_NONE,
      start + headerLen,
      big ? flow.mssToGuest : 0,
      start,
      tcp.CHECKSUM_OFFSET,
    );
    this.#output.emitHeaders(flow, ipv4.PROTO_TCP, HOP_LIMIT, l4Len);
    this.#output.transmit(flow, frame, start + l4Len);
    this.#acked(flow);
    this.#counters.count((flags & tcp.RST) === 0 ? SENT : RESETS);
    flow.traffic.toGuest(flow.id, 0, 1);
  }

  #acked(flow: TcpFlow): void {
    flow.ackedFromGuest = flow.nextFromGuest;
    flow.bits &= ~(ACK_DUE | ACK_NOW);
  }

  /** The window field; a window in a SYN is never scaled (RFC 7323 §2.2). */
  #windowField(flow: TcpFlow, flags: number): number {
    let window = this.window(flow);
    // What was offered stands (RFC 9293 §3.8.6), unless there is no place for it.
    if (flow.state === ESTABLISHED && (flow.queue >= 0 || !flow.has(HOST_BLOCKED)))
      window = Math.max(window, (flow.edgeFromGuest - flow.nextFromGuest) | 0);
    const scaled = (flags & tcp.SYN) === 0 ? flow.shiftFromGuest : 0;
    window = Math.min(window >>> scaled, MAX_UNSCALED_WINDOW);
    flow.edgeFromGuest = (flow.nextFromGuest + (window << scaled)) | 0;
    if (!flow.has(WINDOW_MARKED)) markWindow(flow);
    return window;
  }

  #synOptions(flow: TcpFlow, p: number, flags: number): number {
    const v = this.#output.view;
    let end = tcp.emitMss(v, p, this.maxMss(flow.family));
    // A SYN-ACK answers only what the SYN offered (RFC 7323 §2.2, RFC 2018 §2).
    const offer = flow.has(ACTIVE_OPEN) && (flags & tcp.ACK) === 0;
    if (offer || flow.shiftFromGuest > 0) end = tcp.emitWindowScale(v, end, WINDOW_SHIFT);
    if (offer || flow.has(SACK_OK)) end = tcp.emitSackPermitted(v, end);
    return end;
  }

  #sackOptions(flow: TcpFlow, p: number): number {
    const n = this.#queues.sackBlocks(flow.queue, this.#blocks, MAX_SACK_BLOCKS);
    return n === 0 ? p : tcp.emitSackBlocks(this.#output.view, p, this.#blocks, n);
  }
}

/** From here on it is measured how long the guest takes to fill this window. */
function markWindow(flow: TcpFlow): void {
  flow.bits |= WINDOW_MARKED;
  flow.markFromGuest = flow.edgeFromGuest;
  flow.markAtMs = flow.lastHeardMs;
}
