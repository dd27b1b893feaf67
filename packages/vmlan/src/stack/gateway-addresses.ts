/**
 * The gateway's addresses, and what an address means from where it stands: its own, a neighbor's, a group's, or one that
 * leads nowhere.
 *
 * Zone: packet.  Addresses are mapped words (path.ts).
 */
import * as address from '../wire/address.ts';
import type { Packet } from './packet.ts';
import { MAPPED } from './path.ts';

const ALL_DHCP_AGENTS = 0x0001_0002; // last word of ff02::1:2 (RFC 8415 §7.1)

export interface GatewayConfig {
  /** uint32; mask 0: the segment has no IPv4 of its own. */
  readonly address4: number;
  readonly network4: number;
  readonly mask4: number;
  /** Second address that only DNS uses (mode user), or 0. */
  readonly dns4: number;
  /** Words of the gateway's ULA, or null without IPv6. */
  readonly address6: Uint32Array | null;
  readonly linkLocal: Uint32Array;
  /** Only ARP and DHCP: an isolated segment has addresses but nobody to talk to. */
  readonly addressesOnly: boolean;
}

export class GatewayAddresses {
  readonly config: GatewayConfig;

  constructor(config: GatewayConfig) {
    this.config = config;
  }

  /** One of the gateway's own. */
  owns(w0: number, w1: number, w2: number, w3: number): boolean {
    const { address4, dns4, address6, linkLocal } = this.config;
    if ((w0 | w1) === 0 && w2 === MAPPED) {
      const ip = w3 >>> 0;
      return ip !== 0 && (ip === address4 || ip === dns4);
    }
    return (address6 !== null && equals(address6, w0, w1, w2, w3)) || equals(linkLocal, w0, w1, w2, w3);
  }

  /** An address of the segment that is not the gateway's. */
  isNeighbor4(ip: number): boolean {
    const { network4, mask4, address4 } = this.config;
    return (ip & mask4) >>> 0 === network4 && ip !== address4;
  }

  /** A source that a packet of this segment may have: unspecified (for ND), link-local, or of our /64. */
  sourceFits6(p: Packet, mayBeUnspecified: boolean): boolean {
    const { address6 } = this.config;
    if (address6 === null) return false;
    if (p.guest0 === (address6[0]! | 0) && p.guest1 === (address6[1]! | 0)) return true;
    if ((p.guest0 | p.guest1 | p.guest2 | p.guest3) === 0) return mayBeUnspecified;
    return address.isLinkLocal6(p.guest0 >>> 0, p.guest1 >>> 0, p.guest2 >>> 0, p.guest3 >>> 0);
  }

  /** Broadcast or multicast destination. */
  isGroup(p: Packet): boolean {
    if (p.family === 6) return p.remote0 >>> 24 === 0xff;
    const dst = p.remote3 >>> 0;
    const { network4, mask4 } = this.config;
    return dst === 0xffff_ffff || dst >>> 28 === 0xe || (mask4 !== 0 && dst === (network4 | ~mask4) >>> 0);
  }

  /** Groups whose traffic the gateway takes: broadcast; all nodes, all routers, DHCP agents, our solicited nodes. */
  isOurGroup(p: Packet): boolean {
    if (p.family === 4) return p.remote3 >>> 28 !== 0xe;
    const { remote0, remote1, remote2, remote3 } = p;
    if (remote0 === (0xff02_0000 | 0) && remote1 === 0) {
      if (remote2 === 0) return remote3 === 1 || remote3 === 2 || remote3 === ALL_DHCP_AGENTS;
      if (remote2 === 1) return remote3 >>> 24 === 0xff;
    }
    return false;
  }

  /** Destinations that lie on this segment or nowhere: never forwarded (RFC 1812 §5.3.7). */
  isMartian(p: Packet): boolean {
    if (p.family === 6) return this.#isMartian6(p);
    const dst = p.remote3 >>> 0;
    if (dst >>> 24 === 0 || dst >>> 24 === 127 || dst >>> 28 === 0xf) return true;
    return this.config.mask4 !== 0 && (dst & this.config.mask4) >>> 0 === this.config.network4;
  }

  #isMartian6(p: Packet): boolean {
    const w0 = p.remote0 >>> 0;
    const w1 = p.remote1 >>> 0;
    const { address6 } = this.config;
    if (address6 !== null && w0 === address6[0] && w1 === address6[1]) return true; // a neighbor: the switch carries it
    if ((w0 | w1) === 0) return true; // ::, ::1, IPv4-mapped and -compatible
    return address.isLinkLocal6(w0, w1, p.remote2 >>> 0, p.remote3 >>> 0);
  }
}

const equals = (a: Uint32Array, w0: number, w1: number, w2: number, w3: number): boolean =>
  a[3] === w3 >>> 0 && a[2] === w2 >>> 0 && a[1] === w1 >>> 0 && a[0] === w0 >>> 0;
