/**
 * What a soak has shown: whether memory is flat, whether everything came back, whether anything stood still.
 *
 * Zone: control. Pure.
 */
export interface SoakSample {
  readonly seconds: number;
  readonly rssBytes: number;
  readonly heapBytes: number;
  readonly arenaBytes: number;
  /** Receive queues in use: part of the arena. */
  readonly queueBytes: number;
  readonly descriptors: number;
  readonly tcpFlows: number;
  readonly udpFlows: number;
  /** The longest since the last sample. */
  readonly stallMs: number;
  readonly gbitPerSecond: number;
  /** Of the engine's process; 100 is one core. */
  readonly cpuPercent: number;
  /** So far. */
  readonly transfers: number;
  readonly wrong: number;
}

export interface SoakEnd {
  readonly samples: readonly SoakSample[];
  /** Before the load, and when it had ended; those of flows that only wait for their time-out are left out. */
  readonly descriptorsBefore: number;
  readonly descriptorsAfter: number;
  readonly tcpFlowsAfter: number;
  readonly wrong: readonly string[];
  /** What went wrong with a guest that nobody disturbed. */
  readonly failures: readonly string[];
}

export interface Finding {
  readonly ok: boolean;
  readonly text: string;
}

export const MAX_STALL_MS = 1000;
/** What the fitted line may rise by over the last two thirds: what compiled code and the collector's whims come to. */
export const FLAT_BYTES = 4e6;
/** Of a run too short to be warm. */
export const FLAT_SHORT_BYTES = 24e6;
const WARM_SECONDS = 600;

/** Least squares: y per x. */
export function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / points.length;
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / points.length;
  const variance = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  return variance === 0 ? 0 : points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0) / variance;
}

function flat(name: string, samples: readonly SoakSample[], of: (sample: SoakSample) => number): Finding {
  const late = samples.slice(Math.floor(samples.length / 3));
  const seconds = (late.at(-1)?.seconds ?? 0) - (late[0]?.seconds ?? 0);
  if (late.length < 3) return { ok: false, text: `${name}: too few samples to tell` };
  const rise = slope(late.map((sample) => [sample.seconds, of(sample)])) * seconds;
  const bound = seconds >= WARM_SECONDS ? FLAT_BYTES : FLAT_SHORT_BYTES;
  const perMinute = ((rise / seconds) * 60) / 1e6;
  const text = `${name}: ${(rise / 1e6).toFixed(2)} MB over the last ${seconds} s (${perMinute.toFixed(3)} MB a minute; bound ${bound / 1e6} MB)`;
  return { ok: rise <= bound, text };
}

export function judgeSoak(end: SoakEnd): Finding[] {
  const { samples, descriptorsBefore, descriptorsAfter, tcpFlowsAfter, wrong, failures } = end;
  const stallMs = Math.max(0, ...samples.map((sample) => sample.stallMs));
  const transfers = samples.at(-1)?.transfers ?? 0;
  return [
    flat('resident memory', samples, ({ rssBytes }) => rssBytes),
    flat('heap', samples, ({ heapBytes }) => heapBytes),
    flat('arena', samples, ({ arenaBytes }) => arenaBytes),
    {
      ok: descriptorsAfter <= descriptorsBefore,
      text: `descriptors: ${descriptorsBefore} before, ${descriptorsAfter} after`,
    },
    { ok: tcpFlowsAfter === 0, text: `TCP flows left: ${tcpFlowsAfter}` },
    { ok: stallMs <= MAX_STALL_MS, text: `longest stall: ${stallMs} ms (bound ${MAX_STALL_MS} ms)` },
    { ok: wrong.length === 0 && transfers > 0, text: `compared transfers: ${transfers}, wrong: ${wrong.length}` },
    { ok: failures.length === 0, text: `failures: ${failures.length}` },
  ];
}
