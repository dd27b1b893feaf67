/**
 * What the control thread and the engine thread of a network process say to each other.
 *
 * Zone: control.  Plain structured-clone data over a MessagePort; an eventfd wakes the engine, which blocks in
 * epoll_wait.  Requests carry an `id` and are answered by exactly one `done`.  Addresses are text here: they are
 * converted once, in the engine.  This file is all that `drivers/userspace` may know of the engine.
 */
import type { ErrorData } from '../core/errors.ts';
import type { Distribution, LineShape } from '../links/line-shape.ts';
import type { LeaseChanges } from '../services/lease-store.ts';

export type { Distribution, LeaseChanges, LineShape };

export type EngineMode = 'user' | 'user-v2' | 'shared' | 'nat' | 'host' | 'isolated';

export interface Ipv4Config {
  /** CIDR, e.g. 192.168.104.0/24. */
  readonly subnet: string;
  /** The gateway's own address: ARP, ICMP, DHCP server, host access. */
  readonly gateway: string;
  /** Where DNS is announced and answered; the gateway answers on its own address too. */
  readonly dns: string;
  readonly poolStart: string;
  readonly poolEnd: string;
  /** Addresses of the pool that are never leased (the host's own address on the segment, user exclusions). */
  readonly excluded: readonly string[];
  /** Mode `user`: every guest gets this one. */
  readonly fixedGuest: string | null;
  readonly leaseSeconds: number;
  /** Whether option 3 (router) is offered. */
  readonly announceRouter: boolean;
}

export interface Ipv6Config {
  /** A /64, e.g. fd12:3456:789a::/64. */
  readonly prefix: string;
  readonly gateway: string;
}

export interface Reservation {
  readonly guest?: string;
  readonly mac?: string;
  readonly ip: string;
}

export interface DnsRecord {
  readonly name: string;
  readonly type: string;
  readonly value: string;
  readonly ttl?: number;
}

export interface EngineConfig {
  readonly network: string;
  readonly mode: EngineMode;
  /** IP MTU offered to guests, bytes, 1280–65520. */
  readonly mtu: number;
  /** The gateway's MAC, aa:bb:cc:dd:ee:ff. */
  readonly gatewayMac: string;
  readonly ipv4: Ipv4Config | null;
  readonly ipv6: Ipv6Config | null;
  readonly dns: {
    readonly domain: string;
    readonly searchDomains: readonly string[];
    /** `host`: the host's own resolver through the control thread; `none`: local names only. */
    readonly upstream: 'host' | 'none';
    readonly records: readonly DnsRecord[];
  };
  readonly reservations: readonly Reservation[];
  /** What of the host's loopback guests reach by the gateway's address. */
  readonly hostAccess: 'all' | 'none' | readonly number[];
  /** Whether guests reach anything beyond the segment. */
  readonly outward: boolean;
  /** Destinations that are closed: 169.254.0.0/16 by default, and the subnets of other networks of this host. */
  readonly closed: readonly string[];
  readonly isolation: { readonly guests: boolean };
  /** Anti-spoofing at every port: MAC, IP, ARP/ND, rogue DHCP and RA. */
  readonly guards: boolean;
  /** Leases as the last run stored them. */
  readonly leases: readonly unknown[];
  /** Server DUID for DHCPv6, hex; made once and kept with the leases. */
  readonly duid: string;
}

/** A NIC that the control plane knows. `key` is `GUEST/INDEX` and is what leases hang on. */
export interface NicConfig {
  readonly key: string;
  readonly guest: string;
  readonly mac: string | null;
  readonly connected: boolean;
  /** The IPv4 address kept for it, beside those of `reservations`; absent or null: one of the pool. */
  readonly ip?: string | null;
}

/** Which frames are copied. */
export interface CaptureSpec {
  /** Those of this guest's cards alone. */
  readonly guest: string | null;
  /** wire/frame-filter.ts; empty: all. */
  readonly filter: string;
  /** Bytes kept of each. */
  readonly snapLen: number;
  /** Only those that vmlan drops. */
  readonly dropsOnly: boolean;
}

export interface CaptureStarted {
  /** Names of the reasons to drop, by the number that stands in a record. */
  readonly reasons: readonly (readonly [reason: number, name: string])[];
}

