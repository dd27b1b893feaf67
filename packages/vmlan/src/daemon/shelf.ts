/**
 * Many small things of one kind, by key: all in memory, and on disk in as many files as keep a change small.
 *
 * Zone: control.  A change is prepared on disk first (what can fail for want of room fails there), then made in memory,
 * then committed; until then it can be taken back.  Changes of things in the same file must not overlap: the store makes
 * them one after the other.  Things keep the order in which they came, also over a restart.
 */
import { join } from 'node:path';
import { VmlanError } from '../core/errors.ts';
import { commitDurable, discardDurable, listDurable, removeTemporary } from '../sys/durable-file.ts';
import type { PreparedFile } from '../sys/durable-file.ts';
import type { StateFormat } from '../sys/sealed-text.ts';
import { StateFile } from '../sys/state-file.ts';

const SUFFIX = '.json';

export interface ShelfKind<T> {
  readonly directory: string;
  /** For messages: `forwards`. */
  readonly what: string;
  readonly limit: number;
  /** What to do when there are too many. */
  readonly hint: string;
  readonly keyOf: (item: T) => string;
  /** The file of a key, without its suffix. */
  readonly fileOf: (key: string) => string;
  /** Throws on a file that holds what belongs elsewhere. */
  readonly format: (file: string) => StateFormat<readonly Placed<T>[]>;
  /** The data of a file, as JSON. */
  readonly encode: (items: readonly Placed<T>[]) => string;
}

/** A thing, and the number by which it stands among the others. */
export type Placed<T> = readonly [order: number, item: T];

export interface ShelfChange<T> {
  readonly put?: readonly T[];
  readonly remove?: readonly string[];
}

export class Shelf<T> {
  readonly warnings: string[] = [];
  readonly #kind: ShelfKind<T>;
  readonly #items = new Map<string, T>();
  readonly #orders = new Map<string, number>();
  /** Keys by file. */
  readonly #files = new Map<string, Set<string>>();
  /** Files that were damaged: they know what must not be written over. */
  readonly #damaged = new Map<string, StateFile<readonly Placed<T>[]>>();
  #all: readonly T[] | null = null;
  /** The last number that was given, and the highest in `#items`. */
  #lastOrder = 0;
  #highest = 0;

  private constructor(kind: ShelfKind<T>) {
    this.#kind = kind;
  }

