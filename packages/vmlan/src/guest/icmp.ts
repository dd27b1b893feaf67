/**
 * ICMP and ICMPv6 of a guest: it answers pings, sends them, and passes on what errors say (RFC 1122 §3.2.2, RFC 4443).
 *
 * Zone: control.
 */
import * as icmpv4 from '../wire/icmpv4.ts';
import * as icmpv6 from '../wire/icmpv6.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import { GuestError } from './errors.ts';
import type { IpLayer } from './ip-layer.ts';
import { ip4, ip6 } from './ip.ts';
import type { Ip } from './ip.ts';
import { payloadOf } from './packet.ts';
import type { Packet } from './packet.ts';

/** Pings on their way at a time. */
export const MAX_PINGS = 256;
export const PING_PATIENCE_MS = 5000;
const PING_BYTES = 56;
/** RFC 4443 §2.4 (c): the error fits into 1 280 bytes; IPv4 is content with less. */
const MAX_QUOTE_BYTES = 548;

/** What an ICMP error is about: the ends of a packet of ours. */
export interface Unreachable {
  readonly protocol: number;
  readonly dst: Ip;
  readonly srcPort: number;
  readonly dstPort: number;
  readonly code: 'ECONNREFUSED' | 'EHOSTUNREACH' | 'ENETUNREACH' | 'EACCES';
}

interface Ping {
  readonly dst: Ip;
  readonly sentMs: number;
  readonly resolve: (rttMs: number) => void;
  readonly reject: (error: unknown) => void;
  readonly cancel: () => void;
}

export class Icmp {
  onUnreachable: ((about: Unreachable) => void) | null = null;
  readonly #ip: IpLayer;
  readonly #pings = new Map<number, Ping>();
  readonly #id: number;
  #sequence = 0;

