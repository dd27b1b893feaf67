/**
 * The names of guests in the zone of their segment.  A name has the addresses of all NICs of its guest that are there,
 * leased ones first: those are what most clients try.
 *
 * Zone: flow.
 */
import { isIpv4, isLinkLocal } from './nic.ts';
import type { Nics } from './nics.ts';
import type { SegmentHost } from './segment-host.ts';

export class GuestNames {
  readonly #nics: Nics;

  /** `nics` is looked at, not copied. */
  constructor(nics: Nics) {
    this.#nics = nics;
  }

  /** Something about a guest has changed on the segment of `host`: its name means what holds now, or nothing. */
  publish(guest: string, host: SegmentHost | null): void {
    const zone = host?.zone ?? null;
    if (zone === null) return;
    const leased: number[] = [];
    const four: number[] = [];
    const six: Uint32Array[] = [];
    for (const nic of this.#nics.of(guest)) {
      if (nic.host !== host || !nic.connected) continue;
      for (const words of nic.addresses.values()) {
        const ip = words[3]! >>> 0;
        if (isIpv4(words)) (ip === nic.lease4 ? leased : four).push(ip);
        else if (!isLinkLocal(words)) six.push(Uint32Array.from(words));
      }
    }
    if (leased.length + four.length + six.length === 0) zone.removeGuest(guest);
    else zone.setGuest(guest, [...new Set([...leased, ...four])], six);
  }
}
