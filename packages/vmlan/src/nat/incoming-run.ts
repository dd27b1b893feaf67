/**
 * Datagrams for a guest, joined as they come from the host's sockets: consecutive ones of one flow and one size become one
 * frame, which the guest's kernel or the link cuts again.
 *
 * Zone: packet.  The run grows where the frame is built (`UdpNat.payload`): the first message usually lies there already.
 */
import { MAX_PAYLOAD, MAX_RUN } from './datagrams.ts';
import type { UdpFlow } from './udp-flow.ts';

export interface RunToGuest {
  /** Where the payload for the flow's guest belongs. */
  payload(flow: UdpFlow): number;
  /** Sends the `len` bytes there: one datagram (`size` 0), or a run of `size` bytes each. */
  sendToGuest(flow: UdpFlow, len: number, size: number, nowMs: number): void;
}

export class IncomingRun {
  readonly #u8: Uint8Array;
  readonly #out: RunToGuest;
  #flow: UdpFlow | null = null;
  #len = 0;
  #size = 0;

  constructor(u8: Uint8Array, out: RunToGuest) {
    this.#u8 = u8;
    this.#out = out;
  }

  /** A message for the flow: one datagram, or a run of `segment` bytes each (0: one). The first may lie in its place. */
  add(flow: UdpFlow, off: number, len: number, segment: number, nowMs: number): void {
    if (!this.#fits(flow, len, segment)) this.end(nowMs);
    const to = this.#out.payload(flow);
    if (this.#flow === null) {
      this.#flow = flow;
      this.#size = segment > 0 && segment < len ? segment : len;
    }
    if (off !== to + this.#len) this.#u8.copyWithin(to + this.#len, off, off + len);
    this.#len += len;
  }

  /** Sends what was joined. */
  end(nowMs: number): void {
    const flow = this.#flow;
    if (flow === null) return;
    const len = this.#len;
    this.#flow = null;
    this.#len = 0;
    this.#out.sendToGuest(flow, len, this.#size < len ? this.#size : 0, nowMs);
  }

  /** Whether the message goes on where the run is: same flow, full datagrams so far, none longer, no more than is sent. */
  #fits(flow: UdpFlow, len: number, segment: number): boolean {
    const size = this.#size;
    if (this.#flow !== flow || len === 0 || this.#len === 0 || this.#len % size !== 0) return false;
    if (segment > 0 && segment < len ? segment !== size : len > size) return false;
    const total = this.#len + len;
    return total <= MAX_PAYLOAD && total <= size * MAX_RUN;
  }
}
