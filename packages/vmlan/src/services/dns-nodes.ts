/**
 * The names of a zone as a tree: each node knows its parent, so that empty non-terminals, closest enclosers and wildcards
 * (RFC 1034 §4.3.2, RFC 4592) are a few steps.  A name may have records of several origins, of which the strongest shows.
 *
 * Zone: flow.  Keys as in wire/dns-name.ts.  Nodes live as long as they have records, children or a zone of their own.
 */
import { TYPE } from '../wire/dns.ts';
import { nameKey } from '../wire/dns-name.ts';

/** Records of one name and type. */
export interface RecordSet {
  readonly name: Uint8Array;
  readonly type: number;
  /** Seconds. */
  readonly ttl: number;
  readonly rdata: readonly Uint8Array[];
}

/** Origins of records; of one name and type the highest shows.  A guest must not take the name of the host. */
export const FROM_GUEST = 0;
export const BUILT_IN = 1;
export const FROM_USER = 2;
export type Origin = typeof FROM_GUEST | typeof BUILT_IN | typeof FROM_USER;

export interface Entry {
  readonly origin: Origin;
  /** The guest's name; empty for the other origins. */
  readonly owner: string;
  readonly type: number;
  readonly ttl: number;
  readonly rdata: Uint8Array;
}

/** More than this many guests behind one address would be noise; users are told. */
export const MAX_ENTRIES_PER_NAME = 256;

/** A cut where this server's authority begins: a zone has an apex with SOA and NS, of a fence nothing exists. */
export type Cut = 'zone' | 'fence' | null;

export class ZoneNode {
  readonly key: string;
  readonly name: Uint8Array;
  readonly parent: ZoneNode | null;
  cut: Cut = null;
  /** The child `*`, if it has records. */
  wildcard: ZoneNode | null = null;
  /** The SOA of negative answers that this name speaks for, made at first need. */
  soa: RecordSet | null = null;
  children = 0;
  entries: Entry[] = [];
  readonly sets: Map<number, RecordSet> = new Map();

  constructor(name: Uint8Array, parent: ZoneNode | null) {
    this.key = nameKey(name);
    this.name = name;
    this.parent = parent;
  }

  /** Works out what shows of the entries. */
  refresh(): void {
    this.sets.clear();
    // Only users write CNAME records; such a name has nothing else (RFC 1034 §3.6.2).
    const alias = this.entries.some(({ type }) => type === TYPE.CNAME);
    const shown = alias ? this.entries.filter(({ type }) => type === TYPE.CNAME) : this.entries;
    for (const type of new Set(shown.map((entry) => entry.type))) this.sets.set(type, this.#strongest(type));
    if (this.parent !== null && this.name[0] === 1 && this.name[1] === ASTERISK) {
      this.parent.wildcard = this.sets.size > 0 ? this : null;
    }
  }

  #strongest(type: number): RecordSet {
    const all = this.entries.filter((entry) => entry.type === type);
    const origin = Math.max(...all.map((entry) => entry.origin));
    const shown = all.filter((entry) => entry.origin === origin);
    const ttl = Math.min(...shown.map((entry) => entry.ttl)); // RFC 2181 §5.2: one TTL for all
    return { name: this.name, type, ttl, rdata: shown.map(({ rdata }) => rdata) };
  }
}

const ASTERISK = 0x2a;

export class ZoneTree {
  readonly #nodes: Map<string, ZoneNode> = new Map();

  constructor() {
    this.#nodes.set('', new ZoneNode(Uint8Array.of(0), null));
  }

  get(key: string): ZoneNode | undefined {
    return this.#nodes.get(key);
  }

  /** The nearest existing name above one that does not exist (RFC 4592 §3.3.1). */
  closestEncloser(key: string): ZoneNode {
    let rest = key;
    for (;;) {
      const dot = rest.indexOf('.');
      rest = dot < 0 ? '' : rest.slice(dot + 1);
      const node = this.#nodes.get(rest);
      if (node !== undefined) return node;
    }
  }

  /** The node of a name, made with all its ancestors if it is not there. */
  ensure(name: Uint8Array): ZoneNode {
    const existing = this.#nodes.get(nameKey(name));
    if (existing !== undefined) return existing;
    const parent = this.ensure(name.subarray(1 + name[0]!));
    const node = new ZoneNode(name.slice(), parent);
    parent.children++;
    this.#nodes.set(node.key, node);
    return node;
  }

  /** Adds an entry, unless it is there already or the name is full. */
  add(name: Uint8Array, entry: Entry): ZoneNode {
    const node = this.ensure(name);
    const full = node.entries.length >= MAX_ENTRIES_PER_NAME && entry.origin === FROM_GUEST;
    if (!full && !node.entries.some((other) => isSameEntry(other, entry))) node.entries.push(entry);
    node.refresh();
    return node;
  }

  /** Takes away what one owner of one origin has at a node, and the node if nothing is left of it. */
  remove(node: ZoneNode, origin: Origin, owner: string): void {
    node.entries = node.entries.filter((entry) => entry.origin !== origin || entry.owner !== owner);
    node.refresh();
    this.#prune(node);
  }

  #prune(node: ZoneNode): void {
    let at: ZoneNode = node;
    while (at.parent !== null && at.children === 0 && at.entries.length === 0 && at.cut === null) {
      if (this.#nodes.get(at.key) !== at) return;
      this.#nodes.delete(at.key);
      at = at.parent;
      at.children--;
    }
  }

  [Symbol.iterator](): IterableIterator<ZoneNode> {
    return this.#nodes.values();
  }
}

function isSameEntry(a: Entry, b: Entry): boolean {
  return a.type === b.type && a.origin === b.origin && a.owner === b.owner && Buffer.compare(a.rdata, b.rdata) === 0;
}
