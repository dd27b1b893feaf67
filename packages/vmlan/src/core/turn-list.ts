/**
 * Work that is put down while a turn of the loop runs and taken up at once later: two lists that take turns.
 *
 * Zone: packet.  What is added while the list is being worked off waits for the next time.  Room is kept: an array that is
 * cut to length 0 gives its own back, and the next turn would allocate it again.
 */
export class TurnList<T> {
  #filling: (T | null)[] = [];
  #working: (T | null)[] = [];
  #length = 0;

  /** What waits for the next `begin`. */
  get length(): number {
    return this.#length;
  }

  add(item: T): void {
    this.#filling[this.#length++] = item;
  }

  /** Begins to work off what waits; returns how much that is. Everything before must have been taken. */
  begin(): number {
    const items = this.#filling;
    this.#filling = this.#working;
    this.#working = items;
    const length = this.#length;
    this.#length = 0;
    return length;
  }

  /** Item `i` of what `begin` has counted; each once. */
  take(i: number): T {
    const item = this.#working[i]!;
    this.#working[i] = null; // or a link that is closed would live on
    return item;
  }
}
