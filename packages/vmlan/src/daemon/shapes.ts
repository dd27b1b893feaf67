/**
 * Shaping that is set live and kept.
 *
 * Zone: control.  As with forwards: a change that the running network refuses leaves everything as it was.  A shape belongs
 * to a NIC, or to a pair of NICs of one network; it is set anew as a whole, each direction by itself.
 */
import { createHash } from 'node:crypto';
import { VmlanError } from '../core/errors.ts';
import { Serial } from '../core/serial.ts';
import { guestId, nicKey } from '../model/guest.ts';
import type { Network } from '../model/network.ts';
import { GATEWAY_PEER, settingsOfInput } from '../model/shape.ts';
import type { ShapeInput, ShapeSettings, ShapeView } from '../model/shape.ts';
import type { StoredShape } from '../model/stored-shape.ts';
import { describeShape } from '../model/shape-units.ts';
import type { Context } from './context.ts';
import type { Guests } from './guests.ts';
import type { Networks } from './networks.ts';
import type { ShelfChange } from './shelf.ts';
import type { StateChange } from './store.ts';

const QUEUE = 'all';

interface End {
  readonly guest: string;
  readonly nic: string;
  readonly network: Network;
}

export class Shapes {
  readonly #context: Context;
  readonly #networks: Networks;
  readonly #guests: Guests;
  readonly #serial = new Serial();

  constructor(context: Context, networks: Networks, guests: Guests) {
    this.#context = context;
    this.#networks = networks;
    this.#guests = guests;
  }

  list(network: string | undefined): readonly ShapeView[] {
    if (network !== undefined) this.#networks.get(network);
    return this.#all.filter((shape) => network === undefined || shape.network === network).map(viewOf);
  }

  get(id: string): ShapeView {
    return viewOf(this.#find(id));
  }

  /**
   * Replaces what the guest, or the pair, had in the directions that are named.  `check` throws when that is not what is
   * to be replaced; null: it had nothing.
   */
  set(input: ShapeInput, check: (before: ShapeView | null) => void = () => undefined): Promise<ShapeView> {
    return this.#serial.run(QUEUE, async () => {
      const end = await this.#end(input.guest, input.network);
      const peer = await this.#peer(end, input.peer);
      const asked = shapeOf(end, peer);
      let shape = asked;
      const change = (): StateChange => {
        const known = this.#all.find(({ id }) => id === asked.id);
        check(known === undefined ? null : viewOf(known));
        shape = this.#named(changed(known ?? asked, input, end.nic));
        return { shapes: { put: [shape] } };
      };
      await this.#context.store.change(change, () => this.#networks.updateConfigured(shape.network));
      this.#publish('shape-set', shape, wordsFor(shape));
      return viewOf(shape);
    });
  }

  remove(id: string): Promise<void> {
    return this.#serial.run(QUEUE, async () => {
      const shape = this.#find(id);
      await this.#change({ remove: [id] }, [shape.network]);
      this.#publish('shape-removed', shape, `${nameOf(shape)}: no shape any more`);
    });
  }

  /** A guest that is gone, or is registered anew, starts without shapes. */
  forgetGuest(name: string): Promise<void> {
    return this.#serial.run(QUEUE, async () => {
      const gone = this.#all.filter((shape) => shape.guest === name || shape.peer === name);
      if (gone.length === 0) return;
      const networks = new Set(gone.map((shape) => shape.network));
      await this.#change({ remove: gone.map(({ id }) => id) }, [...networks]);
    });
  }

  /** Forgets those on a network that is no more. */
  dropNetwork(network: string): Promise<void> {
    return this.#serial.run(QUEUE, async () => {
      const gone = this.#all.filter((shape) => shape.network === network);
      if (gone.length > 0) await this.#context.store.change({ shapes: { remove: gone.map(({ id }) => id) } });
    });
  }

  get #all(): readonly StoredShape[] {
    return this.#context.store.shapes;
  }

  #find(id: string): StoredShape {
    const shape = this.#all.find((one) => one.id === id);
    if (shape !== undefined) return shape;
    throw new VmlanError('not-found', `no shape "${id}"`, { hint: 'vmlan shape list shows their ids' });
  }

  /** The NIC of a guest that is registered, or of one that is there without being so. */
  async #end(guest: string, networkName: string | undefined): Promise<End> {
    const registered = this.#guests.find(guest);
    if (registered === null) return this.#anonymousEnd(guest, networkName);
    const nic =
      networkName === undefined ? registered.nics[0] : registered.nics.find((one) => one.network === networkName);
    if (nic !== undefined)
      return { guest, nic: nicKey(guestId(registered), nic.index), network: this.#networks.get(nic.network) };
    if (networkName !== undefined) this.#networks.get(networkName);
    throw new VmlanError('not-found', `guest "${guest}" has no NIC on network "${networkName ?? ''}"`, {
      hint: `it has one on: ${registered.nics.map((one) => one.network).join(', ')}`,
    });
  }

  async #anonymousEnd(guest: string, networkName: string | undefined): Promise<End> {
    const networks = networkName === undefined ? this.#networks.all : [this.#networks.get(networkName)];
    for (const network of networks.filter(({ name }) => this.#networks.shallRun(name))) {
      const { guests } = await this.#context.driver.snapshot(network.name, { guests: true });
      const found = guests.find((one) => one.guest === guest);
      if (found !== undefined) return { guest, nic: found.nic, network };
    }
    this.#guests.get(guest); // says that there is none, and which may be meant
    throw new VmlanError('not-found', `no guest "${guest}"`);
  }

  async #peer(end: End, name: string | undefined): Promise<{ readonly guest: string; readonly nic: string } | null> {
    const { network } = end;
    if (name === undefined) return null;
    if (name === GATEWAY_PEER) return { guest: GATEWAY_PEER, nic: GATEWAY_PEER };
    if (network.mode === 'user' || network.isolation.guests) {
      throw new VmlanError('invalid', `peer: guests of network "${network.name}" do not see each other`, {
        hint: 'shape the guest itself, or name the peer "gateway"',
      });
    }
    const peer = await this.#end(name, network.name);
    if (peer.nic === end.nic)
      throw new VmlanError('invalid', `peer: "${name}" is the guest itself`, {
        hint: 'name another guest; vmlan list shows them',
      });
    return peer;
  }

  /** A guest may have been renamed since it was looked up; its NIC is the same. */
  #named(shape: StoredShape): StoredShape {
    const nameOf = (nic: string | null, name: string): string =>
      (nic === null ? null : this.#guests.nameOfNic(nic)) ?? name;
    const { guest, nic, peer, peerNic } = shape;
    return { ...shape, guest: nameOf(nic, guest), peer: peer === null ? null : nameOf(peerNic, peer) };
  }

  #publish(type: 'shape-set' | 'shape-removed', { network, guest }: StoredShape, message: string): void {
    this.#context.events.publish(type, { network, guest }, message);
  }

  #change(shapes: ShelfChange<StoredShape>, networks: readonly string[]): Promise<void> {
    return this.#context.store.change({ shapes }, async () => {
      for (const network of networks) await this.#networks.updateConfigured(network);
    });
  }
}

