/**
 * What TCP, UDP and ping sockets of the fake kernel share: local and remote address, bind, the choice of a source.
 *
 * Zone: control.
 */
import * as c from '../constants.ts';
import { ANY_V4, ANY_V6, type Endpoint, type Ip, isAny, LOOPBACK_V4, LOOPBACK_V6, type SocketName } from './address.ts';
import type { Network } from './network.ts';
import type { PortTable, PortUser } from './port-table.ts';
import { Socket } from './socket.ts';

export abstract class InetSocket extends Socket implements PortUser {
  localIp: Ip;
  /** 0: not bound. */
  localPort = 0;
  remote: Endpoint | undefined;
  /** The port was asked for, not picked by the kernel. */
  protected hasChosenPort = false;
  /** The address of `bind`; connecting may choose another. */
  #boundIp: Ip;
  readonly network: Network;
  abstract readonly sharesPort: boolean;

  constructor(network: Network, domain: number, type: number) {
    super(domain, type);
    this.network = network;
    this.localIp = domain === c.AF_INET ? ANY_V4 : ANY_V6;
    this.#boundIp = this.localIp;
  }

  /** The table of this protocol's ports, filled with sockets like this one. */
  protected abstract ports(): PortTable<InetSocket>;
  /** The socket has a local address and port now. */
  protected onBound(): void {}

  bind(name: SocketName): number {
    if (name.kind === 'short') return -c.EINVAL;
    if (name.kind !== 'inet') return -c.EAFNOSUPPORT;
    if (name.family !== this.domain) return this.domain === c.AF_INET ? -c.EAFNOSUPPORT : -c.EINVAL;
    if (this.localPort !== 0) return -c.EINVAL;
    if (!isAny(name.ip) && !this.network.isLocal(name.ip)) return -c.EADDRNOTAVAIL;
    if (name.port !== 0 && name.port < this.network.unprivilegedPortStart) return -c.EACCES;
    const claimed = this.claim(name.ip, name.port);
    if (claimed === 0) this.#boundIp = name.ip;
    return claimed;
  }

  /** Takes back what connecting chose: the source address, and a port that nobody asked for (Linux __udp_disconnect). */
  protected forgetRemote(): void {
    this.remote = undefined;
    this.localIp = this.#boundIp;
    if (this.hasChosenPort || this.localPort === 0) return;
    this.ports().remove(this);
    this.localPort = 0;
  }

  protected claim(ip: Ip, wanted: number): number {
    this.hasChosenPort = wanted !== 0;
    const port = this.ports().choose(this, ip, wanted);
    if (port < 0) return port;
    this.localIp = ip;
    this.localPort = port;
    this.ports().add(this);
    this.onBound();
    return 0;
  }

  /** Gives the socket a port, and a source address for `to`; 0 or -errno. */
  protected prepareFor(to: Ip): number {
    const source = isAny(this.localIp) ? this.network.sourceFor(to) : this.localIp;
    if (source === undefined) return -c.ENETUNREACH;
    if (this.localPort === 0) {
      const result = this.claim(source, 0);
      if (result < 0) return result === -c.EADDRINUSE ? -c.EADDRNOTAVAIL : result;
    }
    this.localIp = source;
    return 0;
  }

  /** The remote end that `name` means, or -errno. Connecting to "any" reaches the host itself. */
  protected destination(name: SocketName): Endpoint | number {
    if (name.kind === 'short') return -c.EINVAL;
    if (name.kind !== 'inet' || (name.family !== this.domain && this.domain === c.AF_INET)) return -c.EAFNOSUPPORT;
    if (name.family === c.AF_INET6 && name.ip.family === c.AF_INET && this.v6Only) return -c.ENETUNREACH;
    if (!isAny(name.ip)) return { ip: name.ip, port: name.port };
    return { ip: name.ip.family === c.AF_INET ? LOOPBACK_V4 : LOOPBACK_V6, port: name.port };
  }

  localName(): SocketName {
    return { kind: 'inet', family: this.domain, ip: this.localIp, port: this.localPort };
  }

  peerName(): SocketName | undefined {
    if (this.remote === undefined || this.remote.port === 0) return undefined;
    return { kind: 'inet', family: this.domain, ...this.remote };
  }
}
