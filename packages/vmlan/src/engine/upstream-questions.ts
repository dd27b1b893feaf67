/**
 * Questions on their way to the host's resolver: numbered for the control thread, answered to the segment that asked.
 *
 * Zone: flow.  At most MAX_QUESTIONS; further ones fail at once (SERVFAIL).
 */
import type { FromEngine } from './control-messages.ts';
import type { SegmentHost } from './segment-host.ts';

export const MAX_QUESTIONS = 8_192; // all segments together

export class UpstreamQuestions {
  readonly #send: (message: FromEngine) => void;
  readonly #open = new Map<number, { host: SegmentHost; id: number }>();
  #next = 1;

  constructor(send: (message: FromEngine) => void) {
    this.#send = send;
  }

  ask(host: SegmentHost, id: number, query: Uint8Array, nowMs: number): void {
    if (this.#open.size >= MAX_QUESTIONS) return host.dns!.onUpstreamReply(id, null, nowMs);
    const queryId = this.#next++;
    this.#open.set(queryId, { host, id });
    this.#send({ type: 'dns-query', queryId, query });
  }

  onReply(queryId: number, reply: Uint8Array | null, nowMs: number): void {
    const question = this.#open.get(queryId);
    if (question === undefined) return;
    this.#open.delete(queryId);
    question.host.dns!.onUpstreamReply(question.id, reply, nowMs);
  }
}
