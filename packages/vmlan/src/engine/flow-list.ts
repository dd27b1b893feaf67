/**
 * The conversations of a network, told page by page: some records of the tables at a time, so that nobody waits for the
 * one who asks.
 *
 * Zone: control.  A page looks at so many places of the tables, whether or not something is there; what opens or ends
 * between two pages may be missed.
 */
import type { EchoNat } from '../nat/echo-nat.ts';
import type { NatFlow } from '../nat/flow-set.ts';
import type { UdpFlow } from '../nat/udp-flow.ts';
import type { UdpNat } from '../nat/udp-nat.ts';
import type { Path } from '../stack/path.ts';
import * as F from '../stack/tcp/flow.ts';
import type { TcpFlow } from '../stack/tcp/flow.ts';
import type { TcpTranslator } from '../stack/tcp/translator.ts';
import * as C from '../sys/constants.ts';
import { SockAddr } from '../sys/sockaddr.ts';
import type { Sys } from '../sys/sys.ts';
import { describe, formatWords } from './config.ts';
import type { FlowPage, FlowQuery, FlowSnapshot } from './control-messages.ts';
import type { ForwardTable } from './forward-table.ts';

/** Places looked at in one page; each found flow costs two calls of the system at most. */
export const PAGE_PLACES = 256;
/** Cursors of one table begin here. */
const TABLE = 1 << 20;
const TCP = 0;
const UDP = 1;
const ECHO = 2;
const TABLES = 3;

interface FlowListParts {
  readonly sys: Sys;
  readonly tcp: TcpTranslator;
  readonly udp: UdpNat;
  readonly echo: EchoNat;
  readonly forwards: ForwardTable;
  /** The gateway's addresses, as guests see them. */
  readonly gateways: ReadonlySet<string>;
}

export class FlowList {
  readonly #parts: FlowListParts;
  readonly #addr: SockAddr;

  constructor(parts: FlowListParts) {
    this.#parts = parts;
    this.#addr = new SockAddr(parts.sys.arena);
  }

  page({ cursor, guest, protocol }: FlowQuery, nowMs: number): FlowPage {
    const { tcp, udp, echo } = this.#parts;
    let table = Math.floor(cursor / TABLE);
    let place = cursor % TABLE;
    const flows: FlowSnapshot[] = [];
    for (let left = PAGE_PLACES; left > 0 && table < TABLES;) {
      const isWanted = protocol === null || protocol === PROTOCOLS[table];
      const records: readonly (TcpFlow | NatFlow)[] =
        table === TCP ? tcp.flows : table === UDP ? udp.flows : echo.flows;
      const end = isWanted ? Math.min(records.length, place + left) : place;
      for (let i = place; i < end; i++) {
        const flow = records[i];
        if (flow === undefined || (guest !== null && flow.port?.guest !== guest)) continue;
        const found = table === TCP ? this.#ofTcp(flow as TcpFlow, nowMs) : this.#ofNat(flow as NatFlow, table, nowMs);
        if (found !== null) flows.push(found);
      }
      left -= end - place;
      place = end;
      if (isWanted && place < records.length) break;
      table++;
      place = 0;
    }
    return { flows, next: table < TABLES ? table * TABLE + place : null };
  }

