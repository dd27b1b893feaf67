/**
 * epoll of the fake kernel (man 7 epoll): level- and edge-triggered.
 *
 * Zone: control.  A wake-up puts an item at the end of the ready list; `collect` asks each ready item for its state,
 * drops those with nothing to report, and puts level-triggered ones back at the end.  EPOLLERR and EPOLLHUP are always
 * reported.  EPOLLONESHOT and EPOLLEXCLUSIVE do not exist here.
 */
import { EBADF, EEXIST, EINVAL, ENOENT } from '../constants.ts';
import { EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN } from '../constants.ts';
import { EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD } from '../constants.ts';
import { OpenFile, type Watcher } from './open-file.ts';

export interface EpollEvent {
  mask: number;
  data: number;
}

class Item implements Watcher {
  events = 0;
  data = 0;
  queued = false;
  readonly fd: number;
  readonly file: OpenFile;
  readonly #epoll: Epoll;

  constructor(epoll: Epoll, fd: number, file: OpenFile) {
    this.#epoll = epoll;
    this.fd = fd;
    this.file = file;
  }

  state(): number {
    return this.file.poll() & (this.events | EPOLLERR | EPOLLHUP);
  }

  onWake(events: number): void {
    if (events === 0 || (events & (this.events | EPOLLERR | EPOLLHUP)) !== 0) this.#epoll.enqueue(this);
  }

  onRelease(): void {
    this.#epoll.forget(this);
  }
}

export class Epoll extends OpenFile {
  readonly #items = new Map<OpenFile, Map<number, Item>>();
  #ready: Item[] = [];

  control(op: number, fd: number, file: OpenFile | undefined, events: number, data: number): number {
    if (file === undefined) return -EBADF;
    if (file === this) return -EINVAL;
    const item = this.#items.get(file)?.get(fd);
    if (op === EPOLL_CTL_ADD) return item === undefined ? this.#add(fd, file, events, data) : -EEXIST;
    if (item === undefined) return -ENOENT;
    if (op === EPOLL_CTL_DEL) {
      item.file.unwatch(item);
      this.forget(item);
      return 0;
    }
    if (op !== EPOLL_CTL_MOD) return -EINVAL;
    this.#arm(item, events, data);
    return 0;
  }

  #add(fd: number, file: OpenFile, events: number, data: number): number {
    const item = new Item(this, fd, file);
    const ofFile = this.#items.get(file) ?? new Map<number, Item>();
    ofFile.set(fd, item);
    this.#items.set(file, ofFile);
    file.watch(item);
    this.#arm(item, events, data);
    return 0;
  }

  #arm(item: Item, events: number, data: number): void {
    item.events = events;
    item.data = data;
    if (item.state() !== 0) this.enqueue(item);
  }

  enqueue(item: Item): void {
    if (item.queued) return;
    item.queued = true;
    this.#ready.push(item);
    this.wake(EPOLLIN);
  }

  forget(item: Item): void {
    const ofFile = this.#items.get(item.file);
    ofFile?.delete(item.fd);
    if (ofFile?.size === 0) this.#items.delete(item.file);
    if (item.queued) this.#ready = this.#ready.filter((other) => other !== item);
  }

  /** Fills `into` with at most `max` events and returns how many. */
  collect(max: number, into: EpollEvent[]): number {
    const candidates = this.#ready;
    const again: Item[] = [];
    this.#ready = [];
    let count = 0;
    let taken = 0;
    for (; taken < candidates.length && count < max; taken++) {
      const item = candidates[taken]!;
      const mask = item.state();
      item.queued = false;
      if (mask === 0) continue;
      const event = (into[count++] ??= { mask: 0, data: 0 });
      event.mask = mask;
      event.data = item.data;
      if ((item.events & EPOLLET) === 0) {
        item.queued = true;
        again.push(item);
      }
    }
    this.#ready = [...candidates.slice(taken), ...again];
    return count;
  }

  poll(): number {
    return this.#ready.some((item) => item.state() !== 0) ? EPOLLIN : 0;
  }

  describe(): string {
    return `epoll of ${this.#items.size} files`;
  }

  protected onClose(): void {
    for (const ofFile of this.#items.values()) for (const item of ofFile.values()) item.file.unwatch(item);
    this.#items.clear();
    this.#ready = [];
  }
}
