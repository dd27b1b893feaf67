/**
 * DHCP server for one network (RFC 2131), sans I/O: a message in, at most one reply out. Zone: flow.
 * Addresses are uint32, times epoch milliseconds. Nothing that a guest sends throws; what is refused is counted.
 *
 * The server is authoritative: a REQUEST for an address that is not this client's is answered with a NAK, so that a guest
 * that comes from another network has an address within a second. A REQUEST for an address that nobody ever had is
 * granted: the lease database may have been lost. Leases hang on the NIC, not on what the guest says about itself.
 */
import { Counters, counter } from '../core/counters.ts';
import { BROADCAST4, contains4, formatIpv4, formatMac, mask4, parseIpv4 } from '../wire/address.ts';
import * as wire from '../wire/dhcpv4.ts';
import type { Dhcp4Message, Dhcp4Option } from '../wire/dhcpv4.ts';
import { hostname4 } from './dhcp-hostname.ts';
import { echoedOptions, replyOptions, staticOptions } from './dhcp-options.ts';
import type { DhcpConfig, DhcpReservation } from './dhcp-options.ts';
import { INFINITE_SECONDS } from './lease-binding.ts';
import type { Binding, ClientIdentity } from './lease-binding.ts';
import type { LeasePool } from './lease-pool.ts';
import { toRecord } from './lease-store.ts';
import { Reservations } from './reservations.ts';
import type { LeaseRecord, LeaseStore } from './lease-store.ts';

export type { DhcpConfig, DhcpReservation } from './dhcp-options.ts';

/** Where a message came from, as the port saw it. */
export interface DhcpSource {
  readonly nicKey: string;
  readonly guest: string | null;
  readonly srcMacHi: number;
  readonly srcMacLo: number;
  readonly srcIp: number;
}

export interface DhcpReply {
  /** The DHCP message alone, owned by the caller. From serverId:67. */
  readonly payload: Uint8Array;
  readonly dstIp: number;
  /** 68, or 67 towards a relay. */
  readonly dstPort: number;
  readonly dstMacHi: number;
  readonly dstMacLo: number;
  /** The store must be durable at this generation or later before this is sent; 0 where nothing is promised. */
  readonly generation: number;
  /** The lease that an ACK confirms. */
  readonly lease: LeaseRecord | null;
}

export interface Allocation {
  readonly address: number;
  readonly generation: number;
}

/** NICs that may have the address of mode `user` at a time. */
export const MAX_FIXED_LEASES = 1024;
const MAX_CLIENT_ID_BYTES = 255;
const MAX_HLEN = 16;
const IP_AND_UDP_BYTES = 28;
const MIN_DATAGRAM_BYTES = 576; // RFC 2131 §2: what every client takes

const DISCOVERS = counter('dhcp_discover');
const REQUESTS = counter('dhcp_request');
const DECLINES = counter('dhcp_decline');
const RELEASES = counter('dhcp_release');
const INFORMS = counter('dhcp_inform');
const OFFERS = counter('dhcp_offer');
const ACKS = counter('dhcp_ack');
const NAKS = counter('dhcp_nak');
const MALFORMED = counter('dhcp_malformed');
/** BOOTP, other servers' messages, relays of other subnets, releases of what one does not have. */
const IGNORED = counter('dhcp_ignored');
const EXHAUSTED = counter('dhcp_exhausted');

/** One message with all that is known about its sender. */
interface Query {
  readonly request: Dhcp4Message;
  readonly from: DhcpSource;
  readonly id: ClientIdentity;
  readonly nowMs: number;
}

export class DhcpServer {
  readonly config: DhcpConfig;
  readonly #store: LeaseStore;
  readonly #counters: Counters;
  readonly #pool: LeasePool;
  readonly #fixedOptions: ReadonlyMap<number, Dhcp4Option>;
  readonly #mask: number;
  readonly #reservations = new Reservations();