  constructor(ip: IpLayer) {
    this.#ip = ip;
    this.#id = ip.random() & 0xffff;
    ip.handle(ipv4.PROTO_ICMP, (packet) => this.#onPacket4(packet));
    ip.handle(ipv4.PROTO_ICMPV6, (packet) => this.#onPacket6(packet));
  }

  /** Resolves with the round trip, ms. */
  ping(dst: Ip, timeoutMs: number = PING_PATIENCE_MS): Promise<number> {
    if (this.#pings.size >= MAX_PINGS)
      return Promise.reject(new GuestError('EMFILE', `${MAX_PINGS} pings are on their way`));
    const sequence = (this.#sequence = (this.#sequence + 1) & 0xffff);
    const payload = new Uint8Array(icmpv4.HEADER_LEN + PING_BYTES);
    const view = new DataView(payload.buffer);
    const rest = ((this.#id << 16) | sequence) >>> 0;
    icmpv4.emit(view, 0, dst.family === 4 ? icmpv4.TYPE_ECHO_REQUEST : icmpv6.TYPE_ECHO_REQUEST, 0, rest);
    return new Promise((resolve, reject) => {
      const fail = (code: 'ETIMEDOUT' | 'EHOSTUNREACH', why: string): void =>
        this.#settle(sequence)?.reject(new GuestError(code, `${dst.text} ${why}`));
      const cancel = this.#ip.clock.after(timeoutMs, () => fail('ETIMEDOUT', `did not answer within ${timeoutMs} ms`));
      this.#pings.set(sequence, { dst, sentMs: this.#ip.clock.now(), resolve, reject, cancel });
      try {
        this.#send(dst, payload, () => fail('EHOSTUNREACH', 'is not there'));
      } catch (error) {
        this.#settle(sequence);
        reject(error);
      }
    });
  }

  close(): void {
    for (const sequence of [...this.#pings.keys()]) {
      this.#settle(sequence)?.reject(new GuestError('ENETDOWN', 'the guest is gone'));
    }
  }

  /** Nobody listens at the port that this datagram is for (RFC 1122 §4.1.3.1). */
  refuse(packet: Packet): void {
    const { src, dst, view, ip, offset, length } = packet;
    if (ip < 0 || !this.#ip.isOwn(dst)) return; // put together of fragments, or not for us alone
    const end = Math.min(offset + length, ip + MAX_QUOTE_BYTES);
    const quote = new Uint8Array(view.buffer, view.byteOffset + ip, end - ip);
    const payload = new Uint8Array(icmpv4.HEADER_LEN + quote.length);
    const [type, code] =
      dst.family === 4
        ? [icmpv4.TYPE_UNREACHABLE, icmpv4.CODE_PORT_UNREACHABLE]
        : [icmpv6.TYPE_UNREACHABLE, icmpv6.CODE_PORT_UNREACHABLE];
    icmpv4.emit(new DataView(payload.buffer), 0, type, code, 0);
    payload.set(quote, icmpv4.HEADER_LEN);
    try {
      this.#send(src, payload, () => undefined, dst);
    } catch {
      // no way back
    }
  }

  #settle(sequence: number): Ping | undefined {
    const ping = this.#pings.get(sequence);
    ping?.cancel();
    this.#pings.delete(sequence);
    return ping;
  }

  #send(dst: Ip, payload: Uint8Array, failed: () => void, src?: Ip): void {
    const protocol = dst.family === 4 ? ipv4.PROTO_ICMP : ipv4.PROTO_ICMPV6;
    this.#ip.send({
      ...{ dst, protocol, payload, failed, ...(src === undefined ? {} : { src }) },
      seal: (view, pseudo) =>
        dst.family === 4
          ? icmpv4.setChecksum(view, 0, payload.length)
          : icmpv6.setChecksum(view, 0, payload.length, pseudo),
    });
  }

  #onPacket4(packet: Packet): void {
    const { view, offset, length } = packet;
    if (icmpv4.check(view, offset, length) !== 0) return;
    const type = icmpv4.type(view, offset);
    if (type === icmpv4.TYPE_ECHO_REQUEST) this.#answer(packet, icmpv4.TYPE_ECHO_REPLY);
    else if (type === icmpv4.TYPE_ECHO_REPLY) this.#onReply(packet);
    else if (type === icmpv4.TYPE_UNREACHABLE) this.#onError(packet, codeOf4(icmpv4.code(view, offset)));
  }

  #onPacket6(packet: Packet): void {
    const { view, offset, length, pseudo } = packet;
    if (icmpv6.check(view, offset, length, pseudo) !== 0) return;
    const type = icmpv6.type(view, offset);
    if (type === icmpv6.TYPE_ECHO_REQUEST) this.#answer(packet, icmpv6.TYPE_ECHO_REPLY);
    else if (type === icmpv6.TYPE_ECHO_REPLY) this.#onReply(packet);
    else if (type === icmpv6.TYPE_UNREACHABLE) this.#onError(packet, codeOf6(icmpv6.code(view, offset)));
  }

  #answer(packet: Packet, type: number): void {
    const payload = payloadOf(packet).slice();
    payload[0] = type;
    try {
      this.#send(packet.src, payload, () => undefined, this.#ip.isOwn(packet.dst) ? packet.dst : undefined);
    } catch {
      // no way back
    }
  }

  #onReply({ view, offset, src }: Packet): void {
    if (icmpv4.echoId(view, offset) !== this.#id) return;
    const sequence = icmpv4.echoSequence(view, offset);
    if (this.#pings.get(sequence)?.dst.text !== src.text) return;
    const ping = this.#settle(sequence);
    ping?.resolve(this.#ip.clock.now() - ping.sentMs);
  }

  #onError(packet: Packet, code: Unreachable['code']): void {
    const quoted = quotedEnds(packet);
    if (quoted !== null) this.onUnreachable?.({ ...quoted, code });
  }
}

function codeOf4(code: number): Unreachable['code'] {
  if (code === icmpv4.CODE_PORT_UNREACHABLE || code === icmpv4.CODE_PROTOCOL_UNREACHABLE) return 'ECONNREFUSED';
  if (code === icmpv4.CODE_NET_UNREACHABLE) return 'ENETUNREACH';
  return code === icmpv4.CODE_ADMIN_PROHIBITED || code === icmpv4.CODE_HOST_PROHIBITED ? 'EACCES' : 'EHOSTUNREACH';
}

function codeOf6(code: number): Unreachable['code'] {
  if (code === icmpv6.CODE_PORT_UNREACHABLE) return 'ECONNREFUSED';
  if (code === icmpv6.CODE_NO_ROUTE) return 'ENETUNREACH';
  return code === icmpv6.CODE_ADMIN_PROHIBITED ? 'EACCES' : 'EHOSTUNREACH';
}

/** The ends of the packet that an error quotes: ours is the source. */
function quotedEnds({ view, offset, length, src }: Packet): Omit<Unreachable, 'code'> | null {
  const at = offset + icmpv4.HEADER_LEN;
  const available = length - icmpv4.HEADER_LEN;
  if (src.family === 4) {
    if (ipv4.checkQuoted(view, at, available) !== 0) return null;
    return endsAt(view, ipv4.payload(view, at), at + available, ipv4.protocol(view, at), ip4(ipv4.dst(view, at)));
  }
  if (ipv6.checkQuoted(view, at, available) !== 0 || ipv6.upper(view, at, available) !== 0) return null;
  const dst = ip6(ipv6.dst0(view, at), ipv6.dst1(view, at), ipv6.dst2(view, at), ipv6.dst3(view, at));
  return endsAt(view, ipv6.$upper.offset, at + available, ipv6.$upper.protocol, dst);
}

function endsAt(view: DataView, at: number, end: number, protocol: number, dst: Ip): Omit<Unreachable, 'code'> | null {
  if (at + 4 > end) return null;
  return { protocol, dst, srcPort: view.getUint16(at), dstPort: view.getUint16(at + 2) };
}
