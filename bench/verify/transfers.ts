/**
 * Transfers whose SHA-256 is compared at both ends, while bulk traffic runs beside them: a fast wrong answer is no answer.
 * Downloads have the server speak first, uploads end the client's half before the server answers.
 *
 * Zone: control.
 */
import type { Namespace } from '../../packages/vmlan/test/support/netns.ts';
import { knownDigest, type Digest } from '../../packages/vmlan/test/support/peer-stream.ts';
import { client, serve } from '../../packages/vmlan/test/support/peers.ts';
import { SeededRandom } from '../../packages/vmlan/test/fuzz/random.ts';
import { anySize } from '../../packages/vmlan/test/transfers/plan.ts';
import { iperfClientArgv, startIperfServer } from '../load/iperf.ts';
import type { Verified } from '../results.ts';

export interface Ends {
  readonly contender: string;
  readonly guest: Namespace;
  readonly far: Namespace;
  readonly server: string;
}

export interface TransferPlan {
  /** In each direction. */
  readonly count: number;
  readonly maxBytes: number;
  /** What the sizes are made from; printed with a wrong transfer. */
  readonly seed: number;
  /** Of all of them. */
  readonly limitMs: number;
}

const FIXED_SIZES = [0, 1, 1459, 1460, 1461, 65_535, 65_536, (1 << 20) + 7];
const LOAD_PORT = 5202;
const LOAD_SECONDS = 120; // ended with the last transfer
const LOAD_STREAMS = 2;

/** Sizes that are known to be hard first, then as many of any order of magnitude. */
export function sizes({ count, maxBytes, seed }: Omit<TransferPlan, 'limitMs'>): number[] {
  const random = new SeededRandom(seed);
  const found = FIXED_SIZES.filter((size) => size <= maxBytes).slice(0, count);
  while (found.length < count) found.push(anySize(random, maxBytes));
  return found;
}

/** What came that should not have come, in words. */
export function wrongOnes(direction: string, wanted: readonly number[], got: readonly Digest[]): string[] {
  return wanted.flatMap((bytes, index) => {
    const digest = got[index];
    const right = digest?.bytes === bytes && digest.sha256 === knownDigest(bytes).sha256;
    return right ? [] : [`${direction} of ${bytes} bytes: ${digest?.bytes ?? 'no'} bytes came`];
  });
}

export async function compareTransfers(ends: Ends, plan: TransferPlan): Promise<Verified> {
  const { guest, far, server, contender } = ends;
  const wanted = sizes(plan);
  const sources = wanted.map((bytes) => ({ kind: 'source', port: 0, bytes, host: '0.0.0.0' }) as const);
  await using servers = await serve(far, [{ kind: 'sink', port: 0, host: '0.0.0.0' }, ...sources]);
  const [sink = 0, ...downloads] = servers.ports;
  await using _listener = await startIperfServer(far, LOAD_PORT);
  const load = { server, streams: LOAD_STREAMS, seconds: LOAD_SECONDS, reverse: false };
  await using _load = guest.start(iperfClientArgv(load, LOAD_PORT));
  const { down, up } = await client(
    guest,
    'transfers',
    { host: server, downloads, sink, uploads: wanted },
    { timeoutMs: plan.limitMs },
  );
  const wrong = [...wrongOnes('download', wanted, down), ...wrongOnes('upload', wanted, up)];
  return {
    contender,
    transfers: down.length + up.length,
    bytes: 2 * wanted.reduce((sum, size) => sum + size, 0),
    wrong: wrong.map((text) => `${text} (seed ${plan.seed})`),
  };
}