/** By card: frames that came by, that the filter took, and that found no room. */
export type CaptureTotals = readonly {
  readonly card: number;
  readonly received: number;
  readonly accepted: number;
  readonly lost: number;
}[];

export interface FlowQuery {
  /** Where to go on; 0 at first, then `next` of the page before. */
  readonly cursor: number;
  readonly guest: string | null;
  readonly protocol: 'tcp' | 'udp' | 'icmp' | null;
}

export interface FlowPage {
  readonly flows: readonly FlowSnapshot[];
  /** null: that is all. */
  readonly next: number | null;
}

/** One conversation of a guest. */
export interface FlowSnapshot {
  readonly protocol: 'tcp' | 'udp' | 'icmp';
  /** TCP: of the gateway's end, as in RFC 9293 §3.3.2; others: UNREPLIED, ASSURED. */
  readonly state: string;
  readonly guest: string;
  readonly nic: string;
  readonly guestAddress: string;
  /** Of ICMP: the identifier of the echo. */
  readonly guestPort: number;
  /** What the guest believes it talks to. */
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** The host's socket, ADDRESS:PORT; null where the flow has none of its own. */
  readonly hostAddress: string | null;
  /** The client of a forward. */
  readonly peerAddress: string | null;
  /** The forward that it goes through; null: the guest's own way out. */
  readonly forward: string | null;
  readonly ageMs: number;
  readonly idleMs: number;
  /** Payload, and packets with what is around it; an offloaded frame is one. */
  readonly bytesFromGuest: number;
  readonly bytesToGuest: number;
  readonly packetsFromGuest: number;
  readonly packetsToGuest: number;
  /** Between gateway and guest, TCP alone. */
  readonly rttMs: number | null;
  readonly retransmissions: number | null;
}

/** `absent`: the guest is not there, or nobody has its address; `silent`: nothing came back. */
export interface ProbeOutcome {
  readonly address: string | null;
  readonly state: 'open' | 'closed' | 'silent' | 'absent';
}

export type SocketAddress = { readonly unix: string } | { readonly host: string; readonly port: number };

export type LinkSpec =
  /** QEMU stream framing; we listen, any number of guests connect. `nic` null: known by MAC, else anonymous. */
  | { readonly kind: 'stream-listen'; readonly address: SocketAddress; readonly nic: string | null }
  /** QEMU stream framing; we connect and, after a loss, connect again. */
  | { readonly kind: 'stream-connect'; readonly address: SocketAddress; readonly nic: string | null }
  /** Unix datagrams (vfkit, QEMU dgram): bound at `path`; `peer` null means the sender of the first datagram. */
  | { readonly kind: 'dgram'; readonly path: string; readonly peer: string | null; readonly nic: string | null }
  /** A connected stream socket of this process, with QEMU's framing: taken over when the link is added. */
  | { readonly kind: 'stream-fd'; readonly fd: number; readonly nic: string | null }
  /**
   * A TAP descriptor of this process. `hostSide`: the host itself sits behind it (modes shared, nat, host), with these
   * `addresses`, which no guest may take.
   */
  | {
      readonly kind: 'tap';
      readonly fd: number;
      readonly nic: string | null;
      readonly hostSide: boolean;
      readonly addresses?: readonly string[];
    };

export interface ForwardSpec {
  readonly id: string;
  readonly protocol: 'tcp' | 'udp';
  /** `host` forward: host → guest; `reverse`: guest → host. */
  readonly direction: 'host' | 'reverse';
  /** Where we listen: a host address or unix socket (`host`), or the gateway's port as guests see it (`reverse`). */
  readonly listen: SocketAddress;
  /** Where it goes: a guest by name or address (`host`), or a host address or unix socket (`reverse`). */
  readonly target: SocketAddress;
}

/** As a peer: the gateway, and all that lies beyond it. */
export const GATEWAY_PEER = 'gateway';

/** Faults on purpose on the frames of one NIC, or on those between it and one other. */
export interface ShapeSpec {
  readonly id: string;
  readonly nic: string;
  /** The key of another NIC, GATEWAY_PEER, or null: whoever is at the other end. */
  readonly peer: string | null;
  readonly fromGuest: LineShape | null;
  readonly toGuest: LineShape | null;
}

