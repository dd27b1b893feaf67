/**
 * What the daemon remembers: registered guests, forwards, records and shapes made live, subnets it picked.
 *
 * Zone: control.  One file per guest, and up to 64 files of each other kind, so that one change among thousands
 * writes little.  A change is carried out between two steps of the disk, so that it is never live without
 * being stored, nor stored without being live.  A damaged file is set aside and reported, and the rest loads.
 */
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import * as z from 'zod';
import { VmlanError } from '../core/errors.ts';
import { Serial } from '../core/serial.ts';
import type { StoredGuest } from '../model/guest.ts';
import { guestId, storedGuestSchema } from '../model/guest.ts';
import { storedForwardSchema, storedPicksSchema, storedRecordSchema } from '../model/stored.ts';
import type { StoredForward, StoredRecord } from '../model/stored.ts';
import { storedShapeSchema } from '../model/stored-shape.ts';
import type { StoredShape } from '../model/stored-shape.ts';
import { makeStateDirectory, removeTemporary } from '../sys/durable-file.ts';
import type { Migrations, StateFormat } from '../sys/sealed-text.ts';
import { StateFile } from '../sys/state-file.ts';
import { Shelf } from './shelf.ts';
import type { Placed, PreparedChange, ShelfChange, ShelfKind } from './shelf.ts';

export type { StoredForward, StoredRecord } from '../model/stored.ts';

export const MAX_GUESTS = 4096;
export const MAX_LIVE_FORWARDS = 16_384;
export const MAX_LIVE_RECORDS = 16_384;
export const MAX_SHAPES = 4096;
/** Files of a kind that has thousands of small things. */
const FILES_PER_KIND = 64;

/** Version 2 brought the checksum, and the many files in place of forwards.json and records.json. */
export const STATE_VERSION = 2;
const same = (data: unknown): unknown => data;
export const STATE_MIGRATIONS: Migrations = { 1: same };

/** What is put in the place of another of the same name or id replaces it. */
export interface StateChange {
  readonly guests?: ShelfChange<StoredGuest>;
  readonly forwards?: ShelfChange<StoredForward>;
  readonly records?: ShelfChange<StoredRecord>;
  readonly shapes?: ShelfChange<StoredShape>;
}

interface Shelves {
  readonly guests: Shelf<StoredGuest>;
  readonly forwards: Shelf<StoredForward>;
  readonly records: Shelf<StoredRecord>;
  readonly shapes: Shelf<StoredShape>;
}

/** Kinds of which many things lie in one file; locked in this order. */
const SHARED_KINDS = ['forwards', 'records', 'shapes'] as const;

/** How long who wants to read all of it waits for changes that are under way. */
const REST_TIMEOUT_MS = 10_000;

const nothing = (): Promise<void> => Promise.resolve();

export class Store {
  /** What was found wrong with the state. */
  readonly warnings: string[] = [];
  readonly #shelves: Shelves;
  readonly #picksFile: StateFile<Readonly<Record<string, string>>>;
  #picks: ReadonlyMap<string, string> = new Map();
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #changes = new Serial();

  private constructor(directory: string, shelves: Shelves) {
    this.#shelves = shelves;
    this.#picksFile = new StateFile(join(directory, 'subnets.json'), formatOf(parserOf(storedPicksSchema)));
  }

