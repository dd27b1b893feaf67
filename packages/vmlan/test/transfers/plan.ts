/**
 * Which transfers a run makes, from a seed: sizes around every edge of a segment and a buffer first, then any order of
 * magnitude, over every path, family and MTU, in every shape; then shuffled.
 *
 * Zone: control. Pure.
 */
import { SeededRandom } from '../fuzz/random.ts';
import { type Exchange, SHAPES } from '../support/peer-exchange.ts';

export interface TransferPlan {
  readonly count: number;
  readonly maxBytes: number;
  readonly seed: number;
}

export interface Lane {
  readonly mtu: number;
  readonly path: 'tap' | 'stream';
  readonly family: 4 | 6;
}

/** `mark` is its number in the plan, from 1. */
export interface Transfer extends Lane, Exchange {}

export const MTUS = [1500, 65_520] as const;
const LANES: readonly Lane[] = MTUS.flatMap((mtu) =>
  (['tap', 'stream'] as const).flatMap((path) => ([4, 6] as const).map((family): Lane => ({ mtu, path, family }))),
);
/** Headers of IPv4 and IPv6 with TCP, without options and with timestamps. */
const HEADERS = [40, 52, 60, 72];
const LONGEST_PACKET = 65_535;
const WINDOW = 1 << 20;
/** Of a transfer whose other direction is the one that matters. */
const ASIDE_BYTES = 1 << 16;
/** Share of the edges in a long plan; a short one has each of them once in each direction. */
const EDGE_SHARE = 0.25;

const around = (size: number): number[] => [size - 1, size, size + 1];

export function edgesUpTo(maxBytes: number): number[] {
  const segments = MTUS.flatMap((mtu) => HEADERS.flatMap((header) => around(mtu - header)));
  const all = [0, 1, 2, ...segments, ...around(LONGEST_PACKET), ...around(WINDOW), maxBytes];
  return [...new Set(all.filter((size) => size <= maxBytes))];
}

/** 0 to `maxBytes`, every order of magnitude as likely as the others. */
export function anySize(random: SeededRandom, maxBytes: number): number {
  return Math.floor((maxBytes + 1) ** ((random.next() >>> 0) / 2 ** 32)) - 1;
}

function shuffle(items: unknown[], random: SeededRandom): void {
  for (let i = items.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [items[i], items[j]] = [items[j], items[i]];
  }
}

/** Every edge in both directions on one lane, then again with each on the next lane. */
function edgeSizes(edges: readonly number[], number: number): { lane: Lane; down: boolean; size: number } {
  const turn = Math.floor(number / (2 * edges.length));
  const place = number % (2 * edges.length);
  return {
    lane: LANES[(place + turn) % LANES.length]!,
    down: place >= edges.length,
    size: edges[place % edges.length]!,
  };
}

export function plan({ count, maxBytes, seed }: TransferPlan): Transfer[] {
  const random = new SeededRandom(seed);
  const edges = edgesUpTo(maxBytes);
  const edgeCount = Math.min(count, Math.max(2 * edges.length, Math.floor(count * EDGE_SHARE)));
  const transfers: Omit<Transfer, 'mark'>[] = [];
  for (let i = 0; i < edgeCount; i++) {
    const { lane, down, size } = edgeSizes(edges, i);
    const aside = anySize(random, Math.min(ASIDE_BYTES, maxBytes));
    transfers.push({ ...lane, shape: random.pick(SHAPES), down: down ? size : aside, up: down ? aside : size });
  }
  while (transfers.length < count) {
    const [size, other] = [anySize(random, maxBytes), anySize(random, maxBytes)];
    const way = random.below(3); // down, up, both
    const sizes = { down: way === 1 ? 0 : size, up: way === 0 ? 0 : way === 1 ? size : other };
    transfers.push({ ...random.pick(LANES), shape: random.pick(SHAPES), ...sizes });
  }
  shuffle(transfers, random);
  return transfers.map((transfer, index) => ({ ...transfer, mark: index + 1 }));
}