  #ofTcp(flow: TcpFlow, nowMs: number): FlowSnapshot | null {
    if (flow.state === F.CLOSED) return null;
    const isOfForward = flow.has(F.ACTIVE_OPEN);
    const ends = endsOf(flow, flow.guestPort, flow.remotePort);
    return {
      protocol: 'tcp',
      state: tcpState(flow),
      ...ends,
      forward: this.#forwardOf('tcp', flow.forwardId, ends),
      hostAddress: this.#name(flow.fd, false),
      peerAddress: isOfForward ? this.#name(flow.fd, true) : null,
      ageMs: nowMs - flow.openedMs,
      idleMs: nowMs - flow.lastHeardMs,
      ...trafficOf(flow),
      rttMs: flow.srttMs > 0 ? flow.srttMs : null,
      retransmissions: flow.resent,
    };
  }

  #ofNat(flow: NatFlow, table: number, nowMs: number): FlowSnapshot | null {
    if (flow.id < 0) return null;
    const protocol = table === UDP ? 'udp' : 'icmp';
    const owner = table === ECHO ? null : (flow as UdpFlow).owner;
    const ends = endsOf(flow, flow.guestPort, flow.remotePort);
    const isAnswered = flow.traffic.packetsToGuest(flow.id) > 0;
    return {
      protocol,
      state: isAnswered && flow.traffic.packetsFromGuest(flow.id) > 0 ? 'ASSURED' : 'UNREPLIED',
      ...ends,
      forward: this.#forwardOf(protocol, owner?.id ?? '', ends),
      hostAddress: flow.fd < 0 ? null : this.#name(flow.fd, false),
      peerAddress: owner === null || owner.id === '' ? null : clientOf(flow as UdpFlow),
      ageMs: nowMs - flow.openedMs,
      idleMs: nowMs - flow.lastMs,
      ...trafficOf(flow),
      rttMs: null,
      retransmissions: null,
    };
  }

  /** Of the host's client, or of what the guest has reached through the gateway. */
  #forwardOf(protocol: string, own: string, { remoteAddress, remotePort }: Ends): string | null {
    if (own !== '') return own;
    if (protocol === 'icmp' || !this.#parts.gateways.has(remoteAddress)) return null;
    const reverse = this.#parts.forwards.reverseAt(protocol, remotePort);
    return reverse === '' ? null : reverse;
  }

  /** The host's own end of a socket, or its peer's; null where it has none that can be told. */
  #name(fd: number, peer: boolean): string | null {
    if (fd < 0) return null;
    const { sys } = this.#parts;
    const addr = this.#addr;
    const result = peer ? sys.getpeername(fd, addr.off) : sys.getsockname(fd, addr.off);
    if (result < 0) return null;
    if (addr.family === C.AF_UNIX) return 'unix';
    const words =
      addr.family === C.AF_INET ? [0, 0, 0xffff, addr.ip4] : [addr.word(0), addr.word(1), addr.word(2), addr.word(3)];
    return describe({ host: formatWords(words), port: addr.port });
  }
}

type Ends = Pick<FlowSnapshot, 'guest' | 'nic' | 'guestAddress' | 'guestPort' | 'remoteAddress' | 'remotePort'>;

const endsOf = (path: Path, guestPort: number, remotePort: number): Ends => ({
  guest: path.port?.guest ?? '',
  nic: path.port?.nicKey ?? '',
  guestAddress: formatWords([path.guest0, path.guest1, path.guest2, path.guest3]),
  guestPort,
  remoteAddress: formatWords([path.remote0, path.remote1, path.remote2, path.remote3]),
  remotePort,
});

const PROTOCOLS = ['tcp', 'udp', 'icmp'] as const;

const clientOf = ({ client, clientPort }: UdpFlow): string =>
  describe({ host: formatWords([...client]), port: clientPort });

function trafficOf({
  id,
  traffic,
}: TcpFlow | NatFlow): Pick<FlowSnapshot, 'bytesFromGuest' | 'bytesToGuest' | 'packetsFromGuest' | 'packetsToGuest'> {
  return {
    bytesFromGuest: traffic.bytesFromGuest(id),
    bytesToGuest: traffic.bytesToGuest(id),
    packetsFromGuest: traffic.packetsFromGuest(id),
    packetsToGuest: traffic.packetsToGuest(id),
  };
}

/** The state of our end towards the guest, in the names of RFC 9293 §3.3.2. */
export function tcpState(flow: TcpFlow): string {
  switch (flow.state) {
    case F.CONNECTING:
    case F.SYN_RECEIVED:
      return 'SYN-RECEIVED';
    case F.RESOLVING:
    case F.SYN_SENT:
      return 'SYN-SENT';
    case F.TIME_WAIT:
      return 'TIME-WAIT';
    default:
      return openState(flow);
  }
}

function openState(flow: TcpFlow): string {
  const heard = flow.has(F.FIN_FROM_GUEST);
  if (!flow.has(F.FIN_TO_GUEST)) return heard ? 'CLOSE-WAIT' : 'ESTABLISHED';
  if (flow.has(F.FIN_TO_GUEST_ACKED)) return heard ? 'TIME-WAIT' : 'FIN-WAIT-2';
  if (!heard) return 'FIN-WAIT-1';
  return flow.has(F.GUEST_CLOSED_FIRST) ? 'LAST-ACK' : 'CLOSING';
}
