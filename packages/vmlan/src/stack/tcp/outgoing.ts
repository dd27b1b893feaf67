/**
 * Host → guest: bytes out of the host's socket into segments, either way.
 *
 * Zone: packet.  As a rule one peek becomes one long segment in the scratch frame, which the link cuts.  A conversation
 * in bulk with a guest whose link lends the place its frames leave from (core/frame-run.ts) is spared the copy: there one
 * peek fills the payloads of many segments and leaves out the places of their headers, which are written afterwards.  A
 * short answer would pay for the places that it leaves empty, so what comes first is read the first way.
 */
import type { FrameRun } from '../../core/frame-run.ts';
import * as tcp from '../../wire/tcp.ts';
import { BULK, type TcpFlow } from './flow.ts';
import type { HostStreams } from './host.ts';
import { MAX_RUN, MAX_RUN_SEGMENTS, MAX_SEGMENT } from './limits.ts';
import type { TcpSegments } from './segments.ts';

export class TcpOutgoing {
  readonly #segments: TcpSegments;
  readonly #host: HostStreams;
  /** The last `send` got as much as it asked for: there may be more. */
  wasFull = false;

  constructor(segments: TcpSegments, host: HostStreams) {
    this.#segments = segments;
    this.#host = host;
  }

  /** Most bytes that the next `send` can use. */
  most(flow: TcpFlow): number {
    return this.#run(flow) === null ? MAX_SEGMENT : MAX_RUN;
  }

  /** Reads up to `room` bytes and sends them: how many, 0 at the end of the stream, or `-errno`. */
  send(flow: TcpFlow, room: number): number {
    const run = this.#run(flow);
    const places = run === null ? 0 : this.#reserve(flow, run, room);
    const most = places === 0 ? Math.min(room, MAX_SEGMENT) : places * flow.mssToGuest;
    const n = places === 0 ? this.#sendOne(flow, most) : this.#sendRun(flow, run!, places);
    this.wasFull = n === most;
    if (this.wasFull || n > flow.mssToGuest) flow.bits |= BULK;
    else flow.bits &= ~BULK;
    return n;
  }

  #run(flow: TcpFlow): FrameRun | null {
    return flow.has(BULK) && this.#host.peeksFar ? (flow.port?.run ?? null) : null;
  }

  #sendOne(flow: TcpFlow, room: number): number {
    const n = this.#host.peek(flow.fd, this.#segments.payload(flow), room);
    if (n > 0) this.#segments.sendData(flow, flow.nextToGuest, n, tcp.PSH);
    return n;
  }

  #reserve(flow: TcpFlow, run: FrameRun, room: number): number {
    const want = Math.min(Math.floor(room / flow.mssToGuest), MAX_RUN_SEGMENTS);
    return want === 0 ? 0 : run.reserveRun(this.#segments.headersLen(flow) + flow.mssToGuest, want);
  }

  #sendRun(flow: TcpFlow, run: FrameRun, places: number): number {
    const headers = this.#segments.headersLen(flow);
    const stride = run.runStride(headers + flow.mssToGuest);
    const n = this.#host.peekRun(flow.fd, run.runOffset + headers, flow.mssToGuest, stride, places);
    if (n > 0) this.#segments.sendRun(flow, run, stride, flow.nextToGuest, n);
    run.endRun();
    return n;
  }
}
