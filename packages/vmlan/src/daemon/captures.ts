/**
 * Captures that run: whose frames are meant, and how many there may be.
 *
 * Zone: control.  Frames go from the network process through the daemon as bytes; the daemon does not look at them but
 * where a guest has cards on several networks: then their streams become one (capture-merge.ts).
 */
import type { CaptureSource, OpenCapture } from '../api/handlers.ts';
import { VmlanError } from '../core/errors.ts';
import type { CaptureRequest, CaptureStream, Driver } from '../drivers/driver.ts';
import { MAX_SNAP_LEN } from '../model/api.ts';
import type { CaptureQuery } from '../model/api.ts';
import { mergeCaptures } from './capture-merge.ts';
import type { Subjects } from './subjects.ts';

/** At one time, of all networks. */
export const MAX_CAPTURES = 32;

export interface CapturesParts {
  readonly driver: Pick<Driver, 'capture'>;
  readonly subjects: Subjects;
}

export class Captures implements CaptureSource {
  readonly #parts: CapturesParts;
  readonly #running = new Map<string, () => void>();
  #opening = 0;
  #lastId = 0;

  constructor(parts: CapturesParts) {
    this.#parts = parts;
  }

  async open(query: CaptureQuery): Promise<OpenCapture> {
    if (this.#running.size + this.#opening >= MAX_CAPTURES) {
      throw new VmlanError('exhausted', `${MAX_CAPTURES} captures run already`, {
        hint: 'end one of them: Ctrl-C where `vmlan capture` runs; pgrep -af "vmlan capture" finds it',
      });
    }
    this.#opening++;
    try {
      const networks = await this.#parts.subjects.running(query);
      return this.#add(await this.#openAll(networks, requestOf(query)), query);
    } finally {
      this.#opening--;
    }
  }

  /** One that has ended already is no error; throws VmlanError when there never was one of this id. */
  end(id: string): void {
    const isKnown = /^[1-9]\d*$/.test(id) && Number(id) <= this.#lastId;
    if (!isKnown) throw new VmlanError('not-found', `there is no capture "${id}"`);
    this.#running.get(id)?.();
  }

  #add(captures: readonly CaptureStream[], { format = 'pcapng' }: CaptureQuery): OpenCapture {
    const id = String(++this.#lastId);
    const streams = captures.map(({ stream }) => stream);
    const stream = streams.length === 1 ? streams[0]! : mergeCaptures(streams, format);
    this.#running.set(id, () => {
      for (const capture of captures) capture.end();
    });
    stream.once('close', () => this.#running.delete(id));
    return { id, stream };
  }

  async #openAll(networks: readonly string[], request: CaptureRequest): Promise<readonly CaptureStream[]> {
    const opened: CaptureStream[] = [];
    try {
      for (const network of networks) opened.push(await this.#parts.driver.capture(network, request));
      return opened;
    } catch (error) {
      for (const { stream } of opened) stream.destroy();
      throw error;
    }
  }
}

const numberOf = (text: string | undefined): number | null => (text === undefined ? null : Number(text));

const requestOf = (query: CaptureQuery): CaptureRequest => ({
  guest: query.guest ?? null,
  filter: query.filter ?? '',
  snapLen: Math.min(numberOf(query.snaplen) ?? MAX_SNAP_LEN, MAX_SNAP_LEN),
  dropsOnly: query.drops === 'true',
  format: query.format ?? 'pcapng',
  count: numberOf(query.count),
  durationMs: numberOf(query.durationMs),
});
