/**
 * How a cost grows with the size of something: the exponent k of cost ~ size^k, by least squares over logarithms. Near 0
 * the cost does not depend on the size, 1 is linear.
 *
 * Zone: control.
 */
export interface Point {
  /** How many flows, guests, frames; above 0. */
  readonly size: number;
  readonly cost: number;
}

export interface Growth {
  readonly exponent: number;
  /** Cost at the largest size over cost at the smallest. */
  readonly factor: number;
}

/** null with fewer than two sizes. */
export function growth(points: readonly Point[]): Growth | null {
  const logs = points
    .filter(({ size, cost }) => size > 0 && cost > 0)
    .map(({ size, cost }) => ({ x: Math.log(size), y: Math.log(cost) }))
    .sort((a, b) => a.x - b.x);
  const [first] = logs;
  const last = logs.at(-1);
  if (first === undefined || last === undefined || first.x === last.x) return null;
  const meanX = logs.reduce((sum, { x }) => sum + x, 0) / logs.length;
  const meanY = logs.reduce((sum, { y }) => sum + y, 0) / logs.length;
  const covariance = logs.reduce((sum, { x, y }) => sum + (x - meanX) * (y - meanY), 0);
  const variance = logs.reduce((sum, { x }) => sum + (x - meanX) ** 2, 0);
  return { exponent: covariance / variance, factor: Math.exp(last.y - first.y) };
}
