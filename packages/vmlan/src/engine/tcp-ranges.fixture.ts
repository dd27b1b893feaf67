/**
 * Which parts of a stream are there: disjoint ranges of positions, in order.
 *
 * Zone: control.
 */
export class Ranges {
  readonly #all: [from: number, to: number][] = [];
  /** The range that grew last: SACK names it first (RFC 2018 §4). */
  #latest = -1;

  get isEmpty(): boolean {
    return this.#all.length === 0;
  }

  /** End of the last range, 0 without any. */
  get highest(): number {
    return this.#all.at(-1)?.[1] ?? 0;
  }

  add(from: number, to: number): void {
    if (from >= to) return;
    const before = this.#all.filter((range) => range[1] < from);
    const after = this.#all.filter((range) => range[0] > to);
    const met = this.#all.slice(before.length, this.#all.length - after.length);
    const merged: [number, number] = [Math.min(from, met[0]?.[0] ?? from), Math.max(to, met.at(-1)?.[1] ?? to)];
    this.#all.splice(0, this.#all.length, ...before, merged, ...after);
    this.#latest = from;
  }

  /** Forgets everything below a position. */
  dropBelow(position: number): void {
    while (this.#all.length > 0 && this.#all[0]![1] <= position) this.#all.shift();
    const [first] = this.#all;
    if (first !== undefined && first[0] < position) first[0] = position;
  }

  clear(): void {
    this.#all.length = 0;
  }

  /** The first position from `at` on that is in no range. */
  nextHole(at: number): number {
    for (const [from, to] of this.#all) if (from <= at && at < to) return to;
    return at;
  }

  /** Where the hole at `at` ends, `limit` at most. */
  holeEnd(at: number, limit: number): number {
    for (const [from] of this.#all) if (from > at) return Math.min(from, limit);
    return limit;
  }

  /** Positions in [from, to) that lie in ranges. */
  covered(from: number, to: number): number {
    return this.#all.reduce((sum, range) => sum + Math.max(0, Math.min(range[1], to) - Math.max(range[0], from)), 0);
  }

  /** Up to `most` ranges, the one that grew last first. */
  blocks(most: number): [number, number][] {
    const isLatest = ([from, to]: [number, number]): boolean => from <= this.#latest && this.#latest < to;
    return this.#all.toSorted((a, b) => Number(isLatest(b)) - Number(isLatest(a))).slice(0, most);
  }
}
