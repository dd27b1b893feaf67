/**
 * An open file of the fake kernel: what a descriptor, or several after dup, refers to.
 *
 * Zone: control.  `poll` tells the state now; `wake` tells the watchers that it may have changed.  The two are apart
 * because edge-triggered epoll reports wake-ups, level-triggered epoll reports states (man 7 epoll).
 */
import { EINVAL, ENOTTY, O_RDWR } from '../constants.ts';

export interface Watcher {
  /** The state changed in `events`; 0 when any of it may have. */
  onWake(events: number): void;
  onRelease(): void;
}

export abstract class OpenFile {
  references = 1;
  statusFlags: number = O_RDWR;
  readonly #watchers = new Set<Watcher>();

  /** EPOLL* bits that hold now. */
  abstract poll(): number;
  /** One line for a list of descriptors that were left open. */
  abstract describe(): string;
  /** The last descriptor was closed. */
  protected abstract onClose(): void;

  read(_memory: Uint8Array, _off: number, _len: number): number {
    return -EINVAL;
  }

  write(_memory: Uint8Array, _off: number, _len: number): number {
    return -EINVAL;
  }

  /** `argument` is -1 when `value` is meant. */
  ioctl(_view: DataView, _request: number, _argument: number, _value: number): number {
    return -ENOTTY;
  }

  watch(watcher: Watcher): void {
    this.#watchers.add(watcher);
  }

  unwatch(watcher: Watcher): void {
    this.#watchers.delete(watcher);
  }

  wake(events = 0): void {
    for (const watcher of this.#watchers) watcher.onWake(events);
  }

  release(): void {
    if (--this.references > 0) return;
    for (const watcher of this.#watchers) watcher.onRelease();
    this.#watchers.clear();
    this.onClose();
  }
}
