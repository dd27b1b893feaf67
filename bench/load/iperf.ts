/**
 * iperf3 between a guest and a server, one pair of processes per measurement: a server that a cut-off client left busy
 * would spoil what comes after.
 *
 * Zone: control.
 */
import type { Namespace } from '../../packages/vmlan/test/support/netns.ts';
import type { Process } from '../../packages/vmlan/test/support/process.ts';

export interface IperfLoad {
  readonly server: string;
  readonly streams: number;
  readonly seconds: number;
  /** From the server to the guest. */
  readonly reverse: boolean;
}

export interface IperfRate {
  /** Payload per second as the receiver counted it, after the start was left out. */
  readonly gbitPerSecond: number;
  /** All payload, the start included: what CPU time is set against. */
  readonly gbit: number;
  readonly retransmits: number;
}

/** The document of `iperf3 --json`, as far as it is read. */
export interface IperfReport {
  readonly error?: string;
  readonly intervals: readonly { readonly sum: { readonly bytes: number } }[];
  readonly end: {
    readonly sum_sent: { readonly retransmits?: number };
    readonly sum_received: { readonly bits_per_second: number };
  };
}

const PORT = 5201;
/** Slow start, and the first filling of all buffers. */
const OMITTED_SECONDS = 1;
const PATIENCE_SECONDS = 8;

export function rateOf(report: IperfReport): IperfRate {
  if (report.error !== undefined) throw new Error(`iperf3: ${report.error}`);
  return {
    gbitPerSecond: report.end.sum_received.bits_per_second / 1e9,
    gbit: report.intervals.reduce((sum, interval) => sum + interval.sum.bytes, 0) * 8e-9,
    retransmits: report.end.sum_sent.retransmits ?? 0,
  };
}

export async function startIperfServer(namespace: Namespace, port: number = PORT): Promise<Process> {
  const server = namespace.start(['iperf3', '--server', '--one-off', '--forceflush', '--port', String(port)]);
  await server.waitFor(/listening on/i);
  return server;
}

export function iperfClientArgv(load: IperfLoad, port: number = PORT): string[] {
  const time = ['--time', String(load.seconds), '--omit', String(OMITTED_SECONDS)];
  const reverse = load.reverse ? ['--reverse'] : [];
  const target = ['--client', load.server, '--port', String(port), '--connect-timeout', '3000'];
  return ['iperf3', ...target, '--parallel', String(load.streams), ...time, ...reverse, '--json'];
}

export async function iperf(
  guest: Namespace,
  host: Namespace,
  load: IperfLoad,
  port: number = PORT,
): Promise<IperfRate> {
  await using _server = await startIperfServer(host, port);
  const timeoutMs = (load.seconds + OMITTED_SECONDS + PATIENCE_SECONDS) * 1000;
  const { stdout, stderr } = await guest.run(iperfClientArgv(load, port), { timeoutMs });
  if (!stdout.trimStart().startsWith('{')) throw new Error(`iperf3: ${stderr}${stdout}`);
  return rateOf(JSON.parse(stdout) as IperfReport);
}
