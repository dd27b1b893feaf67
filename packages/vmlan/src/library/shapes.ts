/**
 * Faults on purpose: shapes of guests and of pairs of them, and partitions.
 *
 * Zone: control.  A shape and a partition of the same line are one to the engine: while it is cut, its shape waits.
 */
import { VmlanError } from '../core/errors.ts';
import type { EngineRequest } from '../engine/control-messages.ts';
import { GATEWAY_PEER, settingsOfInput, shapeInputSchema } from '../model/shape.ts';
import type { ShapeDirection, ShapeSettings } from '../model/shape.ts';

/** What happens to a guest's frames; what is left out does not happen. */
export interface ShapeOptions extends ShapeSettings {
  /** Another guest, or `gateway`: the host and all beyond it.  Default: everybody. */
  readonly peer?: string;
  /** As the guest sees it: what it sends, what it receives, or both (default).  The other one stays as it is. */
  readonly direction?: ShapeDirection;
}

/** A shape that is in force. */
export interface Shape {
  readonly guest: string;
  readonly peer: string | null;
  readonly fromGuest: ShapeSettings | null;
  readonly toGuest: ShapeSettings | null;
  /** Nothing passes: a partition. */
  readonly partitioned: boolean;
}

/** One guest, or several. */
export type GuestNames = string | readonly string[];

interface Line {
  readonly guest: string;
  readonly peer: string | null;
  from: ShapeSettings | null;
  to: ShapeSettings | null;
  cut: boolean;
}

type Ask = (message: EngineRequest) => Promise<unknown>;

const CUT: ShapeSettings = { partition: true };

export class Shapes {
  readonly #ask: Ask;
  readonly #keyOf: (guest: string) => string;
  readonly #lines = new Map<string, Line>();

  /** `keyOf`: of a guest's NIC; throws `not-found`. */
  constructor(ask: Ask, keyOf: (guest: string) => string) {
    this.#ask = ask;
    this.#keyOf = keyOf;
  }

  list(): readonly Shape[] {
    return [...this.#lines.values()].map(({ guest, peer, from, to, cut }) => ({
      ...{ guest, peer, fromGuest: from, toGuest: to, partitioned: cut },
    }));
  }

  async set(guest: string, options: ShapeOptions): Promise<void> {
    const result = shapeInputSchema.safeParse({ ...options, guest });
    if (!result.success) {
      const issue = result.error.issues[0]!;
      if (issue.code === 'unrecognized_keys')
        throw new VmlanError('invalid', `shape of "${guest}": unknown option "${issue.keys[0]!}"`);
      const what = issue.code === 'invalid_type' ? `not of type ${issue.expected}` : issue.message;
      const place = issue.path.join('.');
      throw new VmlanError('invalid', `shape of "${guest}": ${place === 'shape' ? '' : `${place}: `}${what}`);
    }
    const { peer = null, direction = 'both' } = options;
    const { line, isTurned } = this.#line(guest, peer);
    const settings = settingsOfInput(result.data);
    const sends = direction !== 'to';
    const receives = direction !== 'from';
    if (isTurned ? receives : sends) line.from = settings;
    if (isTurned ? sends : receives) line.to = settings;
    await this.#apply(line);
  }

  /** Of the guest and its pairs; of all without a name. Partitions stay. */
  async clear(guest?: string): Promise<void> {
    if (guest !== undefined) this.#keyOf(guest);
    for (const line of [...this.#lines.values()]) {
      if (guest !== undefined && line.guest !== guest && line.peer !== guest) continue;
      line.from = line.to = null;
      await this.#apply(line);
    }
  }

  async partition(one: GuestNames, other: GuestNames | null): Promise<void> {
    for (const line of this.#pairs(one, other)) {
      line.cut = true;
      await this.#apply(line);
    }
  }

  async heal(one?: GuestNames, other: GuestNames | null = null): Promise<void> {
    const lines = one === undefined ? [...this.#lines.values()] : this.#pairs(one, other);
    for (const line of lines) {
      line.cut = false;
      await this.#apply(line);
    }
  }

  /** A guest leaves; whoever takes its name begins anew. */
  async forget(guest: string): Promise<void> {
    for (const [id, line] of this.#lines) {
      if (line.guest !== guest && line.peer !== guest) continue;
      this.#lines.delete(id);
      await this.#ask({ type: 'remove-shape', shapeId: id });
    }
  }

  #pairs(one: GuestNames, other: GuestNames | null): readonly Line[] {
    const peers = other === null ? [null] : [other].flat();
    return [one].flat().flatMap((guest) => peers.map((peer) => this.#line(guest, peer).line));
  }

  /** The line between two, whichever is named first. */
  #line(guest: string, peer: string | null): { readonly line: Line; readonly isTurned: boolean } {
    if (guest === peer) throw new VmlanError('invalid', `guest "${guest}" is no peer of its own`);
    this.#keyOf(guest);
    if (peer !== null && peer !== GATEWAY_PEER) this.#keyOf(peer);
    const isTurned = peer !== null && peer !== GATEWAY_PEER && peer < guest;
    const [first, second] = isTurned ? [peer, guest] : [guest, peer];
    const id = idOf(first, second);
    const line = this.#lines.get(id) ?? { guest: first, peer: second, from: null, to: null, cut: false };
    this.#lines.set(id, line);
    return { line, isTurned };
  }

  async #apply(line: Line): Promise<void> {
    const { guest, peer, from, to, cut } = line;
    const id = idOf(guest, peer);
    if (!cut && from === null && to === null) {
      this.#lines.delete(id);
      await this.#ask({ type: 'remove-shape', shapeId: id });
      return;
    }
    const shape = {
      ...{ id, nic: this.#keyOf(guest) },
      peer: peer === null || peer === GATEWAY_PEER ? peer : this.#keyOf(peer),
      ...{ fromGuest: cut ? CUT : from, toGuest: cut ? CUT : to },
    };
    await this.#ask({ type: 'set-shape', shape });
  }
}

const idOf = (guest: string, peer: string | null): string => `shape ${guest} ${peer ?? '*'}`;
