/**
 * The TCP flows of a network: records by key, their bounds per guest, and one timer each.
 *
 * Zone: packet to find, flow to open and free.  A record is pooled under its id; what it means belongs to the translator.
 */
import { type Counters, counter } from '../../core/counters.ts';
import { FlowTraffic } from '../../core/flow-traffic.ts';
import { FlowTable, KEY_WORDS } from '../../core/flow-table.ts';
import { TimerWheel } from '../../core/timer-wheel.ts';
import { type GuestPort, type Path, fillKey } from '../path.ts';
import { CLOSED, DIRTY, HALF_OPEN, TcpFlow } from './flow.ts';
import { MAX_FLOWS_PER_PORT, MAX_HALF_OPEN_PER_PORT } from './limits.ts';

const OPENED = counter('tcp_flows_opened');
const REFUSED_FULL = counter('drop_tcp_flow_table_full');
const REFUSED_PORT = counter('drop_tcp_guest_limit');

interface PortUse {
  flows: number;
  halfOpen: number;
}

export class TcpFlows {
  readonly #table: FlowTable;
  readonly #records: TcpFlow[] = [];
  readonly #wheel: TimerWheel;
  readonly #traffic: FlowTraffic;
  readonly #ports = new Map<number, PortUse>();
  readonly #key = new Int32Array(KEY_WORDS);
  readonly #counters: Counters;

  constructor(maxFlows: number, seed: number, nowMs: number, counters: Counters) {
    this.#table = new FlowTable(maxFlows, seed);
    this.#wheel = new TimerWheel(maxFlows, nowMs);
    this.#traffic = new FlowTraffic(maxFlows);
    this.#counters = counters;
  }

  get size(): number {
    return this.#table.size;
  }

  /** Every record that was ever used; those that are free are CLOSED. */
  get records(): readonly TcpFlow[] {
    return this.#records;
  }

  /** Those that count against the share of a port. */
  flowsOf(portId: number): number {
    return this.#ports.get(portId)?.flows ?? 0;
  }

  find(path: Path, guestPort: number, remotePort: number): TcpFlow | null {
    fillKey(this.#key, path, guestPort, remotePort);
    const id = this.#table.find(this.#key);
    return id < 0 ? null : this.#records[id]!;
  }

  /** A half-open record for a key that is not there yet; null when the table or the guest's share is full. */
  open(path: Path, guestPort: number, remotePort: number, nowMs: number): TcpFlow | null {
    const use = path.port === null ? undefined : this.#ports.get(path.port.id);
    if (use !== undefined && (use.flows >= MAX_FLOWS_PER_PORT || use.halfOpen >= MAX_HALF_OPEN_PER_PORT)) {
      this.#counters.count(REFUSED_PORT);
      return null;
    }
    fillKey(this.#key, path, guestPort, remotePort);
    const id = this.#table.insert(this.#key);
    if (id < 0) {
      this.#counters.count(REFUSED_FULL);
      return null;
    }
    const flow = (this.#records[id] ??= new TcpFlow());
    flow.reset();
    flow.copyFrom(path);
    flow.id = id;
    flow.traffic = this.#traffic;
    this.#traffic.clear(id);
    flow.guestPort = guestPort;
    flow.remotePort = remotePort;
    flow.openedMs = nowMs;
    flow.lastHeardMs = nowMs;
    flow.bits = HALF_OPEN;
    if (path.port !== null) this.countFor(flow, path.port);
    this.#counters.count(OPENED);
    return flow;
  }

  free(flow: TcpFlow): void {
    this.#wheel.cancel(flow.id);
    this.#uncount(flow);
    flow.state = CLOSED;
    flow.bits &= DIRTY; // still on the list of this wake-up
    this.#table.delete(flow.id);
  }

  // ---- shares of guests

  /** From now on the flow counts against this port, if it does not count already. */
  countFor(flow: TcpFlow, port: GuestPort): void {
    if (flow.countedPort >= 0) return;
    const use = this.#ports.get(port.id) ?? { flows: 0, halfOpen: 0 };
    use.flows++;
    if (flow.has(HALF_OPEN)) use.halfOpen++;
    this.#ports.set(port.id, use);
    flow.countedPort = port.id;
  }

  /** The handshake is done. */
  markOpen(flow: TcpFlow): void {
    const use = this.#ports.get(flow.countedPort);
    if (use !== undefined && flow.has(HALF_OPEN)) use.halfOpen--;
    flow.bits &= ~HALF_OPEN;
  }

  move(flow: TcpFlow, to: GuestPort): void {
    this.#uncount(flow);
    flow.port = to;
    this.countFor(flow, to);
  }

  #uncount(flow: TcpFlow): void {
    const use = this.#ports.get(flow.countedPort);
    if (use === undefined) return;
    use.flows--;
    if (flow.has(HALF_OPEN)) use.halfOpen--;
    if (use.flows === 0) this.#ports.delete(flow.countedPort);
    flow.countedPort = -1;
  }

  // ---- timers

  /** Makes sure the wheel fires by `timerAtMs`; firing early is put right by who is called. */
  arm(flow: TcpFlow): void {
    if (flow.timerAtMs < this.#wheel.deadline(flow.id)) this.#wheel.schedule(flow.id, flow.timerAtMs);
  }

  schedule(flow: TcpFlow, atMs: number): void {
    this.#wheel.schedule(flow.id, atMs);
  }

  poll(nowMs: number, fire: (id: number) => void): void {
    this.#wheel.poll(nowMs, fire);
  }

  pollAt(): number {
    return this.#wheel.pollAt();
  }
}
