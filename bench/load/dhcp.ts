/**
 * DHCP clients by the dozen on one interface, through a packet socket (man 7 packet): each asks, is offered, requests and
 * is acknowledged (RFC 2131 §3.1), and begins again.
 *
 * Zone: control. Messages are made once and patched; blocks until it is over.
 */
import { readFileSync } from 'node:fs';
import * as C from '../../packages/vmlan/src/sys/constants.ts';
import type { Sys } from '../../packages/vmlan/src/sys/sys.ts';
import * as dhcp from '../../packages/vmlan/src/wire/dhcpv4.ts';
import { BROADCAST, udpFrame, udpPayloadOf } from './frames.ts';
import { ok, scratch, SCRATCH_BYTES, setReceiveTimeout } from './sockets.ts';
import { Latencies, type ExchangeRate } from './tcp-exchanges.ts';

export interface DhcpLoad {
  readonly device: string;
  readonly clients: number;
  readonly seconds: number;
}

const AF_PACKET = 17;
const ETH_P_IP = 0x0800;
const SOCKADDR_LL_LEN = 20;
const UDP_CHECKSUM = 14 + 20 + 6; // 0 says that there is none
const SILENCE_MS = 500; // after which all begin again
const XID_BASE = 0x5eed0000; // the client's number is added
const SOURCE_MAC = 6;
const [XID, YIADDR, CHADDR] = [4, 16, 28]; // in a DHCP message

/** A message to everybody, with its options at offsets that `optionAt` finds. */
function template(type: number, options: readonly dhcp.Dhcp4Option[]): { bytes: Uint8Array; dhcpAt: number } {
  const message = dhcp.emitDhcp4(
    {
      ...{ op: dhcp.BOOT_REQUEST, htype: dhcp.HTYPE_ETHERNET, hlen: 6, hops: 0, xid: 0, secs: 0 },
      ...{ flags: dhcp.FLAG_BROADCAST, ciaddr: 0, yiaddr: 0, siaddr: 0, giaddr: 0, chaddr: new Uint8Array(16) },
      ...{ sname: '', file: '', options: [dhcp.u8Option(dhcp.OPT_MESSAGE_TYPE, type), ...options] },
    },
    dhcp.MIN_MESSAGE_BYTES,
  );
  const ends = { srcMac: { hi: 0x5254, lo: 0x00dc_0000 }, dstMac: BROADCAST, src: 0, dst: 0xffff_ffff };
  const bytes = udpFrame(ends, dhcp.CLIENT_PORT, dhcp.SERVER_PORT, message);
  bytes.fill(0, UDP_CHECKSUM, UDP_CHECKSUM + 2);
  return { bytes, dhcpAt: udpPayloadOf(bytes, dhcp.SERVER_PORT) };
}

/** Where the value of an option begins; -1 without it. */
function optionAt(bytes: Uint8Array, dhcpAt: number, end: number, code: number): number {
  let at = dhcpAt + 240; // behind the magic cookie
  while (at < end && bytes[at] !== 255) {
    if (bytes[at] === code) return at + 2;
    at += bytes[at] === 0 ? 1 : 2 + (bytes[at + 1] ?? 0);
  }
  return -1;
}

function packetSocket(sys: Sys, device: string): number {
  const fd = ok('socket', sys.socket(AF_PACKET, 3 | C.SOCK_CLOEXEC, 0)); // SOCK_RAW; nothing comes before bind
  const address = sys.arena.alloc(SOCKADDR_LL_LEN, 8);
  sys.arena.u8.fill(0, address, address + SOCKADDR_LL_LEN);
  sys.arena.view.setUint16(address, AF_PACKET, true);
  sys.arena.view.setUint16(address + 2, ETH_P_IP);
  sys.arena.view.setInt32(address + 4, Number(readFileSync(`/sys/class/net/${device}/ifindex`, 'utf8')), true);
  ok('bind', sys.bind(fd, address, SOCKADDR_LL_LEN));
  setReceiveTimeout(sys, fd, SILENCE_MS);
  return fd;
}

