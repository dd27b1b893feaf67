/**
 * Forwards: clients on the host reach a guest's port.
 *
 * Zone: flow.  TCP (and unix stream) clients become flows of the translator, UDP clients flows of UdpNat that answer
 * through the forward's socket.  The guest sees the gateway as the other end.  A target is a guest's name or an address;
 * it is looked up for each client, so a guest that comes back with another address is found, and a forward whose guest is
 * away is muted: its clients are refused at once.
 */
import { type Counters, counter } from '../core/counters.ts';
import type { Neighbor } from '../stack/neighbor.ts';
import { MAPPED, Path } from '../stack/path.ts';
import { RESOLVING, type TcpFlow } from '../stack/tcp/flow.ts';
import type { TcpTranslator } from '../stack/tcp/translator.ts';
import type { Client, ForwardSockets, ListenAddress } from './forward-sockets.ts';
import { type GuestTarget, aim, freePort, pathTo } from './guest-path.ts';
import { isNoDescriptor } from './no-descriptor.ts';
import type { FlowOwner, UdpFlow } from './udp-flow.ts';
import type { UdpNat } from './udp-nat.ts';

export const MAX_FORWARDS = 16_384;
export const MAX_CLIENTS_PER_UDP_FORWARD = 4_096;
const ACCEPT_BUDGET = 64;
const RECV_BUDGET = 64;
const RECV_AT_ONCE = 64;

const ACCEPTED = counter('forward_connections');
const ABSENT = counter('forward_guest_absent');
const REFUSED = counter('forward_refused');
const CLIENTS_FULL = counter('drop_forward_clients_full');
/** How often a client had to wait because none was left. */
const NO_DESCRIPTOR = counter('forward_no_descriptor');

export interface ForwardContext {
  readonly tcp: TcpTranslator;
  readonly udp: UdpNat;
  readonly sockets: ForwardSockets;
  readonly counters: Counters;
  /** Watches the accepted socket of a flow. */
  adopt(flow: TcpFlow, fd: number, unix: boolean): void;
}

export interface ForwardTarget {
  /** Finds the guest now; null while it is away. */
  find(): GuestTarget | null;
  readonly port: number;
}

/** What TCP and UDP forwards share. */
export interface Forward {
  readonly muted: boolean;
  readonly connections: number;
  /** Looks whether the guest is there and opens or mutes the socket. */
  refresh(nowMs: number): void;
  close(): void;
}

export class TcpForward implements Forward {
  readonly id: string;
  readonly #context: ForwardContext;
  readonly #target: ForwardTarget;
  readonly #unix: boolean;
  readonly #fd: number;
  muted = true;
  connections = 0;

