/**
 * A guest that is made of JavaScript: what a program inside a virtual machine would do, done by a test.
 *
 * Zone: control.
 */
import { randomInt } from 'node:crypto';
import { AsyncQueue } from '../core/async-queue.ts';
import type { Clock } from '../guest/clock.ts';
import type { DnsAnswer } from '../guest/dns-client.ts';
import type { HttpHandler, HttpServer } from '../guest/http/server.ts';
import { Stack } from '../guest/stack.ts';
import type { Resolver, StaticAddress } from '../guest/stack.ts';
import type { TcpSocket } from '../guest/tcp/socket.ts';
import type { ConnectOptions, TcpListener } from '../guest/tcp/tcp.ts';
import type { UdpSocket } from '../guest/udp.ts';
import { VmlanError } from '../core/errors.ts';
import { parseMac } from '../wire/address.ts';
import type { FrameLink } from './frame-link.ts';
import type { GuestNic, NicOptions } from './guest-names.ts';
import { checkKeys } from './option-keys.ts';

/** Frames that wait for a reader of `frames()` that is slow; older ones then give way. */
export const MAX_WAITING_FRAMES = 4096;
/** A router answers within half a second (RFC 4861 §6.2.6); a network without one is no mistake. */
const ROUTER_PATIENCE_MS = 1500;
const RANDOM_RANGE = 2 ** 32;

export interface GuestOptions extends NicOptions {
  /**
   * How its stack gets addresses: `dhcp` (default; IPv6 by router advertisements), one or more that are set by hand (names
   * are asked of the network's server then, too), or `none`: no stack at all, for a test that sends and receives frames
   * itself.
   */
  readonly configure?: 'dhcp' | 'none' | StaticAddress | readonly StaticAddress[];
}

/** TCP of a guest. */
export interface GuestTcp {
  /** To a name or an address.  Rejects with ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, ENOTFOUND, ETIMEDOUT. */
  connect(host: string, port: number, options?: ConnectOptions): Promise<TcpSocket>;
  /** Port 0: a free one.  With `handler`, each connection is handed to it, and closed when it is done.  Throws EADDRINUSE. */
  listen(port: number, handler?: (socket: TcpSocket) => Promise<void> | void): TcpListener;
}

/** UDP of a guest. */
export interface GuestUdp {
  /** Without a port: a free one.  Throws EADDRINUSE. */
  bind(port?: number): UdpSocket;
}

/** DNS of a guest, asked at the servers that it was given. */
export interface GuestDns {
  /**
   * The values of a name's records, CNAMEs followed; `type` is A when nothing is said.  Rejects with ENOTFOUND, ENODATA,
   * ESERVFAIL, ETIMEDOUT.
   */
  resolve(name: string, type?: string): Promise<readonly string[]>;
  /** One question and the whole answer. */
  query(name: string, type?: string): Promise<DnsAnswer>;
}

/** What a guest needs of its network. */
export interface GuestContext {
  readonly nic: GuestNic;
  readonly link: FrameLink;
  readonly hasDhcp: boolean;
  readonly hasRouter: boolean;
  /** For a stack that no DHCP tells. */
  readonly resolver: Resolver;
  readonly setConnected: (connected: boolean) => Promise<void>;
  readonly remove: () => Promise<void>;
}

/**
 * A guest of a network, as `Network.addGuest` makes it.  It has a small, complete stack of its own: it is reached like any
 * other machine of the network, and reaches what a machine would.
 *
 *     const web = await net.addGuest('web');
 *     web.serve(80, () => new Response('hello'));
 */
export class Guest implements AsyncDisposable {
  /** Its name, which DNS knows it by. */
  readonly name: string;
  /** Its MAC address. */
  readonly mac: string;
  /** TCP: connect and listen. */
  readonly tcp: GuestTcp;
  /** UDP sockets. */
  readonly udp: GuestUdp;
  /** DNS, asked at the network's server. */
  readonly dns: GuestDns;
  readonly #context: GuestContext;
  readonly #stack: Stack;
  readonly #readers = new Set<AsyncQueue<Uint8Array>>();
  #hasStack = false;

