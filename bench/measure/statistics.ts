/**
 * What is made of the rounds: medians and the whole spread, never a mean, since one disturbed round must not move a
 * figure.
 *
 * Zone: control.
 */
export interface Summary {
  readonly count: number;
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** The value below which the share `p` (0 to 1) of an ascending list lies, by nearest rank; NaN of nothing. */
export function percentile(ascending: ArrayLike<number>, p: number): number {
  const rank = Math.max(1, Math.ceil(p * ascending.length));
  return ascending[rank - 1] ?? NaN;
}

/** null without values; those that are no number count as absent. */
export function summarize(values: readonly number[]): Summary | null {
  const ascending = values.filter(Number.isFinite).sort((a, b) => a - b);
  const [min] = ascending;
  const max = ascending.at(-1);
  if (min === undefined || max === undefined) return null;
  const middle = ascending.length >> 1;
  const upper = ascending[middle] ?? NaN;
  const median = ascending.length % 2 === 1 ? upper : ((ascending[middle - 1] ?? NaN) + upper) / 2;
  return { count: ascending.length, median, min, max };
}

/**
 * Ratios of two contenders, round by round: what disturbed a whole round leaves them alone. Rounds that one of them
 * lacks are left out.
 */
export function pairedRatios(ours: ReadonlyMap<number, number>, theirs: ReadonlyMap<number, number>): Summary | null {
  return summarize([...ours].map(([round, value]) => value / (theirs.get(round) ?? NaN)));
}
