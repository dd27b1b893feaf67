/**
 * Questions that wait for the host's resolver, and the clients that wait for each.
 *
 * Zone: flow.  Bounded in all and per client, so that no guest can take the others' share.  All questions have the same
 * patience, hence the oldest is always the first of the map and time-outs cost nothing to find.
 */
import type { Answer } from './zone.ts';

/** Identifies a guest: its port. */
export type ClientKey = number | string;

/** Receives a reply that is borrowed: it must be used or copied before returning. */
export type Respond = (reply: Uint8Array) => void;

/** A client's query as far as its reply needs it. */
export interface Waiter {
  readonly client: ClientKey;
  readonly id: number;
  readonly flags: number;
  /** Name, type and class as the client spelled them. */
  readonly question: Uint8Array;
  readonly hasEdns: boolean;
  readonly dnssecOk: boolean;
  readonly limitOctets: number;
  /** Local CNAME records that led to the question; null if the client asked it itself. */
  readonly alias: readonly Answer[] | null;
  readonly respond: Respond;
}

export interface PendingQuestion {
  readonly id: number;
  /** Under which others may join and the reply is cached; null = the query was too peculiar to share. */
  readonly key: string | null;
  /** What upstream was asked. */
  readonly question: Uint8Array;
  readonly deadlineMs: number;
  readonly waiters: Waiter[];
}

export class PendingQuestions {
  readonly #byId: Map<number, PendingQuestion> = new Map();
  readonly #byKey: Map<string, PendingQuestion> = new Map();
  readonly #perClient: Map<ClientKey, number> = new Map();
  readonly #maxWaiters: number;
  readonly #maxPerClient: number;
  #waiters = 0;
  #lastId = 0;

  constructor(maxWaiters: number, maxPerClient: number) {
    this.#maxWaiters = maxWaiters;
    this.#maxPerClient = maxPerClient;
  }

  /** Clients waiting. */
  get size(): number {
    return this.#waiters;
  }

  hasRoomFor(client: ClientKey): boolean {
    return this.#waiters < this.#maxWaiters && (this.#perClient.get(client) ?? 0) < this.#maxPerClient;
  }

  find(key: string): PendingQuestion | undefined {
    return this.#byKey.get(key);
  }

  open(key: string | null, question: Uint8Array, deadlineMs: number): PendingQuestion {
    this.#lastId = (this.#lastId + 1) | 0;
    const pending: PendingQuestion = { id: this.#lastId, key, question, deadlineMs, waiters: [] };
    this.#byId.set(pending.id, pending);
    if (key !== null) this.#byKey.set(key, pending);
    return pending;
  }

  join(pending: PendingQuestion, waiter: Waiter): void {
    pending.waiters.push(waiter);
    this.#waiters++;
    this.#perClient.set(waiter.client, (this.#perClient.get(waiter.client) ?? 0) + 1);
  }

  /** Takes a question out, with all that wait for it. */
  take(id: number): PendingQuestion | undefined {
    const pending = this.#byId.get(id);
    if (pending === undefined) return undefined;
    this.#byId.delete(id);
    if (pending.key !== null) this.#byKey.delete(pending.key);
    for (const { client } of pending.waiters) this.#release(client);
    return pending;
  }

  #release(client: ClientKey): void {
    this.#waiters--;
    const left = this.#perClient.get(client)! - 1;
    if (left === 0) this.#perClient.delete(client);
    else this.#perClient.set(client, left);
  }

  /** The question that runs out of patience first. */
  oldest(): PendingQuestion | undefined {
    return this.#byId.values().next().value;
  }
}
