/**
 * Reads a datagram socket's error queue (man 7 ip, IP_RECVERR; man 7 ipv6, IPV6_RECVERR; linux/errqueue.h).
 *
 * Zone: flow.  One reader per thread; its fields describe the entry that `read` took last and are overwritten by the
 * next one.  Addresses are words as in sockaddr.ts: IPv4 in word 0, IPv6 in words 0-3.  The payload is what the
 * failed datagram carried (for ping sockets: its ICMP message), cut at PAYLOAD_ROOM; a local error brings none.
 *
 *   sock_extended_err   errno u32 | origin u8 | type u8 | code u8 | pad u8 | info u32 | data u32, then the offender
 */
import { AF_INET, AF_INET6, AF_UNSPEC, IP_RECVERR, IPPROTO_IP, IPPROTO_IPV6, IPV6_RECVERR } from './constants.ts';
import { MSG_DONTWAIT, MSG_ERRQUEUE } from './constants.ts';
import { ROOM } from './sockaddr.ts';
import type { Sys } from './sys.ts';

/** Where an error came from: `origin`. */
export const SO_EE_ORIGIN_LOCAL = 1;
export const SO_EE_ORIGIN_ICMP = 2;
export const SO_EE_ORIGIN_ICMP6 = 3;
/** Most bytes of a failed datagram that are kept; an ICMP error to the guest quotes no more (RFC 4443 §2.4: 1280). */
export const PAYLOAD_ROOM = 1280;

const CONTROL_ROOM = 256; // bytes: the error with its offender takes 64, TTL and packet info fit beside it
const MSGHDR_SIZE = 56;
const MSGHDR_NAME_LEN = 8;
const MSGHDR_CONTROL_LEN = 40;
const CMSG_HEADER = 16; // len u64 | level i32 | type i32
const EXTENDED_ERROR_SIZE = 16;

export class ErrorQueue {
  errno = 0;
  origin = 0;
  type = 0;
  code = 0;
  /** For EMSGSIZE the MTU of the path. */
  info = 0;
  /** Who reported it: AF_INET, AF_INET6, or AF_UNSPEC when unknown. */
  offenderFamily: number = AF_UNSPEC;
  readonly offender: Uint32Array = new Uint32Array(4);
  /** Where the failed datagram was going. */
  destinationFamily: number = AF_UNSPEC;
  readonly destination: Uint32Array = new Uint32Array(4);
  destinationPort = 0;
  readonly payloadOff: number;
  payloadLen = 0;
  readonly #sys: Sys;
  readonly #view: DataView;
  readonly #name: number;
  readonly #control: number;
  readonly #iov: number;
  readonly #msg: number;

  constructor(sys: Sys) {
    this.#sys = sys;
    this.#view = sys.arena.view;
    this.#name = sys.arena.alloc(ROOM, 16);
    this.#control = sys.arena.alloc(CONTROL_ROOM, 16);
    this.#iov = sys.arena.alloc(16, 16);
    this.#msg = sys.arena.alloc(MSGHDR_SIZE, 16);
    this.payloadOff = sys.arena.alloc(PAYLOAD_ROOM);
  }

  /** Takes one entry; 0, or -errno: -EAGAIN when the queue is empty. `origin` is 0 if the entry was no error report. */
  read(fd: number): number {
    const sys = this.#sys;
    sys.setIovec(this.#iov, 0, this.payloadOff, PAYLOAD_ROOM);
    sys.setMsghdr(this.#msg, this.#name, ROOM, this.#iov, 1, this.#control, CONTROL_ROOM);
    const len = sys.recvmsg(fd, this.#msg, MSG_ERRQUEUE | MSG_DONTWAIT);
    if (len < 0) return len;
    this.payloadLen = len;
    const nameLen = this.#view.getUint32(this.#msg + MSGHDR_NAME_LEN, true);
    this.destinationFamily = this.#readAddress(this.#name, nameLen, this.destination);
    this.destinationPort = this.destinationFamily === AF_UNSPEC ? 0 : this.#view.getUint16(this.#name + 2);
    this.#clearError();
    this.#readControl(this.#control + this.#view.getUint32(this.#msg + MSGHDR_CONTROL_LEN, true));
    return 0;
  }

  #clearError(): void {
    this.errno = 0;
    this.origin = 0;
    this.type = 0;
    this.code = 0;
    this.info = 0;
    this.offenderFamily = AF_UNSPEC;
    this.offender.fill(0);
  }

  /** Walks the control messages up to `end` (man 3 cmsg: each padded to 8 bytes). */
  #readControl(end: number): void {
    let at = this.#control;
    while (at + CMSG_HEADER <= end) {
      const len = this.#view.getUint32(at, true);
      if (len < CMSG_HEADER || at + len > end) return;
      const level = this.#view.getInt32(at + 8, true);
      const type = this.#view.getInt32(at + 12, true);
      const isError = level === IPPROTO_IP ? type === IP_RECVERR : level === IPPROTO_IPV6 && type === IPV6_RECVERR;
      if (isError && len >= CMSG_HEADER + EXTENDED_ERROR_SIZE) this.#readError(at + CMSG_HEADER, at + len);
      at += (len + 7) & ~7;
    }
  }

  #readError(at: number, end: number): void {
    const view = this.#view;
    this.errno = view.getUint32(at, true);
    this.origin = view.getUint8(at + 4);
    this.type = view.getUint8(at + 5);
    this.code = view.getUint8(at + 6);
    this.info = view.getUint32(at + 8, true);
    const offenderLen = end - at - EXTENDED_ERROR_SIZE;
    this.offenderFamily = this.#readAddress(at + EXTENDED_ERROR_SIZE, offenderLen, this.offender);
  }

  /** Copies the address of a sockaddr to `words` and returns its family, AF_UNSPEC if it is neither IPv4 nor IPv6. */
  #readAddress(at: number, len: number, words: Uint32Array): number {
    const view = this.#view;
    words.fill(0);
    const family = len >= 2 ? view.getUint16(at, true) : AF_UNSPEC;
    if (family === AF_INET && len >= 16) {
      words[0] = view.getUint32(at + 4);
      return AF_INET;
    }
    if (family === AF_INET6 && len >= 28) {
      for (let i = 0; i < 4; i++) words[i] = view.getUint32(at + 8 + 4 * i);
      return AF_INET6;
    }
    return AF_UNSPEC;
  }
}
