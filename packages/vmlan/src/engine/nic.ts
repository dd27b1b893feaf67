/**
 * A network card of a guest: who it belongs to, where it is now, which addresses it has.
 *
 * Zone: flow.
 */
import { TokenBucket } from '../core/token-bucket.ts';
import { MAPPED } from '../stack/path.ts';
import type { Port } from '../switching/port.ts';
import type { SegmentHost } from './segment-host.ts';

/** Addresses remembered of one NIC. */
export const MAX_ADDRESSES = 16;
/** How many new ones are noticed in the long run. */
const ADDRESSES_PER_SECOND = 1;

export class Nic {
  readonly key: string;
  guest: string;
  registered: boolean;
  mac: { hi: number; lo: number } | null;
  connected = true;
  port: Port | null = null;
  host: SegmentHost | null = null;
  hostname: string | null = null;
  lease4: number | null = null;
  /** Seen by ARP and ND, by text; IPv4 and IPv6. */
  readonly addresses: Map<string, Int32Array> = new Map();
  readonly newAddresses: TokenBucket = new TokenBucket(ADDRESSES_PER_SECOND, MAX_ADDRESSES);
  /** Keys of other stations behind the same port. */
  readonly stations: Set<string> = new Set();

  constructor(key: string, guest: string, registered: boolean) {
    this.key = key;
    this.guest = guest;
    this.registered = registered;
    this.mac = null;
  }
}

/** What a guest is called that nobody registered, and that has not said its name. */
export const nameByMac = (key: string): string => `guest-${key.replace(/^mac:/, '').replaceAll(':', '')}`;

export const isIpv4 = (w: Int32Array): boolean => (w[0]! | w[1]!) === 0 && w[2] === MAPPED;
export const isLinkLocal = (w: Int32Array): boolean => w[0]! >>> 22 === 0x3fa;
