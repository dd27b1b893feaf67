/**
 * Named counters in one Float64Array: every drop has a reason, and reading them asks nobody.
 *
 * Zone: packet to count, control to define.  A counter is defined once, at module load, by the file that counts it;
 * its index is the same in every `Counters` of the thread.  Counts are whole numbers up to 2^53.  Those named `drop_…`
 * have the upper half of the indices: so the last of them tells why a frame went no further (engine/captures.ts).
 */

/** Room for all counters of the program, and once more for those of drops; defining more is a mistake in the program. */
export const MAX_COUNTERS = 256;
const FIRST_DROP: number = MAX_COUNTERS;

const names: string[] = [];
const dropNames: string[] = [];
const indexByName = new Map<string, number>();

/** Defines (or finds) the counter `name`, snake_case, and returns its index. */
export function counter(name: string): number {
  const known = indexByName.get(name);
  if (known !== undefined) return known;
  const isDrop = name.startsWith('drop_');
  const kin = isDrop ? dropNames : names;
  if (kin.length === MAX_COUNTERS) throw new Error(`more than ${MAX_COUNTERS} counters: ${name}`);
  const index = kin.push(name) - 1 + (isDrop ? FIRST_DROP : 0);
  indexByName.set(name, index);
  return index;
}

/** The names of the reasons to drop, by index. */
export const dropReasons = (): ReadonlyMap<number, string> =>
  new Map(dropNames.map((name, i) => [FIRST_DROP + i, name] as const));

export class Counters {
  readonly values: Float64Array = new Float64Array(2 * MAX_COUNTERS);
  /** The drop that was counted last; whoever asks sets it to -1 before. */
  lastDrop = -1;

  count(index: number): void {
    this.values[index]!++;
    if (index >= FIRST_DROP) this.lastDrop = index;
  }

  add(index: number, amount: number): void {
    this.values[index]! += amount;
    if (index >= FIRST_DROP) this.lastDrop = index;
  }

  get(name: string): number {
    const index = indexByName.get(name);
    return index === undefined ? 0 : this.values[index]!;
  }

  /** All counters that are not zero, by name. */
  snapshot(): Record<string, number> {
    const result: Record<string, number> = {};
    for (const [name, index] of indexByName) {
      if (this.values[index] !== 0) result[name] = this.values[index]!;
    }
    return result;
  }
}
