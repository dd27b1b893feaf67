/**
 * DNS records of a network that are made while it runs.
 *
 * Zone: control.
 */
import { VmlanError } from '../core/errors.ts';
import type { EngineRequest } from '../engine/control-messages.ts';
import type { RecordEntry } from '../model/network.ts';
import { parseIpv4, parseIpv6 } from '../wire/address.ts';
import { validateRecord } from '../wire/dns-records.ts';
import { checkKeys } from './option-keys.ts';

/** A name and what it stands for. */
export interface DnsRecordOptions {
  /** Whole, e.g. `db.lab.internal`. */
  readonly name: string;
  /** An address, another name, or what else `type` wants. */
  readonly value: string;
  /** Default: A or AAAA for an address, else CNAME. */
  readonly type?: string;
  /** Seconds. Default 5. */
  readonly ttl?: number;
}

type Ask = (message: EngineRequest) => Promise<unknown>;

/** The network's own DNS records, besides those of its guests. Guests see a change at once. */
export class Records {
  readonly #ask: Ask;
  #records: readonly RecordEntry[];

  constructor(records: readonly RecordEntry[], ask: Ask) {
    this.#records = records;
    this.#ask = ask;
  }

  /** All records, those of the options first. */
  list(): readonly RecordEntry[] {
    return this.#records;
  }

  /** Adds a record beside those that the name has. */
  async add(record: DnsRecordOptions): Promise<void> {
    const entry = entryOf(record);
    if (this.#records.some((other) => isSame(other, entry))) {
      throw new VmlanError('conflict', `the record ${entry.name} ${entry.type} ${entry.value} exists already`);
    }
    await this.#set([...this.#records, entry]);
  }

  /** Removes all records of the name; with `type` and `value` only those. */
  async remove(record: Pick<DnsRecordOptions, 'name'> & Partial<DnsRecordOptions>): Promise<void> {
    const goes = (other: RecordEntry): boolean =>
      other.name === record.name.toLowerCase().replace(/\.$/, '') &&
      (record.type === undefined || other.type === record.type) &&
      (record.value === undefined || other.value === record.value);
    if (!this.#records.some(goes)) {
      throw new VmlanError('not-found', `there is no record ${record.name}`, { hint: 'records.list() has them all' });
    }
    await this.#set(this.#records.filter((other) => !goes(other)));
  }

  /** What the name stands for from now on: in one step, so that no answer is without it. */
  async replace(name: string, ...values: readonly string[]): Promise<void> {
    const entries = values.map((value) => entryOf({ name, value }));
    const own = entryOf({ name, value: '0.0.0.0' }).name;
    await this.#set([...this.#records.filter((other) => other.name !== own), ...entries]);
  }

  async #set(records: readonly RecordEntry[]): Promise<void> {
    await this.#ask({ type: 'set-records', records });
    this.#records = records;
  }
}

function entryOf(record: DnsRecordOptions): RecordEntry {
  checkKeys('record', record, ['name', 'value', 'type', 'ttl']);
  const { name, value, type, ttl } = record;
  for (const [key, text] of Object.entries({ name, value })) {
    if (typeof text !== 'string') throw new VmlanError('invalid', `record: ${key} is no text: ${JSON.stringify(text)}`);
  }
  const kind = type ?? (parseIpv4(value) !== null ? 'A' : parseIpv6(value) === null ? 'CNAME' : 'AAAA');
  const entry = {
    name: name.toLowerCase().replace(/\.$/, ''),
    type: kind,
    value,
    ...(ttl === undefined ? {} : { ttl }),
  };
  const problem = validateRecord(entry);
  if (problem !== null) throw new VmlanError('invalid', `record: ${problem}`);
  return entry;
}

const isSame = (a: RecordEntry, b: RecordEntry): boolean =>
  a.name === b.name && a.type === b.type && a.value === b.value;