  constructor(config: DhcpConfig, store: LeaseStore, counters: Counters = new Counters()) {
    this.config = config;
    this.#store = store;
    this.#counters = counters;
    this.#mask = mask4(config.prefix);
    this.#fixedOptions = staticOptions(config);
    this.#reservations.replaceConfigured(this.#promises(config.reservations));
    this.#pool = config.fixedAddress === undefined ? this.#openPool() : this.#openFixedPool(config.fixedAddress);
  }

  /** Answers the DHCP message in `v`, or null where none is due. */
  onMessage(v: DataView, off: number, len: number, from: DhcpSource, nowMs: number): DhcpReply | null {
    const request = wire.parseDhcp4(v, off, len);
    const clientId = request?.options.get(wire.OPT_CLIENT_ID);
    if (request === null || request.hlen > MAX_HLEN || (clientId?.length ?? 0) > MAX_CLIENT_ID_BYTES) {
      this.#counters.count(MALFORMED);
      return null;
    }
    const relayed = request.giaddr !== 0 && !contains4(this.config.network, this.#mask, request.giaddr);
    if (request.op !== wire.BOOT_REQUEST || relayed) return this.#ignore();
    this.#store.onNicHere(from.nicKey, nowMs);
    this.#pool.advance(nowMs);
    return this.#dispatch({ request, from, id: identify(request, from), nowMs });
  }

  /** The address of a NIC that vmlan configures by itself; what DHCP would give it. */
  allocate(from: Omit<DhcpSource, 'srcIp'>, nowMs: number): Allocation | null {
    const mac = formatMac(from.srcMacHi, from.srcMacLo);
    const { nicKey: nic, guest } = from;
    const id = { nic, guest, mac, client: `hw:1:${mac}`, clientId: null, hostname: null };
    this.#store.onNicHere(nic, nowMs);
    const binding = this.#pool.choose(id, { reserved: this.#reservedSlot(id), requested: -1 }, nowMs);
    if (binding === null) return null;
    this.#pool.bind(binding, id, this.#leaseMs, nowMs);
    return { address: this.#addressOf(binding), generation: binding.promised };
  }

  /** Keeps an address for a NIC from now on, whoever has it; null: no longer. */
  reserve(nic: string, ip: number | null): void {
    if (this.config.fixedAddress !== undefined) return;
    const changed = this.#reservations.set(`nic ${nic}`, ip === null ? -1 : this.#hostSlot(ip));
    for (const slot of changed) this.#pool.onReservation(slot);
  }

  /** Keeps these addresses for guests and MAC addresses from now on, and no others but those of NICs. */
  setReservations(reservations: readonly DhcpReservation[]): void {
    if (this.config.fixedAddress !== undefined) return;
    const changed = this.#reservations.replaceConfigured(this.#promises(reservations));
    for (const slot of changed) this.#pool.onReservation(slot);
  }

  #promises(reservations: readonly DhcpReservation[]): ReadonlyMap<string, number> {
    const promises = new Map<string, number>();
    for (const { guest, mac, ip } of reservations) {
      const slot = this.#hostSlot(ip);
      if (guest !== undefined) promises.set(`guest ${guest}`, slot);
      if (mac !== undefined) promises.set(`mac ${formatMac(mac.hi, mac.lo)}`, slot);
    }
    return promises;
  }

  #dispatch(query: Query): DhcpReply | null {
    switch (wire.optionU8(query.request, wire.OPT_MESSAGE_TYPE)) {
      case wire.DISCOVER:
        return this.#onDiscover(query);
      case wire.REQUEST:
        return this.#onRequest(query);
      case wire.DECLINE:
        return this.#onDecline(query);
      case wire.RELEASE:
        return this.#onRelease(query);
      case wire.INFORM:
        return this.#onInform(query);
      default: // BOOTP, and what only servers send
        return this.#ignore();
    }
  }

