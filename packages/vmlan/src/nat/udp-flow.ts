/**
 * One UDP conversation of a guest, and what it sends in one wake-up.
 *
 * Zone: packet.
 */
import { NatFlow } from './flow-set.ts';

/** Who answers for flows that share a socket: a UDP forward. */
export interface FlowOwner {
  /** The forward's; empty for what is none. */
  readonly id: string;
  /** The guest's payload for the flow's client: one datagram (`size` 0), or a run of `size` bytes each; `-errno`: none. */
  sendToClient(flow: UdpFlow, off: number, len: number, size: number): number;
}

export class UdpFlow extends NatFlow {
  endpoint = '';
  owner: FlowOwner | null = null;
  /** What the guest sent in this wake-up and waits to leave. */
  run: OutgoingRun | null = null;
  /** Longer datagrams are sent one by one: the host's way takes no run of them. */
  joinMax = 0;
  /** The host's messages are long: one fills a buffer that is hot. */
  bulk = false;
  /** A forward's client: mapped words, port, IPv6 scope. */
  readonly client: Int32Array = new Int32Array(4);
  clientPort = 0;
  clientScope = 0;
  onReadable: (nowMs: number) => void = () => {};
  onError: (nowMs: number) => void = () => {};
}

/** Datagrams of a flow that wait to leave together (outgoing-runs.ts); pooled. */
export class OutgoingRun {
  flow: UdpFlow | null = null;
  readonly off: number;
  len = 0;
  /** Bytes of its first datagram. */
  size = 0;
  count = 0;

  constructor(off: number) {
    this.off = off;
  }
}