  static async open<T>(kind: ShelfKind<T>): Promise<Shelf<T>> {
    const shelf = new Shelf(kind);
    await removeTemporary(kind.directory);
    const loaded: Placed<T>[] = [];
    for (const name of await listDurable(kind.directory, SUFFIX)) loaded.push(...(await shelf.#load(name)));
    for (const placed of loaded.sort(([a], [b]) => a - b)) shelf.#set(kind.keyOf(placed[1]), placed);
    return shelf;
  }

  async #load(name: string): Promise<readonly Placed<T>[]> {
    const file = this.#stateFile(name);
    const { value, warning } = await file.read();
    if (warning === null) return value ?? [];
    this.warnings.push(warning);
    this.#damaged.set(name, file);
    return [];
  }

  get items(): ReadonlyMap<string, T> {
    return this.#items;
  }

  /** The same list until something changes. */
  get all(): readonly T[] {
    this.#all ??= [...this.#items.values()];
    return this.#all;
  }

  /** Writes beside what the change would make of the files; nothing is changed yet. */
  async prepare({ put = [], remove = [] }: ShelfChange<T>): Promise<PreparedChange> {
    const after = this.#after(put, remove);
    this.#checkLimit(after);
    const files = new Set([...after.keys()].map(this.#kind.fileOf));
    const prepared: PreparedFile[] = [];
    const emptied: string[] = [];
    try {
      for (const file of files) {
        const items = this.#contentOf(file, after);
        if (items.length === 0) emptied.push(file);
        else prepared.push(await this.#stateFile(file).prepare(this.#kind.encode(items)));
      }
    } catch (error) {
      await discardDurable(prepared);
      throw error;
    }
    return this.#prepared(after, prepared, emptied);
  }

  #prepared(after: ReadonlyMap<string, Placed<T> | null>, prepared: PreparedFile[], emptied: string[]): PreparedChange {
    const before = new Map([...after.keys()].map((key) => [key, this.#placed(key)]));
    let committed = 0;
    return {
      apply: () => this.#replace(after),
      commit: async () => {
        await commitDurable(prepared, () => committed++);
        for (const file of emptied) {
          await this.#stateFile(file).remove();
          committed++;
        }
      },
      undo: async () => {
        this.#replace(before);
        await discardDurable(prepared.slice(committed));
        if (committed > 0) await this.#rewrite(after);
      },
    };
  }

  /** What was committed before a commit failed is written as it was. */
  async #rewrite(touched: ReadonlyMap<string, unknown>): Promise<void> {
    for (const file of new Set([...touched.keys()].map(this.#kind.fileOf))) {
      const items = this.#contentOf(file, new Map());
      await (items.length === 0
        ? this.#stateFile(file).remove()
        : this.#stateFile(file).write(this.#kind.encode(items)));
    }
  }

  /** null: removed. What is put in the place of another keeps its place. */
  #after(put: readonly T[], remove: readonly string[]): ReadonlyMap<string, Placed<T> | null> {
    const after = new Map<string, Placed<T> | null>();
    for (const key of remove) if (this.#items.has(key)) after.set(key, null);
    let order = this.#lastOrder;
    for (const item of put) {
      const key = this.#kind.keyOf(item);
      after.set(key, [this.#orders.get(key) ?? ++order, item]);
    }
    this.#lastOrder = order;
    return after;
  }

  #checkLimit(after: ReadonlyMap<string, Placed<T> | null>): void {
    let { size } = this.#items;
    for (const [key, placed] of after) size += Number(placed !== null) - Number(this.#items.has(key));
    const { limit, what, hint } = this.#kind;
    if (size > limit && size > this.#items.size) {
      throw new VmlanError('exhausted', `there are at most ${limit} ${what}`, { hint });
    }
  }

  #contentOf(file: string, after: ReadonlyMap<string, Placed<T> | null>): readonly Placed<T>[] {
    const items: Placed<T>[] = [];
    for (const key of this.#files.get(file) ?? []) if (!after.has(key)) items.push(this.#placed(key)!);
    for (const [key, placed] of after) if (placed !== null && this.#kind.fileOf(key) === file) items.push(placed);
    return items;
  }

  #replace(items: ReadonlyMap<string, Placed<T> | null>): void {
    let isOutOfOrder = false;
    for (const [key, placed] of items) {
      if (placed === null) this.#forget(key);
      else {
        isOutOfOrder ||= placed[0] < this.#highest && !this.#items.has(key);
        this.#set(key, placed);
      }
    }
    this.#all = null;
    if (isOutOfOrder) this.#sort();
  }

  #sort(): void {
    const sorted = [...this.#items].sort(([a], [b]) => this.#orders.get(a)! - this.#orders.get(b)!);
    this.#items.clear();
    for (const [key, item] of sorted) this.#items.set(key, item);
  }

  #placed(key: string): Placed<T> | null {
    return this.#items.has(key) ? [this.#orders.get(key)!, this.#items.get(key)!] : null;
  }

  #set(key: string, [order, item]: Placed<T>): void {
    this.#items.set(key, item);
    this.#orders.set(key, order);
    this.#highest = Math.max(this.#highest, order);
    this.#lastOrder = Math.max(this.#lastOrder, order);
    const file = this.#kind.fileOf(key);
    const keys = this.#files.get(file);
    if (keys === undefined) this.#files.set(file, new Set([key]));
    else keys.add(key);
  }

  #forget(key: string): void {
    this.#items.delete(key);
    this.#orders.delete(key);
    const file = this.#kind.fileOf(key);
    const keys = this.#files.get(file);
    keys?.delete(key);
    if (keys?.size === 0) this.#files.delete(file);
  }

  #stateFile(name: string): StateFile<readonly Placed<T>[]> {
    const { directory, format } = this.#kind;
    return this.#damaged.get(name) ?? new StateFile(join(directory, `${name}${SUFFIX}`), format(name));
  }
}

export interface PreparedChange {
  /** Makes the change in memory. */
  apply(): void;
  /** Makes the change on disk. */
  commit(): Promise<void>;
  /** Takes everything back. */
  undo(): Promise<void>;
}
