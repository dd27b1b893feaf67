/**
 * Addresses of guests: both DHCP servers over one store, what is reserved, and what is given without DHCP.
 *
 * Zone: control to build and command, flow below.  A lease is on disk before its address is used: the journal holds the
 * answer back until then.
 */
import type { Counters } from '../core/counters.ts';
import { VmlanError } from '../core/errors.ts';
import { Dhcp6Server } from '../services/dhcpv6.ts';
import { DhcpServer } from '../services/dhcp.ts';
import type { LeaseStore } from '../services/lease-store.ts';
import { MAPPED } from '../stack/path.ts';
import { formatWords, ipv4, mac } from './config.ts';
import type { AllocatedAddress, EngineConfig, FromEngine, Reservation } from './control-messages.ts';
import { dhcp4Config, dhcp6Config, hostNumber, reservations4, reservations6 } from './dhcp-config.ts';
import type { Guests } from './guests.ts';
import { LeaseJournal } from './lease-journal.ts';

interface LeasingParts {
  readonly config: EngineConfig;
  readonly store: LeaseStore;
  readonly guests: Guests;
  readonly counters: Counters;
  readonly epochMs: () => number;
  readonly send: (message: FromEngine) => void;
}

export class Leasing {
  readonly dhcp: DhcpServer | null;
  readonly dhcp6: Dhcp6Server | null;
  readonly journal: LeaseJournal;
  readonly #parts: LeasingParts;

  constructor(parts: LeasingParts) {
    const { config, store, counters, send } = parts;
    const has6 = config.ipv6 !== null && config.mode !== 'isolated';
    this.#parts = parts;
    this.dhcp = config.ipv4 === null ? null : new DhcpServer(dhcp4Config(config), store, counters);
    this.dhcp6 = has6 ? new Dhcp6Server(dhcp6Config(config), store, counters) : null;
    store.restore(config.leases, parts.epochMs());
    this.journal = new LeaseJournal(
      store,
      (generation, changes) => send({ type: 'leases', generation, ...changes }),
      counters,
    );
  }

  setReservations(reservations: readonly Reservation[]): void {
    this.dhcp?.setReservations(reservations4(reservations));
    const subnet = this.#parts.config.ipv4?.subnet;
    if (subnet !== undefined) this.dhcp6?.setReservations(reservations6(subnet, reservations));
  }

  /** `ip` null: any of the pool again. */
  reserve(nic: string, ip: string | null): void {
    this.dhcp?.reserve(nic, ip === null ? null : ipv4(ip));
    const subnet = this.#parts.config.ipv4?.subnet;
    if (subnet !== undefined) this.dhcp6?.reserve(nic, ip === null ? null : hostNumber(subnet, ip));
  }

  /** The lease of a NIC that does not ask for one; `answer` is called when it is stored. */
  allocate(nicKey: string, macText: string, answer: (result: AllocatedAddress) => void): void {
    const { network, ipv4, ipv6, mtu, dns } = this.#parts.config;
    const base = {
      gateway6: ipv6?.gateway ?? null,
      prefix6: ipv6?.prefix ?? null,
      mtu,
      searchDomains: dns.searchDomains,
    };
    if (this.dhcp === null || ipv4 === null) {
      return answer({ ...base, address4: null, prefix4: 0, gateway4: null, dns: null });
    }
    const { address, generation } = this.#lease(this.dhcp, nicKey, macText);
    const result: AllocatedAddress = {
      ...base,
      address4: formatWords([0, 0, MAPPED, address]),
      prefix4: Number(ipv4.subnet.split('/')[1]),
      gateway4: ipv4.announceRouter ? ipv4.gateway : null,
      dns: ipv4.dns,
    };
    if (this.journal.whenDurable(generation, () => answer(result))) return;
    throw new VmlanError('unavailable', `the leases of network "${network}" are not being stored`, {
      hint: `see its log, and whether the disk is full: vmlan logs ${network}, df -h`,
    });
  }

  #lease(dhcp: DhcpServer, nicKey: string, macText: string): { address: number; generation: number } {
    const { hi, lo } = mac(macText);
    const nic = this.#parts.guests.nicByKey(nicKey);
    const from = { nicKey, guest: nic?.registered === true ? nic.guest : null, srcMacHi: hi, srcMacLo: lo };
    const allocation = dhcp.allocate(from, this.#parts.epochMs());
    if (allocation !== null) return allocation;
    throw new VmlanError('exhausted', `network "${this.#parts.config.network}" has no free address`, {
      hint: 'a larger subnet: vmlan network edit NETWORK; or fewer guests: vmlan detach GUEST --forget',
    });
  }
}
