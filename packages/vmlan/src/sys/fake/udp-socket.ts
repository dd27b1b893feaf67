/**
 * A UDP socket of the fake kernel (man 7 udp), with UDP_SEGMENT.
 *
 * Zone: control.
 */
import * as c from '../constants.ts';
import { formatEndpoint, type SocketName } from './address.ts';
import { DatagramSocket } from './datagram-socket.ts';
import type { InetSocket } from './inet-socket.ts';
import type { Network } from './network.ts';
import type { PortTable } from './port-table.ts';

const PAYLOAD_MAX_V4 = 65_507; // bytes: 65 535 less IPv4 and UDP headers
const PAYLOAD_MAX_V6 = 65_527; // bytes: 65 535 less the UDP header
const HEADERS_V4 = 28; // bytes, IPv4 and UDP
const HEADERS_V6 = 48; // bytes, IPv6 and UDP
const SEGMENTS_MAX = 128; // UDP_MAX_SEGMENTS
const BROADCAST = '255.255.255.255';

export class UdpSocket extends DatagramSocket {
  constructor(network: Network, domain: number) {
    super(network, domain, c.SOCK_DGRAM);
  }

  protected ports(): PortTable<InetSocket> {
    return this.network.udpPorts;
  }

  transmit(memory: Uint8Array, off: number, len: number, _flags: number, name: SocketName | undefined): number {
    return this.transmitSegments(memory, off, len, this.option(c.SOL_UDP, c.UDP_SEGMENT), name);
  }

  /** `size` above 0: datagrams of that many bytes. */
  transmitSegments(memory: Uint8Array, off: number, len: number, size: number, name: SocketName | undefined): number {
    if (len > 0xffff) return -c.EMSGSIZE;
    const to = this.target(name);
    if (typeof to === 'number') return to;
    if (to.port === 0) return -c.EINVAL;
    if (to.ip.text === BROADCAST && this.option(c.SOL_SOCKET, c.SO_BROADCAST) === 0) return -c.EACCES;
    const segment = size || len;
    const pieces = len > segment ? Math.ceil(len / segment) : 1;
    if (pieces > SEGMENTS_MAX) return -c.EINVAL;
    const from = this.sourceEndpoint(to);
    const mtu = this.network.knownMtu(to.ip);
    const [max, headers] = to.ip.family === c.AF_INET ? [PAYLOAD_MAX_V4, HEADERS_V4] : [PAYLOAD_MAX_V6, HEADERS_V6];
    if (segment > max || (this.dontFragment && segment + headers > mtu)) {
      return this.refuseTooBig(mtu, to);
    }
    for (let at = 0; at < len || at === 0; at += segment || 1) {
      const payload = memory.slice(off + at, off + Math.min(at + segment, len));
      this.network.sendUdp(this, from, to, payload, this.hopLimit);
    }
    return len;
  }

  describe(): string {
    return `udp ${formatEndpoint({ ip: this.localIp, port: this.localPort })} -> ${formatEndpoint(this.remote)}`;
  }
}
