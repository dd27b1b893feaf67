/**
 * A hash table from a fixed-size key to a flow id, without an object per entry.
 *
 * Zone: packet.  Open addressing with linear probing; a bucket holds the id, the key lies at `keys[id * KEY_WORDS]`.
 * Ids are handed out from a free list, 0 … capacity - 1, so the table is also the bound on flows.  Deletion moves
 * later entries of the probe run back (Knuth 6.4, algorithm R): no tombstones, no rehash.
 *
 * Key, ten 32-bit words:
 *   0–3 guest address   4–7 remote address   (IPv4 as ::ffff:a.b.c.d)
 *   8   guest port << 16 | remote port       9  segment id
 */

export const KEY_WORDS = 10;
const FREE = -1;

export class FlowTable {
  readonly capacity: number;
  readonly keys: Int32Array;
  readonly #buckets: Int32Array;
  readonly #mask: number;
  readonly #freeIds: Int32Array;
  #freeCount: number;
  readonly #seed: number;

  /** `seed` makes bucket order unknown to guests: no crafted collisions. */
  constructor(capacity: number, seed: number) {
    let buckets = 16;
    while (buckets < capacity * 2) buckets *= 2;
    this.capacity = capacity;
    this.keys = new Int32Array(capacity * KEY_WORDS);
    this.#buckets = new Int32Array(buckets).fill(FREE);
    this.#mask = buckets - 1;
    this.#freeIds = new Int32Array(capacity);
    for (let i = 0; i < capacity; i++) this.#freeIds[i] = capacity - 1 - i;
    this.#freeCount = capacity;
    this.#seed = seed | 0;
  }

  get size(): number {
    return this.capacity - this.#freeCount;
  }

  /** The id stored under `key`, or -1. */
  find(key: Int32Array): number {
    let bucket = this.#hash(key, 0);
    for (;;) {
      const id = this.#buckets[bucket]!;
      if (id === FREE) return -1;
      if (this.#equals(id, key)) return id;
      bucket = (bucket + 1) & this.#mask;
    }
  }

  /** Stores `key`, which must not be there yet, and returns its new id, or -1 when the table is full. */
  insert(key: Int32Array): number {
    if (this.#freeCount === 0) return -1;
    const id = this.#freeIds[--this.#freeCount]!;
    const base = id * KEY_WORDS;
    for (let i = 0; i < KEY_WORDS; i++) this.keys[base + i] = key[i]!;
    let bucket = this.#hash(key, 0);
    while (this.#buckets[bucket] !== FREE) bucket = (bucket + 1) & this.#mask;
    this.#buckets[bucket] = id;
    return id;
  }

  delete(id: number): void {
    let hole = this.#hash(this.keys, id * KEY_WORDS);
    while (this.#buckets[hole] !== id) hole = (hole + 1) & this.#mask;
    for (let probe = (hole + 1) & this.#mask; ; probe = (probe + 1) & this.#mask) {
      const moved = this.#buckets[probe]!;
      if (moved === FREE) break;
      const home = this.#hash(this.keys, moved * KEY_WORDS);
      // An entry may fill the hole unless its home lies cyclically within (hole, probe].
      const staysPut = ((probe - home) & this.#mask) < ((probe - hole) & this.#mask);
      if (staysPut) continue;
      this.#buckets[hole] = moved;
      hole = probe;
    }
    this.#buckets[hole] = FREE;
    this.#freeIds[this.#freeCount++] = id;
  }

  #equals(id: number, key: Int32Array): boolean {
    const base = id * KEY_WORDS;
    const keys = this.keys;
    // Ports first: they differ most often.
    if (keys[base + 8] !== key[8] || keys[base + 7] !== key[7] || keys[base + 3] !== key[3]) return false;
    return (
      keys[base + 9] === key[9] &&
      keys[base] === key[0] &&
      keys[base + 1] === key[1] &&
      keys[base + 2] === key[2] &&
      keys[base + 4] === key[4] &&
      keys[base + 5] === key[5] &&
      keys[base + 6] === key[6]
    );
  }

  /** Murmur3-like mixing of the ten words at `base`. */
  #hash(words: Int32Array, base: number): number {
    let h = this.#seed;
    for (let i = base; i < base + KEY_WORDS; i++) {
      let k = Math.imul(words[i]!, 0xcc9e2d51 | 0);
      k = (k << 15) | (k >>> 17);
      h ^= Math.imul(k, 0x1b873593);
      h = (h << 13) | (h >>> 19);
      h = (Math.imul(h, 5) + 0xe6546b64) | 0;
    }
    h ^= h >>> 16;
    h = Math.imul(h, 0x85ebca6b);
    h ^= h >>> 13;
    return h & this.#mask;
  }
}
