/**
 * What happened, for everybody who listens, with a memory for those who come back.
 *
 * Zone: control.  Ids start at the daemon's start time in ms, so that an id of an earlier daemon is always older.
 */
import type { EventSource } from '../api/handlers.ts';
import type { EventType, EventView } from '../model/api.ts';

/** Events that a returning reader still finds. */
export const MAX_REMEMBERED_EVENTS = 1024;
/** Readers at one time. */
export const MAX_EVENT_READERS = 64;

export interface EventSubject {
  readonly network?: string;
  readonly guest?: string;
}

export class EventHub implements EventSource {
  readonly #listeners = new Set<(event: EventView) => void>();
  readonly #remembered: EventView[] = [];
  #lastId: number;

  constructor(startedMs: number) {
    this.#lastId = startedMs;
  }

  publish(type: EventType, subject: EventSubject, message: string): void {
    const event: EventView = {
      id: ++this.#lastId,
      timeMs: Date.now(),
      type,
      network: subject.network ?? null,
      guest: subject.guest ?? null,
      message,
    };
    this.#remembered.push(event);
    if (this.#remembered.length > MAX_REMEMBERED_EVENTS) this.#remembered.shift();
    for (const listener of this.#listeners) listener(event);
  }

  /** The reader that listens longest gives way when there are too many. */
  subscribe(listener: (event: EventView) => void, afterId: number | null): Disposable {
    if (this.#listeners.size >= MAX_EVENT_READERS) this.#listeners.delete(this.#listeners.values().next().value!);
    if (afterId !== null) for (const event of this.#remembered) if (event.id > afterId) listener(event);
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }
}