  #onDiscover(query: Query): DhcpReply | null {
    this.#counters.count(DISCOVERS);
    const { request, id, nowMs } = query;
    const requested = this.#slotOf(wire.optionU32(request, wire.OPT_REQUESTED_IP));
    const binding = this.#pool.choose(id, { reserved: this.#reservedSlot(id), requested }, nowMs);
    if (binding === null) {
      this.#counters.count(EXHAUSTED);
      return null;
    }
    const rapid = this.config.rapidCommit !== false && request.options.has(wire.OPT_RAPID_COMMIT);
    if (rapid) return this.#bind(query, binding, true); // RFC 4039 §3.1
    this.#pool.hold(binding, nowMs);
    this.#counters.count(OFFERS);
    const { leaseSeconds } = this.config;
    const details = { type: wire.OFFER, leaseSeconds, name: id.guest ?? id.hostname, rapidCommit: false };
    const options = replyOptions(this.config, this.#fixedOptions, request, details);
    return this.#reply(query, this.#addressOf(binding), options, null);
  }

  /**
   * The four states of RFC 2131 §4.3.2. SELECTING: server identifier and requested address. INIT-REBOOT: requested
   * address alone. RENEWING and REBINDING: `ciaddr`; one server answers both alike.
   */
  #onRequest(query: Query): DhcpReply | null {
    this.#counters.count(REQUESTS);
    const { request, id } = query;
    const serverId = wire.optionU32(request, wire.OPT_SERVER_ID);
    if (serverId >= 0 && serverId !== this.config.serverId) {
      const own = this.#pool.find(id);
      if (own !== null) this.#pool.unhold(own); // the client chose another server
      return this.#ignore();
    }
    const requested = wire.optionU32(request, wire.OPT_REQUESTED_IP);
    const address = requested >= 0 ? requested : request.ciaddr;
    if (address === 0) return this.#ignore();
    const binding = this.#grant(id, address, query.nowMs);
    return binding === null ? this.#nak(query) : this.#bind(query, binding, false);
  }

  #onDecline(query: Query): null {
    this.#counters.count(DECLINES);
    const own = this.#ownBinding(query, wire.optionU32(query.request, wire.OPT_REQUESTED_IP));
    if (own === null) return this.#ignore();
    this.#pool.decline(own, query.nowMs);
    return null;
  }

  #onRelease(query: Query): null {
    this.#counters.count(RELEASES);
    const own = this.#ownBinding(query, query.request.ciaddr);
    if (own === null) return this.#ignore();
    this.#pool.release(own, query.nowMs);
    return null;
  }

  /** RFC 2131 §4.3.5: parameters for a client that has an address, without a lease. */
  #onInform(query: Query): DhcpReply | null {
    this.#counters.count(INFORMS);
    const { request, from, id } = query;
    const client = request.ciaddr === 0 ? from.srcIp : request.ciaddr;
    if (this.#hostSlot(client) < 0) return this.#ignore();
    const details = { type: wire.ACK, leaseSeconds: null, name: id.guest ?? id.hostname, rapidCommit: false };
    const options = replyOptions(this.config, this.#fixedOptions, request, details);
    this.#counters.count(ACKS);
    const reply = this.#reply(query, 0, options, null);
    return request.giaddr === 0 ? { ...reply, dstIp: client, ...macOf(from) } : reply;
  }

  /** The binding of the client that messages about leaving speak of; only its owner may end a lease. */
  #ownBinding({ request, id }: Query, address: number): Binding | null {
    const serverId = wire.optionU32(request, wire.OPT_SERVER_ID);
    const own = this.#pool.find(id);
    const ours = serverId < 0 || serverId === this.config.serverId;
    return ours && own !== null && this.#addressOf(own) === address ? own : null;
  }

  /** The binding of `address` when this client may have it. */
  #grant(id: ClientIdentity, address: number, nowMs: number): Binding | null {
    const { fixedAddress } = this.config;
    const reserved = this.#reservedSlot(id);
    if (fixedAddress !== undefined) {
      return address === fixedAddress ? this.#pool.choose(id, { reserved, requested: -1 }, nowMs) : null;
    }
    const slot = this.#hostSlot(address);
    const own = this.#pool.find(id);
    const shouldMove = reserved >= 0 && slot !== reserved && this.#pool.mayTake(reserved);
    if (slot < 0 || shouldMove || !this.#pool.usable(slot, reserved)) return null;
    if (own !== null) return own.slot === slot ? own : null;
    return slot === reserved || this.#pool.isFree(slot) ? this.#pool.claim(slot, id) : null;
  }

  #bind(query: Query, binding: Binding, rapidCommit: boolean): DhcpReply {
    const { request, id, nowMs } = query;
    const extended = this.#pool.bind(binding, id, this.#leaseMs, nowMs);
    const infinite = this.config.leaseSeconds === INFINITE_SECONDS;
    // Where the stored end stays, no more than what is left of it is promised.
    const left = Math.floor((binding.expiresMs - nowMs) / 1000);
    const leaseSeconds = extended || infinite ? this.config.leaseSeconds : left;
    const details = { type: wire.ACK, leaseSeconds, name: id.guest ?? id.hostname, rapidCommit };
    const options = replyOptions(this.config, this.#fixedOptions, request, details);
    this.#counters.count(ACKS);
    return this.#reply(query, this.#addressOf(binding), options, binding);
  }

  #nak(query: Query): DhcpReply {
    this.#counters.count(NAKS);
    const options = [
      wire.u8Option(wire.OPT_MESSAGE_TYPE, wire.NAK),
      wire.u32Option(wire.OPT_SERVER_ID, this.config.serverId),
      wire.textOption(wire.OPT_MESSAGE, 'address not available on this network'),
      ...echoedOptions(query.request),
    ];
    const reply = this.#reply(query, 0, options, null);
    // RFC 2131 §4.3.2: broadcast, whatever the client says; its address may be wrong here.
    return query.request.giaddr === 0 ? { ...reply, ...BROADCAST } : reply;
  }

  #reply(query: Query, yiaddr: number, options: readonly Dhcp4Option[], bound: Binding | null): DhcpReply {
    const { request } = query;
    const nak = options[0]?.[1][0] === wire.NAK;
    const { tftpServer, bootfile } = (nak ? undefined : this.config.pxe) ?? {};
    const payload = wire.emitDhcp4(
      {
        ...{ op: wire.BOOT_REPLY, htype: request.htype, hlen: request.hlen, hops: 0, xid: request.xid, secs: 0 },
        // RFC 2131 §4.3.2: a relay shall broadcast a NAK.
        flags: nak && request.giaddr !== 0 ? request.flags | wire.FLAG_BROADCAST : request.flags,
        ciaddr: !nak && (yiaddr === 0 || yiaddr === request.ciaddr) ? request.ciaddr : 0, // RFC 2131 table 3
        ...{ yiaddr, siaddr: tftpServer ?? 0, giaddr: request.giaddr, chaddr: request.chaddr },
        ...{ sname: '', file: bootfile ?? '', options },
      },
      this.#maxReplyBytes(request),
    );
    const lease = bound === null ? null : toRecord(4, this.#pool, bound);
    return { payload, ...destination(query, yiaddr), generation: bound?.promised ?? 0, lease };
  }

  #maxReplyBytes(request: Dhcp4Message): number {
    const asked = Math.max(MIN_DATAGRAM_BYTES, wire.optionU16(request, wire.OPT_MAX_SIZE));
    return Math.min(asked, Math.max(MIN_DATAGRAM_BYTES, this.config.mtu)) - IP_AND_UDP_BYTES;
  }

  #ignore(): null {
    this.#counters.count(IGNORED);
    return null;
  }

  get #leaseMs(): number {
    return this.config.leaseSeconds * 1000;
  }

  #addressOf(binding: Binding): number {
    return this.config.fixedAddress ?? (this.config.network + binding.slot) >>> 0;
  }

  /** The slot that a client may ask for by this address, or -1. */
  #slotOf(address: number): number {
    return this.config.fixedAddress === undefined ? this.#hostSlot(address) : -1;
  }

  /** The host number of an address that a guest of the subnet can have, or -1. */
  #hostSlot(address: number): number {
    const inSubnet = address >= 0 && contains4(this.config.network, this.#mask, address);
    const host = address - this.config.network;
    return inSubnet && host > 0 && host < hostMask(this.config.prefix) ? host : -1;
  }

  #reservedSlot(id: ClientIdentity): number {
    return this.config.fixedAddress === undefined ? this.#reservations.slotOf(id) : -1;
  }

  #openPool(): LeasePool {
    const { config } = this;
    const last = hostMask(config.prefix) - 1;
    const taken = [config.gateway ?? config.serverId, config.serverId, ...config.dns, ...config.excluded];
    return this.#store.open(4, {
      first: Math.max(1, config.poolStart - config.network),
      last: Math.min(last, config.poolEnd - config.network),
      excluded: new Set(taken.map((address) => this.#hostSlot(address))),
      reserved: this.#reservations.slots,
      distinct: true,
      format: (slot) => formatIpv4((config.network + slot) >>> 0),
      parse: (text) => this.#hostSlot(parseIpv4(text) ?? -1),
    });
  }

  /** Slots without meaning: each NIC's lease is of the same address. */
  #openFixedPool(address: number): LeasePool {
    const text = formatIpv4(address);
    return this.#store.open(4, {
      ...{ first: 0, last: MAX_FIXED_LEASES - 1, excluded: new Set(), reserved: new Set(), distinct: false },
      format: () => text,
      parse: (other) => (other === text ? 0 : -1),
    });
  }
}

