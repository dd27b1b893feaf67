/**
 * One file of state: read once, then written again and again.
 *
 * Zone: control.  A damaged file that could not be set aside when it was read (a read-only disk) is set aside before
 * the first write, or the write is refused.  Writes of one file must not overlap: callers make them one after the other.
 */
import { dirname } from 'node:path';
import {
  commitDurable,
  makeStateDirectory,
  prepareDurable,
  readDurable,
  removeDurable,
  setAside,
} from './durable-file.ts';
import type { PreparedFile } from './durable-file.ts';
import { diskError, errnoOf } from './disk-error.ts';
import { seal, unseal } from './sealed-text.ts';
import type { StateFormat } from './sealed-text.ts';

export interface StateRead<T> {
  /** null: no file, or a damaged one. */
  readonly value: T | null;
  /** What was wrong with the file, and where it is now. */
  readonly warning: string | null;
}

export class StateFile<T> {
  readonly path: string;
  readonly #format: StateFormat<T>;
  /** Something stands in the place that must not be lost. */
  #isOccupied = false;

  constructor(path: string, format: StateFormat<T>) {
    this.path = path;
    this.#format = format;
  }

  /** Throws a VmlanError when a newer vmlan wrote the file, or the disk cannot be read at all. */
  async read(): Promise<StateRead<T>> {
    const { value, damaged } = await readDurable(this.path, (text) => unseal(this.path, text, this.#format));
    if (damaged === null) return { value, warning: null };
    this.#isOccupied = damaged.path === null;
    const kept = damaged.path === null ? 'is left where it is' : `is kept as ${damaged.path}`;
    return { value: null, warning: `${this.path} was damaged and ${kept}: ${damaged.reason}` };
  }

  /** `json` is the data as JSON.stringify writes it. */
  async prepare(json: string): Promise<PreparedFile> {
    await this.#makeRoom();
    await makeStateDirectory(dirname(this.path));
    return prepareDurable(this.path, seal(this.#format.version, json));
  }

  async write(json: string): Promise<void> {
    await commitDurable([await this.prepare(json)]);
  }

  async remove(): Promise<void> {
    await this.#makeRoom();
    await removeDurable(this.path);
  }

  async #makeRoom(): Promise<void> {
    if (!this.#isOccupied) return;
    await setAside(this.path).catch((cause: unknown) => {
      if (errnoOf(cause) !== 'ENOENT') throw diskError(this.path, 'set aside, though it is damaged', cause);
    });
    this.#isOccupied = false;
  }
}
