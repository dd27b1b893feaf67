/**
 * A whole engine in one thread over the kernel in memory, in virtual time; the test is the control plane and the world.
 *
 *   const bench = new EngineBench();
 *   const web = bench.guest('web');
 *   bench.kernel.host('198.51.100.7').listenUdp(53, udpEcho());
 *   web.says(web.udp('198.51.100.7', 53, 'hello'));
 *   bench.passes(10);
 *   assert.deepEqual(web.hears(), ['198.51.100.7.53 > 192.168.104.2.4000 udp length 5']);
 *
 * Zone: control.  Leases are stored, and questions to the host's resolver answered, between two turns of the loop.
 */
import assert from 'node:assert/strict';
import { fromErrorData } from '../core/errors.ts';
import * as C from '../sys/constants.ts';
import { Client } from '../sys/fake/client.fixture.ts';
import { FakeSys } from '../sys/fake/fake-sys.ts';
import { FakeKernel, type FakeKernelOptions } from '../sys/fake/kernel.ts';
import { TcpSocket } from '../sys/fake/tcp-socket.ts';
import type { Sys } from '../sys/sys.ts';
import { CONFIG } from './config.fixture.ts';
import type {
  EngineConfig,
  EngineEvent,
  EngineRequest,
  EngineSnapshot,
  FromEngine,
  GuestSnapshot,
} from './control-messages.ts';
import { BenchGuest, type GuestOptions } from './guest.fixture.ts';
import { NetworkEngine } from './network-engine.ts';

const ARENA_BYTES = 96 << 20;

/** Mode `user`: each guest alone, all at one address. */
export const USER_MODE: Partial<EngineConfig> = {
  mode: 'user',
  ipv4: {
    ...CONFIG.ipv4!,
    subnet: '192.168.5.0/24',
    gateway: '192.168.5.2',
    dns: '192.168.5.3',
    poolStart: '192.168.5.15',
    poolEnd: '192.168.5.15',
    fixedGuest: '192.168.5.15',
  },
};

export interface BenchOptions {
  readonly config?: Partial<EngineConfig>;
  readonly kernel?: FakeKernelOptions;
  /** Wraps the syscall table that the engine gets. */
  readonly sys?: (sys: Sys) => Sys;
  /** False: TCP sockets keep no peek offset, as in Linux before 6.9. */
  readonly peekOffset?: boolean;
  readonly arenaBytes?: number;
}

/** What the host's resolver says: a reply, null for a failure, undefined for nothing yet. */
export type Resolver = (query: Uint8Array) => Uint8Array | null | undefined;

export class EngineBench {
  readonly config: EngineConfig;
  readonly kernel: FakeKernel;
  readonly sys: Sys;
  readonly engine: NetworkEngine;
  /** Programs of the host. */
  readonly client: Client;
  /** Every message but answers, in order. */
  readonly messages: FromEngine[] = [];
  /** While true, leases are not stored. */
  holdsLeases = false;
  resolver: Resolver = () => null;
  #stored = 0;
  readonly #inbox: FromEngine[] = [];
  readonly #answers = new Map<number, Extract<FromEngine, { type: 'done' }>>();
  #nextId = 1;
  #random = 0x1234_5678;
  #guests = 0;

  constructor(options: BenchOptions = {}) {
    const { config = {}, kernel = {}, sys = (own) => own, peekOffset = true, arenaBytes = ARENA_BYTES } = options;
    this.config = { ...CONFIG, ...config };
    this.kernel = new FakeKernel(kernel);
    this.client = new Client(this.kernel);
    const own = new FakeSys(this.kernel, arenaBytes);
    this.sys = sys(peekOffset ? own : withoutPeekOffset(own, this.kernel));
    this.engine = new NetworkEngine(
      this.sys,
      this.config,
      (message) => void this.#inbox.push(message),
      () => this.#next(),
    );
    this.turn();
  }

  // ---- time

  /** One turn of the loop without waiting, and what the control plane does then. */
  turn(maxWaitMs = 0): void {
    this.engine.turn(maxWaitMs);
    this.#control();
  }

  /** Lets virtual time pass. */
  passes(ms: number): void {
    const until = this.kernel.now + ms;
    this.turn();
    while (this.kernel.now < until) this.turn(until - this.kernel.now);
    for (let i = 0; i < 4; i++) this.turn(); // what the last moment led to
  }

  /** Lets time pass until it holds. */
  until(holds: () => boolean, patienceMs = 60_000): void {
    for (const end = this.kernel.now + patienceMs; !holds() && this.kernel.now < end;) this.turn(10);
    assert.ok(holds(), 'it did not happen');
  }

  // ---- the control plane