  /** `fd` is the bound socket of `address`. */
  constructor(context: ForwardContext, id: string, fd: number, address: ListenAddress, target: ForwardTarget) {
    this.id = id;
    this.#context = context;
    this.#fd = fd;
    this.#unix = address.path !== null;
    this.#target = target;
    context.sockets.watch(fd, (nowMs) => this.#onReady(nowMs));
  }

  refresh(): void {
    const away = this.#target.find() === null;
    if (away === this.muted) return;
    if (this.#context.sockets.setMuted(this.#fd, 'tcp', away) >= 0) this.muted = away;
  }

  close(): void {
    this.#context.sockets.close(this.#fd);
  }

  #onReady(nowMs: number): void {
    for (let i = 0; i < ACCEPT_BUDGET; i++) {
      const fd = this.#context.sockets.accept(this.#fd, nowMs);
      if (isNoDescriptor(fd)) this.#context.counters.count(NO_DESCRIPTOR);
      if (fd < 0) return;
      this.#onConnection(fd, nowMs);
    }
  }

  #onConnection(fd: number, nowMs: number): void {
    const { tcp, counters, sockets } = this.#context;
    const target = this.#target.find();
    if (target === null) {
      counters.count(ABSENT);
      return sockets.reset(fd);
    }
    const path = pathTo(target);
    const remotePort = freePort((port) => tcp.isTaken(path, this.#target.port, port));
    const flow = remotePort < 0 ? null : tcp.openToGuest(path, this.#target.port, remotePort, nowMs);
    if (flow === null) {
      counters.count(REFUSED);
      return sockets.reset(fd);
    }
    counters.count(ACCEPTED);
    this.connections++;
    flow.forwardId = this.id;
    this.#context.adopt(flow, fd, this.#unix);
    if (path.port !== null) return tcp.onResolved(flow, nowMs);
    target.gateway.neighbors.resolve(target.words, nowMs, (neighbor, at) => {
      // The client has gone meanwhile; record and descriptor may serve another by now, its port tells.
      if (flow.fd !== fd || flow.state !== RESOLVING || flow.remotePort !== remotePort) return;
      if (neighbor === null) return tcp.abort(flow);
      aim(flow, neighbor);
      tcp.onResolved(flow, at);
    });
  }
}

export class UdpForward implements Forward, FlowOwner {
  readonly id: string;
  readonly #context: ForwardContext;
  readonly #target: ForwardTarget;
  readonly #fd: number;
  readonly #client: Client = { words: new Int32Array(4), port: 0, scope: 0 };
  /** Flows by client address; an entry whose flow has ended is replaced when its client speaks again. */
  readonly #clients = new Map<string, UdpFlow>();
  readonly #scratch: Path = new Path();
  muted = true;
  connections = 0;

  constructor(context: ForwardContext, id: string, fd: number, target: ForwardTarget) {
    this.id = id;
    this.#context = context;
    this.#fd = fd;
    this.#target = target;
    context.sockets.watch(fd, (nowMs) => this.#onReady(nowMs));
  }

  refresh(): void {
    const away = this.#target.find() === null;
    if (away === this.muted) return;
    if (this.#context.sockets.setMuted(this.#fd, 'udp', away) >= 0) this.muted = away;
  }

  close(): void {
    this.#context.sockets.close(this.#fd);
    this.#context.udp.closeAll(null, this);
  }

  sendToClient(flow: UdpFlow, off: number, len: number, size: number): number {
    const { client, clientPort, clientScope } = flow;
    return this.#context.sockets.sendTo(this.#fd, off, len, size, client, clientPort, clientScope);
  }

  #onReady(nowMs: number): void {
    const { sockets, udp } = this.#context;
    const { off, len, segment } = sockets.received;
    const scratch = this.#scratch;
    for (let left = RECV_BUDGET; left > 0; left -= RECV_AT_ONCE) {
      const target = this.#target.find();
      if (target === null) return this.refresh();
      scratch.family = target.words[2] === MAPPED && (target.words[0]! | target.words[1]!) === 0 ? 4 : 6;
      const n = sockets.receive(this.#fd, udp.payload(scratch), RECV_AT_ONCE);
      for (let i = 0; i < n; i++) {
        sockets.readClient(i, this.#client);
        const flow = this.#flowOf(target, nowMs);
        if (flow !== null) udp.toGuest.add(flow, off[i]!, len[i]!, segment[i]!, nowMs);
      }
      udp.toGuest.end(nowMs);
      if (n < RECV_AT_ONCE) return; // no more waits; else epoll says so
    }
  }

  /** The client's flow; null when it could not be opened or its guest's MAC is not known yet (the datagram is lost). */
  #flowOf(target: GuestTarget, nowMs: number): UdpFlow | null {
    const { words, port, scope } = this.#client;
    const key = `${words[0]},${words[1]},${words[2]},${words[3]},${port},${scope}`;
    const known = this.#clients.get(key);
    if (known !== undefined && known.owner === this && sameClient(known, this.#client) && isAt(known, target)) {
      if (target.neighbor !== null) aim(known, target.neighbor); // its link may have come back as another port
      return known;
    }
    if (known === undefined && !this.#hasRoom()) {
      this.#context.counters.count(CLIENTS_FULL);
      return null;
    }
    return this.#open(key, target, nowMs);
  }

  #hasRoom(): boolean {
    if (this.#clients.size >= MAX_CLIENTS_PER_UDP_FORWARD) this.#forgetEnded();
    return this.#clients.size < MAX_CLIENTS_PER_UDP_FORWARD;
  }

  #open(key: string, target: GuestTarget, nowMs: number): UdpFlow | null {
    const { udp } = this.#context;
    const path = pathTo(target);
    if (path.port === null) {
      const neighbor = this.#ask(target, nowMs);
      if (neighbor === null) return null;
      aim(path, neighbor);
    }
    const remotePort = freePort((port) => udp.isTaken(path, this.#target.port, port));
    const flow = remotePort < 0 ? null : udp.openForward(path, this.#target.port, remotePort, this, nowMs);
    if (flow === null) return null;
    flow.client.set(this.#client.words);
    flow.clientPort = this.#client.port;
    flow.clientScope = this.#client.scope;
    this.#clients.set(key, flow);
    this.connections++;
    return flow;
  }

  #ask(target: GuestTarget, nowMs: number): Neighbor | null {
    let found: Neighbor | null = null;
    target.gateway.neighbors.resolve(target.words, nowMs, (neighbor) => (found = neighbor));
    return found;
  }

  #forgetEnded(): void {
    for (const [key, flow] of this.#clients) if (flow.owner !== this) this.#clients.delete(key);
  }
}

function sameClient(flow: UdpFlow, client: Client): boolean {
  const { words } = client;
  return (
    flow.clientPort === client.port &&
    flow.clientScope === client.scope &&
    flow.client[3] === words[3] &&
    flow.client[2] === words[2] &&
    flow.client[1] === words[1] &&
    flow.client[0] === words[0]
  );
}

/** Whether the flow still leads to where its target is now. */
function isAt(flow: UdpFlow, target: GuestTarget): boolean {
  const { words } = target;
  return flow.guest3 === words[3] && flow.guest2 === words[2] && flow.guest1 === words[1] && flow.guest0 === words[0];
}
