/**
 * The DNS service of a gateway: local names from the zone at once, all others from the host's resolver.
 *
 * Zone: flow.  Sans-I/O: queries and time come in, replies go out through `respond` (borrowed until it returns), questions
 * for the host's resolver through `askUpstream`, whose answers come back to `onUpstreamReply`.  RFC 1034, 1035, 2308, 5625
 * (proxies), 6891, 8482.
 *
 * What goes upstream: a query with nothing but a question and common EDNS is written anew, without hop-by-hop options, so
 * that several clients can share its answer and none can spoil it for the others.  Any other query goes as it came and is
 * shared with nobody.  The first to ask gets upstream's reply unchanged but for the ID, the others without its OPT record.
 */
import {
  AUTHORITY_COUNT,
  CLASS_IN,
  FLAG_AUTHENTIC,
  FLAG_AUTHORITATIVE,
  FLAG_CHECKING_DISABLED,
  FLAG_RECURSION_AVAILABLE,
  FLAG_RECURSION_DESIRED,
  FLAG_RESPONSE,
  HEADER_OCTETS,
  ADDITIONAL_COUNT,
  ID,
  MAX_MESSAGE_OCTETS,
  RCODE,
  TYPE,
  copyOctets,
  rcodeOf,
  readUint16,
  writeUint16,
} from '../wire/dns.ts';
import { parseMessage } from '../wire/dns-message.ts';
import { nameKey } from '../wire/dns-name.ts';
import { DnsQuery, QUERY_DROP, QUERY_MALFORMED, QUERY_NOT_IMPLEMENTED } from '../wire/dns-query.ts';
import { DnsWriter, OPT_OCTETS, writeEdns } from '../wire/dns-writer.ts';
import { ReplyCache } from './dns-cache.ts';
import type { ClientKey, PendingQuestion, Respond, Waiter } from './dns-pending.ts';
import { PendingQuestions } from './dns-pending.ts';
import type { StoredReply } from './dns-reply.ts';
import { answersQuestion, cutReply, renewReply, storeReply } from './dns-reply.ts';
import type { Answer, LocalResult, Zone } from './zone.ts';

export interface DnsServiceOptions {
  /** `none`: names that are not local are refused. */
  readonly upstream: 'host' | 'none';
  /** `query` belongs to the callee. */
  readonly askUpstream: (id: number, query: Uint8Array) => void;
  /** Clients that may wait for upstream at a time. */
  readonly maxPending?: number;
  readonly maxPendingPerClient?: number;
  /** Patience with upstream, which should answer or give up before. */
  readonly timeoutMs?: number;
  /** 0 = no cache. */
  readonly cacheEntries?: number;
}

/** Counters, all growing. */
export interface DnsStats {
  queries: number;
  /** Responses and messages too short to answer. */
  dropped: number;
  malformed: number;
  refused: number;
  local: number;
  cacheHits: number;
  /** Questions sent upstream. */
  asked: number;
  /** Queries that joined a question on its way. */
  joined: number;
  /** Queries refused because too many were waiting. */
  overLimit: number;
  /** Questions that upstream did not answer, or not well. */
  failed: number;
}

const DEFAULT_MAX_PENDING = 1024;
const DEFAULT_MAX_PENDING_PER_CLIENT = 256;
const DEFAULT_TIMEOUT_MS = 10_000;
const DEFAULT_CACHE_ENTRIES = 2048;
/** However much a client says it can take over UDP: more would leave as a dozen fragments. */
const MAX_UDP_OCTETS = 4096;
/** Header bits that a reply takes over from its query. */
const ECHOED_FLAGS = 0x7800 | FLAG_RECURSION_DESIRED | FLAG_CHECKING_DISABLED;
/** Header bits that may change the answer, and so part the questions. */
const ASKING_FLAGS = FLAG_RECURSION_DESIRED | FLAG_CHECKING_DISABLED | FLAG_AUTHENTIC;

