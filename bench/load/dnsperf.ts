/**
 * dnsperf from a guest: as many queries as the server answers, and the latency of a rate that it bears with ease.
 *
 * Zone: control.
 */
import type { Namespace } from '../../packages/vmlan/test/support/netns.ts';
import { percentile } from '../measure/statistics.ts';

export interface DnsLoad {
  readonly server: string;
  /** File with a line `NAME TYPE` for each query; read again and again. */
  readonly queries: string;
  readonly seconds: number;
}

export interface DnsRate {
  readonly perSecond: number;
  /** Of all queries, those without an answer or with another answer than NOERROR. */
  readonly failedShare: number;
}

const CLIENTS = '8';
const OUTSTANDING = '100'; // dnsperf's own default
const EASY_RATE = '2000'; // queries per second
const PATIENCE_SECONDS = 20;

export function rateOf(text: string): DnsRate {
  const value = (label: string): number => Number(new RegExp(`${label}:\\s+([\\d.]+)`).exec(text)?.[1] ?? NaN);
  const right = Number(/NOERROR (\d+)/.exec(text)?.[1] ?? 0);
  return { perSecond: value('Queries per second'), failedShare: 1 - right / value('Queries sent') };
}

/** Latencies of `dnsperf -v`, which prints `> NOERROR name A 0.000123` for each answer; seconds, ascending. */
export function latenciesOf(text: string): number[] {
  return [...text.matchAll(/^> \S+ \S+ \S+ ([\d.]+)$/gm)].map(([, seconds]) => Number(seconds)).sort((a, b) => a - b);
}

async function dnsperf(guest: Namespace, load: DnsLoad, ...more: readonly string[]): Promise<string> {
  const { server, queries, seconds } = load;
  const what = ['-s', server, '-d', queries, '-l', String(seconds), '-c', CLIENTS, '-t', '2'];
  return guest.output(['dnsperf', ...what, ...more], { timeoutMs: (seconds + PATIENCE_SECONDS) * 1000 });
}

export async function dnsRate(guest: Namespace, load: DnsLoad): Promise<DnsRate> {
  return rateOf(await dnsperf(guest, load, '-q', OUTSTANDING));
}

/** Microseconds within which 99 of 100 answers come. */
export async function dnsP99Us(guest: Namespace, load: DnsLoad): Promise<number> {
  return percentile(latenciesOf(await dnsperf(guest, load, '-Q', EASY_RATE, '-v')), 0.99) * 1e6;
}
