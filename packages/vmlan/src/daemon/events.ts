/**
 * What happened, for everybody who listens, with a memory for those who come back.
 *
 * Zone: control.  Ids start at the daemon's start time in ms, so that an id of an earlier daemon is older.
 */
import type { EventSource } from '../api/handlers.ts';
import { VmlanError } from '../core/errors.ts';
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

  /** An id that lies ahead is of an earlier daemon, before the clock was set back: to its reader all of these are new. */
  after(id: number): readonly EventView[] {
    return id > this.#lastId ? [...this.#remembered] : this.#remembered.filter((event) => event.id > id);
  }

  subscribe(listener: (event: EventView) => void): Disposable {
    if (this.#listeners.size >= MAX_EVENT_READERS) {
      throw new VmlanError('exhausted', `${MAX_EVENT_READERS} readers follow the events already`, {
        hint: 'end one of them, for example a "vmlan events --follow" that nobody reads',
      });
    }
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }
}
