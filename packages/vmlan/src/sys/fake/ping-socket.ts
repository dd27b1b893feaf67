/**
 * An unprivileged ICMP socket of the fake kernel (man 7 icmp, net.ipv4.ping_group_range).
 *
 * Zone: control.  The kernel owns the identifier: it is the socket's local port, written into each request and
 * restored for no one, as in Linux.
 */
import * as c from '../constants.ts';
import { formatEndpoint, type SocketName } from './address.ts';
import { DatagramSocket } from './datagram-socket.ts';
import type { InetSocket } from './inet-socket.ts';
import type { Network } from './network.ts';
import type { PortTable } from './port-table.ts';

const HEADER = 8; // bytes: type, code, checksum, identifier, sequence
const IDENTIFIER_AT = 4;
const ECHO_V4 = 8;
const ECHO_V6 = 128; // RFC 4443 §4.1

export class PingSocket extends DatagramSocket {
  constructor(network: Network, domain: number) {
    super(network, domain, c.SOCK_DGRAM);
    this.setOption(c.SOL_SOCKET, c.SO_REUSEADDR, 1); // Linux lets these share an identifier from the start
  }

  protected ports(): PortTable<InetSocket> {
    return this.domain === c.AF_INET ? this.network.pingIds : this.network.pingIds6;
  }

  transmit(memory: Uint8Array, off: number, len: number, _flags: number, name: SocketName | undefined): number {
    if (len < HEADER) return -c.EINVAL;
    if (len > 0xffff) return -c.EMSGSIZE;
    const echo = this.domain === c.AF_INET ? ECHO_V4 : ECHO_V6;
    if (memory[off] !== echo || memory[off + 1] !== 0) return -c.EINVAL;
    const to = this.target(name);
    if (typeof to === 'number') return to;
    const message = memory.slice(off, off + len);
    new DataView(message.buffer).setUint16(IDENTIFIER_AT, this.localPort);
    this.network.sendPing(this, { ip: to.ip, port: 0 }, message, this.hopLimit);
    return len;
  }

  describe(): string {
    return `ping ${formatEndpoint({ ip: this.localIp, port: this.localPort })}`;
  }
}