  static async open(directory: string): Promise<Store> {
    await makeStateDirectory(directory);
    await removeTemporary(directory);
    const store = new Store(directory, {
      guests: await Shelf.open(guestShelf(directory)),
      forwards: await Shelf.open(manyShelf(directory, 'forwards', MAX_LIVE_FORWARDS, storedForwardSchema)),
      records: await Shelf.open(manyShelf(directory, 'records', MAX_LIVE_RECORDS, storedRecordSchema)),
      shapes: await Shelf.open(manyShelf(directory, 'shapes', MAX_SHAPES, storedShapeSchema)),
    });
    for (const shelf of Object.values(store.#shelves)) store.warnings.push(...shelf.warnings);
    await store.#dropFormerNames();
    await store.#takeOver(directory, 'forwards', storedForwardSchema);
    await store.#takeOver(directory, 'records', storedRecordSchema);
    const { value, warning } = await store.#picksFile.read();
    if (warning !== null) store.warnings.push(warning);
    store.#picks = new Map(Object.entries(value ?? {}));
    return store;
  }

  /** Version 1 had all things of a kind in one file, which goes when they are stored as they are now. */
  async #takeOver(
    directory: string,
    kind: 'forwards' | 'records',
    schema: z.ZodType<StoredForward | StoredRecord>,
  ): Promise<void> {
    const file = new StateFile(join(directory, `${kind}.json`), formatOf(parserOf(z.array(schema))));
    const { value, warning } = await file.read();
    if (warning !== null) this.warnings.push(warning);
    if (value === null) return;
    if (value.length > 0) await this.change({ [kind]: { put: value } });
    await file.remove();
  }

  /** Who died while it renamed a guest left both files. */
  async #dropFormerNames(): Promise<void> {
    const latest = new Map<string, StoredGuest>();
    for (const guest of this.guests.values()) {
      const other = latest.get(guestId(guest));
      if (other === undefined || (guest.renames ?? 0) > (other.renames ?? 0)) latest.set(guestId(guest), guest);
    }
    const former = [...this.guests.values()].filter((guest) => latest.get(guestId(guest)) !== guest);
    if (former.length > 0) await this.change({ guests: { remove: former.map(({ name }) => name) } });
  }

  get guests(): ReadonlyMap<string, StoredGuest> {
    return this.#shelves.guests.items;
  }

  /** The same list until something changes; so with the records. */
  get forwards(): readonly StoredForward[] {
    return this.#shelves.forwards.all;
  }

  get forwardsById(): ReadonlyMap<string, StoredForward> {
    return this.#shelves.forwards.items;
  }

  get records(): readonly StoredRecord[] {
    return this.#shelves.records.all;
  }

  get recordsById(): ReadonlyMap<string, StoredRecord> {
    return this.#shelves.records.items;
  }

  get shapes(): readonly StoredShape[] {
    return this.#shelves.shapes.all;
  }

  get picks(): ReadonlyMap<string, string> {
    return this.#picks;
  }

  /**
   * Makes a change on disk, in memory and, by `carry`, in what runs: all of it or nothing.  `carry` makes what runs be
   * as the store says; when something fails it is called once more, with the store as it was before.  A change that
   * depends on what is stored is given as a function: while it is made, nothing else changes that it could look at.
   * Changes of one guest must not overlap; those of other things wait for each other here.
   */
  async change(change: StateChange | (() => StateChange), carry: () => Promise<void> = nothing): Promise<void> {
    const isFixed = typeof change !== 'function';
    const kinds = isFixed ? SHARED_KINDS.filter((kind) => change[kind] !== undefined) : SHARED_KINDS;
    const done = this.#alone(kinds, () => this.#change(isFixed ? change : change(), carry));
    const settled = done.catch(() => undefined);
    this.#underWay.add(settled);
    try {
      await done;
    } finally {
      this.#underWay.delete(settled);
    }
  }

  /** What `read` sees at a moment when no change is half made. */
  async atRest<T>(read: () => T): Promise<T> {
    const deadline = performance.now() + REST_TIMEOUT_MS;
    while (this.#underWay.size > 0) {
      if (performance.now() > deadline) {
        throw new VmlanError('unavailable', `the state has been changing for ${REST_TIMEOUT_MS / 1000} s`, {
          hint: 'type the command again; vmlan status shows what goes on',
        });
      }
      await Promise.race(this.#underWay);
    }
    return read();
  }

  #alone(kinds: readonly string[], action: () => Promise<void>): Promise<void> {
    const [kind, ...rest] = kinds;
    return kind === undefined ? action() : this.#changes.run(kind, () => this.#alone(rest, action));
  }

  async #change(change: StateChange, carry: () => Promise<void>): Promise<void> {
    const prepared: PreparedChange[] = [];
    let isApplied = false;
    try {
      for (const one of this.#prepare(change)) prepared.push(await one());
      isApplied = true;
      for (const one of prepared) one.apply();
      await carry();
      for (const one of prepared) await one.commit();
    } catch (error) {
      for (const one of prepared) await one.undo().catch(() => undefined);
      if (isApplied) await carry().catch(() => undefined);
      throw error;
    }
  }

