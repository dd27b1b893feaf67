/**
 * A guest that is made of JavaScript: what a program inside a virtual machine would do, done by a test.
 *
 * Zone: control.
 */
import { AsyncQueue } from '../core/async-queue.ts';
import type { FrameLink } from './frame-link.ts';
import type { GuestNic, NicOptions } from './guest-names.ts';

/** Frames that wait for a reader of `frames()` that is slow; older ones then give way. */
export const MAX_WAITING_FRAMES = 4096;

export type GuestOptions = NicOptions;

/** What a guest needs of its network. */
export interface GuestContext {
  readonly nic: GuestNic;
  readonly link: FrameLink;
  readonly setConnected: (connected: boolean) => Promise<void>;
  readonly remove: () => Promise<void>;
}

/**
 * A guest of a network, as `Network.addGuest` makes it.
 *
 *     const web = await net.addGuest('web');
 *     for await (const frame of web.frames()) …
 */
export class Guest implements AsyncDisposable {
  /** Its name, which DNS knows it by. */
  readonly name: string;
  /** Its MAC address. */
  readonly mac: string;
  readonly #context: GuestContext;
  readonly #readers = new Set<AsyncQueue<Uint8Array>>();

  constructor(context: GuestContext) {
    this.#context = context;
    this.name = context.nic.guest;
    this.mac = context.nic.mac;
  }

  /**
   * Sends an Ethernet frame, without FCS, as it is; it is copied.  False when the link has no room for it or is gone: the
   * frame is lost, as on a wire.
   */
  send(frame: Uint8Array): boolean {
    return this.#context.link.send(frame);
  }

  /** Every frame that reaches the guest from now on.  A reader that falls behind loses the oldest. */
  frames(): AsyncIterableIterator<Uint8Array, undefined> {
    const queue = new AsyncQueue<Uint8Array>({
      limit: MAX_WAITING_FRAMES,
      onEnd: () => this.#readers.delete(queue),
    });
    this.#readers.add(queue);
    return queue;
  }

  /** Pulls the plug: nothing goes in or out until `connect`. */
  disconnect(): Promise<void> {
    return this.#context.setConnected(false);
  }

  /** Puts the plug back in. */
  connect(): Promise<void> {
    return this.#context.setConnected(true);
  }

  /** Takes the guest off the network; what it has open breaks. */
  remove(): Promise<void> {
    return this.#context.remove();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.remove();
  }

  /** @internal A frame has come. */
  onFrame(frame: Uint8Array): void {
    for (const reader of this.#readers) reader.push(frame);
  }

  /** @internal The link is gone. */
  onClose(): void {
    for (const reader of [...this.#readers]) reader.end();
  }
}