  /** @internal */
  constructor(context: GuestContext) {
    this.#context = context;
    this.name = context.nic.guest;
    this.mac = context.nic.mac;
    this.#stack = new Stack({
      hostname: this.name,
      mac: parseMac(this.mac)!,
      clock: systemClock,
      random: () => randomInt(RANDOM_RANGE) | 0,
      transmit: (frame) => void context.link.send(frame),
    });
    const stack = this.#stack;
    this.tcp = {
      connect: (host, port, options) => stack.tcp.connect(host, port, options),
      listen: (port, handler) => stack.tcp.listen(port, handler),
    };
    this.udp = { bind: (port) => stack.udp.bind(port) };
    this.dns = {
      resolve: (name, type) => stack.dns.resolve(name, type),
      query: (name, type) => stack.dns.query(name, type),
    };
  }

  /** Its IPv4 address; null when it has none. */
  get address(): string | null {
    return this.#stack.address4;
  }

  /** Its IPv6 addresses, the link-local one last. */
  get addresses6(): readonly string[] {
    return this.#stack.addresses6;
  }

  /** An HTTP request over the guest's own TCP.  `http:` only; what is thrown is what `tcp.connect` throws. */
  fetch(input: string | URL | Request, init?: RequestInit): Promise<Response> {
    return this.#stack.fetch(input, init);
  }

  /** An HTTP server in the guest.  Port 0: a free one. */
  serve(port: number, handler: HttpHandler): HttpServer {
    return this.#stack.serve(port, handler);
  }

  /** The round trip to a name or an address, ms.  Rejects with ETIMEDOUT, EHOSTUNREACH. */
  ping(host: string, options: { readonly timeoutMs?: number } = {}): Promise<number> {
    return this.#stack.ping(host, options.timeoutMs);
  }

  /**
   * Sends an Ethernet frame, without FCS, as it is; it is copied.  False when the link has no room for it or is gone: the
   * frame is lost, as on a wire.  Throws RangeError beyond 65 550 bytes.
   */
  send(frame: Uint8Array): boolean {
    return this.#context.link.send(frame);
  }

  /** Every frame that reaches the guest from now on.  A reader that falls behind loses the oldest. */
  frames(): AsyncIterableIterator<Uint8Array, undefined> {
    const queue = new AsyncQueue<Uint8Array>({
      limit: MAX_WAITING_FRAMES,
      onEnd: () => this.#readers.delete(queue),
    });
    this.#readers.add(queue);
    return queue;
  }

  /** Pulls the plug: nothing goes in or out until `connect`. */
  disconnect(): Promise<void> {
    return this.#context.setConnected(false);
  }

  /** Puts the plug back in. */
  connect(): Promise<void> {
    return this.#context.setConnected(true);
  }

  /** Takes the guest off the network; what it has open breaks with ENETDOWN, and so does what it begins. */
  remove(): Promise<void> {
    return this.#context.remove();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.remove();
  }

  /** @internal Its link is up. */
  async start({ configure = this.#context.hasDhcp ? 'dhcp' : [] }: GuestOptions): Promise<void> {
    if (configure === 'none') return;
    this.#hasStack = true;
    if (configure === 'dhcp') {
      const { hasDhcp, hasRouter } = this.#context;
      await Promise.all([
        hasDhcp ? this.#stack.acquire() : null,
        hasRouter ? this.#stack.autoconfigure(ROUTER_PATIENCE_MS) : null,
      ]);
    } else {
      this.#stack.resolver = this.#context.resolver;
      for (const address of [configure].flat()) this.#stack.configure(checkAddress(this.name, address));
    }
  }

  /** @internal It leaves. */
  stop(): void {
    this.#stack.close();
  }

  /** @internal A frame has come. */
  onFrame(frame: Uint8Array): void {
    for (const reader of this.#readers) reader.push(frame);
    if (this.#hasStack) this.#stack.onFrame(frame);
  }

  /** @internal The frames that came together were all given. */
  onPause(): void {
    if (this.#hasStack) this.#stack.flush();
  }

  /** @internal The link is gone. */
  onClose(): void {
    for (const reader of [...this.#readers]) reader.end();
    this.#stack.close();
  }
}

function checkAddress(name: string, value: unknown): StaticAddress {
  const address = value as Partial<StaticAddress> | null;
  if (typeof address?.address !== 'string') {
    throw new VmlanError('invalid', `guest "${name}": configure: ${JSON.stringify(value)} is no address`, {
      hint: "write 'dhcp', 'none', or { address: '10.1.0.5/24', gateway: '10.1.0.1' }",
    });
  }
  checkKeys(`guest "${name}": configure`, address, ['address', 'gateway']);
  return address as StaticAddress;
}

const systemClock: Clock = {
  now: () => performance.now(),
  after: (ms, run) => {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};
