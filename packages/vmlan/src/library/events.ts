/**
 * What happens on a network, told by its kind to listeners and in order to readers.
 *
 * Zone: control.
 */
import { AsyncQueue } from '../core/async-queue.ts';
import type { EngineEvent, GuestSnapshot } from '../engine/control-messages.ts';

/** Events that wait for a reader that is slow; older ones then give way. */
export const MAX_WAITING_EVENTS = 4096;

/** What happens on a network, by kind. */
export type NetworkEvent =
  /** The far end of a guest's link is there. */
  | { readonly type: 'guest-up'; readonly guest: string; readonly details: GuestSnapshot }
  /** It is gone. */
  | { readonly type: 'guest-down'; readonly guest: string; readonly details: GuestSnapshot }
  /** It has other addresses, or another name. */
  | { readonly type: 'guest-changed'; readonly guest: string; readonly details: GuestSnapshot }
  /** The host's own way out by IPv6 came or went. */
  | { readonly type: 'ipv6-reachable'; readonly reachable: boolean }
  | { readonly type: 'warning'; readonly message: string }
  /** The network has ended; `reason` null: because it was closed. */
  | { readonly type: 'closed'; readonly reason: string | null };

export type NetworkEventType = NetworkEvent['type'];
/** The event of one kind. */
export type NetworkEventOf<T extends NetworkEventType> = Extract<NetworkEvent, { readonly type: T }>;

type Listener = (event: never) => void;

export class EventHub {
  readonly #listeners = new Map<NetworkEventType, Set<Listener>>();
  readonly #readers = new Set<AsyncQueue<NetworkEvent>>();

  on<T extends NetworkEventType>(type: T, listener: (event: NetworkEventOf<T>) => void): Disposable {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners.add(listener));
    return { [Symbol.dispose]: () => void listeners.delete(listener) };
  }

  read(): AsyncIterableIterator<NetworkEvent, undefined> {
    const queue = new AsyncQueue<NetworkEvent>({ limit: MAX_WAITING_EVENTS, onEnd: () => this.#readers.delete(queue) });
    this.#readers.add(queue);
    return queue;
  }

  publish(event: NetworkEvent): void {
    for (const queue of this.#readers) queue.push(event);
    for (const listener of [...(this.#listeners.get(event.type) ?? [])])
      (listener as (event: NetworkEvent) => void)(event);
  }

  end(): void {
    for (const queue of [...this.#readers]) queue.end();
    this.#listeners.clear();
  }
}

export const eventOf = (event: EngineEvent): NetworkEvent =>
  event.kind === 'ipv6-reachable'
    ? { type: event.kind, reachable: event.reachable }
    : { type: event.kind, guest: event.guest.guest, details: event.guest };
