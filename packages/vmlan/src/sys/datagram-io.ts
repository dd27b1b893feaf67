/**
 * Many datagrams in one system call: recvmmsg with UDP_GRO, sendmsg with UDP_SEGMENT (man 2 recvmmsg, man 7 udp).
 *
 * Zone: packet.  A message is one datagram, or a run of datagrams of one size with a last one that may be shorter: then
 * `segment` is that size, else 0.  The kernel structures stay in the arena for good, because they hold raw addresses.
 *
 *   struct mmsghdr, 64 bytes: struct msghdr (56) | msg_len u32 | pad
 *   struct cmsghdr: len u64 | level i32 | type i32, then its data
 */
import { MSG_DONTWAIT, MSG_NOSIGNAL, SOL_UDP, UDP_GRO, UDP_SEGMENT } from './constants.ts';
import { ROOM as NAME_ROOM } from './sockaddr.ts';
import type { Sys } from './sys.ts';

/** Messages of one receive. */
export const MESSAGES_MAX = 64;
/** Bytes of one message at most: no UDP payload is longer. */
const MESSAGE_ROOM = 65_536;
const MMSGHDR_SIZE = 64;
const MMSGHDR_NAME_LEN = 8;
const MMSGHDR_CONTROL_LEN = 40;
const MMSGHDR_LEN = 56;
const IOVEC_SIZE = 16;
const CMSG_HEADER = 16;
const CONTROL_ROOM = 64; // bytes: one int takes 24

/** What the last `receive` brought; each has a buffer of its own, the first is the caller's. */
export class DatagramReader {
  /** Arena offsets of the messages. */
  readonly off: Int32Array = new Int32Array(MESSAGES_MAX);
  readonly len: Int32Array = new Int32Array(MESSAGES_MAX);
  readonly segment: Int32Array = new Int32Array(MESSAGES_MAX);
  readonly #sys: Sys;
  readonly #view: DataView;
  readonly #headers: number;
  readonly #iovecs: number;
  readonly #controls: number;
  readonly #names: number; // 0: who sent them is not asked

  constructor(sys: Sys, withNames: boolean) {
    const { arena } = sys;
    this.#sys = sys;
    this.#view = arena.view;
    this.#headers = arena.alloc(MESSAGES_MAX * MMSGHDR_SIZE);
    this.#iovecs = arena.alloc(MESSAGES_MAX * IOVEC_SIZE);
    this.#controls = arena.alloc(MESSAGES_MAX * CONTROL_ROOM);
    this.#names = withNames ? arena.alloc(MESSAGES_MAX * NAME_ROOM) : 0;
    const room = arena.alloc((MESSAGES_MAX - 1) * MESSAGE_ROOM, 4096);
    for (let i = 0; i < MESSAGES_MAX; i++) {
      const iovec = this.#iovecs + i * IOVEC_SIZE;
      this.off[i] = i === 0 ? 0 : room + (i - 1) * MESSAGE_ROOM;
      sys.setIovec(this.#iovecs, i, this.off[i]!, MESSAGE_ROOM);
      const control = this.#controls + i * CONTROL_ROOM;
      sys.setMsghdr(this.#headers + i * MMSGHDR_SIZE, this.name(i), NAME_ROOM, iovec, 1, control, CONTROL_ROOM);
    }
  }

  /** Where the address of message `i` lies; 0 when it was not asked for. */
  name(i: number): number {
    return this.#names === 0 ? 0 : this.#names + i * NAME_ROOM;
  }

  /** Takes at most `max` messages, the first to `to` where `room` bytes are free; how many, or `-errno`. */
  receive(fd: number, to: number, room: number, max: number): number {
    const v = this.#view;
    this.off[0] = to;
    this.#sys.setIovec(this.#iovecs, 0, to, room);
    const n = this.#sys.recvmmsg(fd, this.#headers, max, MSG_DONTWAIT);
    for (let i = 0; i < n; i++) {
      const header = this.#headers + i * MMSGHDR_SIZE;
      this.len[i] = v.getUint32(header + MMSGHDR_LEN, true);
      const controlLen = v.getUint32(header + MMSGHDR_CONTROL_LEN, true);
      this.segment[i] = controlLen === 0 ? 0 : this.#readSegment(this.#controls + i * CONTROL_ROOM, controlLen);
      // What the kernel shortened gets its room back.
      v.setUint32(header + MMSGHDR_CONTROL_LEN, CONTROL_ROOM, true);
      v.setUint32(header + MMSGHDR_NAME_LEN, NAME_ROOM, true);
    }
    return n;
  }

  #readSegment(at: number, len: number): number {
    const v = this.#view;
    const isGro =
      len >= CMSG_HEADER + 4 && v.getInt32(at + 8, true) === SOL_UDP && v.getInt32(at + 12, true) === UDP_GRO;
    return isGro ? v.getInt32(at + CMSG_HEADER, true) : 0;
  }
}

/** Sends runs: one call, one walk through the host's stack. */
export class RunWriter {
  readonly #sys: Sys;
  readonly #view: DataView;
  readonly #header: number;
  readonly #iovec: number;
  readonly #control: number;

  constructor(sys: Sys) {
    const { arena } = sys;
    this.#sys = sys;
    this.#view = arena.view;
    this.#header = arena.alloc(MMSGHDR_SIZE);
    this.#iovec = arena.alloc(IOVEC_SIZE);
    this.#control = arena.alloc(CMSG_HEADER + 8);
    this.#view.setUint32(this.#control, CMSG_HEADER + 2, true); // CMSG_LEN of a u16
    this.#view.setInt32(this.#control + 8, SOL_UDP, true);
    this.#view.setInt32(this.#control + 12, UDP_SEGMENT, true);
  }

  /** Datagrams of `segment` bytes, the last may be shorter; `nameOff` 0: to the peer. `-errno`: none of them left. */
  send(fd: number, off: number, len: number, segment: number, nameOff: number, nameLen: number): number {
    this.#view.setUint16(this.#control + CMSG_HEADER, segment, true);
    this.#sys.setIovec(this.#iovec, 0, off, len);
    this.#sys.setMsghdr(this.#header, nameOff, nameLen, this.#iovec, 1, this.#control, CMSG_HEADER + 8);
    return this.#sys.sendmsg(fd, this.#header, MSG_DONTWAIT | MSG_NOSIGNAL);
  }
}
