/**
 * What each flow of a table has carried, by its id: payload bytes and packets, each way.
 *
 * Zone: packet.  Numbers in one array: counting allocates nothing, however far it counts (up to 2^53).  An offloaded frame
 * counts as one packet.
 */
const BYTES_FROM_GUEST = 0;
const PACKETS_FROM_GUEST = 1;
const BYTES_TO_GUEST = 2;
const PACKETS_TO_GUEST = 3;
const FIELDS = 4;

export class FlowTraffic {
  readonly #counts: Float64Array;

  constructor(flows: number) {
    this.#counts = new Float64Array(FIELDS * flows);
  }

  clear(id: number): void {
    this.#counts.fill(0, FIELDS * id, FIELDS * (id + 1));
  }

  fromGuest(id: number, bytes: number, packets: number): void {
    this.#counts[FIELDS * id + BYTES_FROM_GUEST]! += bytes;
    this.#counts[FIELDS * id + PACKETS_FROM_GUEST]! += packets;
  }

  toGuest(id: number, bytes: number, packets: number): void {
    this.#counts[FIELDS * id + BYTES_TO_GUEST]! += bytes;
    this.#counts[FIELDS * id + PACKETS_TO_GUEST]! += packets;
  }

  bytesFromGuest(id: number): number {
    return this.#counts[FIELDS * id + BYTES_FROM_GUEST]!;
  }

  packetsFromGuest(id: number): number {
    return this.#counts[FIELDS * id + PACKETS_FROM_GUEST]!;
  }

  bytesToGuest(id: number): number {
    return this.#counts[FIELDS * id + BYTES_TO_GUEST]!;
  }

  packetsToGuest(id: number): number {
    return this.#counts[FIELDS * id + PACKETS_TO_GUEST]!;
  }
}

/** For a flow that is in no table: what it counts is lost. */
export const NO_TRAFFIC: FlowTraffic = new FlowTraffic(0);
