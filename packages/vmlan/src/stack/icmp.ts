/**
 * What the gateway itself says by ICMP: echo replies and errors (RFC 792, RFC 4443, RFC 1812 §4.3).
 *
 * Zone: packet.  Errors are never sent about errors, groups, fragments or unspecified sources (RFC 1122 §3.2.2,
 * RFC 4443 §2.4 e) and are limited by a token bucket.  IPv4 quotes up to 576 bytes, IPv6 up to 1280.
 */
import { type Counters, counter } from '../core/counters.ts';
import { TokenBucket } from '../core/token-bucket.ts';
import * as icmpv4 from '../wire/icmpv4.ts';
import * as icmpv6 from '../wire/icmpv6.ts';
import { PROTO_ICMP, PROTO_ICMPV6 } from '../wire/ipv4.ts';
import { type IpOutput, pseudoToGuest } from './ip-output.ts';
import type { Packet } from './packet.ts';
import { Path } from './path.ts';

const HOP_LIMIT = 64;
const QUOTE_4 = 576 - 20 - 8; // RFC 1812 §4.3.2.3
const QUOTE_6 = 1280 - 40 - 8; // RFC 4443 §2.4 c
const ERRORS_PER_SECOND = 1000;
const ERROR_BURST = 200;
const DROP_ERROR_RATE = counter('drop_icmp_error_rate');
const ERRORS = counter('icmp_errors_to_guest');
const ECHO_REPLIES = counter('icmp_echo_replies');

/** Why a packet did not get through, family aside. */
export type Unreachable = 'net' | 'host' | 'port' | 'protocol' | 'prohibited' | 'hop-limit';

const CODES_4: Readonly<Record<Unreachable, readonly [number, number]>> = {
  net: [icmpv4.TYPE_UNREACHABLE, icmpv4.CODE_NET_UNREACHABLE],
  host: [icmpv4.TYPE_UNREACHABLE, icmpv4.CODE_HOST_UNREACHABLE],
  port: [icmpv4.TYPE_UNREACHABLE, icmpv4.CODE_PORT_UNREACHABLE],
  protocol: [icmpv4.TYPE_UNREACHABLE, icmpv4.CODE_PROTOCOL_UNREACHABLE],
  prohibited: [icmpv4.TYPE_UNREACHABLE, icmpv4.CODE_ADMIN_PROHIBITED],
  'hop-limit': [icmpv4.TYPE_TIME_EXCEEDED, icmpv4.CODE_TTL_EXCEEDED],
};
const CODES_6: Readonly<Record<Unreachable, readonly [number, number]>> = {
  net: [icmpv6.TYPE_UNREACHABLE, icmpv6.CODE_NO_ROUTE],
  host: [icmpv6.TYPE_UNREACHABLE, icmpv6.CODE_ADDRESS_UNREACHABLE],
  port: [icmpv6.TYPE_UNREACHABLE, icmpv6.CODE_PORT_UNREACHABLE],
  protocol: [icmpv6.TYPE_PARAMETER_PROBLEM, icmpv6.CODE_UNKNOWN_NEXT_HEADER],
  prohibited: [icmpv6.TYPE_UNREACHABLE, icmpv6.CODE_ADMIN_PROHIBITED],
  'hop-limit': [icmpv6.TYPE_TIME_EXCEEDED, icmpv6.CODE_HOP_LIMIT_EXCEEDED],
};

export class Icmp {
  readonly #output: IpOutput;
  readonly #counters: Counters;
  readonly #errors = new TokenBucket(ERRORS_PER_SECOND, ERROR_BURST);
  readonly $path: Path = new Path();

  constructor(output: IpOutput, counters: Counters) {
    this.#output = output;
    this.#counters = counters;
  }

