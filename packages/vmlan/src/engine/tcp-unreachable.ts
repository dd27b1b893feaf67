/**
 * A guest's SYN that found no way on the host: the ICMP error that a router at the gateway's place would send
 * (RFC 1812 §5.2.7.1, RFC 4443 §3.1), about the SYN, which is long gone.
 *
 * Zone: flow.
 */
import type { Gateway } from '../stack/gateway.ts';
import { quote } from '../stack/icmp-quote.ts';
import { MAPPED } from '../stack/path.ts';
import type { TcpFlow } from '../stack/tcp/flow.ts';
import { EHOSTUNREACH, ENETUNREACH } from '../sys/constants.ts';
import * as icmpv4 from '../wire/icmpv4.ts';
import * as icmpv6 from '../wire/icmpv6.ts';
import { PROTO_TCP } from '../wire/ipv4.ts';

export function sayUnreachable(gateway: Gateway, flow: TcpFlow, errno: number, nowMs: number): void {
  const { icmp, output, config } = gateway;
  if (!icmp.takeToken(nowMs)) return;
  const ports = (flow.guestPort << 16) | flow.remotePort;
  const len = quote(output, icmp, flow, PROTO_TCP, ports, (flow.nextFromGuest - 1) | 0);
  const path = icmp.$path;
  path.copyFrom(flow);
  if (flow.family === 4) {
    path.setRemote(0, 0, MAPPED, config.address4);
    return icmp.emit(path, icmpv4.TYPE_UNREACHABLE, code4(errno), 0, len);
  }
  const from = config.address6 ?? config.linkLocal;
  path.setRemote(from[0]!, from[1]!, from[2]!, from[3]!);
  icmp.emit(path, icmpv6.TYPE_UNREACHABLE, code6(errno), 0, len);
}

function code4(errno: number): number {
  if (errno === ENETUNREACH) return icmpv4.CODE_NET_UNREACHABLE;
  return errno === EHOSTUNREACH ? icmpv4.CODE_HOST_UNREACHABLE : icmpv4.CODE_ADMIN_PROHIBITED;
}

function code6(errno: number): number {
  if (errno === ENETUNREACH) return icmpv6.CODE_NO_ROUTE;
  return errno === EHOSTUNREACH ? icmpv6.CODE_ADDRESS_UNREACHABLE : icmpv6.CODE_ADMIN_PROHIBITED;
}