export class DnsService {
  readonly stats: DnsStats = {
    queries: 0,
    dropped: 0,
    malformed: 0,
    refused: 0,
    local: 0,
    cacheHits: 0,
    asked: 0,
    joined: 0,
    overLimit: 0,
    failed: 0,
  };
  /** Hears that `pollAt` may be earlier than before. */
  onDue: () => void = () => undefined;
  readonly #zone: Zone;
  readonly #askUpstream: ((id: number, query: Uint8Array) => void) | null;
  readonly #pending: PendingQuestions;
  readonly #cache: ReplyCache;
  readonly #timeoutMs: number;
  readonly #query: DnsQuery = new DnsQuery();
  readonly #writer: DnsWriter = new DnsWriter();
  readonly #out: Uint8Array = new Uint8Array(MAX_MESSAGE_OCTETS + OPT_OCTETS);

  constructor(zone: Zone, options: DnsServiceOptions) {
    this.#zone = zone;
    this.#askUpstream = options.upstream === 'host' ? options.askUpstream : null;
    this.#pending = new PendingQuestions(
      options.maxPending ?? DEFAULT_MAX_PENDING,
      options.maxPendingPerClient ?? DEFAULT_MAX_PENDING_PER_CLIENT,
    );
    this.#cache = new ReplyCache(options.cacheEntries ?? DEFAULT_CACHE_ENTRIES);
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  }

  /** Clients that wait for upstream. */
  get pendingCount(): number {
    return this.#pending.size;
  }

  get cachedCount(): number {
    return this.#cache.size;
  }

  /** Forgets what upstream said: the host's resolver has changed. */
  flushCache(): void {
    this.#cache.clear();
  }

  /**
   * Answers `message` (borrowed), now or later, by exactly one call of `respond`: if upstream keeps silent, `poll` brings
   * SERVFAIL.  False if there will be none, because the message is no query.
   */
  onQuery(message: Uint8Array, transport: 'udp' | 'tcp', client: ClientKey, nowMs: number, respond: Respond): boolean {
    const query = this.#query;
    const verdict = query.parse(message);
    this.stats.queries++;
    if (verdict === QUERY_DROP) {
      this.stats.dropped++;
      return false;
    }
    const rcode = this.#judge(verdict);
    if (rcode !== RCODE.NOERROR) {
      respond(this.#writeStatus(message, rcode));
      return true;
    }
    const limitOctets = transport === 'tcp' ? MAX_MESSAGE_OCTETS : Math.min(query.udpOctets, MAX_UDP_OCTETS);
    const result = this.#zone.lookup(query.key, query.type);
    if (result.kind === 'local') {
      this.stats.local++;
      respond(this.#writeLocal(message, result, limitOctets));
    } else if (result.kind === 'loop') {
      this.stats.failed++;
      respond(this.#writeStatus(message, RCODE.SERVFAIL));
    } else {
      const alias = result.kind === 'alias' ? result : null;
      const waiter = makeWaiter(query, message, alias?.answers ?? null, client, limitOctets, respond);
      this.#forward(waiter, alias?.target ?? null, message, nowMs);
    }
    return true;
  }

  /** Takes upstream's reply (borrowed), null if it has none. */
  onUpstreamReply(id: number, reply: Uint8Array | null, nowMs: number): void {
    const pending = this.#pending.take(id);
    if (pending === undefined) return; // timed out meanwhile
    if (reply === null || reply.length > MAX_MESSAGE_OCTETS || !answersQuestion(reply, pending.question)) {
      this.#fail(pending);
      return;
    }
    const stored = storeReply(reply);
    if (stored !== null && pending.key !== null) this.#cache.put(pending.key, stored, nowMs);
    for (const [i, waiter] of pending.waiters.entries()) {
      if (stored === null || (i === 0 && waiter.alias === null)) this.#deliver(waiter, reply);
      else this.#deliverStored(waiter, stored, 0);
    }
  }

  /** When `poll` has something to do, Infinity if nothing waits. */
  pollAt(): number {
    return this.#pending.oldest()?.deadlineMs ?? Number.POSITIVE_INFINITY;
  }

  /** Gives up on questions whose time is over. */
  poll(nowMs: number): void {
    for (let oldest = this.#pending.oldest(); oldest !== undefined; oldest = this.#pending.oldest()) {
      if (oldest.deadlineMs > nowMs) return;
      this.#pending.take(oldest.id);
      this.#fail(oldest);
    }
  }

  /** NOERROR for a query that deserves an answer. */
  #judge(verdict: number): number {
    const query = this.#query;
    if (verdict === QUERY_MALFORMED || verdict === QUERY_NOT_IMPLEMENTED) {
      this.stats.malformed++;
      return verdict === QUERY_MALFORMED ? RCODE.FORMERR : RCODE.NOTIMP;
    }
    if (query.ednsVersion > 0) return RCODE.BADVERS; // RFC 6891 §6.1.3
    if (query.class === CLASS_IN && query.type !== TYPE.AXFR && query.type !== TYPE.IXFR) return RCODE.NOERROR;
    this.stats.refused++;
    return RCODE.REFUSED;
  }

  #forward(waiter: Waiter, target: Uint8Array | null, message: Uint8Array, nowMs: number): void {
    if (this.#askUpstream === null) {
      this.stats.refused++;
      waiter.respond(this.#writeFailure(waiter, RCODE.REFUSED));
      return;
    }
    const question = target === null ? waiter.question : Buffer.concat([target, waiter.question.subarray(-4)]);
    const isShared = this.#query.isOrdinary || target !== null;
    const key = isShared ? questionKey(question, waiter) : null;
    const hit = key === null ? null : this.#cache.get(key, nowMs);
    if (hit !== null) {
      this.stats.cacheHits++;
      this.#deliverStored(waiter, hit.reply, hit.ageS);
    } else if (this.#pending.hasRoomFor(waiter.client)) {
      this.#ask(key, question, waiter, message, nowMs);
    } else {
      this.stats.overLimit++;
      waiter.respond(this.#writeFailure(waiter, RCODE.SERVFAIL));
    }
  }

  #ask(key: string | null, question: Uint8Array, waiter: Waiter, message: Uint8Array, nowMs: number): void {
    const same = key === null ? undefined : this.#pending.find(key);
    if (same !== undefined) {
      this.stats.joined++;
      this.#pending.join(same, waiter);
      return;
    }
    const pending = this.#pending.open(key, question, nowMs + this.#timeoutMs);
    this.#pending.join(pending, waiter);
    this.stats.asked++;
    this.onDue();
    this.#askUpstream?.(pending.id, key === null ? copyOctets(message) : this.#writeQuestion(question, waiter));
  }

  #fail(pending: PendingQuestion): void {
    this.stats.failed++;
    for (const waiter of pending.waiters) waiter.respond(this.#writeFailure(waiter, RCODE.SERVFAIL));
  }

  #deliver(waiter: Waiter, reply: Uint8Array): void {
    if (waiter.alias !== null) {
      waiter.respond(this.#writeJoined(waiter, waiter.alias, reply));
      return;
    }
    this.#out.set(reply);
    this.#address(waiter);
    waiter.respond(this.#out.subarray(0, cutReply(this.#out, reply.length, waiter.limitOctets)));
  }

  #deliverStored(waiter: Waiter, stored: StoredReply, ageS: number): void {
    const out = this.#out;
    const length = renewReply(stored, ageS, out);
    if (waiter.alias !== null) {
      waiter.respond(this.#writeJoined(waiter, waiter.alias, out.subarray(0, length)));
      return;
    }
    this.#address(waiter);
    let end = cutReply(out, length, waiter.limitOctets - (waiter.hasEdns ? OPT_OCTETS : 0));
    if (waiter.hasEdns) {
      writeEdns(out, end, RCODE.NOERROR, waiter.dnssecOk);
      end += OPT_OCTETS;
      writeUint16(out, ADDITIONAL_COUNT, readUint16(out, ADDITIONAL_COUNT) + 1);
    }
    waiter.respond(out.subarray(0, end));
  }

  /** Gives the reply in `#out` the client's ID and its spelling of the name, which compressed owners follow. */
  #address(waiter: Waiter): void {
    writeUint16(this.#out, ID, waiter.id);
    this.#out.set(waiter.question, HEADER_OCTETS);
  }

  #writeLocal(message: Uint8Array, result: LocalResult, limitOctets: number): Uint8Array {
    const query = this.#query;
    const writer = this.#writer;
    writer.begin(query.id, this.#replyFlags(query.flags) | FLAG_AUTHORITATIVE, result.rcode, limitOctets);
    writer.question(message, HEADER_OCTETS, query.questionEnd);
    if (query.hasEdns) writer.edns(query.dnssecOk);
    this.#writeAnswers(result.answers);
    const { soa } = result;
    if (soa !== null) writer.record(AUTHORITY_COUNT, soa.name, soa.type, CLASS_IN, soa.ttl, soa.rdata[0]!);
    return writer.finish();
  }

  #writeAnswers(answers: readonly Answer[]): void {
    for (const { owner, set } of answers) {
      for (const rdata of set.rdata) this.#writer.answer(owner, set.type, set.ttl, rdata);
    }
  }

  /** Local aliases, then what upstream knows of the name they lead to. */
  #writeJoined(waiter: Waiter, alias: readonly Answer[], reply: Uint8Array): Uint8Array {
    const message = parseMessage(reply);
    if (message === null) return this.#writeFailure(waiter, RCODE.SERVFAIL);
    const writer = this.#writer;
    this.#beginReply(waiter, rcodeOf(message.flags));
    this.#writeAnswers(alias);
    for (const { name, type, ttl, rdata } of message.answers) writer.answer(name, type, ttl, rdata);
    for (const { name, type, ttl, rdata, class: cls } of message.authority) {
      writer.record(AUTHORITY_COUNT, name, type, cls, ttl, rdata);
    }
    return writer.finish();
  }

  #writeFailure(waiter: Waiter, rcode: number): Uint8Array {
    this.#beginReply(waiter, rcode);
    return this.#writer.finish();
  }

  #beginReply(waiter: Waiter, rcode: number): void {
    this.#writer.begin(waiter.id, this.#replyFlags(waiter.flags), rcode, waiter.limitOctets);
    this.#writer.question(waiter.question, 0, waiter.question.length);
    if (waiter.hasEdns) this.#writer.edns(waiter.dnssecOk);
  }

  /** A reply without records to the query at hand, which may have no readable question. */
  #writeStatus(message: Uint8Array, rcode: number): Uint8Array {
    const query = this.#query;
    this.#writer.begin(query.id, this.#replyFlags(query.flags), rcode, MAX_MESSAGE_OCTETS);
    if (query.questionEnd > 0) this.#writer.question(message, HEADER_OCTETS, query.questionEnd);
    if (query.hasEdns) this.#writer.edns(query.dnssecOk);
    return this.#writer.finish();
  }

  /** The query for upstream, without the client's hop-by-hop options (RFC 6891 §6.1.1). */
  #writeQuestion(question: Uint8Array, waiter: Waiter): Uint8Array {
    this.#writer.begin(0, waiter.flags & ASKING_FLAGS, RCODE.NOERROR, MAX_MESSAGE_OCTETS);
    this.#writer.question(question, 0, question.length);
    if (waiter.hasEdns) this.#writer.edns(waiter.dnssecOk);
    return this.#writer.finish().slice();
  }

  #replyFlags(queryFlags: number): number {
    const recursion = this.#askUpstream === null ? 0 : FLAG_RECURSION_AVAILABLE;
    return (queryFlags & ECHOED_FLAGS) | FLAG_RESPONSE | recursion;
  }
}

function makeWaiter(
  query: DnsQuery,
  message: Uint8Array,
  alias: readonly Answer[] | null,
  client: ClientKey,
  limitOctets: number,
  respond: Respond,
): Waiter {
  const question = copyOctets(message, HEADER_OCTETS, query.questionEnd);
  const { id, flags, hasEdns, dnssecOk } = query;
  return { client, id, flags, question, hasEdns, dnssecOk, limitOctets, alias, respond };
}

/** Questions with the same key have the same answer. */
function questionKey(question: Uint8Array, waiter: Waiter): string {
  const type = readUint16(question, question.length - 4);
  const edns = (waiter.hasEdns ? 1 : 0) + (waiter.dnssecOk ? 2 : 0);
  return `${nameKey(question)} ${type} ${waiter.flags & ASKING_FLAGS} ${edns}`;
}