class Clients {
  readonly #sys: Sys;
  readonly #fd: number;
  readonly #buffer: number;
  readonly #startedMs: Float64Array;
  readonly #discover = template(dhcp.DISCOVER, []);
  readonly #request = template(dhcp.REQUEST, [
    dhcp.u32Option(dhcp.OPT_REQUESTED_IP, 0),
    dhcp.u32Option(dhcp.OPT_SERVER_ID, 0),
  ]);
  readonly #requested: number;
  readonly #serverId: number;

  constructor(sys: Sys, fd: number, count: number) {
    this.#sys = sys;
    this.#fd = fd;
    this.#buffer = scratch(sys);
    this.#startedMs = new Float64Array(count);
    const { bytes, dhcpAt } = this.#request;
    this.#requested = optionAt(bytes, dhcpAt, bytes.length, dhcp.OPT_REQUESTED_IP);
    this.#serverId = optionAt(bytes, dhcpAt, bytes.length, dhcp.OPT_SERVER_ID);
  }

  discover(client: number): void {
    this.#startedMs[client] = performance.now();
    this.#send(this.#discover, client);
  }

  /** Takes one frame: -2 nothing came, -1 nothing of interest, else the client that has its ACK. */
  take(): number {
    const n = this.#sys.recv(this.#fd, this.#buffer, SCRATCH_BYTES, 0);
    if (n < 0) return -2;
    const { u8, view } = this.#sys.arena;
    const frame = u8.subarray(this.#buffer, this.#buffer + n);
    const at = udpPayloadOf(frame, dhcp.CLIENT_PORT);
    if (at < 0) return -1;
    const client = (view.getUint32(this.#buffer + at + XID) - XID_BASE) >>> 0;
    if (client >= this.#startedMs.length) return -1;
    const type = frame[optionAt(frame, at, n, dhcp.OPT_MESSAGE_TYPE)];
    if (type === dhcp.OFFER) this.#accept(client, frame, at);
    return type === dhcp.ACK ? client : -1;
  }

  elapsedUs(client: number): number {
    return (performance.now() - (this.#startedMs[client] ?? NaN)) * 1000;
  }

  #accept(client: number, offer: Uint8Array, at: number): void {
    const serverId = optionAt(offer, at, offer.length, dhcp.OPT_SERVER_ID);
    const { bytes } = this.#request;
    bytes.set(offer.subarray(at + YIADDR, at + YIADDR + 4), this.#requested);
    bytes.set(offer.subarray(serverId, serverId + 4), this.#serverId);
    this.#send(this.#request, client);
  }

  #send({ bytes, dhcpAt }: ReturnType<typeof template>, client: number): void {
    const { view, u8 } = this.#sys.arena;
    u8.set(bytes, this.#buffer);
    view.setUint16(this.#buffer + SOURCE_MAC + 4, client);
    view.setUint32(this.#buffer + dhcpAt + XID, XID_BASE + client);
    u8.copyWithin(this.#buffer + dhcpAt + CHADDR, this.#buffer + SOURCE_MAC, this.#buffer + SOURCE_MAC + 6);
    ok('send', this.#sys.send(this.#fd, this.#buffer, bytes.length, 0));
  }
}

/** Exchanges per second with all clients at it; a client whose message was lost begins again. */
export function dhcpExchanges(sys: Sys, { device, clients: count, seconds }: DhcpLoad): ExchangeRate {
  const fd = packetSocket(sys, device);
  const clients = new Clients(sys, fd, count);
  const latencies = new Latencies();
  const beginAll = (): void => {
    for (let client = 0; client < count; client++) clients.discover(client);
  };
  const counted = performance.now() + seconds * 200; // a fifth of the time to warm up
  const end = counted + seconds * 1000;
  beginAll();
  for (let now = 0; now < end; now = performance.now()) {
    const client = clients.take();
    if (client === -2) beginAll();
    if (client < 0) continue;
    if (performance.now() > counted) latencies.add(clients.elapsedUs(client));
    clients.discover(client);
  }
  sys.close(fd);
  return latencies.rate(seconds);
}