const BROADCAST = { dstIp: BROADCAST4, dstMacHi: 0xffff, dstMacLo: 0xffff_ffff };

/** Highest host number of a prefix: the broadcast address. A /31 or /32 has no room for guests. */
function hostMask(prefix: number): number {
  return ~mask4(prefix) >>> 0;
}

function macOf(from: DhcpSource): { dstMacHi: number; dstMacLo: number } {
  return { dstMacHi: from.srcMacHi, dstMacLo: from.srcMacLo };
}

const isEthernet = (request: Dhcp4Message): boolean => request.htype === wire.HTYPE_ETHERNET && request.hlen === 6;

function identify(request: Dhcp4Message, from: DhcpSource): ClientIdentity {
  const chaddr = new DataView(request.chaddr.buffer, request.chaddr.byteOffset);
  const ethernet = isEthernet(request);
  const mac = ethernet ? formatMac(chaddr.getUint16(0), chaddr.getUint32(2)) : formatMac(from.srcMacHi, from.srcMacLo);
  const rawId = request.options.get(wire.OPT_CLIENT_ID);
  const clientId = rawId === undefined || rawId.length === 0 ? null : toHex(rawId);
  return {
    nic: from.nicKey,
    guest: from.guest,
    mac,
    client: clientId === null ? `hw:${request.htype}:${mac}` : `id:${clientId}`,
    clientId,
    hostname: hostname4(request.options.get(wire.OPT_HOSTNAME), request.options.get(wire.OPT_FQDN)),
  };
}

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * RFC 2131 §4.1: to the relay, else to `ciaddr`, else by broadcast when asked for, else to the new address at the
 * client's hardware address. That is believed only while it is the frame's sender: a guest cannot aim replies at others.
 */
function destination(query: Query, yiaddr: number): Omit<DhcpReply, 'payload' | 'generation' | 'lease'> {
  const { request, from } = query;
  const sender = macOf(from);
  if (request.giaddr !== 0) return { dstIp: request.giaddr, dstPort: wire.SERVER_PORT, ...sender };
  const dstPort = wire.CLIENT_PORT;
  const isSender = isEthernet(request) && query.id.mac === formatMac(from.srcMacHi, from.srcMacLo);
  if (request.ciaddr !== 0 && request.ciaddr === yiaddr) return { dstIp: yiaddr, dstPort, ...sender };
  if ((request.flags & wire.FLAG_BROADCAST) !== 0 || !isSender || yiaddr === 0) return { ...BROADCAST, dstPort };
  return { dstIp: yiaddr, dstPort, ...sender };
}
