/**
 * The host's name service (getaddrinfo): multicast DNS, containers, the host's own name, whatever its nsswitch.conf has.
 *
 * Zone: control.  A look-up holds one of the few threads that Node.js has for this and cannot be cancelled, so few may run.
 */
import { lookup } from 'node:dns';

/** Addresses in text, in the order of the system; empty if the name does not exist; null if nobody could say. */
export type SystemAddresses = readonly string[] | null;

export interface NameService {
  /** Addresses of a key (wire/dns-name.ts); null if they cannot be had now. */
  ask(key: string, onAddresses: (addresses: SystemAddresses) => void): void;
}

const MAX_LOOKUPS = 16;
const HOST_NAME = /^[a-z0-9_](?:[a-z0-9_-]*)(?:\.[a-z0-9_-]+)*$/;
/** getaddrinfo takes `1.2`, `017` and `0x7f` for addresses, which are no names. */
const NUMERIC = /(?:^|\.)(?:\d+|0x[0-9a-f]*)$/;

export class SystemNames implements NameService {
  #running = 0;

  ask(key: string, onAddresses: (addresses: SystemAddresses) => void): void {
    if (!HOST_NAME.test(key) || NUMERIC.test(key)) {
      onAddresses([]);
      return;
    }
    if (this.#running >= MAX_LOOKUPS) {
      onAddresses(null);
      return;
    }
    this.#running++;
    lookup(key, { all: true, order: 'verbatim' }, (error, found) => {
      this.#running--;
      if (error === null) onAddresses(found.map(({ address }) => address));
      else onAddresses(error.code === 'ENOTFOUND' ? [] : null);
    });
  }
}
