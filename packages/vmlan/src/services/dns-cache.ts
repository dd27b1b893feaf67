/**
 * Replies kept for a short while, so that a guest that asks the same again and again does not trouble the host's resolver.
 *
 * Zone: flow.  Bounded in entries and octets; the entry used least recently goes first.  The host caches too and its answers
 * change with its networks (VPN up, VPN down), so nothing is kept longer than a few seconds, whatever its TTL.
 */
import type { StoredReply } from './dns-reply.ts';

/** Reply and age, borrowed. */
export interface CacheHit {
  readonly reply: StoredReply;
  readonly ageS: number;
}

interface Entry {
  readonly reply: StoredReply;
  readonly storedMs: number;
  readonly expiresMs: number;
}

export const MAX_CACHE_OCTETS: number = 4 * 1024 * 1024;
const MAX_KEEP_POSITIVE_S = 30;
const MAX_KEEP_NEGATIVE_S = 5;

export class ReplyCache {
  readonly #entries: Map<string, Entry> = new Map();
  readonly #maxEntries: number;
  #octets = 0;

  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string, nowMs: number): CacheHit | null {
    const entry = this.#entries.get(key);
    if (entry === undefined) return null;
    this.#entries.delete(key);
    if (nowMs >= entry.expiresMs) {
      this.#octets -= entry.reply.bytes.length;
      return null;
    }
    this.#entries.set(key, entry); // now the youngest
    return { reply: entry.reply, ageS: Math.floor((nowMs - entry.storedMs) / 1000) };
  }

  put(key: string, reply: StoredReply, nowMs: number): void {
    const keepS = Math.min(reply.lifetimeS, reply.isNegative ? MAX_KEEP_NEGATIVE_S : MAX_KEEP_POSITIVE_S);
    if (keepS === 0 || this.#maxEntries === 0) return;
    this.#drop(key);
    this.#entries.set(key, { reply, storedMs: nowMs, expiresMs: nowMs + keepS * 1000 });
    this.#octets += reply.bytes.length;
    while (this.#entries.size > this.#maxEntries || this.#octets > MAX_CACHE_OCTETS) {
      this.#drop(this.#entries.keys().next().value!);
    }
  }

  clear(): void {
    this.#entries.clear();
    this.#octets = 0;
  }

  #drop(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#octets -= entry.reply.bytes.length;
  }
}
