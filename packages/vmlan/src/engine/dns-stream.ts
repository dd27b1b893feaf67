/**
 * DNS over TCP (RFC 7766): the far end of the socket pair that stands for a guest's connection to the gateway's port 53.
 *
 * Zone: flow.  Messages have a 16-bit length before them; answers leave in the order they become ready.  A connection
 * has at most MAX_PENDING questions open (more are not read until one is answered) and ends after IDLE_MS of silence.
 */
import type { Poller, Source } from '../core/poller.ts';
import type { DnsService } from '../services/dns.ts';
import * as C from '../sys/constants.ts';
import type { Sys } from '../sys/sys.ts';

export const MAX_DNS_STREAMS = 512; // of one network; further ones are closed at once
const MAX_PENDING = 64;
const MAX_UNSENT = 256 * 1024; // bytes of answers that the guest does not read
const IDLE_MS = 30_000;
const SCRATCH_LEN = 64 * 1024 + 2;

export class DnsStream implements Source {
  readonly #sys: Sys;
  readonly #poller: Poller;
  readonly #dns: DnsService;
  readonly #client: number;
  readonly #scratch: number;
  readonly #onClosed: () => void;
  readonly #token: number;
  #fd: number;
  #received: Uint8Array = new Uint8Array(0);
  #unsent: Uint8Array[] = [];
  #unsentBytes = 0;
  #pending = 0;
  #ended = false;
  #activeMs: number;

  /** `scratch` is an arena offset with SCRATCH_LEN bytes, shared by all streams of the thread. */
  constructor(
    parts: { sys: Sys; poller: Poller; dns: DnsService; scratch: number; onClosed: () => void },
    fd: number,
    client: number,
    nowMs: number,
  ) {
    this.#sys = parts.sys;
    this.#poller = parts.poller;
    this.#dns = parts.dns;
    this.#scratch = parts.scratch;
    this.#onClosed = parts.onClosed;
    this.#fd = fd;
    this.#client = client;
    this.#activeMs = nowMs;
    this.#token = this.#poller.add(fd, C.EPOLLIN, this);
    this.#poller.wakeAt(this.#token, nowMs + IDLE_MS);
  }

  onReady(mask: number, nowMs: number): void {
    if (mask === 0) return this.#onWake(nowMs);
    this.#activeMs = nowMs;
    if ((mask & (C.EPOLLERR | C.EPOLLHUP)) !== 0 && (mask & C.EPOLLIN) === 0) return this.close();
    if ((mask & C.EPOLLOUT) !== 0) this.#flush();
    if ((mask & C.EPOLLIN) !== 0) this.#read(nowMs);
  }

  close(): void {
    if (this.#fd < 0) return;
    this.#poller.remove(this.#token);
    this.#sys.close(this.#fd);
    this.#fd = -1;
    this.#unsent = [];
    this.#onClosed();
  }

  /** An answer made room for questions that wait, or the guest may have been silent for too long. */
  #onWake(nowMs: number): void {
    this.#ask(nowMs);
    if (this.#fd < 0) return;
    const dueMs = this.#activeMs + IDLE_MS;
    if (nowMs >= dueMs) this.close();
    else this.#poller.wakeAt(this.#token, dueMs);
  }

  #read(nowMs: number): void {
    const n = this.#sys.recv(this.#fd, this.#scratch, SCRATCH_LEN, C.MSG_DONTWAIT);
    if (n === -C.EAGAIN) return;
    if (n < 0) return this.close();
    if (n === 0) {
      this.#ended = true;
      return this.#finish();
    }
    const { u8 } = this.#sys.arena;
    this.#received = join(this.#received, u8.subarray(this.#scratch, this.#scratch + n));
    this.#ask(nowMs);
  }

  /** Asks every whole message that the bound allows. */
  #ask(nowMs: number): void {
    const before = this.#received;
    while (this.#pending < MAX_PENDING && this.#fd >= 0 && this.#hasQuestion()) {
      const bytes = this.#received;
      const end = 2 + ((bytes[0]! << 8) | bytes[1]!);
      this.#received = bytes.subarray(end);
      this.#pending++;
      const message = bytes.subarray(2, end);
      if (!this.#dns.onQuery(message, 'tcp', this.#client, nowMs, (reply) => this.#answer(reply))) this.#pending--;
    }
    if (this.#received !== before) this.#received = this.#received.slice(); // let go of what is done
    this.#finish();
  }

  #hasQuestion(): boolean {
    const bytes = this.#received;
    return bytes.length >= 2 && bytes.length - 2 >= ((bytes[0]! << 8) | bytes[1]!);
  }

  #answer(reply: Uint8Array): void {
    const wasFull = this.#pending-- === MAX_PENDING;
    if (this.#fd < 0) return;
    if (wasFull) this.#poller.wakeAt(this.#token, 0); // at once: the next question
    const framed = new Uint8Array(2 + reply.length);
    framed[0] = reply.length >> 8;
    framed[1] = reply.length;
    framed.set(reply, 2);
    this.#unsentBytes += framed.length;
    if (this.#unsentBytes > MAX_UNSENT) return this.close();
    this.#unsent.push(framed);
    this.#flush();
  }

  #flush(): void {
    while (this.#unsent.length > 0) {
      const first = this.#unsent[0]!;
      const len = Math.min(first.length, SCRATCH_LEN);
      this.#sys.arena.u8.set(first.subarray(0, len), this.#scratch);
      const sent = this.#sys.send(this.#fd, this.#scratch, len, C.MSG_DONTWAIT | C.MSG_NOSIGNAL);
      if (sent === -C.EAGAIN) break;
      if (sent < 0) return this.close();
      this.#unsentBytes -= sent;
      if (sent < first.length) this.#unsent[0] = first.subarray(sent);
      else this.#unsent.shift();
    }
    this.#finish();
  }

  /** Closes when the guest has closed its side and has every answer. */
  #finish(): void {
    if (this.#ended && this.#pending === 0 && this.#unsent.length === 0 && !this.#hasQuestion()) this.close();
    else this.#watch();
  }

  #watch(): void {
    if (this.#fd < 0) return;
    const reading = this.#pending < MAX_PENDING && !this.#ended ? C.EPOLLIN : 0;
    this.#poller.modify(this.#token, reading | (this.#unsent.length > 0 ? C.EPOLLOUT : 0));
  }
}

/** All such connections of a network. `dnsOf`: the service of a segment, null when it has none. */
export class DnsStreams {
  readonly #sys: Sys;
  readonly #poller: Poller;
  readonly #dnsOf: (segmentId: number) => DnsService | null;
  readonly #scratch: number;
  #open = 0;

  constructor(sys: Sys, poller: Poller, dnsOf: (segmentId: number) => DnsService | null) {
    this.#sys = sys;
    this.#poller = poller;
    this.#dnsOf = dnsOf;
    this.#scratch = sys.arena.alloc(SCRATCH_LEN, 64);
  }

  /** Takes `fd` over; `client` is whose share of questions it has. */
  serve(fd: number, segmentId: number, client: number, nowMs: number): void {
    const dns = this.#dnsOf(segmentId);
    if (dns === null || this.#open >= MAX_DNS_STREAMS) {
      this.#sys.close(fd);
      return;
    }
    this.#open++;
    const onClosed = (): void => void this.#open--;
    const parts = { sys: this.#sys, poller: this.#poller, dns, scratch: this.#scratch, onClosed };
    void new DnsStream(parts, fd, client, nowMs);
  }
}

function join(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length === 0) return b.slice();
  const joined = new Uint8Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}