  /** Answers an echo request to the gateway from the address it was sent to. */
  replyEcho(packet: Packet): void {
    const { view: v, u8 } = this.#output;
    const to = this.#output.l4(packet.family);
    u8.copyWithin(to, packet.l4, packet.l4 + packet.l4Len);
    if (packet.family === 4) {
      icmpv4.emitEchoReply(v, to);
      icmpv4.setChecksum(v, to, packet.l4Len);
      this.#output.send(packet, PROTO_ICMP, HOP_LIMIT, packet.l4Len);
    } else {
      icmpv6.emitEchoReply(v, to, packet.l4Len, pseudoToGuest(packet, PROTO_ICMPV6, 0));
      this.#output.send(packet, PROTO_ICMPV6, HOP_LIMIT, packet.l4Len);
    }
    this.#counters.count(ECHO_REPLIES);
  }

  /**
   * Tells the guest why its packet did not get through; the error comes from (r0…r3), the gateway or a router. `rest` is
   * the 32 bits behind the checksum.
   */
  sendError(
    packet: Packet,
    why: Unreachable,
    r0: number,
    r1: number,
    r2: number,
    r3: number,
    nowMs: number,
    rest: number = 0,
  ): void {
    const [type, code] = packet.family === 4 ? CODES_4[why] : CODES_6[why];
    this.sendErrorOf(packet, type, code, rest, r0, r1, r2, r3, nowMs);
  }

  /** The same with type and code as they are to be sent. */
  sendErrorOf(
    packet: Packet,
    type: number,
    code: number,
    rest: number,
    r0: number,
    r1: number,
    r2: number,
    r3: number,
    nowMs: number,
  ): void {
    if (!this.mayAnswer(packet) || !this.takeToken(nowMs)) return;
    const quoteLen = Math.min(packet.ipLen, packet.family === 4 ? QUOTE_4 : QUOTE_6);
    const quote = this.quoteOffset(packet.family);
    this.#output.u8.copyWithin(quote, packet.ip, packet.ip + quoteLen);
    const path = this.$path;
    path.copyFrom(packet);
    path.setRemote(r0, r1, r2, r3);
    this.emit(path, type, code, rest, quoteLen);
  }

  /** Where the quoted packet belongs before `emit`. */
  quoteOffset(family: number): number {
    return this.#output.l4(family) + icmpv4.HEADER_LEN;
  }

  takeToken(nowMs: number): boolean {
    if (this.#errors.take(nowMs)) return true;
    this.#counters.count(DROP_ERROR_RATE);
    return false;
  }

  /** Sends an error whose quote of `quoteLen` bytes lies at `quoteOffset`. */
  emit(path: Path, type: number, code: number, rest: number, quoteLen: number): void {
    const { view: v } = this.#output;
    const o = this.#output.l4(path.family);
    const len = icmpv4.HEADER_LEN + quoteLen;
    if (path.family === 4) {
      icmpv4.emit(v, o, type, code, rest);
      icmpv4.setChecksum(v, o, len);
      this.#output.send(path, PROTO_ICMP, HOP_LIMIT, len);
    } else {
      icmpv6.emit(v, o, type, code, rest);
      icmpv6.setChecksum(v, o, len, pseudoToGuest(path, PROTO_ICMPV6, 0));
      this.#output.send(path, PROTO_ICMPV6, HOP_LIMIT, len);
    }
    this.#counters.count(ERRORS);
  }

  mayAnswer(packet: Packet): boolean {
    if (packet.group) return false;
    if (
      packet.family === 4 ? packet.guest3 === 0 : (packet.guest0 | packet.guest1 | packet.guest2 | packet.guest3) === 0
    ) {
      return false;
    }
    const { view: v } = this.#output;
    if (packet.protocol === PROTO_ICMP) return packet.l4Len > 0 && !icmpv4.isError(icmpv4.type(v, packet.l4));
    if (packet.protocol === PROTO_ICMPV6) return packet.l4Len > 0 && !icmpv6.isError(icmpv6.type(v, packet.l4));
    return true;
  }
}
