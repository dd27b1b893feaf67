/**
 * A guest made of frames, on a socket with QEMU's stream framing: for what no real guest does, such as spoofing, and for
 * guests by the hundred.
 *
 *   await using station = await Station.connect(socketPath, '52:54:00:00:00:07');
 *   const lease = await station.obtainLease();
 *
 * Zone: control.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { formatIpv4, parseIpv4 } from '../../src/wire/address.ts';
import * as dhcp from '../../src/wire/dhcpv4.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import { view } from '../../src/wire/frames.fixture.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import { BROADCAST_MAC, ipv4Frame, udpOf } from '../../src/wire/packets.fixture.ts';
import * as udp from '../../src/wire/udp.ts';
import { within } from './deadline.ts';

const PATIENCE_MS = 5000;
const LENGTH_BYTES = 4; // big-endian, before each frame
const MAX_KEPT_FRAMES = 4096;

export interface StationLease {
  readonly address: string;
  readonly serverId: string;
  readonly leaseSeconds: number;
}

export interface DhcpRequest {
  readonly type: number;
  readonly options?: readonly dhcp.Dhcp4Option[];
  readonly ciaddr?: string;
}

export class Station implements AsyncDisposable {
  readonly mac: string;
  readonly #socket: Socket;
  readonly #watchers = new Set<(frame: Uint8Array) => void>();
  /** Frames that nobody waited for when they came, oldest first. */
  readonly #frames: Uint8Array[] = [];
  #received: Buffer = Buffer.alloc(0);
  #xid = Math.floor(Math.random() * 0x7fff_ffff);

  static async connect(path: string, mac: string): Promise<Station> {
    const socket = connect(path);
    await once(socket, 'connect');
    return new Station(socket, mac);
  }

  private constructor(socket: Socket, mac: string) {
    this.#socket = socket;
    this.mac = mac;
    socket.on('data', (chunk) => this.#onData(chunk));
    socket.on('error', () => socket.destroy());
  }

  /** Whether the far end still holds the link. */
  get connected(): boolean {
    return !this.#socket.destroyed && !this.#socket.readableEnded;
  }

  send(frame: Uint8Array): void {
    const length = Buffer.alloc(LENGTH_BYTES);
    length.writeUInt32BE(frame.length);
    this.#socket.write(Buffer.concat([length, frame]));
  }

  /** The first frame, of those kept and those to come, for which `pick` has a result. */
  async receive<T>(what: string, pick: (frame: Uint8Array) => T | null, timeoutMs: number = PATIENCE_MS): Promise<T> {
    for (const [at, frame] of this.#frames.entries()) {
      const found = pick(frame);
      if (found === null) continue;
      this.#frames.splice(0, at + 1);
      return found;
    }
    const { promise, resolve } = Promise.withResolvers<T>();
    const watch = (frame: Uint8Array): void => {
      const found = pick(frame);
      if (found === null) return;
      this.#frames.length = 0;
      resolve(found);
    };
    this.#watchers.add(watch);
    try {
      return await within(what, timeoutMs, promise);
    } finally {
      this.#watchers.delete(watch);
    }
  }

  /** Frames that came since somebody last waited for one. */
  get frames(): readonly Uint8Array[] {
    return this.#frames;
  }

  /** One DHCP message from address 0, and its answer; rejects when none comes. */
  async askDhcp(request: DhcpRequest, timeoutMs?: number): Promise<dhcp.Dhcp4Message> {
    const xid = (this.#xid = (this.#xid + 1) >>> 0);
    this.send(this.#dhcpFrame(request, xid));
    return this.receive(
      `an answer to DHCP message ${request.type}`,
      (frame) => {
        const at = udpPayloadOf(frame, dhcp.CLIENT_PORT);
        const message = at < 0 ? null : dhcp.parseDhcp4(view(frame), at, frame.length - at);
        return message?.xid === xid ? message : null;
      },
      timeoutMs,
    );
  }

  /** DISCOVER, OFFER, REQUEST, ACK. */
  async obtainLease({ hostname }: { hostname?: string } = {}): Promise<StationLease> {
    const name = hostname === undefined ? [] : [dhcp.textOption(dhcp.OPT_HOSTNAME, hostname)];
    const offer = await this.askDhcp({ type: dhcp.DISCOVER, options: name });
    const serverId = dhcp.optionU32(offer, dhcp.OPT_SERVER_ID);
    const answer = await this.askDhcp({
      type: dhcp.REQUEST,
      options: [
        dhcp.u32Option(dhcp.OPT_REQUESTED_IP, offer.yiaddr),
        dhcp.u32Option(dhcp.OPT_SERVER_ID, serverId),
        ...name,
      ],
    });
    const type = dhcp.optionU8(answer, dhcp.OPT_MESSAGE_TYPE);
    if (type !== dhcp.ACK) throw new Error(`DHCP message ${type} instead of an ACK`);
    return {
      address: formatIpv4(answer.yiaddr),
      serverId: formatIpv4(serverId),
      leaseSeconds: dhcp.optionU32(answer, dhcp.OPT_LEASE_TIME),
    };
  }

  async close(): Promise<void> {
    if (this.#socket.destroyed) return;
    const closed = once(this.#socket, 'close');
    this.#socket.destroy();
    await closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #dhcpFrame({ type, options = [], ciaddr = '0.0.0.0' }: DhcpRequest, xid: number): Uint8Array {
    const chaddr = new Uint8Array(16);
    chaddr.set(this.mac.split(':').map((byte) => Number.parseInt(byte, 16)));
    const message = dhcp.emitDhcp4(
      {
        ...{ op: dhcp.BOOT_REQUEST, htype: dhcp.HTYPE_ETHERNET, hlen: 6, hops: 0, xid, secs: 0 },
        ...{ flags: dhcp.FLAG_BROADCAST, ciaddr: parseIpv4(ciaddr)!, yiaddr: 0, siaddr: 0, giaddr: 0, chaddr },
        ...{ sname: '', file: '', options: [dhcp.u8Option(dhcp.OPT_MESSAGE_TYPE, type), ...options] },
      },
      dhcp.MIN_MESSAGE_BYTES + 276,
    );
    const ends = { from: this.mac, to: BROADCAST_MAC, src: ciaddr, dst: '255.255.255.255' };
    return ipv4Frame(ends, udpOf(dhcp.CLIENT_PORT, dhcp.SERVER_PORT, message));
  }

  #onData(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    while (this.#received.length >= LENGTH_BYTES) {
      const end = LENGTH_BYTES + this.#received.readUInt32BE();
      if (this.#received.length < end) return;
      this.#onFrame(Uint8Array.from(this.#received.subarray(LENGTH_BYTES, end)));
      this.#received = this.#received.subarray(end);
    }
  }

  #onFrame(frame: Uint8Array): void {
    this.#frames.push(frame);
    if (this.#frames.length > MAX_KEPT_FRAMES) this.#frames.shift();
    for (const watch of this.#watchers) watch(frame);
  }
}

/** Payload offset of an IPv4 datagram to this port, or -1. */
function udpPayloadOf(frame: Uint8Array, dstPort: number): number {
  const v = view(frame);
  const ip = ethernet.HEADER_LEN;
  if (ethernet.etherType(v, 0) !== ethernet.TYPE_IPV4 || ipv4.check(v, ip, frame.length - ip) !== 0) return -1;
  const l4 = ipv4.payload(v, ip);
  const isUdp = ipv4.protocol(v, ip) === ipv4.PROTO_UDP && ipv4.payloadLen(v, ip) >= udp.HEADER_LEN;
  return isUdp && udp.dstPort(v, l4) === dstPort ? l4 + udp.HEADER_LEN : -1;
}
