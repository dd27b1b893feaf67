/**
 * DHCPv6 server for one network (RFC 8415 §18.3), sans I/O: a message in, at most one reply out. Zone: flow.
 * Addresses are four uint32 words, times epoch milliseconds. Nothing that a guest sends throws; refusals are counted.
 *
 * Addresses mirror IPv4: the host number of the guest's IPv4 address, its decimal digits read as hexadecimal ones, is the
 * interface identifier. 192.168.105.10 has PREFIX::10, 10.0.86.52 of a /16 (host 22068) has PREFIX::2:2068. So people see
 * one number per guest, reservations hold for both families, and no SLAAC identifier (64 bits of hash) is ever hit.
 * IA_TA and IA_PD are answered with the status that there are none.
 */
import { Counters, counter } from '../core/counters.ts';
import { contains6, formatIpv6, formatMac, isLinkLocal6, parseIpv6 } from '../wire/address.ts';
import type { MacAddress } from '../wire/address.ts';
import * as wire from '../wire/dhcpv6.ts';
import type { Dhcp6Message, Dhcp6Option, Words } from '../wire/dhcpv6.ts';
import { encodeDomainList } from '../wire/domain-list.ts';
import { hostname6 } from './dhcp-hostname.ts';
import { hostAddress, hostNumber, readAssociations, refusal, renewalTimes, status, toHex } from './dhcpv6-ia.ts';
import type { Association } from './dhcpv6-ia.ts';
import { INFINITE_SECONDS } from './lease-binding.ts';
import type { Binding, ClientIdentity } from './lease-binding.ts';
import type { LeasePool } from './lease-pool.ts';
import { toRecord } from './lease-store.ts';
import { Reservations } from './reservations.ts';
import type { LeaseRecord, LeaseStore } from './lease-store.ts';

export interface Dhcp6Config {
  /** A /64. */
  readonly prefix: Words;
  /** Our DUID; it must stay the same for ever, or clients do not renew. */
  readonly duid: Uint8Array;
  readonly dns: readonly Words[];
  readonly searchDomains: readonly string[];
  /** Preferred and valid lifetime alike; INFINITE_SECONDS for leases without end. */
  readonly leaseSeconds: number;
  /** Host numbers, as the IPv4 pool has them. */
  readonly poolFirst: number;
  readonly poolLast: number;
  /** Host numbers of the gateway and of whatever else has an address of its own. */
  readonly excluded: readonly number[];
  readonly reservations: readonly Dhcp6Reservation[];
  /** Mode `user`: every guest has this host number, on a segment of its own. */
  readonly fixedHost?: number;
  /** Answer a SOLICIT that asks for it with a REPLY at once. Default true. */
  readonly rapidCommit?: boolean;
}

export interface Dhcp6Reservation {
  readonly guest?: string;
  readonly mac?: MacAddress;
  readonly host: number;
}

export interface Dhcp6Source {
  readonly nicKey: string;
  readonly guest: string | null;
  readonly srcMacHi: number;
  readonly srcMacLo: number;
  readonly srcWords: Words;
  /** Whether the message was sent to ff02::1:2, as clients must (RFC 8415 §18.4). */
  readonly toMulticast: boolean;
}

export interface Dhcp6Reply {
  /** The DHCPv6 message alone, owned by the caller. From port 547 to 546. */
  readonly payload: Uint8Array;
  readonly dstWords: Words;
  readonly dstMacHi: number;
  readonly dstMacLo: number;
  /** The store must be durable at this generation or later before this is sent; 0 where nothing is promised. */
  readonly generation: number;
  /** The leases that a REPLY confirms. */
  readonly leases: readonly LeaseRecord[];
}

/** NICs that may have the address of mode `user` at a time. */
const MAX_FIXED_LEASES = 1024;
const PREFIX_BITS = 64;
const INFORMATION_REFRESH_SECONDS = 86_400; // RFC 8415 §7.6
const PREFERENCE_MAX = 255; // RFC 8415 §18.2.1: the client need not wait for other servers

