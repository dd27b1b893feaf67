/**
 * A TAP device with IFF_VNET_HDR (Documentation/networking/tuntap.rst): the kernel takes and gives segments of up to
 * 64 KiB with checksums to complete, so frames pass through untouched.
 *
 * Zone: packet.  Level-triggered, BUDGET frames a wake-up.  EBADFD and EIO mean that the device is gone or down.
 */
import { type Counters, counter } from '../core/counters.ts';
import type { Poller, Source } from '../core/poller.ts';
import * as C from '../sys/constants.ts';
import type { Sys } from '../sys/sys.ts';
import type { LinkOutput } from '../switching/port.ts';
import * as vnetHdr from '../wire/vnet-hdr.ts';
import { BUDGET, type LinkInput, MAX_FRAME_LEN } from './link.ts';
import type { StreamBuffers } from './stream-framing.ts';

const DROP_TAP_WRITE = counter('drop_tap_write');
/** A device that is down is looked at again after this. */
const DOWN_RETRY_MS = 50;
/** What TCP may plan with: the kernel queues for a TAP, there is no queue of ours. */
const ROOM = 1024 * 1024;

export class TapLink implements LinkOutput, Source {
  readonly kind = 'tap';
  readonly #sys: Sys;
  readonly #poller: Poller;
  readonly #input: LinkInput;
  readonly #counters: Counters;
  readonly #rx: number;
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
    this.#token = poller.add(fd, C.EPOLLIN, this);
    input.onUp(this);
  }

  send(off: number, len: number): boolean {
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
    for (let i = 0; i < BUDGET && this.#fd >= 0; i++) {
      const n = this.#sys.read(this.#fd, this.#rx - vnetHdr.LEN, MAX_FRAME_LEN + vnetHdr.LEN);
      if (n === -C.EAGAIN || n === -C.EINTR) {
        if ((mask & (C.EPOLLERR | C.EPOLLHUP)) !== 0) this.#rest(nowMs);
        return;
      }
      if (n < 0) return this.close();
      if (n > vnetHdr.LEN) this.#input.onFrame(this.#rx, n - vnetHdr.LEN, nowMs);
    }
  }

  close(): void {
    if (this.#fd < 0) return;
    this.#poller.remove(this.#token);
    this.#sys.close(this.#fd);
    this.#fd = -1;
    this.#input.onDown(this);
  }

  /** A TAP that is down reports EPOLLERR all the time: wait instead of spinning. */
  #rest(nowMs: number): void {
    this.#poller.modify(this.#token, 0);
    this.#poller.wakeAt(this.#token, nowMs + DOWN_RETRY_MS);
  }
}
