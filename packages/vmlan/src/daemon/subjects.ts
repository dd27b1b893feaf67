/**
 * Whom a request is about that names a guest, a network, or a guest and one of its networks.
 *
 * Zone: control.
 */
import { VmlanError } from '../core/errors.ts';
import type { GuestView } from '../model/api.ts';
import type { Networks } from './networks.ts';

export interface Subject {
  readonly guest?: string | undefined;
  readonly network?: string | undefined;
}

export class Subjects {
  readonly #networks: Networks;
  readonly #guest: (name: string) => Promise<GuestView>;

  constructor(networks: Networks, guest: (name: string) => Promise<GuestView>) {
    this.#networks = networks;
    this.#guest = guest;
  }

  /** The running networks that are meant: one at least. Throws VmlanError when there is none, or nobody of that name. */
  async running(subject: Subject): Promise<readonly string[]> {
    const meant = await this.networks(subject);
    const running = meant.filter((name) => this.#networks.shallRun(name));
    if (running.length > 0) return running;
    throw new VmlanError('unavailable', `network "${meant[0]}" does not run`, {
      hint: `start it with: vmlan network start ${meant[0]}`,
    });
  }

  /** All that are meant, whether they run or not: of nobody in particular, every network. */
  async networks({ guest, network }: Subject): Promise<readonly string[]> {
    if (network !== undefined) this.#networks.get(network);
    if (guest === undefined) return network === undefined ? this.#networks.all.map(({ name }) => name) : [network];
    const { nics } = await this.#guest(guest);
    const its = [...new Set(nics.map((nic) => nic.network))];
    const meant = network === undefined ? its : its.filter((name) => name === network);
    if (meant.length > 0) return meant;
    throw new VmlanError('not-found', `guest "${guest}" has no card on network "${network ?? ''}"`, {
      hint: `it has one on: ${its.join(', ')}`,
    });
  }
}
