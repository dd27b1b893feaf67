/**
 * ICMP errors that reached the host's sockets, passed on to the guest whose packet caused them.
 *
 * Zone: flow.
 */
import type { Gateway } from '../stack/gateway.ts';
import { quote } from '../stack/icmp-quote.ts';
import type { IpOutput } from '../stack/ip-output.ts';
import type { Path } from '../stack/path.ts';
import type { SocketError } from './datagrams.ts';

/** Passes an ICMP error on to the guest, as if the one who reported it had sent it on this segment. */
export function sendQuoted(
  gateway: Gateway,
  output: IpOutput,
  flow: Path,
  protocol: number,
  first: number,
  second: number,
  error: SocketError,
  nowMs: number,
): void {
  if (!gateway.icmp.takeToken(nowMs)) return;
  const len = quote(output, gateway.icmp, flow, protocol, first, second);
  const path = gateway.icmp.$path;
  path.copyFrom(flow);
  const [w0, w1, w2, w3] = error.offender;
  const foreign = (w0! | w1! | w2! | w3!) !== 0 && !isLoopback(error.offender);
  // The host's own loopback is known to the guest as the address it wrote to.
  if (foreign) path.setRemote(w0!, w1!, w2!, w3!);
  gateway.icmp.emit(path, error.type, error.code, error.info, len);
}

function isLoopback(w: Int32Array): boolean {
  if ((w[0]! | w[1]!) !== 0) return false;
  return w[2] === 0 ? w[3] === 1 : w[2] === 0xffff && w[3]! >>> 24 === 127;
}