  #prepare({ guests, forwards, records, shapes }: StateChange): readonly (() => Promise<PreparedChange>)[] {
    const on = this.#shelves;
    return [
      ...(guests === undefined ? [] : [() => on.guests.prepare(guests)]),
      ...(forwards === undefined ? [] : [() => on.forwards.prepare(forwards)]),
      ...(records === undefined ? [] : [() => on.records.prepare(records)]),
      ...(shapes === undefined ? [] : [() => on.shapes.prepare(shapes)]),
    ];
  }

  /** Remembers subnets beside those that are known. */
  async putPicks(picks: ReadonlyMap<string, string>): Promise<void> {
    const merged = new Map([...this.#picks, ...picks]);
    if (merged.size === this.#picks.size && [...merged].every(([name, subnet]) => this.#picks.get(name) === subnet))
      return;
    await this.#picksFile.write(JSON.stringify(Object.fromEntries(merged)));
    this.#picks = merged;
  }

  /** The subnet of a network that is no more is free for others. */
  async removePick(network: string): Promise<void> {
    if (!this.#picks.has(network)) return;
    const left = new Map([...this.#picks].filter(([name]) => name !== network));
    await this.#picksFile.write(JSON.stringify(Object.fromEntries(left)));
    this.#picks = left;
  }
}

const formatOf = <T>(parse: (data: unknown) => T): StateFormat<T> => ({
  version: STATE_VERSION,
  migrations: STATE_MIGRATIONS,
  parse,
});

/** The first thing that is wrong, in one line. */
function parserOf<T>(schema: z.ZodType<T>): (data: unknown) => T {
  return (data) => {
    const result = schema.safeParse(data);
    if (result.success) return result.data;
    const issue = result.error.issues[0]!;
    throw new Error(`${issue.path.map(String).join('.') || 'its data'}: ${issue.message}`);
  };
}

function guestShelf(state: string): ShelfKind<StoredGuest> {
  const parse = parserOf(storedGuestSchema);
  return {
    directory: join(state, 'guests'),
    what: 'guests',
    limit: MAX_GUESTS,
    hint: 'vmlan list shows them; vmlan detach GUEST --forget removes one',
    keyOf: ({ name }) => name,
    fileOf: (name) => name,
    format: (file) =>
      formatOf((data) => {
        const guest = parse(data);
        if (guest.name !== file) throw new Error(`it is the file of guest "${guest.name}"`);
        return [[0, guest]];
      }),
    encode: (items) => JSON.stringify(items[0]![1]),
  };
}

type ManyKind = 'forwards' | 'records' | 'shapes';

/** How one goes that is no longer needed. */
const REMOVALS: Readonly<Record<ManyKind, string>> = {
  forwards: 'vmlan forward list shows them; vmlan forward remove ID removes one',
  records: 'vmlan dns list shows them; vmlan dns remove ID removes one',
  shapes: 'vmlan shape list shows them; vmlan shape clear GUEST removes those of a guest',
};

function manyShelf<T extends { readonly id: string }>(
  state: string,
  what: ManyKind,
  limit: number,
  schema: z.ZodType<T>,
): ShelfKind<T> {
  const parse = parserOf(z.array(z.tuple([z.number(), schema])) as unknown as z.ZodType<readonly Placed<T>[]>);
  return {
    directory: join(state, what),
    what,
    limit,
    hint: REMOVALS[what],
    keyOf: ({ id }) => id,
    fileOf: fileOfId,
    format: (file) =>
      formatOf((data) => {
        const items = parse(data);
        if (items.some(([, { id }]) => fileOfId(id) !== file)) throw new Error('it holds what belongs to another file');
        return items;
      }),
    encode: (items) => JSON.stringify(items),
  };
}

const fileOfId = (id: string): string => (crc32(id) % FILES_PER_KIND).toString(16).padStart(2, '0');
