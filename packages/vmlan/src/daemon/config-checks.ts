/**
 * Whether a network as it is to be still fits what was registered and made live on it: guests, addresses, forwards.
 *
 * Zone: control.  Throws VmlanError `conflict`, which names what stands against it and how to remove it.
 */
import { VmlanError } from '../core/errors.ts';
import { clashingListen, isForwardProblem, parseForward } from '../model/forward.ts';
import type { StoredGuest } from '../model/guest.ts';
import type { Network } from '../model/network.ts';
import { reservedAddressProblem } from '../model/resolve-ipv4.ts';
import { forwardTargetProblem } from '../model/resolve-services.ts';
import { nicsOf } from './desired.ts';
import type { StoredForward } from './store.ts';

export interface LiveThings {
  readonly guests: readonly StoredGuest[];
  readonly forwards: readonly StoredForward[];
}

export function checkAgainstLive(network: Network, live: LiveThings): void {
  checkGuests(network, live.guests);
  checkForwards(network, live.forwards);
}

function checkGuests(network: Network, guests: readonly StoredGuest[]): void {
  for (const { guest, nic } of nicsOf(guests, network.name)) {
    const { ip } = nic;
    if (ip === null) continue;
    const fail = (message: string, hint: string): never => {
      throw new VmlanError('conflict', `network "${network.name}": ${message}`, { hint });
    };
    const problem = network.ipv4 === null ? 'it would lease no addresses' : reservedAddressProblem(network.ipv4, ip);
    if (problem !== null) {
      fail(`guest "${guest}" keeps ${ip}, but ${problem}`, `give guest "${guest}" another address first`);
    }
    const rival = network.reservations.find(
      (entry) => entry.ip === ip && entry.guest !== guest && entry.mac !== nic.mac,
    );
    if (rival !== undefined) {
      fail(`${ip} is kept for guest "${guest}" already`, `reserve another address for ${rival.guest ?? rival.mac!}`);
    }
  }
}

function checkForwards(network: Network, stored: readonly StoredForward[]): void {
  const fail = (message: string, id: string): never => {
    throw new VmlanError('conflict', `network "${network.name}": ${message}`, { hint: `vmlan forward remove ${id}` });
  };
  for (const { id, network: owner, ...text } of stored) {
    const forward = parseForward(text);
    if (isForwardProblem(forward)) continue;
    const clash = network.forwards.map((own) => clashingListen(own, forward)).find((found) => found !== null);
    if (clash !== undefined) fail(`${clash} is forwarded to ${forward.guest} already`, id);
    if (owner !== network.name) continue;
    if (network.mode === 'isolated') fail(`forward ${id} would lead into an isolated network`, id);
    const problem = forwardTargetProblem(forward, network.ipv4, network.ipv6);
    if (problem !== null) fail(`forward ${id}: ${problem}`, id);
  }
}
