/**
 * Named counters in one Float64Array: every drop has a reason, and reading them asks nobody.
 *
 * Zone: packet to count, control to define.  A counter is defined once, at module load, by the file that counts it;
 * its index is the same in every `Counters` of the thread.  Counts are whole numbers up to 2^53.
 */

const names: string[] = [];
const indexByName = new Map<string, number>();
/** Room for all counters of the program; defining more is a mistake in the program. */
export const MAX_COUNTERS = 256;

/** Defines (or finds) the counter `name`, snake_case, and returns its index. */
export function counter(name: string): number {
  const known = indexByName.get(name);
  if (known !== undefined) return known;
  if (names.length === MAX_COUNTERS) throw new Error(`more than ${MAX_COUNTERS} counters: ${name}`);
  indexByName.set(name, names.length);
  names.push(name);
  return names.length - 1;
}

export class Counters {
  readonly values: Float64Array = new Float64Array(MAX_COUNTERS);

  count(index: number): void {
    this.values[index]!++;
  }

  add(index: number, amount: number): void {
    this.values[index]! += amount;
  }

  get(name: string): number {
    const index = indexByName.get(name);
    return index === undefined ? 0 : this.values[index]!;
  }

  /** All counters that are not zero, by name. */
  snapshot(): Record<string, number> {
    const result: Record<string, number> = {};
    for (const [index, name] of names.entries()) {
      if (this.values[index] !== 0) result[name] = this.values[index]!;
    }
    return result;
  }
}