  /** Sends a request and gives its result; throws its error. */
  request(request: EngineRequest): unknown {
    const id = this.post(request);
    for (let i = 0; i < 3 && !this.#answers.has(id); i++) this.turn();
    return this.answer(id);
  }

  /** Sends a request without looking for its answer. */
  post(request: EngineRequest): number {
    const id = this.#nextId++;
    this.engine.handle({ ...request, id });
    this.#control();
    return id;
  }

  hasAnswered(id: number): boolean {
    return this.#answers.has(id);
  }

  answer(id: number): unknown {
    const answer = this.#answers.get(id);
    assert.ok(answer !== undefined, `request ${id} was not answered`);
    if (answer.error !== null) throw fromErrorData(answer.error);
    return answer.result;
  }

  snapshot(): EngineSnapshot {
    return this.request({ type: 'snapshot' }) as EngineSnapshot;
  }

  /** What is known of a guest's first NIC. */
  guestOf(name: string): GuestSnapshot | undefined {
    return this.snapshot().guests.find(({ guest }) => guest === name);
  }

  counter(name: string): number {
    return this.engine.counters.get(name);
  }

  /** Events since the last call. */
  events(): EngineEvent[] {
    const found = this.messages.flatMap((message) => (message.type === 'event' ? [message.event] : []));
    this.messages.splice(0, this.messages.length, ...this.messages.filter(({ type }) => type !== 'event'));
    return found;
  }

  setNic(key: string, mac: string | null = null, connected = true): void {
    this.request({ type: 'set-nic', nic: { key, guest: key.split('/')[0]!, mac, connected } });
  }

  /** What a store has that took in all that was posted. */
  storedLeases(): unknown[] {
    const stored = new Map<string, unknown>();
    for (const message of this.messages) {
      if (message.type !== 'leases') continue;
      if (message.isWhole) stored.clear();
      for (const [place, lease] of message.changes) {
        if (lease === null) stored.delete(place);
        else stored.set(place, lease);
      }
    }
    return [...stored.values()];
  }

  /** Leases that wait are stored. */
  storesLeases(): void {
    this.holdsLeases = false;
    this.engine.handle({ type: 'leases-durable', generation: this.#stored });
    this.turn();
  }

  // ---- guests

  /** A guest `NAME` with a registered NIC, `NAME/0` by default, up and known by its addresses. */
  guest(name: string, { nic = `${name}/0`, ...options }: GuestOptions & { readonly nic?: string } = {}): BenchGuest {
    const guest = new BenchGuest(this, ++this.#guests, nic, options);
    this.setNic(guest.nic!, guest.mac);
    guest.plug();
    guest.announces();
    return guest;
  }

  /** A guest on a shared socket: nobody registered it. */
  stranger(options: GuestOptions = {}): BenchGuest {
    const guest = new BenchGuest(this, ++this.#guests, null, options);
    guest.plug();
    return guest;
  }

  /** Descriptors that are open beside the loop’s own and timers, as lines. */
  openFds(): string[] {
    return this.kernel.openFds().filter((line) => !/epoll|eventfd/.test(line));
  }

  #control(): void {
    for (let batch = this.#inbox.splice(0); batch.length > 0; batch = this.#inbox.splice(0)) {
      for (const message of batch) this.#onMessage(message);
    }
  }

  #onMessage(message: FromEngine): void {
    if (message.type === 'done') {
      assert.ok(!this.#answers.has(message.id), 'one answer for a request');
      this.#answers.set(message.id, message);
      return;
    }
    this.messages.push(message);
    if (message.type === 'leases') {
      this.#stored = message.generation;
      if (!this.holdsLeases) this.engine.handle({ type: 'leases-durable', generation: message.generation });
    } else if (message.type === 'dns-query') {
      const reply = this.resolver(message.query);
      if (reply !== undefined) this.engine.handle({ type: 'dns-reply', queryId: message.queryId, reply });
    }
  }

  /** The same numbers in every run (xorshift32). */
  #next(): number {
    let s = this.#random;
    s ^= s << 13;
    s ^= s >>> 17;
    s ^= s << 5;
    this.#random = s;
    return s;
  }
}

/** A syscall table with some calls replaced. */
export function withCalls(sys: Sys, calls: Partial<Sys>): Sys {
  return new Proxy(sys, {
    get: (target, name) => {
      const own: unknown = Reflect.get(calls, name) ?? Reflect.get(target, name, target);
      return typeof own === 'function' ? (own.bind(target) as unknown) : own;
    },
  });
}

function withoutPeekOffset(sys: Sys, kernel: FakeKernel): Sys {
  return withCalls(sys, {
    setsockopt: (fd, level, name, value) => {
      const isAsked = level === C.SOL_SOCKET && name === C.SO_PEEK_OFF && kernel.file(fd) instanceof TcpSocket;
      return isAsked ? -C.ENOTSUP : sys.setsockopt(fd, level, name, value);
    },
  });
}
