/**
 * A bounded queue between somebody who calls back and somebody who waits: `push` here, `for await` there.
 *
 * Zone: control.  One reader, which ends the queue by leaving its loop.  What no reader has taken waits, at most `limit` of
 * it; what then happens is the owner's choice, and is counted.
 */

/** What gives way when the queue is full. */
export type WhenFull = 'drop-oldest' | 'drop-newest';

export interface AsyncQueueOptions {
  readonly limit: number;
  readonly whenFull?: WhenFull;
  /** Called once, when the queue has ended for whichever reason. */
  readonly onEnd?: () => void;
}

interface Waiter<T> {
  readonly promise: Promise<IteratorResult<T, undefined>>;
  readonly resolve: (result: IteratorResult<T, undefined>) => void;
  readonly reject: (error: unknown) => void;
}

const DONE: IteratorResult<never, undefined> = { done: true, value: undefined };

export class AsyncQueue<T> implements AsyncIterableIterator<T, undefined> {
  readonly #options: AsyncQueueOptions;
  #items: T[] = [];
  #waiters: Waiter<T>[] = [];
  #ended = false;
  #error: unknown = null;
  /** How many items gave way. */
  dropped = 0;

  constructor(options: AsyncQueueOptions) {
    this.#options = options;
  }

  get length(): number {
    return this.#items.length;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** False when the item itself was dropped. */
  push(item: T): boolean {
    if (this.#ended) return false;
    const waiter = this.#waiters.shift();
    if (waiter !== undefined) {
      waiter.resolve({ done: false, value: item });
      return true;
    }
    if (this.#items.length >= this.#options.limit) {
      this.dropped++;
      if (this.#options.whenFull === 'drop-newest') return false;
      this.#items.shift();
    }
    this.#items.push(item);
    return true;
  }

  /** No more comes; what waits is still read. With `error`, the reader then gets it. */
  end(error: unknown = null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    for (const waiter of this.#waiters.splice(0)) this.#settle(waiter);
    this.#options.onEnd?.();
  }

  next(): Promise<IteratorResult<T, undefined>> {
    if (this.#items.length > 0) return Promise.resolve({ done: false, value: this.#items.shift()! });
    const { promise, resolve, reject } = Promise.withResolvers<IteratorResult<T, undefined>>();
    if (this.#ended) this.#settle({ promise, resolve, reject });
    else this.#waiters.push({ promise, resolve, reject });
    return promise;
  }

  /** Who waits by this `next` gives up: what comes is for others. The promise is never settled. */
  forget(next: Promise<IteratorResult<T, undefined>>): void {
    this.#waiters = this.#waiters.filter(({ promise }) => promise !== next);
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.#items = [];
    this.end();
    return Promise.resolve(DONE);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #settle({ resolve, reject }: Waiter<T>): void {
    const error = this.#error;
    this.#error = null; // told once
    if (error === null) resolve(DONE);
    else reject(error);
  }
}
