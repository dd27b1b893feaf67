/**
 * Equal buffers in the arena, lent out and taken back; the count is the bound.
 *
 * Zone: packet.  Arena space is taken when a buffer is first needed, so an idle pool costs address space only.
 */
import type { Arena } from './arena.ts';

export class BufferPool {
  readonly size: number; // bytes of one buffer
  readonly max: number;
  readonly #arena: Arena;
  readonly #free: Int32Array;
  #freeCount = 0;
  #made = 0;

  constructor(arena: Arena, size: number, max: number) {
    this.size = size;
    this.max = max;
    this.#arena = arena;
    this.#free = new Int32Array(max);
  }

  get inUse(): number {
    return this.#made - this.#freeCount;
  }

  /** Arena offset of a buffer, or 0 when all are lent out. */
  take(): number {
    if (this.#freeCount > 0) return this.#free[--this.#freeCount]!;
    if (this.#made === this.max) return 0;
    this.#made++;
    return this.#arena.alloc(this.size, 64);
  }

  give(offset: number): void {
    this.#free[this.#freeCount++] = offset;
  }
}
