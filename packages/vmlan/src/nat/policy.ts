/**
 * What a guest may reach through the gateway, and where on the host that is.
 *
 * Zone: flow.  Asked once per conversation.  Addresses are mapped words (path.ts in stack); the answer is a verdict and,
 * for those that go somewhere, `$target`.  Order: the gateway's own address (services, reverse forwards, host access), then
 * destinations that are closed, then the host's own other addresses, then the world.
 */

/** Go to the target's address. */
export const PASS = 0;
/** Go to the target, an address of the host itself that was named on purpose (loopback, reverse forward). */
export const PASS_LOCAL = 1;
/** The gateway's DNS over TCP. */
export const SERVICE_DNS = 2;
/** Nobody listens there: RST, port unreachable. */
export const REFUSED = 3;
/** Closed by policy: ICMP administratively prohibited. */
export const PROHIBITED = 4;

const MAPPED = 0xffff;
const DNS_PORT = 53;
const LOOPBACK_4 = 0x7f00_0001;

/** A reverse forward: a port of the gateway that leads to the host. */
export interface ReverseTarget {
  readonly protocol: 'tcp' | 'udp';
  readonly gatewayPort: number;
  /** Mapped words and port, or a unix path. */
  readonly words: Int32Array | null;
  readonly port: number;
  readonly path: string | null;
}

export interface Cidr {
  /** Mapped words of the network and its prefix length in 128 bits. */
  readonly words: Int32Array;
  readonly prefix: number;
}

export interface PolicyConfig {
  readonly gateway4: number; // uint32, 0 for none
  readonly dns4: number;
  readonly gateway6: Uint32Array | null;
  readonly gatewayLinkLocal: Uint32Array;
  readonly outward: boolean;
  readonly hostAccess: 'all' | 'none' | ReadonlySet<number>;
  readonly closed: readonly Cidr[];
}

/**
 * Where the last PASS or PASS_LOCAL leads; overwritten by the next question.  `eitherLoopback`: the host's loopback is
 * meant, of whichever family somebody listens on.
 */
export const $target: {
  w0: number;
  w1: number;
  w2: number;
  w3: number;
  port: number;
  path: string | null;
  eitherLoopback: boolean;
} = {
  w0: 0,
  w1: 0,
  w2: 0,
  w3: 0,
  port: 0,
  path: null,
  eitherLoopback: false,
};

export class OutboundPolicy {
  readonly #config: PolicyConfig;
  /** Whether an address (mapped words) is one of the host's own; asked only when host access is limited. */
  readonly #isHostAddress: (w0: number, w1: number, w2: number, w3: number) => boolean;
  #reverse: ReverseTarget[] = [];
  #closed: readonly Cidr[];

  constructor(config: PolicyConfig, isHostAddress: (w0: number, w1: number, w2: number, w3: number) => boolean) {
    this.#config = config;
    this.#closed = config.closed;
    this.#isHostAddress = isHostAddress;
  }

  /** Other destinations than those of `PolicyConfig.closed` are closed from now on. */
  setClosed(closed: readonly Cidr[]): void {
    this.#closed = closed;
  }

  setReverse(targets: readonly ReverseTarget[]): void {
    this.#reverse = [...targets];
  }

  decide(protocol: 'tcp' | 'udp' | 'echo', w0: number, w1: number, w2: number, w3: number, port: number): number {
    if (this.#isGateway(w0, w1, w2, w3)) return this.#toGateway(protocol, w2, w3, port);
    if (!this.#config.outward) return PROHIBITED;
    for (const cidr of this.#closed) if (contains(cidr, w0, w1, w2, w3)) return PROHIBITED;
    if (this.#config.hostAccess !== 'all' && !this.#mayAccess(port) && this.#isHostAddress(w0, w1, w2, w3)) {
      return PROHIBITED;
    }
    setTarget(w0, w1, w2, w3, port);
    return PASS;
  }

  #isGateway(w0: number, w1: number, w2: number, w3: number): boolean {
    const { gateway4, dns4, gateway6, gatewayLinkLocal } = this.#config;
    if ((w0 | w1) === 0 && w2 === MAPPED) return w3 >>> 0 === gateway4 || (dns4 !== 0 && w3 >>> 0 === dns4);
    return (gateway6 !== null && same(gateway6, w0, w1, w2, w3)) || same(gatewayLinkLocal, w0, w1, w2, w3);
  }

  #toGateway(protocol: 'tcp' | 'udp' | 'echo', w2: number, w3: number, port: number): number {
    if (protocol === 'tcp' && port === DNS_PORT) return SERVICE_DNS;
    const isV4 = w2 === MAPPED;
    // The second address of mode `user` answers DNS and nothing else.
    if (isV4 && w3 >>> 0 !== this.#config.gateway4) return REFUSED;
    for (const target of this.#reverse) {
      if (target.protocol !== protocol || target.gatewayPort !== port) continue;
      const { words } = target;
      if (words === null) setTarget(0, 0, 0, 0, 0);
      else setTarget(words[0]!, words[1]!, words[2]!, words[3]!, target.port);
      $target.path = target.path;
      return PASS_LOCAL;
    }
    if (!this.#mayAccess(port)) return REFUSED;
    if (isV4) setTarget(0, 0, MAPPED, LOOPBACK_4, port);
    else setTarget(0, 0, 0, 1, port);
    $target.eitherLoopback = true;
    return PASS_LOCAL;
  }

  #mayAccess(port: number): boolean {
    const { hostAccess } = this.#config;
    return hostAccess === 'all' || (hostAccess !== 'none' && hostAccess.has(port));
  }
}

function setTarget(w0: number, w1: number, w2: number, w3: number, port: number): void {
  $target.w0 = w0;
  $target.w1 = w1;
  $target.w2 = w2;
  $target.w3 = w3;
  $target.port = port;
  $target.path = null;
  $target.eitherLoopback = false;
}

const same = (a: Uint32Array, w0: number, w1: number, w2: number, w3: number): boolean =>
  a[3] === w3 >>> 0 && a[2] === w2 >>> 0 && a[1] === w1 >>> 0 && a[0] === w0 >>> 0;

/** Whether the mapped words lie in the network. */
export function contains(cidr: Cidr, w0: number, w1: number, w2: number, w3: number): boolean {
  let bits = cidr.prefix;
  const words = [w0, w1, w2, w3];
  for (let i = 0; i < 4 && bits > 0; i++, bits -= 32) {
    const mask = bits >= 32 ? -1 : ~(0xffff_ffff >>> bits);
    if (((words[i]! ^ cidr.words[i]!) & mask) !== 0) return false;
  }
  return true;
}
