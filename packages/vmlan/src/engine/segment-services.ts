/**
 * The gateway's UDP services on one segment, wired to the frames: DHCPv4, DHCPv6, router advertisements, DNS.
 *
 * Zone: flow.  The services themselves are sans-I/O; here their replies get addresses and leave by the gateway.
 */
import type { Dhcp6Server } from '../services/dhcpv6.ts';
import type { DhcpServer } from '../services/dhcp.ts';
import type { DnsService } from '../services/dns.ts';
import { ALL_PORTS, type RouterAdvertiser } from '../services/router-advert.ts';
import type { Gateway, LocalServices } from '../stack/gateway.ts';
import type { Packet } from '../stack/packet.ts';
import { MAPPED, Path } from '../stack/path.ts';
import type { Port } from '../switching/port.ts';
import type { LeaseJournal } from './lease-journal.ts';

const DHCP_SERVER = 67;
const DHCP6_SERVER = 547;
const DHCP6_CLIENT = 546;
const DNS = 53;
const ALL_NODES_MAC = { hi: 0x3333, lo: 1 };

/** Who speaks DHCP behind a port: the NIC itself, or a station bridged behind it. */
export interface ClientNaming {
  nicOf(port: Port, macHi: number, macLo: number): { readonly key: string; readonly guest: string | null };
  portById(id: number): Port | null;
}

export interface ServiceParts {
  readonly dhcp: DhcpServer | null;
  readonly dhcp6: Dhcp6Server | null;
  readonly advertiser: RouterAdvertiser | null;
  readonly dns: DnsService | null;
  readonly journal: LeaseJournal;
  readonly naming: ClientNaming;
  readonly epochMs: () => number;
}

export class SegmentServices implements LocalServices {
  readonly #parts: ServiceParts;
  gateway: Gateway | null = null;

  constructor(parts: ServiceParts) {
    this.#parts = parts;
  }

  onDatagram(packet: Packet, srcPort: number, dstPort: number, data: number, len: number, nowMs: number): boolean {
    switch (dstPort) {
      case DHCP_SERVER:
        if (packet.family === 4 && this.#parts.dhcp !== null) this.#onDhcp(packet, data, len);
        return packet.family === 4;
      case DHCP6_SERVER:
        if (packet.family === 6 && this.#parts.dhcp6 !== null) this.#onDhcp6(packet, data, len);
        return packet.family === 6;
      case DNS:
        if (this.#parts.dns === null || packet.group || packet.guest3 === 0) return packet.group;
        this.#onDns(packet, srcPort, data, len, nowMs);
        return true;
      default:
        return false;
    }
  }

  onRouterSolicit(packet: Packet, nowMs: number): void {
    this.#parts.advertiser?.onSolicit(packet.port!.id, nowMs);
  }

  /** Sends the advertisements that are due. */
  advertise(nowMs: number): void {
    this.#parts.advertiser?.poll(nowMs, (port, message) => this.emitAdvert(port, message));
  }

  emitAdvert(portId: number, message: Uint8Array): void {
    const { linkLocal } = this.gateway!.config;
    const path = this.#newPath(6);
    if (portId !== ALL_PORTS) {
      path.port = this.#parts.naming.portById(portId);
      if (path.port === null) return;
    }
    path.macHi = ALL_NODES_MAC.hi;
    path.macLo = ALL_NODES_MAC.lo;
    path.setGuest(0xff02_0000, 0, 0, 1);
    path.setRemote(linkLocal[0]!, linkLocal[1]!, linkLocal[2]!, linkLocal[3]!);
    this.gateway!.sendIcmpv6(path, message);
  }

  #onDhcp(packet: Packet, data: number, len: number): void {
    const port = packet.port as Port;
    const { key, guest } = this.#parts.naming.nicOf(port, packet.macHi, packet.macLo);
    const from = {
      nicKey: key,
      guest,
      srcMacHi: packet.macHi,
      srcMacLo: packet.macLo,
      srcIp: packet.guest3 >>> 0,
    };
    const server = this.#parts.dhcp!;
    const reply = server.onMessage(this.gateway!.output.view, data, len, from, this.#parts.epochMs());
    if (reply === null) return;
    const path = this.#newPath(4);
    path.port = port;
    path.macHi = reply.dstMacHi;
    path.macLo = reply.dstMacLo;
    path.setGuest(0, 0, MAPPED, reply.dstIp);
    path.setRemote(0, 0, MAPPED, server.config.serverId);
    const send = (): void => this.gateway!.sendDatagram(path, DHCP_SERVER, reply.dstPort, reply.payload);
    this.#parts.journal.whenDurable(reply.generation, send);
  }

  #onDhcp6(packet: Packet, data: number, len: number): void {
    const port = packet.port as Port;
    const { key, guest } = this.#parts.naming.nicOf(port, packet.macHi, packet.macLo);
    const from = {
      nicKey: key,
      guest,
      srcMacHi: packet.macHi,
      srcMacLo: packet.macLo,
      srcWords: Uint32Array.of(packet.guest0, packet.guest1, packet.guest2, packet.guest3),
      toMulticast: packet.group,
    };
    const reply = this.#parts.dhcp6!.onMessage(this.gateway!.output.view, data, len, from, this.#parts.epochMs());
    if (reply === null) return;
    const { linkLocal } = this.gateway!.config;
    const path = this.#newPath(6);
    path.port = port;
    path.macHi = reply.dstMacHi;
    path.macLo = reply.dstMacLo;
    path.setGuest(reply.dstWords[0]!, reply.dstWords[1]!, reply.dstWords[2]!, reply.dstWords[3]!);
    path.setRemote(linkLocal[0]!, linkLocal[1]!, linkLocal[2]!, linkLocal[3]!);
    const send = (): void => this.gateway!.sendDatagram(path, DHCP6_SERVER, DHCP6_CLIENT, reply.payload);
    this.#parts.journal.whenDurable(reply.generation, send);
  }

  #onDns(packet: Packet, srcPort: number, data: number, len: number, nowMs: number): void {
    const path = new Path();
    path.copyFrom(packet); // the answer may come later, from the address that was asked
    const { u8 } = this.gateway!.output;
    const message = u8.subarray(data, data + len);
    this.#parts.dns!.onQuery(message, 'udp', packet.port!.id, nowMs, (reply) =>
      this.gateway!.sendDatagram(path, DNS, srcPort, reply),
    );
  }

  #newPath(family: 4 | 6): Path {
    const path = new Path();
    path.segment = this.gateway!.segment;
    path.family = family;
    return path;
  }
}
