/**
 * A TAP device with IFF_VNET_HDR (Documentation/networking/tuntap.rst): the kernel takes and gives segments of up to
 * 64 KiB with checksums to complete, so frames pass through untouched; runs of datagrams only where it knows them.
 *
 * Zone: packet.  Level-triggered, BUDGET frames a wake-up.  EBADFD and EIO mean that the device is gone or down.
 */
import { type Counters, counter } from '../core/counters.ts';
import type { Poller, Source } from '../core/poller.ts';
import * as C from '../sys/constants.ts';
import type { Sys } from '../sys/sys.ts';
import { segmentUdp } from '../sys/tap.ts';
import type { LinkOutput } from '../switching/port.ts';
import * as vnetHdr from '../wire/vnet-hdr.ts';
import { type LinkInput, MAX_FRAME_LEN } from './link.ts';
import type { FrameSink } from './cut-headers.ts';
import type { StreamBuffers } from './stream-framing.ts';
import { sendUdpSegments } from './udp-cut.ts';

const DROP_TAP_WRITE = counter('drop_tap_write');
/** Frames of a wake-up: as many datagrams as one run holds. */
export const FRAMES_AT_ONCE = 64;
/** A device that is down is looked at again after this. */
const DOWN_RETRY_MS = 50;
/** What TCP may plan with: the kernel queues for a TAP, there is no queue of ours. */
const ROOM = 1024 * 1024;

export class TapLink implements LinkOutput, Source, FrameSink {
  readonly kind = 'tap';
  readonly #sys: Sys;
  readonly #poller: Poller;
  readonly #input: LinkInput;
  readonly #counters: Counters;
  readonly #rx: number;
  readonly #tx: number; // for the datagrams of a run that the kernel does not know how to cut
  readonly #takesRuns: boolean;
  #fd: number;
  readonly #token: number;

  /** Takes over `fd`, non-blocking, with a 12-byte virtio_net_hdr. */
  constructor(sys: Sys, poller: Poller, fd: number, input: LinkInput, shared: StreamBuffers, counters: Counters) {
    this.#sys = sys;
    this.#poller = poller;
    this.#fd = fd;
    this.#input = input;
    this.#counters = counters;
    this.#rx = shared.rx;
    this.#tx = shared.cut;
    this.#takesRuns = segmentUdp(sys, fd);
    this.#token = poller.add(fd, C.EPOLLIN, this);
    input.onUp(this);
  }

  send(off: number, len: number): boolean {
    const { view, u8 } = this.#sys.arena;
    if (this.#takesRuns || vnetHdr.gsoType(view, off - vnetHdr.LEN) !== vnetHdr.GSO_UDP_L4)
      return this.#write(off, len);
    return sendUdpSegments(view, u8, off, len, this);
  }

  reserve(len: number): number {
    return len <= MAX_FRAME_LEN ? this.#tx : -1;
  }

  commit(len: number): void {
    vnetHdr.clear(this.#sys.arena.view, this.#tx - vnetHdr.LEN);
    this.#write(this.#tx, len);
  }

  #write(off: number, len: number): boolean {
    const n = this.#sys.write(this.#fd, off - vnetHdr.LEN, len + vnetHdr.LEN);
    if (n >= 0) return true;
    this.#counters.count(DROP_TAP_WRITE);
    if (n === -C.EBADFD) this.close();
    return false;
  }

  room(): number {
    return this.#fd < 0 ? 0 : ROOM;
  }

  onReady(mask: number, nowMs: number): void {
    if (mask === 0) this.#poller.modify(this.#token, C.EPOLLIN);
    for (let i = 0; i < FRAMES_AT_ONCE && this.#fd >= 0; i++) {
      const n = this.#sys.read(this.#fd, this.#rx - vnetHdr.LEN, MAX_FRAME_LEN + vnetHdr.LEN);
      if (n === -C.EAGAIN || n === -C.EINTR) {
        if ((mask & (C.EPOLLERR | C.EPOLLHUP)) !== 0) this.#rest(nowMs + DOWN_RETRY_MS);
        return;
      }
      if (n < 0) return this.close();
      if (n <= vnetHdr.LEN) continue;
      this.#input.onFrame(this.#rx, n - vnetHdr.LEN, nowMs);
      const rest = this.#input.restMs(nowMs);
      if (rest > 0 && this.#fd >= 0) return this.#rest(nowMs + rest);
    }
  }

  close(): void {
    if (this.#fd < 0) return;
    this.#poller.remove(this.#token);
    this.#sys.close(this.#fd);
    this.#fd = -1;
    this.#input.onDown(this);
  }

  /** Also for a TAP that is down, which reports EPOLLERR all the time: wait instead of spinning. */
  #rest(untilMs: number): void {
    this.#poller.modify(this.#token, 0);
    this.#poller.wakeAt(this.#token, untilMs);
  }
}
