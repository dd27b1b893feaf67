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
  /** The last event that is not remembered; before the first one of this daemon are those of others. */
  #forgottenId: number;

  constructor(startedMs: number) {
    this.#lastId = startedMs;
    this.#forgottenId = startedMs;
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
    if (this.#remembered.length > MAX_REMEMBERED_EVENTS) this.#forgottenId = this.#remembered.shift()!.id;
    for (const listener of this.#listeners) listener(event);
  }

  /**
   * 0 is before all; of any other id, what came behind it and is forgotten is told to be missing.  One that lies ahead is
   * of an earlier daemon, before the clock was set back: to its reader all of these are new.
   */
  after(id: number): readonly EventView[] {
    const isKnown = id === 0 || (id >= this.#forgottenId && id <= this.#lastId);
    if (!isKnown) return [this.#missed(), ...this.#remembered];
    return this.#remembered.filter((event) => event.id > id);
  }

  /** Its id is that of the last one that is missing: who comes back with it misses nothing more. */
  #missed(): EventView {
    const message = 'events before this one are not known any more: look at what is there';
    return {
      ...{ id: this.#forgottenId, timeMs: Date.now(), type: 'events-missed', message },
      ...{ network: null, guest: null },
    };
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
