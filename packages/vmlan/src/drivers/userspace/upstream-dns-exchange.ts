/**
 * One query put to the host's name servers, one after the other, until one answers.
 *
 * Zone: control.  The next server is tried when one is unreachable or says that it is in trouble, at once, and when it keeps
 * silent, after a while; a late answer of an earlier server still counts.  Several rounds are made, but in the later ones a
 * server that has spoken is not asked again.  Whatever happens, the exchange is over at its deadline.
 */
import { isAnswer, isTruncated } from './upstream-dns-match.ts';
import type { OnReply } from './upstream-dns-udp.ts';

/** Asks one server; the function returned gives up. */
export type Ask = (server: string, query: Uint8Array, onReply: OnReply) => () => void;

export interface ExchangePlan {
  /** In the order to be tried. */
  readonly servers: readonly string[];
  readonly attempts: number;
  readonly timeoutMs: number;
  readonly deadlineMs: number;
  readonly askUdp: Ask;
  readonly askTcp: Ask;
  /** Told of each server that keeps silent or is unreachable. */
  readonly onSilence: (server: string) => void;
}

/** Beyond this a query goes by TCP from the start: it might be dropped as a fragment. */
const MAX_UDP_QUERY_OCTETS = 1232;

export class Exchange {
  readonly #query: Uint8Array;
  readonly #plan: ExchangePlan;
  readonly #finish: (reply: Uint8Array | null) => void;
  readonly #cancels: (() => void)[] = [];
  readonly #spoken: Set<string> = new Set();
  readonly #deadline: NodeJS.Timeout;
  #patience: NodeJS.Timeout | undefined;
  #turn = 0;
  #waitingFor = 0;
  /** The best that was said if nobody answers: trouble, or a truncated answer. */
  #fallback: Uint8Array | null = null;
  #done = false;

  /** `onEnd` is called once, unless `abort` comes first. */
  constructor(query: Uint8Array, plan: ExchangePlan, onEnd: (reply: Uint8Array | null) => void) {
    this.#query = query;
    this.#plan = plan;
    this.#finish = onEnd;
    this.#deadline = setTimeout(() => this.#end(this.#fallback), plan.deadlineMs);
    this.#askNext();
  }

  abort(): void {
    this.#done = true;
    clearTimeout(this.#deadline);
    clearTimeout(this.#patience);
    for (const cancel of this.#cancels) cancel();
  }

  #end(reply: Uint8Array | null): void {
    if (this.#done) return;
    this.abort();
    this.#finish(reply);
  }

  #askNext(): void {
    clearTimeout(this.#patience);
    const server = this.#nextServer();
    if (server !== undefined) this.#ask(server, this.#query.length > MAX_UDP_QUERY_OCTETS);
    else if (this.#waitingFor === 0) this.#end(this.#fallback);
  }

  #nextServer(): string | undefined {
    const { servers, attempts } = this.#plan;
    while (this.#turn < servers.length * attempts) {
      const server = servers[this.#turn++ % servers.length]!;
      if (!this.#spoken.has(server)) return server;
    }
    return undefined;
  }

  #ask(server: string, byTcp: boolean): void {
    const { askUdp, askTcp, timeoutMs, onSilence } = this.#plan;
    this.#waitingFor++;
    this.#patience = setTimeout(() => {
      onSilence(server);
      this.#askNext();
    }, timeoutMs);
    const cancel = (byTcp ? askTcp : askUdp)(server, this.#query, (reply) => {
      if (this.#done) return;
      this.#waitingFor--;
      this.#onReply(server, reply, byTcp);
    });
    if (this.#done) cancel();
    else this.#cancels.push(cancel);
  }

  #onReply(server: string, reply: Uint8Array | null, byTcp: boolean): void {
    if (reply === null) {
      this.#plan.onSilence(server);
      this.#askNext();
    } else if (isTruncated(reply) && !byTcp) {
      this.#fallback = reply;
      clearTimeout(this.#patience);
      this.#ask(server, true);
    } else if (isAnswer(reply)) {
      this.#end(reply);
    } else {
      this.#spoken.add(server);
      this.#fallback ??= reply;
      this.#askNext();
    }
  }
}
