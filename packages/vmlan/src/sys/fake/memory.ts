/**
 * The structures that calls with vectors read and write in the arena: iovec, msghdr, cmsghdr (man 2 recvmsg, man 3 cmsg).
 *
 * Zone: control.  The layout is that of 64-bit Linux; the arena's base is 0, so that an address is an offset.
 */
import type { Arena } from '../../core/arena.ts';
import { MSG_ERRQUEUE, MSG_TRUNC, SOL_UDP, UDP_SEGMENT } from '../constants.ts';
import type { Socket } from './socket.ts';

const IOVEC_SIZE = 16; // bytes
const CMSG_HEADER = 16; // bytes
const MSG_CTRUNC = 0x8;

export interface Msghdr {
  readonly nameOff: number;
  readonly nameLen: number;
  readonly iovOff: number;
  readonly iovCount: number;
}

type Transfer = (bytes: Uint8Array, off: number, len: number) => number;

export class Memory {
  readonly #u8: Uint8Array;
  readonly #view: DataView;
  #scratch: Uint8Array = new Uint8Array(65_536);

  constructor(arena: Arena) {
    this.#u8 = arena.u8;
    this.#view = arena.view;
  }

  setIovec(iovOff: number, index: number, off: number, len: number): void {
    const at = iovOff + index * IOVEC_SIZE;
    this.#set64(at, off);
    this.#set64(at + 8, len);
  }

  setMsghdr(
    msgOff: number,
    nameOff: number,
    nameLen: number,
    iovOff: number,
    iovCount: number,
    controlOff: number,
    controlLen: number,
  ): void {
    this.#set64(msgOff, nameOff);
    this.#set64(msgOff + 8, nameLen);
    this.#set64(msgOff + 16, iovOff);
    this.#set64(msgOff + 24, iovCount);
    this.#set64(msgOff + 32, controlOff);
    this.#set64(msgOff + 40, controlLen);
    this.#set64(msgOff + 48, 0);
  }

  #set64(at: number, value: number): void {
    this.#view.setUint32(at, value, true);
    this.#view.setUint32(at + 4, 0, true);
  }

  #get(at: number): number {
    return this.#view.getUint32(at, true);
  }

  readMsghdr(msgOff: number): Msghdr {
    const at = (index: number): number => this.#get(msgOff + 8 * index);
    return { nameOff: at(0), nameLen: at(1), iovOff: at(2), iovCount: at(3) };
  }

  /** The UDP_SEGMENT of a message's control data; 0: none. */
  sentSegment(msgOff: number): number {
    const at = this.#get(msgOff + 32);
    if (at === 0 || this.#get(msgOff + 40) < CMSG_HEADER + 2) return 0;
    const isSegment =
      this.#view.getInt32(at + 8, true) === SOL_UDP && this.#view.getInt32(at + 12, true) === UDP_SEGMENT;
    return isSegment ? this.#view.getUint16(at + CMSG_HEADER, true) : 0;
  }

  /** What recvmsg leaves in its msghdr: lengths, control messages as far as they fit, flags. */
  finishMsghdr(msgOff: number, nameLen: number, socket: Socket, flags: number): void {
    const controlOff = this.#get(msgOff + 32);
    const end = controlOff + (controlOff === 0 ? 0 : this.#get(msgOff + 40));
    let at = controlOff;
    let outFlags = (socket.received.truncated ? MSG_TRUNC : 0) | (flags & MSG_ERRQUEUE);
    for (const { level, type, bytes } of socket.controlMessages()) {
      const len = CMSG_HEADER + bytes.length;
      if (at + len > end) {
        outFlags |= MSG_CTRUNC;
        break;
      }
      this.#set64(at, len);
      this.#view.setInt32(at + 8, level, true);
      this.#view.setInt32(at + 12, type, true);
      this.#u8.set(bytes, at + CMSG_HEADER);
      at = Math.min(at + ((len + 7) & ~7), end);
    }
    this.#view.setUint32(msgOff + 8, nameLen, true);
    this.#set64(msgOff + 40, at - controlOff);
    this.#view.setInt32(msgOff + 48, outFlags, true);
  }

  /** Runs `transfer` on the vectors' bytes joined together. */
  gather(iovOff: number, count: number, transfer: Transfer): number {
    if (count === 1) return transfer(this.#u8, this.#get(iovOff), this.#get(iovOff + 8));
    const total = this.#total(iovOff, count);
    let at = 0;
    for (let i = 0; i < count; i++) {
      const off = this.#get(iovOff + i * IOVEC_SIZE);
      const len = this.#get(iovOff + i * IOVEC_SIZE + 8);
      this.#scratch.set(this.#u8.subarray(off, off + len), at);
      at += len;
    }
    return transfer(this.#scratch, 0, total);
  }

  /** Runs `transfer` into one buffer and spreads what it got over the vectors. */
  scatter(iovOff: number, count: number, transfer: Transfer): number {
    if (count === 1) return transfer(this.#u8, this.#get(iovOff), this.#get(iovOff + 8));
    const total = this.#total(iovOff, count);
    const got = transfer(this.#scratch, 1, total); // offset 0 would mean NULL
    let at = 0;
    for (let i = 0; i < count && at < Math.min(got, total); i++) {
      const len = Math.min(this.#get(iovOff + i * IOVEC_SIZE + 8), got - at);
      this.#u8.set(this.#scratch.subarray(1 + at, 1 + at + len), this.#get(iovOff + i * IOVEC_SIZE));
      at += len;
    }
    return got;
  }

  #total(iovOff: number, count: number): number {
    let total = 0;
    for (let i = 0; i < count; i++) total += this.#get(iovOff + i * IOVEC_SIZE + 8);
    if (total + 1 > this.#scratch.length) this.#scratch = new Uint8Array(2 * total);
    return total;
  }
}
