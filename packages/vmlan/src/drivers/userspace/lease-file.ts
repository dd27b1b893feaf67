/**
 * The leases of a network on disk, and the DUID of its DHCPv6 server.
 *
 * Zone: control.  The engine holds an ACK back until the generation that has its lease is durable, so only what is
 * really on disk is confirmed.  While one write is under way, only the newest of the generations that follow is kept:
 * it contains the others.  When the disk fails, serving goes on, nothing is confirmed, and writing is tried again.
 */
import { randomBytes } from 'node:crypto';
import { readDurable, writeDurable } from '../../sys/durable-file.ts';

const FORMAT_VERSION = 1;
export const DISK_RETRY_MS = 1000;
/** RFC 6355: DUID-UUID, type 4 and 16 bytes. */
const DUID_UUID_TYPE = '0004';
const DUID = /^[0-9a-f]{4,260}$/;

interface LeaseDocument {
  readonly version: number;
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
  readonly #path: string;
  readonly #network: string;
  #listener: LeaseFileListener | null = null;
  #newest: { readonly generation: number; readonly records: readonly unknown[] } | null = null;
  #writing: Promise<void> | null = null;
  #retry: NodeJS.Timeout | null = null;
  #hasTrouble = false;

  private constructor(path: string, network: string, document: LeaseDocument | null, warning: string | null) {
    this.#path = path;
    this.#network = network;
    this.leases = document?.leases ?? [];
    this.duid = document?.duid ?? newDuid();
    this.warning = warning;
  }

  static async open(path: string, network: string): Promise<LeaseFile> {
    const { value, damaged } = await readDurable(path, parseDocument);
    const warning = damaged === null ? null : `${path} was damaged and is kept as ${damaged.path}: ${damaged.reason}`;
    const file = new LeaseFile(path, network, value, warning);
    // The DUID must be the same from the first answer on.
    if (value === null) await file.#write([]);
    return file;
  }

  listen(listener: LeaseFileListener): void {
    this.#listener = listener;
  }

  store(generation: number, records: readonly unknown[]): void {
    this.#newest = { generation, records };
    if (this.#retry === null) this.#writing ??= this.#drain();
  }

  /** Resolves when all that was stored is on disk, or the disk refused it. */
  async flush(): Promise<void> {
    await this.#writing;
  }

  async #drain(): Promise<void> {
    try {
      while (this.#newest !== null) {
        const { generation, records } = this.#newest;
        this.#newest = null;
        const error = await this.#tryWrite(records);
        if (error === null) this.#listener?.onDurable(generation);
        else this.#newest ??= { generation, records };
        this.#reportTrouble(error);
        if (error !== null) return this.#scheduleRetry();
      }
    } finally {
      this.#writing = null;
    }
    return undefined;
  }

  async #tryWrite(records: readonly unknown[]): Promise<string | null> {
    try {
      await this.#write(records);
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

  #write(leases: readonly unknown[]): Promise<void> {
    const document: LeaseDocument = { version: FORMAT_VERSION, network: this.#network, duid: this.duid, leases };
    return writeDurable(this.#path, `${JSON.stringify(document)}\n`);
  }
}

/** The leases of a network that does not run. A damaged file is left for its network to set aside. */
export function parseLeases(text: string): readonly unknown[] {
  return parseDocument(text).leases;
}

function parseDocument(text: string): LeaseDocument {
  const { version, duid, leases, network } = JSON.parse(text) as Partial<LeaseDocument>;
  if (version !== FORMAT_VERSION) throw new Error(`version ${JSON.stringify(version)} is unknown`);
  if (typeof duid !== 'string' || !DUID.test(duid)) throw new Error('it has no DUID');
  if (!Array.isArray(leases)) throw new Error('it has no list of leases');
  return { version, network: String(network), duid, leases };
}

const newDuid = (): string => DUID_UUID_TYPE + randomBytes(16).toString('hex');
