/**
 * The NICs of a network, by key and by the name of their guest.
 *
 * Zone: flow.  A guest's name is asked for with each connection to a forward, so that looking through a thousand others is
 * out of the question.
 */
import type { Nic } from './nic.ts';

const NOBODY: ReadonlySet<Nic> = new Set();

export class Nics {
  readonly #byKey = new Map<string, Nic>();
  readonly #byGuest = new Map<string, Set<Nic>>();

  get(key: string): Nic | undefined {
    return this.#byKey.get(key);
  }

  /** Those of the guest, in the order in which they got its name. */
  of(guest: string): ReadonlySet<Nic> {
    return this.#byGuest.get(guest) ?? NOBODY;
  }

  values(): IterableIterator<Nic> {
    return this.#byKey.values();
  }

  /** One that is there already stays where it is. */
  add(nic: Nic): void {
    this.#byKey.set(nic.key, nic);
    this.#name(nic);
  }

  remove(nic: Nic): void {
    this.#byKey.delete(nic.key);
    this.#unname(nic);
  }

  rename(nic: Nic, guest: string): void {
    this.#unname(nic);
    nic.guest = guest;
    if (this.#byKey.get(nic.key) === nic) this.#name(nic);
  }

  #name(nic: Nic): void {
    const own = this.#byGuest.get(nic.guest);
    if (own === undefined) this.#byGuest.set(nic.guest, new Set([nic]));
    else own.add(nic);
  }

  #unname(nic: Nic): void {
    const own = this.#byGuest.get(nic.guest);
    own?.delete(nic);
    if (own?.size === 0) this.#byGuest.delete(nic.guest);
  }
}