export type ToEngine =
  | { readonly type: 'add-link'; readonly id: number; readonly linkId: string; readonly link: LinkSpec }
  | { readonly type: 'remove-link'; readonly id: number; readonly linkId: string }
  | { readonly type: 'set-nic'; readonly id: number; readonly nic: NicConfig }
  | { readonly type: 'remove-nic'; readonly id: number; readonly key: string }
  | { readonly type: 'add-forward'; readonly id: number; readonly forward: ForwardSpec }
  | { readonly type: 'remove-forward'; readonly id: number; readonly forwardId: string }
  /** A shape of this id is changed: what waits is not lost. */
  | { readonly type: 'set-shape'; readonly id: number; readonly shape: ShapeSpec }
  | { readonly type: 'remove-shape'; readonly id: number; readonly shapeId: string }
  | { readonly type: 'set-records'; readonly id: number; readonly records: readonly DnsRecord[] }
  /** Frames are copied into `ring` (core/record-ring.ts, wire/captured-frame.ts). Result: CaptureStarted. */
  | {
      readonly type: 'start-capture';
      readonly id: number;
      readonly captureId: number;
      readonly spec: CaptureSpec;
      readonly ring: SharedArrayBuffer;
    }
  /** Result: CaptureTotals. */
  | { readonly type: 'stop-capture'; readonly id: number; readonly captureId: number }
  /** What `EngineConfig.reservations` said, anew. */
  | { readonly type: 'set-reservations'; readonly id: number; readonly reservations: readonly Reservation[] }
  /** What `EngineConfig.closed` said, anew; flows that are open go on. */
  | { readonly type: 'set-closed'; readonly id: number; readonly closed: readonly string[] }
  /** Some of the conversations. Result: FlowPage. */
  | ({ readonly type: 'flows'; readonly id: number } & FlowQuery)
  /** Tries a port of a guest, by its name. Result: ProbeOutcome. */
  | {
      readonly type: 'probe';
      readonly id: number;
      readonly guest: string;
      readonly protocol: 'tcp' | 'udp';
      readonly port: number;
    }
  /** Asks the DNS of the network as a guest would. Result: the reply as Uint8Array; null: there is none. */
  | { readonly type: 'look-up'; readonly id: number; readonly query: Uint8Array }
  /** Allocates (or finds) the lease of a NIC without DHCP, for namespaces that are configured by us. Result: AllocatedAddress. */
  | { readonly type: 'allocate'; readonly id: number; readonly nic: string; readonly mac: string }
  /** Result: EngineSnapshot. */
  | { readonly type: 'snapshot'; readonly id: number; readonly only?: SnapshotScope }
  | { readonly type: 'leases-durable'; readonly generation: number }
  | { readonly type: 'dns-reply'; readonly queryId: number; readonly reply: Uint8Array | null }
  /** The host's resolver has changed: what upstream said before is forgotten. */
  | { readonly type: 'dns-changed' }
  | { readonly type: 'stop'; readonly id: number };

type WithoutId<Message> = Message extends unknown ? Omit<Message, 'id'> : never;
/** What is answered by `done`. */
export type EngineCommand = Extract<ToEngine, { id: number }>;
/** The same, before it is numbered. */
export type EngineRequest = WithoutId<EngineCommand>;
/** What is not answered. */
export type EngineNotice = Exclude<ToEngine, { id: number }>;

export type FromEngine =
  | { readonly type: 'ready'; readonly capabilities: EngineCapabilities }
  | { readonly type: 'done'; readonly id: number; readonly error: ErrorData | null; readonly result: unknown }
  /** To be stored; answered by `leases-durable` with the same generation. */
  | ({ readonly type: 'leases'; readonly generation: number } & LeaseChanges)
  | { readonly type: 'dns-query'; readonly queryId: number; readonly query: Uint8Array }
  | { readonly type: 'event'; readonly event: EngineEvent }
  /** The ring of a capture has something, and its reader rests. */
  | { readonly type: 'capture-ready'; readonly captureId: number }
  | { readonly type: 'log'; readonly level: 'debug' | 'info' | 'warn' | 'error'; readonly message: string }
  | { readonly type: 'fatal'; readonly error: ErrorData };