function shapeOf(
  { guest, nic, network }: End,
  peer: { readonly guest: string; readonly nic: string } | null,
): StoredShape {
  // One shape for a pair, from whichever side it is asked for.
  const ends = peer === null ? [nic] : [nic, peer.nic].sort();
  const id = `shp-${createHash('sha256')
    .update(JSON.stringify([network.name, ...ends]))
    .digest('hex')
    .slice(0, 10)}`;
  const names = { guest, peer: peer?.guest ?? null, nic, peerNic: peer?.nic ?? null };
  return { id, network: network.name, ...names, fromGuest: null, toGuest: null };
}

/** `nic`: from whose side the direction is named. */
function changed(shape: StoredShape, input: ShapeInput, nic: string): StoredShape {
  const { direction = 'both' } = input;
  const settings = settingsOfInput(input);
  const isSwapped = shape.nic !== nic;
  const isFrom = direction === 'both' || (direction === 'from') !== isSwapped;
  const isTo = direction === 'both' || (direction === 'to') !== isSwapped;
  return { ...shape, fromGuest: isFrom ? settings : shape.fromGuest, toGuest: isTo ? settings : shape.toGuest };
}

function viewOf({ nic: _nic, peerNic: _peerNic, ...view }: StoredShape): ShapeView {
  return view;
}

const nameOf = ({ guest, peer }: ShapeView): string => (peer === null ? guest : `${guest} and ${peer}`);

function wordsFor(shape: ShapeView): string {
  const words = (settings: ShapeSettings | null): string => (settings === null ? 'unshaped' : describeShape(settings));
  const [from, to] = [words(shape.fromGuest), words(shape.toGuest)];
  return `${nameOf(shape)}: ${from === to ? `${from} both ways` : `from ${shape.guest} ${from}, to it ${to}`}`;
}
