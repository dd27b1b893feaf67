/**
 * What the daemon remembers: registered guests, forwards and records made live, subnets it picked.
 *
 * Zone: control.  One JSON file per guest, one for each other kind; each written durably before a change is reported
 * as done.  A damaged file is set aside and reported, and the rest loads.
 */
import { join } from 'node:path';
import * as z from 'zod';
import { VmlanError } from '../core/errors.ts';
import { storedGuestSchema } from '../model/guest.ts';
import type { StoredGuest } from '../model/guest.ts';
import { isGuestName } from '../model/names.ts';
import { recordTypeSchema } from '../model/requests.ts';
import type { RecordType } from '../model/requests.ts';
import { storedShapesSchema } from '../model/stored-shape.ts';
import type { StoredShape } from '../model/stored-shape.ts';
import { listDurable, makeStateDirectory, readDurable, removeDurable, writeDurable } from '../sys/durable-file.ts';

export const MAX_GUESTS = 4096;
export const MAX_LIVE_FORWARDS = 4096;
export const MAX_LIVE_RECORDS = 16_384;
export const MAX_SHAPES = 4096;
const FORMAT_VERSION = 1;

export interface StoredForward {
  readonly id: string;
  readonly network: string;
  readonly protocol: 'tcp' | 'udp';
  readonly direction: 'host' | 'reverse';
  readonly host: string;
  readonly guest: string;
}

export interface StoredRecord {
  readonly id: string;
  readonly network: string;
  readonly name: string;
  readonly type: RecordType;
  readonly value: string;
  readonly ttl: number | null;
}

const forwardsSchema: z.ZodType<readonly StoredForward[]> = z.array(
  z.object({
    id: z.string(),
    network: z.string(),
    protocol: z.enum(['tcp', 'udp']),
    direction: z.enum(['host', 'reverse']),
    host: z.string(),
    guest: z.string(),
  }),
);

const recordsSchema: z.ZodType<readonly StoredRecord[]> = z.array(
  z.object({
    id: z.string(),
    network: z.string(),
    name: z.string(),
    type: recordTypeSchema,
    value: z.string(),
    ttl: z.int().nullable(),
  }),
);

const picksSchema: z.ZodType<Readonly<Record<string, string>>> = z.record(z.string(), z.string());

export class Store {
  readonly guests: Map<string, StoredGuest> = new Map<string, StoredGuest>();
  readonly warnings: string[] = [];
  readonly #directory: string;
  #forwards: readonly StoredForward[] = [];
  #records: readonly StoredRecord[] = [];
  #shapes: readonly StoredShape[] = [];
  #picks: ReadonlyMap<string, string> = new Map();

  private constructor(directory: string) {
    this.#directory = directory;
  }

  static async open(directory: string): Promise<Store> {
    const store = new Store(directory);
    await makeStateDirectory(directory);
    await makeStateDirectory(store.#path('guests'));
    for (const name of await listDurable(store.#path('guests'), '.json')) await store.#loadGuest(name);
    store.#forwards = (await store.#load('forwards.json', forwardsSchema)) ?? [];
    store.#records = (await store.#load('records.json', recordsSchema)) ?? [];
    store.#shapes = (await store.#load('shapes.json', storedShapesSchema)) ?? [];
    store.#picks = new Map(Object.entries((await store.#load('subnets.json', picksSchema)) ?? {}));
    return store;
  }

  get forwards(): readonly StoredForward[] {
    return this.#forwards;
  }

  get records(): readonly StoredRecord[] {
    return this.#records;
  }

  get shapes(): readonly StoredShape[] {
    return this.#shapes;
  }

  get picks(): ReadonlyMap<string, string> {
    return this.#picks;
  }

  async putGuest(guest: StoredGuest): Promise<void> {
    if (!this.guests.has(guest.name) && this.guests.size >= MAX_GUESTS) {
      throw new VmlanError('exhausted', `${MAX_GUESTS} guests are registered already`, {
        hint: 'vmlan list shows them',
      });
    }
    const before = this.guests.get(guest.name);
    this.guests.set(guest.name, guest);
    try {
      await this.#save(join('guests', `${guest.name}.json`), guest);
    } catch (error) {
      if (before === undefined) this.guests.delete(guest.name);
      else this.guests.set(guest.name, before);
      throw error;
    }
  }

  async removeGuest(name: string): Promise<void> {
    await removeDurable(this.#path('guests', `${name}.json`));
    this.guests.delete(name);
  }

  async putForwards(forwards: readonly StoredForward[]): Promise<void> {
    if (forwards.length > MAX_LIVE_FORWARDS) throw new VmlanError('exhausted', `at most ${MAX_LIVE_FORWARDS} forwards`);
    await this.#save('forwards.json', forwards);
    this.#forwards = forwards;
  }

  async putRecords(records: readonly StoredRecord[]): Promise<void> {
    if (records.length > MAX_LIVE_RECORDS) throw new VmlanError('exhausted', `at most ${MAX_LIVE_RECORDS} DNS records`);
    await this.#save('records.json', records);
    this.#records = records;
  }

  async putShapes(shapes: readonly StoredShape[]): Promise<void> {
    if (shapes.length > MAX_SHAPES) {
      throw new VmlanError('exhausted', `at most ${MAX_SHAPES} shapes`, { hint: 'vmlan shape clear ends some' });
    }
    await this.#save('shapes.json', shapes);
    this.#shapes = shapes;
  }

  async putPicks(picks: ReadonlyMap<string, string>): Promise<void> {
    const merged = new Map([...this.#picks, ...picks]);
    if (merged.size === this.#picks.size && [...merged].every(([name, subnet]) => this.#picks.get(name) === subnet))
      return;
    await this.#save('subnets.json', Object.fromEntries(merged));
    this.#picks = merged;
  }

  /** The subnet of a network that is no more is free for others. */
  async removePick(network: string): Promise<void> {
    if (!this.#picks.has(network)) return;
    const left = new Map([...this.#picks].filter(([name]) => name !== network));
    await this.#save('subnets.json', Object.fromEntries(left));
    this.#picks = left;
  }

  #path(...parts: readonly string[]): string {
    return join(this.#directory, ...parts);
  }

  async #loadGuest(name: string): Promise<void> {
    const guest = await this.#load(join('guests', `${name}.json`), storedGuestSchema);
    if (guest !== null && guest.name === name && isGuestName(name)) this.guests.set(name, guest);
  }

  async #load<T>(file: string, schema: z.ZodType<T>): Promise<T | null> {
    const envelope = z.object({ version: z.literal(FORMAT_VERSION), data: schema });
    const path = this.#path(file);
    const { value, damaged } = await readDurable(path, (text) => envelope.parse(JSON.parse(text)).data);
    if (damaged !== null) this.warnings.push(`${path} was damaged and is kept as ${damaged.path}: ${damaged.reason}`);
    return value;
  }

  async #save(file: string, data: unknown): Promise<void> {
    await writeDurable(this.#path(file), `${JSON.stringify({ version: FORMAT_VERSION, data }, null, 2)}\n`);
  }
}
