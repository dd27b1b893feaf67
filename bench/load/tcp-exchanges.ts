/**
 * Small TCP exchanges, one after the other: request and response on one connection, and connect–request–close. Latencies
 * are kept one by one, so percentiles are exact.
 *
 * Zone: control. Everything blocks until it is over.
 */
import * as C from '../../packages/vmlan/src/sys/constants.ts';
import { SockAddr } from '../../packages/vmlan/src/sys/sockaddr.ts';
import type { Sys } from '../../packages/vmlan/src/sys/sys.ts';
import { percentile } from '../measure/statistics.ts';
import { CallError, ipv4Of, ok, scratch, tcpConnect } from './sockets.ts';

export interface ExchangeLoad {
  readonly server: string;
  /** Each connection goes to the next one. */
  readonly ports: readonly number[];
  readonly seconds: number;
  readonly size: number;
}

export interface ExchangeRate {
  readonly perSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
}

const MAX_LATENCIES = 4_000_000;
/** Share of the time that is spent before anything counts: code is compiled, caches are warm. */
const WARM_UP = 0.2;

/** The server's address with each port in turn, for ever. */
export function* targets(sys: Sys, server: string, ports: readonly number[]): Generator<SockAddr, never> {
  const all = ports.map((port) => new SockAddr(sys.arena).setIpv4(ipv4Of(server), port));
  if (all.length === 0) throw new Error('a load without a port');
  for (;;) yield* all;
}

export class Latencies {
  readonly #us = new Float64Array(MAX_LATENCIES);
  #count = 0;

  add(us: number): void {
    if (this.#count < MAX_LATENCIES) this.#us[this.#count++] = us;
  }

  rate(seconds: number): ExchangeRate {
    const ascending = this.#us.subarray(0, this.#count).sort();
    return {
      perSecond: this.#count / seconds,
      p50Us: percentile(ascending, 0.5),
      p99Us: percentile(ascending, 0.99),
    };
  }
}

/** Calls `exchange` until the time is over. */
function timed(seconds: number, exchange: () => void): ExchangeRate {
  const latencies = new Latencies();
  const warm = performance.now() + seconds * 1000 * WARM_UP;
  while (performance.now() < warm) exchange();
  const start = performance.now();
  const end = start + seconds * 1000;
  let before = start;
  while (before < end) {
    exchange();
    const after = performance.now();
    latencies.add((after - before) * 1000);
    before = after;
  }
  return latencies.rate((before - start) / 1000);
}

function askAndHear(sys: Sys, fd: number, buffer: number, size: number): void {
  ok('send', sys.send(fd, buffer, size, 0));
  for (let got = 0; got < size;) {
    const n = ok('recv', sys.recv(fd, buffer, size - got, 0));
    if (n === 0) throw new CallError('recv: end of stream', C.ECONNRESET);
    got += n;
  }
}

export function requestResponse(sys: Sys, load: ExchangeLoad): ExchangeRate {
  const buffer = scratch(sys);
  const fd = tcpConnect(sys, targets(sys, load.server, load.ports).next().value);
  const rate = timed(load.seconds, () => askAndHear(sys, fd, buffer, load.size));
  sys.close(fd);
  return rate;
}

export function connectRequestClose(sys: Sys, load: ExchangeLoad): ExchangeRate {
  const buffer = scratch(sys);
  const to = targets(sys, load.server, load.ports);
  return timed(load.seconds, () => {
    const fd = tcpConnect(sys, to.next().value);
    askAndHear(sys, fd, buffer, load.size);
    sys.close(fd);
  });
}
