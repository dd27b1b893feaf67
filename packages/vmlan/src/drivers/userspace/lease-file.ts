/**
 * The leases of a network on disk, and the DUID of its DHCPv6 server.
 *
 * Zone: control.  The engine holds an ACK back until the generation that has its lease is durable, so only what is
 * really on disk is confirmed.  While one write is under way, the changes that follow gather, and the next write has
 * them all: however many leases change, one sync after the other is enough.  A lease is made JSON once, when it changes:
 * a write joins what is there.  When the disk fails, serving goes on, nothing is confirmed, and writing is tried again.
 */
import { randomBytes } from 'node:crypto';
import type { LeaseChanges } from '../../engine/control-messages.ts';
import { unseal } from '../../sys/sealed-text.ts';
import type { StateFormat } from '../../sys/sealed-text.ts';
import { StateFile } from '../../sys/state-file.ts';

export const DISK_RETRY_MS = 1000;
/** RFC 6355: DUID-UUID, type 4 and 16 bytes. */
const DUID_UUID_TYPE = '0004';
const DUID = /^[0-9a-f]{4,260}$/;

export interface LeaseDocument {
  readonly network: string;
  readonly duid: string;
  readonly leases: readonly unknown[];
}

export interface LeaseFileListener {
  /** This generation, and all before it, are on disk. */
  onDurable(generation: number): void;
  /** What is wrong with the disk; null when it is right again. */
  onTrouble(trouble: string | null): void;
}

export class LeaseFile {
  readonly leases: readonly unknown[];
  readonly duid: string;
  /** What was wrong with the file when it was read. */
  readonly warning: string | null;
  readonly #file: StateFile<LeaseDocument>;
  readonly #network: string;
  #listener: LeaseFileListener | null = null;
  /** Each lease as JSON, by its place in the engine's store. */
  #stored = new Map<string, string>();
  /** The newest generation that `#stored` has, and is not on disk; 0 for none. */
  #pending = 0;
  #writing: Promise<void> | null = null;
  #retry: NodeJS.Timeout | null = null;
  #hasTrouble = false;

  private constructor(
    file: StateFile<LeaseDocument>,
    network: string,
    document: LeaseDocument | null,
    warning: string | null,
  ) {
    this.#file = file;
    this.#network = network;
    this.leases = document?.leases ?? [];
    this.duid = document?.duid ?? newDuid();
    this.warning = warning;
  }

  static async open(path: string, network: string): Promise<LeaseFile> {
    const file = new StateFile(path, LEASE_FORMAT);
    const { value, warning } = await file.read();
    const leases = new LeaseFile(file, network, value, warning);
    // The DUID must be the same from the first answer on.
    if (value === null) await leases.#write();
    return leases;
  }

  listen(listener: LeaseFileListener): void {
    this.#listener = listener;
  }

  store(generation: number, { isWhole, changes }: LeaseChanges): void {
    if (isWhole) this.#stored = new Map();
    for (const [place, lease] of changes) {
      if (lease === null) this.#stored.delete(place);
      else this.#stored.set(place, JSON.stringify(lease));
    }
    this.#pending = generation;
    if (this.#retry === null) this.#writing ??= this.#drain();
  }

  /** Resolves when all that was stored is on disk, or the disk refused it. */
  async flush(): Promise<void> {
    await this.#writing;
  }

  async #drain(): Promise<void> {
    try {
      while (this.#pending !== 0) {
        const generation = this.#pending;
        this.#pending = 0;
        const error = await this.#tryWrite();
        if (error === null) this.#listener?.onDurable(generation);
        else this.#pending ||= generation;
        this.#reportTrouble(error);
        if (error !== null) return this.#scheduleRetry();
      }
    } finally {
      this.#writing = null;
    }
    return undefined;
  }

  async #tryWrite(): Promise<string | null> {
    try {
      await this.#write();
      return null;
    } catch (error) {
      return `leases are not stored: ${(error as Error).message}`;
    }
  }

  #reportTrouble(trouble: string | null): void {
    if (trouble !== null || this.#hasTrouble) this.#listener?.onTrouble(trouble);
    this.#hasTrouble = trouble !== null;
  }

  #scheduleRetry(): void {
    this.#retry ??= setTimeout(() => {
      this.#retry = null;
      this.#writing ??= this.#drain();
    }, DISK_RETRY_MS).unref();
  }

  #write(): Promise<void> {
    const head = JSON.stringify({ network: this.#network, duid: this.duid });
    const leases = [...this.#stored.values()].join(',');
    return this.#file.write(`${head.slice(0, -1)},"leases":[${leases}]}`);
  }
}

/** The leases of a network that does not run. A damaged file is left for its network to set aside. */
export function parseLeases(path: string, text: string): readonly unknown[] {
  return unseal(path, text, LEASE_FORMAT).leases;
}

/** Version 2 brought the checksum. */
export const LEASE_FORMAT: StateFormat<LeaseDocument> = {
  version: 2,
  migrations: { 1: (data) => data },
  parse: (data) => {
    const { duid, leases, network } = (data ?? {}) as Partial<LeaseDocument>;
    if (typeof duid !== 'string' || !DUID.test(duid)) throw new Error('it has no DUID');
    if (!Array.isArray(leases)) throw new Error('it has no list of leases');
    return { duid, leases, network: String(network) };
  },
};

const newDuid = (): string => DUID_UUID_TYPE + randomBytes(16).toString('hex');