const RECEIVED = counter('dhcp6_received');
const REPLIES = counter('dhcp6_reply');
const MALFORMED = counter('dhcp6_malformed');
/** Messages for other servers, from relays or servers, or without what §16 demands. */
const IGNORED = counter('dhcp6_ignored');
const EXHAUSTED = counter('dhcp6_exhausted');

interface Query {
  readonly request: Dhcp6Message;
  readonly from: Dhcp6Source;
  /** The client's DUID in hex, '' where an INFORMATION-REQUEST has none. */
  readonly duid: string;
  readonly hostname: string | null;
  readonly associations: readonly Association[];
  readonly nowMs: number;
  /** Filled while the reply is made. */
  readonly bound: Binding[];
}

export class Dhcp6Server {
  readonly config: Dhcp6Config;
  readonly #store: LeaseStore;
  readonly #counters: Counters;
  readonly #pool: LeasePool;
  readonly #configOptions: readonly Dhcp6Option[];
  readonly #reservations = new Reservations();

  constructor(config: Dhcp6Config, store: LeaseStore, counters: Counters = new Counters()) {
    this.config = config;
    this.#store = store;
    this.#counters = counters;
    this.#reservations.replaceConfigured(promises(config.reservations));
    const search = encodeDomainList(config.searchDomains, false);
    this.#configOptions = [
      ...(config.dns.length === 0 ? [] : [wire.wordsOption(wire.OPT_DNS, config.dns)]),
      ...(search.length === 0 ? [] : [{ code: wire.OPT_SEARCH, value: search }]),
    ];
    this.#pool = config.fixedHost === undefined ? this.#openPool() : this.#openFixedPool(config.fixedHost);
  }

  /** Answers the DHCPv6 message in `v`, or null where none is due. */
  onMessage(v: DataView, off: number, len: number, from: Dhcp6Source, nowMs: number): Dhcp6Reply | null {
    this.#counters.count(RECEIVED);
    const request = wire.parseDhcp6(v, off, len);
    const associations = request === null ? null : readAssociations(request);
    if (request === null || associations === null) {
      this.#counters.count(MALFORMED);
      return null;
    }
    const duid = wire.findOption(request.options, wire.OPT_CLIENT_ID);
    const hostname = hostname6(wire.findOption(request.options, wire.OPT_FQDN));
    const query = { request, from, duid: toHex(duid), hostname, associations, nowMs, bound: [] };
    const reply = this.#isAcceptable(query, duid) ? this.#dispatch(query) : null;
    this.#counters.count(reply === null ? IGNORED : REPLIES);
    return reply;
  }

  /** Keeps a host number for a NIC from now on, whoever has it; null: no longer. */
  reserve(nic: string, host: number | null): void {
    if (this.config.fixedHost !== undefined) return;
    for (const slot of this.#reservations.set(`nic ${nic}`, host ?? -1)) this.#pool.onReservation(slot);
  }

  /** Keeps these host numbers for guests and MAC addresses from now on, and no others but those of NICs. */
  setReservations(reservations: readonly Dhcp6Reservation[]): void {
    if (this.config.fixedHost !== undefined) return;
    for (const slot of this.#reservations.replaceConfigured(promises(reservations))) this.#pool.onReservation(slot);
  }

  /** RFC 8415 §16: which identifiers a message must and must not have. */
  #isAcceptable({ request, from, associations }: Query, duid: Uint8Array | null): boolean {
    const [w0 = 0, w1 = 0, w2 = 0, w3 = 0] = Array.from(from.srcWords);
    const local = isLinkLocal6(w0, w1, w2, w3) || contains6(this.config.prefix, PREFIX_BITS, from.srcWords);
    const serverId = wire.findOption(request.options, wire.OPT_SERVER_ID);
    const ours = serverId !== null && toHex(serverId) === toHex(this.config.duid);
    const named = duid !== null && duid.length > 0 && duid.length <= wire.MAX_DUID_BYTES;
    switch (request.type) {
      case wire.SOLICIT:
      case wire.CONFIRM:
      case wire.REBIND:
        return local && named && serverId === null && from.toMulticast;
      case wire.REQUEST:
      case wire.RENEW:
      case wire.RELEASE:
      case wire.DECLINE:
        return local && named && ours;
      case wire.INFORMATION_REQUEST:
        return local && (serverId === null || ours) && associations.length === 0 && from.toMulticast;
      default:
        return false;
    }
  }

  #dispatch(query: Query): Dhcp6Reply | null {
    const { request, from, nowMs } = query;
    if (!from.toMulticast) return this.#reply(query, wire.REPLY, [status(wire.STATUS_USE_MULTICAST)]); // §18.4
    this.#store.onNicHere(from.nicKey, nowMs);
    this.#pool.advance(nowMs);
    switch (request.type) {
      case wire.SOLICIT:
        return this.#onSolicit(query);
      case wire.CONFIRM:
        return this.#onConfirm(query);
      case wire.RELEASE:
      case wire.DECLINE:
        // Nothing is promised, so nothing needs to be stored first. Associations that are well left are not named.
        return this.#reply(query, wire.REPLY, [status(wire.STATUS_SUCCESS), ...this.#answerAll(query, false)]);
      case wire.INFORMATION_REQUEST:
        return this.#onInformationRequest(query);
      default:
        return this.#configured(query, wire.REPLY, this.#answerAll(query, false));
    }
  }

  #onSolicit(query: Query): Dhcp6Reply {
    const { options } = query.request;
    const rapid = this.config.rapidCommit !== false && wire.findOption(options, wire.OPT_RAPID_COMMIT) !== null;
    const answers = this.#answerAll(query, rapid);
    if (rapid) {
      const confirmation = { code: wire.OPT_RAPID_COMMIT, value: new Uint8Array(0) };
      return this.#configured(query, wire.REPLY, [confirmation, ...answers]);
    }
    const preference = { code: wire.OPT_PREFERENCE, value: Uint8Array.of(PREFERENCE_MAX) };
    return this.#configured(query, wire.ADVERTISE, [preference, ...answers]);
  }

  /** §18.3.3: only whether the addresses fit this link; nothing to say about a message without any. */
  #onConfirm(query: Query): Dhcp6Reply | null {
    const addresses = query.associations.flatMap((ia) => wire.iaAddresses(ia));
    if (addresses.length === 0) return null;
    const onLink = addresses.every(({ address }) => this.#isOnLink(address));
    return this.#reply(query, wire.REPLY, [status(onLink ? wire.STATUS_SUCCESS : wire.STATUS_NOT_ON_LINK)]);
  }

  #onInformationRequest(query: Query): Dhcp6Reply {
    const wanted = wire.requestedOptions(query.request.options);
    const refresh = wire.u32Option(wire.OPT_INFORMATION_REFRESH, INFORMATION_REFRESH_SECONDS);
    return this.#configured(query, wire.REPLY, wanted?.has(wire.OPT_INFORMATION_REFRESH) ? [refresh] : []);
  }

  /** Answers each association in turn; temporary addresses and prefixes are not to be had here. */
  #answerAll(query: Query, rapid: boolean): Dhcp6Option[] {
    const asks = query.request.type === wire.SOLICIT || query.request.type === wire.REQUEST;
    return query.associations.flatMap((ia) => {
      if (ia.code === wire.OPT_IA_NA) return this.#answer(query, ia, rapid) ?? [];
      const absent = ia.code === wire.OPT_IA_PD ? wire.STATUS_NO_PREFIX_AVAIL : wire.STATUS_NO_ADDRS_AVAIL;
      return [refusal(ia, asks ? absent : wire.STATUS_NO_BINDING)];
    });
  }

  #answer(query: Query, ia: Association, rapid: boolean): Dhcp6Option | null {
    switch (query.request.type) {
      case wire.SOLICIT:
        return rapid ? this.#assign(query, ia) : this.#offer(query, ia);
      case wire.REQUEST:
        return this.#onRequest(query, ia);
      case wire.RENEW:
        return this.#onRenew(query, ia);
      case wire.REBIND:
        return this.#onRebind(query, ia);
      default:
        return this.#leave(query, ia);
    }
  }

  /** RELEASE and DECLINE, §18.3.7 and §18.3.8. */
  #leave(query: Query, ia: Association): Dhcp6Option | null {
    const own = this.#current(query, ia);
    const listed = own !== null && wire.iaAddresses(ia).some(({ address }) => this.#isAddressOf(own, address));
    if (own === null || !listed) return refusal(ia, wire.STATUS_NO_BINDING);
    if (query.request.type === wire.DECLINE) this.#pool.decline(own, query.nowMs);
    else this.#pool.release(own, query.nowMs);
    return null;
  }

  #offer(query: Query, ia: Association): Dhcp6Option {
    const binding = this.#choose(query, ia);
    if (binding === null) return refusal(ia, wire.STATUS_NO_ADDRS_AVAIL);
    this.#pool.hold(binding, query.nowMs);
    return this.#addressIa(ia, binding, this.config.leaseSeconds);
  }

  #assign(query: Query, ia: Association): Dhcp6Option {
    const binding = this.#choose(query, ia);
    return binding === null ? refusal(ia, wire.STATUS_NO_ADDRS_AVAIL) : this.#bind(query, ia, binding);
  }

  /** §18.3.2: addresses of another link are refused; others are a wish. */
  #onRequest(query: Query, ia: Association): Dhcp6Option {
    const onLink = wire.iaAddresses(ia).every(({ address }) => this.#isOnLink(address));
    return onLink ? this.#assign(query, ia) : refusal(ia, wire.STATUS_NOT_ON_LINK);
  }

  /** §18.3.4: what the client has is extended; an unknown association it must ask for anew. */
  #onRenew(query: Query, ia: Association): Dhcp6Option {
    const known = this.#current(query, ia) !== null;
    return known ? this.#assign(query, ia) : refusal(ia, wire.STATUS_NO_BINDING);
  }

  /** §18.3.5: as RENEW, but an address that nobody else ever had is granted: the lease database may have been lost. */
  #onRebind(query: Query, ia: Association): Dhcp6Option {
    const id = this.#identify(query, ia);
    if (this.#pool.find(id) !== null) return this.#assign(query, ia);
    const wanted = wire.iaAddresses(ia)[0];
    if (wanted === undefined) return refusal(ia, wire.STATUS_NO_BINDING);
    const slot = this.#slotOf(wanted.address);
    const free = this.#pool.usable(slot, this.#reservedSlot(id)) && this.#pool.isFree(slot);
    const binding = free ? this.#pool.claim(slot, id) : null;
    return binding === null ? this.#addressIa(ia, null, 0) : this.#bind(query, ia, binding);
  }

  /** What the client has: a lease that was given back is none. */
  #current(query: Query, ia: Association): Binding | null {
    const own = this.#pool.find(this.#identify(query, ia));
    return own?.state === 'bound' || own?.state === 'expired' ? own : null;
  }

  #choose(query: Query, ia: Association): Binding | null {
    const id = this.#identify(query, ia);
    const hint = wire.iaAddresses(ia)[0];
    const requested = hint === undefined ? -1 : this.#slotOf(hint.address);
    const binding = this.#pool.choose(id, { reserved: this.#reservedSlot(id), requested }, query.nowMs);
    if (binding === null) this.#counters.count(EXHAUSTED);
    return binding;
  }

  #bind(query: Query, ia: Association, binding: Binding): Dhcp6Option {
    const { leaseSeconds } = this.config;
    const id = this.#identify(query, ia);
    const extended = this.#pool.bind(binding, id, leaseSeconds * 1000, query.nowMs);
    query.bound.push(binding);
    // Where the stored end stays, no more than what is left of it is promised.
    const left = Math.floor((binding.expiresMs - query.nowMs) / 1000);
    return this.#addressIa(ia, binding, extended || leaseSeconds === INFINITE_SECONDS ? leaseSeconds : left);
  }

  /** An IA_NA with the binding's address; every other address that the client named gets lifetimes of zero. */
  #addressIa(ia: Association, binding: Binding | null, seconds: number): Dhcp6Option {
    const own = binding === null ? [] : [{ address: this.#addressOf(binding), preferred: seconds, valid: seconds }];
    const others = wire
      .iaAddresses(ia)
      .filter(({ address }) => binding === null || !this.#isAddressOf(binding, address))
      .map(({ address }) => ({ address, preferred: 0, valid: 0 }));
    const options = [...own, ...others].map((entry) => wire.addressOption(entry));
    return wire.iaOption(ia.code, { iaid: ia.iaid, ...renewalTimes(seconds), options });
  }

  /** A reply with the configuration that the client asked for, or all of it (§18.2). */
  #configured(query: Query, type: number, options: readonly Dhcp6Option[]): Dhcp6Reply {
    const wanted = wire.requestedOptions(query.request.options);
    const chosen = this.#configOptions.filter(({ code }) => wanted === null || wanted.has(code));
    return this.#reply(query, type, [...options, ...chosen]);
  }

  #reply(query: Query, type: number, options: readonly Dhcp6Option[]): Dhcp6Reply {
    const { request, from } = query;
    const clientId = request.options.filter(({ code }) => code === wire.OPT_CLIENT_ID).slice(0, 1);
    const serverId = { code: wire.OPT_SERVER_ID, value: this.config.duid };
    return {
      payload: wire.emitDhcp6({ type, xid: request.xid, options: [...clientId, serverId, ...options] }),
      dstWords: from.srcWords,
      dstMacHi: from.srcMacHi,
      dstMacLo: from.srcMacLo,
      generation: Math.max(0, ...query.bound.map(({ promised }) => promised)),
      leases: query.bound.map((binding) => toRecord(6, this.#pool, binding)),
    };
  }

  #identify({ from, duid, hostname }: Query, ia: Association): ClientIdentity {
    const mac = formatMac(from.srcMacHi, from.srcMacLo);
    return { nic: from.nicKey, guest: from.guest, mac, client: `${duid}/${ia.iaid}`, clientId: duid, hostname };
  }

  #reservedSlot(id: ClientIdentity): number {
    return this.config.fixedHost === undefined ? this.#reservations.slotOf(id) : -1;
  }

  #isOnLink(address: Words): boolean {
    return contains6(this.config.prefix, PREFIX_BITS, address);
  }

  #addressOf(binding: Binding): Words {
    return hostAddress(this.config.prefix, this.config.fixedHost ?? binding.slot);
  }

  #isAddressOf(binding: Binding, address: Words): boolean {
    const own = this.#addressOf(binding);
    return [0, 1, 2, 3].every((i) => own[i] === address[i]);
  }

  #slotOf(address: Words): number {
    return this.config.fixedHost === undefined && this.#isOnLink(address) ? hostNumber(address) : -1;
  }

  #openPool(): LeasePool {
    const { config } = this;
    return this.#store.open(6, {
      first: Math.max(1, config.poolFirst),
      last: config.poolLast,
      excluded: new Set([-1, 0, ...config.excluded]),
      reserved: this.#reservations.slots,
      distinct: true,
      format: (slot) => formatIpv6(hostAddress(config.prefix, slot)),
      parse: (text) => {
        const words = parseIpv6(text);
        return words === null ? -1 : this.#slotOf(words);
      },
    });
  }

  /** Slots without meaning: each NIC's lease is of the same address. */
  #openFixedPool(host: number): LeasePool {
    const text = formatIpv6(hostAddress(this.config.prefix, host));
    return this.#store.open(6, {
      ...{ first: 0, last: MAX_FIXED_LEASES - 1, excluded: new Set(), reserved: new Set(), distinct: false },
      format: () => text,
      parse: (other) => (other === text ? 0 : -1),
    });
  }
}

function promises(reservations: readonly Dhcp6Reservation[]): ReadonlyMap<string, number> {
  const all = new Map<string, number>();
  for (const { guest, mac, host } of reservations) {
    if (guest !== undefined) all.set(`guest ${guest}`, host);
    if (mac !== undefined) all.set(`mac ${formatMac(mac.hi, mac.lo)}`, host);
  }
  return all;
}