export interface EngineCapabilities {
  /** SO_PEEK_OFF works on TCP: unacknowledged data stays in the kernel at no cost. */
  readonly peekOffset: boolean;
  /** Unprivileged ICMP sockets (net.ipv4.ping_group_range); the text says why not. */
  readonly ping: true | string;
  readonly ipv6: boolean;
}

export type EngineEvent =
  | { readonly kind: 'guest-up'; readonly guest: GuestSnapshot }
  | { readonly kind: 'guest-down'; readonly guest: GuestSnapshot }
  | { readonly kind: 'guest-changed'; readonly guest: GuestSnapshot }
  | { readonly kind: 'ipv6-reachable'; readonly reachable: boolean };

export interface AllocatedAddress {
  readonly address4: string | null;
  readonly prefix4: number;
  readonly gateway4: string | null;
  readonly dns: string | null;
  readonly gateway6: string | null;
  readonly prefix6: string | null;
  readonly mtu: number;
  readonly searchDomains: readonly string[];
}

export interface GuestSnapshot {
  /** Registered name, else the DHCP host name, else `guest-` and the MAC without colons. */
  readonly guest: string;
  readonly nic: string;
  readonly mac: string | null;
  /** The MAC on the wire when another guest already carries `mac`. */
  readonly aliasMac: string | null;
  readonly link: 'stream' | 'dgram' | 'tap' | 'none';
  readonly state: 'connected' | 'disconnected' | 'waiting';
  readonly address4: readonly string[];
  readonly address6: readonly string[];
  readonly hostname: string | null;
  readonly sinceMs: number;
  readonly framesFromGuest: number;
  readonly framesToGuest: number;
  readonly bytesFromGuest: number;
  readonly bytesToGuest: number;
  readonly dropsToGuest: number;
  readonly dropsFromGuest: number;
  /** Conversations that count against its share. */
  readonly flows: number;
}

export interface ForwardSnapshot extends ForwardSpec {
  readonly state: 'listening' | 'waiting-for-guest';
  readonly connections: number;
}

/**
 * What becomes of forwards, one entry of each column a forward.  Of ten thousand, a list of objects takes a hundred times
 * as long to copy to another thread, and no packet moves meanwhile.
 */
export interface ForwardStates {
  readonly ids: readonly string[];
  /** Whether it waits for its guest. */
  readonly waiting: readonly boolean[];
  readonly connections: readonly number[];
}

/** What a snapshot is to list; the other lists are empty. */
export interface SnapshotScope {
  readonly guests?: boolean;
  readonly leases?: boolean;
  /** All, or those with these ids. */
  readonly forwards?: boolean | readonly string[];
  /** Of all forwards, in place of `forwards`. */
  readonly forwardStates?: boolean;
}

export interface EngineSnapshot {
  readonly guests: readonly GuestSnapshot[];
  readonly forwards: readonly ForwardSnapshot[];
  /** Only where it was asked for. */
  readonly forwardStates?: ForwardStates;
  readonly leases: readonly unknown[];
  readonly counters: Readonly<Record<string, number>>;
  readonly flows: { readonly tcp: number; readonly udp: number; readonly icmp: number };
  /**
   * Of the engine thread, bytes: objects alive or not yet collected, buffers laid out so far, and those of them that hold
   * what a host's socket has not taken.
   */
  readonly memory: { readonly heap: number; readonly arena: number; readonly receiveQueues: number };
  readonly ipv6Reachable: boolean;
  readonly capabilities: EngineCapabilities;
}

/** A running datapath, as the control thread sees it; engine/client.ts is one. */
export interface EngineHandle {
  readonly capabilities: EngineCapabilities;
  /** Rejects with VmlanError: the engine's own, or `unavailable` when the thread has ended. */
  request(message: EngineRequest): Promise<unknown>;
  post(message: EngineNotice): void;
  /** Hears everything but answers. */
  on(listener: (message: FromEngine) => void): void;
  /** Stops the network and ends the thread. */
  stop(): Promise<void>;
  /** Resolves when the thread has ended: null after `stop`, else why. */
  readonly ended: Promise<Error | null>;
}

export type StartEngine = (config: EngineConfig) => Promise<EngineHandle>;
