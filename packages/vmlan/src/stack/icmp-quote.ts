/**
 * The quote of an ICMP error about something a guest sent a while ago: its packet is gone, but header and first eight
 * transport bytes are all that a guest looks at (RFC 792, RFC 4443 §3.1), and those can be written again.
 *
 * Zone: flow.  The quote goes to `Icmp.quoteOffset`; returned is its length.
 */
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import type { Icmp } from './icmp.ts';
import type { IpOutput } from './ip-output.ts';
import type { Path } from './path.ts';

const TRANSPORT_LEN = 8;
const HOP_LIMIT = 64;

/** `first` and `second` are the first eight bytes of the transport header, as two 32-bit words. */
export function quote(
  output: IpOutput,
  icmp: Icmp,
  path: Path,
  protocol: number,
  first: number,
  second: number,
): number {
  const v = output.view;
  const o = icmp.quoteOffset(path.family);
  const { guest0, guest1, guest2, guest3, remote0, remote1, remote2, remote3 } = path;
  if (path.family === 4) {
    const total = ipv4.MIN_HEADER_LEN + TRANSPORT_LEN;
    ipv4.emit(v, o, total, 0, ipv4.FLAG_DF, HOP_LIMIT, protocol, guest3 >>> 0, remote3 >>> 0);
    v.setInt32(o + ipv4.MIN_HEADER_LEN, first);
    v.setInt32(o + ipv4.MIN_HEADER_LEN + 4, second);
    return total;
  }
  ipv6.emit(
    v,
    o,
    TRANSPORT_LEN,
    protocol,
    HOP_LIMIT,
    guest0 >>> 0,
    guest1 >>> 0,
    guest2 >>> 0,
    guest3 >>> 0,
    remote0 >>> 0,
    remote1 >>> 0,
    remote2 >>> 0,
    remote3 >>> 0,
  );
  v.setInt32(o + ipv6.HEADER_LEN, first);
  v.setInt32(o + ipv6.HEADER_LEN + 4, second);
  return ipv6.HEADER_LEN + TRANSPORT_LEN;
}
