/**
 * The datapath of one network: every layer made and joined, one turn of the loop after the other.
 *
 * Zone: control to build and command, flow and packet below.  Nothing here knows threads: `send` is how it speaks to the
 * control plane, `handle` how it is spoken to, so tests run it in one thread over a fake kernel.
 */
import { getHeapStatistics } from 'node:v8';
import { Counters } from '../core/counters.ts';
import { VmlanError, toErrorData } from '../core/errors.ts';
import { MAX_FRAME_LEN } from '../links/link.ts';
import { StreamBuffers } from '../links/stream-framing.ts';
import { EchoNat } from '../nat/echo-nat.ts';
import { MAX_PROBES, Probes } from '../nat/probes.ts';
import { UdpNat } from '../nat/udp-nat.ts';
import { Dhcp6Server } from '../services/dhcpv6.ts';
import { DhcpServer } from '../services/dhcp.ts';
import { type LeaseChanges, LeaseStore } from '../services/lease-store.ts';
import { IpOutput } from '../stack/ip-output.ts';
import { MAPPED } from '../stack/path.ts';
import { Reassembler } from '../stack/reassembly.ts';
import type { TcpFlow } from '../stack/tcp/flow.ts';
import { MAX_FLOWS } from '../stack/tcp/limits.ts';
import { QUEUE_LEN, ReceiveQueues } from '../stack/tcp/receive-queue.ts';
import { TcpSegments } from '../stack/tcp/segments.ts';
import { TcpTranslator } from '../stack/tcp/translator.ts';
import type { LinkOutput, Port } from '../switching/port.ts';
import { ipv6DefaultRoute, peekOffsetWorks, pingSocketWorks, udpGsoWorks } from '../sys/probe.ts';
import * as C from '../sys/constants.ts';
import type { Sys } from '../sys/sys.ts';
import { Attachments } from './attachments.ts';
import { Captures } from './captures.ts';
import { cidr, formatWords, ipv4, mac, words } from './config.ts';
import type {
  AllocatedAddress,
  EngineCapabilities,
  EngineConfig,
  EngineSnapshot,
  FromEngine,
  Reservation,
  ProbeOutcome,
  ToEngine,
  SnapshotScope,
} from './control-messages.ts';
import { dhcp4Config, dhcp6Config, hostNumber, reservations4, reservations6 } from './dhcp-config.ts';
import { DnsStream, MAX_DNS_STREAMS } from './dns-stream.ts';
import { FlowList } from './flow-list.ts';
import { ForwardTable } from './forward-table.ts';
import { GuestTargets } from './guest-targets.ts';
import { GRACE_MS, Guests } from './guests.ts';
import { HostDatagrams } from './host-datagrams.ts';
import { HostForwards } from './host-forwards.ts';
import { HostStreamIo } from './host-streams.ts';
import { LeaseJournal } from './lease-journal.ts';
import { EventLoop } from './loop.ts';
import type { SegmentHost, SharedParts } from './segment-host.ts';
import { Segments } from './segments.ts';
import { Shapes } from './shapes.ts';
import { sayUnreachable } from './tcp-unreachable.ts';
import { UpstreamQuestions } from './upstream-questions.ts';

const ROUTE_CHECK_MS = 2_000;
const LEASE_ADVANCE_MS = 15_000;
const REASSEMBLY_CHECK_MS = 1_000;
const DNS_SCRATCH = 64 * 1024 + 64;

type NotCommands = 'leases-durable' | 'dns-reply' | 'dns-changed';
/** In place of a result: the answer comes by itself. */
const LATER = Symbol('later');

const EVERYTHING: SnapshotScope = { guests: true, leases: true, forwards: true };

/** Random numbers of 32 bits; the worker gives cryptographic ones, tests seeded ones. */
export type Random = () => number;

export class NetworkEngine {
  readonly config: EngineConfig;
  readonly capabilities: EngineCapabilities;
  readonly counters: Counters = new Counters();
  readonly loop: EventLoop;
  readonly tcp: TcpTranslator;
  readonly udp: UdpNat;
  readonly echo: EchoNat;
  readonly guests: Guests;
  readonly store: LeaseStore;
  readonly #sys: Sys;
  readonly #send: (message: FromEngine) => void;
  readonly #random: Random;
  readonly #reassembler: Reassembler;
  readonly #output: IpOutput;
  readonly #datagrams: HostDatagrams;
  readonly #queues: ReceiveQueues;
  readonly #journal: LeaseJournal;
  readonly #dhcp: DhcpServer | null;
  readonly #dhcp6: Dhcp6Server | null;
  readonly #attachments: Attachments;
  readonly #forwards: ForwardTable;
  readonly #segments: Segments;
  readonly #questions: UpstreamQuestions;
  readonly #shapes: Shapes;
  readonly #captures: Captures;
  readonly #targets: GuestTargets;
  readonly #probes: Probes;
  readonly #flows: FlowList;
  /** Ports whose flows end after their grace, in the order in which they went. */
  readonly #dying: { port: Port; host: SegmentHost; atMs: number }[] = [];
  readonly #dnsScratch: number;
  #dnsStreams = 0;
  #reachable6 = false;
  #routeCheckMs = 0;
  #leaseAdvanceMs = 0;
  #reassemblyMs = 0;
  #stopped = false;

  /** `awakeUs`: how long the loop may poll before it sleeps. */
  constructor(sys: Sys, config: EngineConfig, send: (message: FromEngine) => void, random: Random, awakeUs = 0) {
    this.config = config;
    this.#sys = sys;
    this.#send = send;
    this.#random = random;
    this.#questions = new UpstreamQuestions(send);
    const now = sys.monotonicMs();
    const own = mac(config.gatewayMac);
    this.loop = new EventLoop(sys, openEpoll(sys), this.counters, awakeUs);
    this.capabilities = { peekOffset: peekOffsetWorks(sys), ping: pingSocketWorks(sys), ipv6: config.ipv6 !== null };
    this.#output = new IpOutput(sys.arena, { mtu: config.mtu, macHi: own.hi, macLo: own.lo }, this.counters);
    this.#reassembler = new Reassembler(sys.arena, this.counters);
    this.#datagrams = new HostDatagrams(sys, this.loop, udpGsoWorks(sys));
    this.#dnsScratch = sys.arena.alloc(DNS_SCRATCH, 64);
    this.#queues = new ReceiveQueues(sys.arena);
    const streams = this.#newStreams();
    this.tcp = this.#newTcp(streams, now);
    streams.tcp = this.tcp;
    const lookup = {
      gatewayOf: (id: number) => this.#segments.gatewayOf(id),
      policyOf: (id: number) => this.#segments.policyOf(id),
    };
    this.udp = new UdpNat(sys.arena, this.#output, this.#datagrams, lookup, this.counters, random(), now);
    const { ping } = this.capabilities;
    const onForbidden = ping === true ? null : () => this.#send({ type: 'log', level: 'warn', message: ping });
    this.echo = new EchoNat(this.#output, this.#datagrams, lookup, this.counters, onForbidden, random(), now);

    this.store = new LeaseStore((event, lease) => this.guests.onLease(event, lease));
    this.guests = this.#newGuests();
    this.#shapes = this.#newShapes();
    this.#dhcp = config.ipv4 === null ? null : new DhcpServer(dhcp4Config(config), this.store, this.counters);
    this.#dhcp6 =
      config.ipv6 === null || config.mode === 'isolated'
        ? null
        : new Dhcp6Server(dhcp6Config(config), this.store, this.counters);
    this.store.restore(config.leases, sys.epochMs());
    const post = (generation: number, changes: LeaseChanges): void =>
      this.#send({ type: 'leases', generation, ...changes });
    this.#journal = new LeaseJournal(this.store, post, this.counters);
    this.#segments = new Segments(config, this.#sharedParts(), now, (host) => this.#onSegmentCreated(host));
    const buffers = new StreamBuffers(sys.arena);
    this.#attachments = new Attachments(sys, this.loop, buffers, this.counters, {
      addPort: (link, nic, hostSide, own) => this.addPort(link, nic, hostSide, own),
      removePort: (port) => this.removePort(port),
      onFrame: (port, off, len, nowMs) => this.onFrame(port, off, len, nowMs),
    });
    this.#targets = new GuestTargets(this.guests, this.#segments, this.store);
    this.#forwards = this.#newForwards(streams);
    this.#probes = this.#newProbes(streams);
    const { tcp, udp, echo } = this;
    const gateways = new Set(
      [config.ipv4?.gateway, config.ipv4?.dns, config.ipv6?.gateway].filter((each) => each !== undefined),
    );
    this.#flows = new FlowList({ sys, tcp, udp, echo, forwards: this.#forwards, gateways });
    this.#captures = new Captures({
      sys,
      counters: this.counters,
      ports: () => this.guests.ports(),
      addressesOf: (guest) => this.guests.addressesOf(guest),
      onReady: (captureId) => this.#send({ type: 'capture-ready', captureId }),
    });
    this.#checkRoute(now);
  }

  /** Lets go of the system, when it has stopped. */
  close(): void {
    this.loop.close();
  }

  /** Runs until `stop` was handled; `drain` takes in what the control plane says. */
  run(): void {
    while (!this.#stopped) this.turn(Infinity);
  }

  /** One turn of the loop, waiting at most `maxWaitMs`. */
  turn(maxWaitMs: number): void {
    this.loop.turn(this, maxWaitMs === Infinity ? ROUTE_CHECK_MS : maxWaitMs);
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  // ---- ports

  /** The far end of a link is there. Null when the network is full: the link then carries nothing. */
  addPort(link: LinkOutput, nic: string | null, hostSide: boolean, own: readonly string[] = []): Port | null {
    const host = this.#segments.hostFor(nic, this.loop.now);
    const port = this.guests.addPort(link, nic, host, hostSide);
    if (port === null) {
      this.#segments.release(host);
      return null;
    }
    for (const text of own) {
      const w = words(text);
      if (w !== null) host.segment.bindAddress(port, w[0]!, w[1]!, w[2]!, w[3]!, this.loop.now);
    }
    this.#captures.watch(port);
    return port;
  }

  removePort(port: Port): void {
    this.guests.removePort(port);
  }

  /** A frame from a guest; borrowed, may be changed. */
  onFrame(port: Port, off: number, len: number, nowMs: number): void {
    if (port.shaper !== null) return port.shaper.onFromGuest(off, len);
    this.guests.hostOf(port)?.segment.onFrame(port, off, len, nowMs);
  }

  #sharedParts(): SharedParts {
    return {
      sys: this.#sys,
      counters: this.counters,
      output: this.#output,
      reassembler: this.#reassembler,
      forwarding: {
        onTcp: (packet, nowMs) => this.tcp.onSegment(packet, nowMs),
        onUdp: (packet, nowMs) => this.udp.onUdp(packet, nowMs),
        onEcho: (packet, nowMs) => this.echo.onEcho(packet, nowMs),
        onUnreachable: (packet) => this.#probes.onUnreachable(packet),
      },
      dhcp: this.#dhcp,
      dhcp6: this.#dhcp6,
      journal: this.#journal,
      naming: this.guests,
      random: this.#random,
      copy: this.#sys.arena.alloc(64 + MAX_FRAME_LEN, 64) + 64,
      isHostAddress: (w0, w1, w2, w3) => this.#datagrams.isHostAddress(w0, w1, w2, w3),
      askUpstream: (asker, id, query) => this.#questions.ask(asker, id, query, this.loop.now),
    };
  }

  #onSegmentCreated(host: SegmentHost): void {
    host.segment.observer = { onStation: (port, hi, lo) => this.guests.onStation(port, hi, lo) };
    if (host.gateway === null) return;
    host.gateway.neighbors.onLearn = (words, neighbor) => this.guests.onAddress(neighbor.port as Port, words);
  }

  // ---- turns

  pollAt(nowMs: number): number {
    if (this.#captures.isDue) return nowMs;
    let at = Math.min(this.#routeCheckMs, this.tcp.pollAt(), this.udp.pollAt(), this.echo.pollAt());
    at = Math.min(at, this.#segments.pollAt(nowMs), this.#shapes.pollAt(nowMs), this.#probes.pollAt());
    return this.#dying.length > 0 ? Math.min(at, this.#dying[0]!.atMs) : at;
  }

  poll(nowMs: number): void {
    this.#shapes.poll();
    this.tcp.poll(nowMs);
    this.udp.poll(nowMs);
    this.echo.poll(nowMs);
    this.#segments.poll(nowMs);
    if (this.#dying.length > 0) this.#endFlows(nowMs);
    if (nowMs >= this.#routeCheckMs) {
      this.#checkRoute(nowMs);
      this.#attachments.checkPeers();
    }
    if (nowMs >= this.#reassemblyMs) {
      this.#reassemblyMs = nowMs + REASSEMBLY_CHECK_MS;
      this.#reassembler.poll(nowMs);
    }
    if (nowMs >= this.#leaseAdvanceMs) {
      this.#leaseAdvanceMs = nowMs + LEASE_ADVANCE_MS;
      this.store.advance(this.#sys.epochMs());
    }
    this.#journal.flush();
    this.#probes.poll(nowMs);
    this.#captures.flush();
  }

  /** IPv6 comes and goes with the host's own (a laptop that changes networks). */
  #checkRoute(nowMs: number): void {
    this.#routeCheckMs = nowMs + ROUTE_CHECK_MS;
    if (this.config.ipv6 === null) return;
    const reachable = ipv6DefaultRoute(this.#sys);
    if (reachable === this.#reachable6) return;
    this.#reachable6 = reachable;
    this.#segments.setRoute6(reachable, nowMs);
    this.#send({ type: 'event', event: { kind: 'ipv6-reachable', reachable } });
  }

  #endFlows(nowMs: number): void {
    while (this.#dying.length > 0 && nowMs >= this.#dying[0]!.atMs) {
      const { port, host } = this.#dying.shift()!;
      this.tcp.closePort(port);
      this.udp.closeAll(port, null);
      this.echo.closePort(port);
      this.guests.forgetLastPort(port);
      this.#segments.release(host);
    }
  }

  // ---- commands

  /** Handles one message of the control plane. Never throws: failures are answered. */
  handle(message: ToEngine): void {
    switch (message.type) {
      case 'leases-durable':
        return this.#journal.onDurable(message.generation);
      case 'dns-reply':
        return this.#questions.onReply(message.queryId, message.reply, this.loop.now);
      case 'dns-changed':
        return this.#segments.flushDns();
      default:
        return this.#command(message);
    }
  }

  #command(message: Exclude<ToEngine, { type: NotCommands }>): void {
    try {
      const result = this.#execute(message);
      if (result !== LATER) this.#done(message.id, result);
    } catch (error) {
      this.#send({ type: 'done', id: message.id, error: toErrorData(error), result: null });
    }
  }

  #execute(message: Exclude<ToEngine, { type: NotCommands }>): unknown {
    switch (message.type) {
      case 'add-link':
        this.#attachments.add(message.linkId, message.link);
        break;
      case 'remove-link':
        this.#attachments.remove(message.linkId);
        break;
      case 'set-nic':
        this.guests.setNic(message.nic);
        this.#reserve(message.nic.key, message.nic.ip ?? null);
        break;
      case 'remove-nic':
        this.guests.removeNic(message.key);
        this.#reserve(message.key, null);
        break;
      case 'add-forward':
        this.#forwards.add(message.forward, this.loop.now);
        break;
      case 'remove-forward':
        this.#forwards.remove(message.forwardId);
        break;
      case 'set-shape':
        this.#shapes.set(message.shape);
        break;
      case 'remove-shape':
        this.#shapes.remove(message.shapeId);
        break;
      case 'set-reservations':
        this.#setReservations(message.reservations);
        break;
      case 'set-closed':
        this.#segments.setClosed(message.closed.map(cidr));
        break;
      case 'set-records':
        this.#segments.setRecords(message.records);
        break;
      case 'allocate':
        return this.#allocate(message.id, message.nic, message.mac);
      case 'flows':
        return this.#flows.page(message, this.loop.now);
      case 'probe':
        return this.#probe(message);
      case 'start-capture':
        return this.#captures.start(message.captureId, message.spec, message.ring);
      case 'stop-capture':
        return this.#captures.stop(message.captureId);
      case 'snapshot':
        return this.snapshot(message.only);
      case 'stop':
        this.#stop();
        break;
    }
    return null;
  }

  #setReservations(reservations: readonly Reservation[]): void {
    this.#dhcp?.setReservations(reservations4(reservations));
    const subnet = this.config.ipv4?.subnet;
    if (subnet !== undefined) this.#dhcp6?.setReservations(reservations6(subnet, reservations));
  }

  #reserve(nic: string, ip: string | null): void {
    this.#dhcp?.reserve(nic, ip === null ? null : ipv4(ip));
    const subnet = this.config.ipv4?.subnet;
    if (subnet !== undefined) this.#dhcp6?.reserve(nic, ip === null ? null : hostNumber(subnet, ip));
  }

  #done(id: number, result: unknown): void {
    this.#send({ type: 'done', id, error: null, result: result ?? null });
  }

  #stop(): void {
    this.#segments.stop();
    this.loop.flush(this.loop.now); // the last word, while links are still there
    this.#forwards.closeAll();
    this.#attachments.closeAll();
    this.#journal.flush();
    this.#stopped = true;
  }

  /** The lease is stored before its address is used. */
  #allocate(id: number, nicKey: string, macText: string): AllocatedAddress | typeof LATER {
    const { ipv4, ipv6, mtu, dns } = this.config;
    const base = {
      gateway6: ipv6?.gateway ?? null,
      prefix6: ipv6?.prefix ?? null,
      mtu,
      searchDomains: dns.searchDomains,
    };
    if (this.#dhcp === null || ipv4 === null) {
      return { ...base, address4: null, prefix4: 0, gateway4: null, dns: null };
    }
    const { hi, lo } = mac(macText);
    const nic = this.guests.nicByKey(nicKey);
    const from = { nicKey, guest: nic?.registered === true ? nic.guest : null, srcMacHi: hi, srcMacLo: lo };
    const allocation = this.#dhcp.allocate(from, this.#sys.epochMs());
    if (allocation === null) {
      throw new VmlanError('exhausted', `network "${this.config.network}" has no free address`, {
        hint: 'enlarge its subnet or detach guests',
      });
    }
    const result: AllocatedAddress = {
      ...base,
      address4: formatWords([0, 0, MAPPED, allocation.address]),
      prefix4: Number(ipv4.subnet.split('/')[1]),
      gateway4: ipv4.announceRouter ? ipv4.gateway : null,
      dns: ipv4.dns,
    };
    if (this.#journal.whenDurable(allocation.generation, () => this.#done(id, result))) return LATER;
    throw new VmlanError('unavailable', `the leases of network "${this.config.network}" are not being stored`, {
      hint: 'see its log, and whether the disk is full',
    });
  }

  snapshot(only: SnapshotScope = EVERYTHING): EngineSnapshot {
    const { guests = false, forwards = false, leases = false } = only;
    return {
      guests: guests ? Array.from(this.guests.nics(), (nic) => this.guests.snapshotOf(nic)) : [],
      forwards: this.#forwards.snapshot(forwards),
      leases: leases ? this.store.list(this.#sys.epochMs()) : [],
      counters: this.counters.snapshot(),
      flows: { tcp: this.tcp.size, udp: this.udp.size, icmp: this.echo.size },
      memory: this.#memory(),
      ipv6Reachable: this.#reachable6,
      capabilities: this.capabilities,
    };
  }

  #memory(): EngineSnapshot['memory'] {
    const heap = getHeapStatistics().used_heap_size;
    return { heap, arena: this.#sys.arena.used, receiveQueues: this.#queues.inUse * QUEUE_LEN };
  }

  // ---- parts

  #newStreams(): HostStreamIo {
    const policyOf = (id: number) => this.#segments.policyOf(id);
    const serveDns = (fd: number, flow: TcpFlow): void => this.#serveDns(fd, flow);
    return new HostStreamIo(this.#sys, this.loop, policyOf, serveDns, this.capabilities.peekOffset);
  }

  #newTcp(streams: HostStreamIo, now: number): TcpTranslator {
    const queues = this.#queues;
    return new TcpTranslator(
      {
        segments: new TcpSegments(this.#output, queues, this.counters),
        queues,
        host: streams,
        opener: streams,
        errors: { unreachable: (flow, errno, nowMs) => this.#unreachable(flow, errno, nowMs) },
        counters: this.counters,
        random: this.#random,
        view: this.#sys.arena.view,
      },
      MAX_FLOWS,
      now,
    );
  }

  /** A DNS connection of a guest; over the limit it is closed at once. */
  #serveDns(fd: number, flow: TcpFlow): void {
    const dns = this.#segments.get(flow.segment!.id)?.dns ?? null;
    if (dns === null || this.#dnsStreams >= MAX_DNS_STREAMS) {
      this.#sys.close(fd);
      return;
    }
    this.#dnsStreams++;
    const onClosed = (): void => void this.#dnsStreams--;
    const parts = { sys: this.#sys, poller: this.loop, dns, scratch: this.#dnsScratch, onClosed };
    void new DnsStream(parts, fd, flow.port?.id ?? 0, this.loop.now);
  }

  #unreachable(flow: TcpFlow, errno: number, nowMs: number): void {
    const gateway = this.#segments.gatewayOf(flow.segment!.id);
    if (gateway !== null) sayUnreachable(gateway, flow, errno, nowMs);
  }

  #newGuests(): Guests {
    return new Guests({
      store: this.store,
      epochMs: () => this.#sys.epochMs(),
      nowMs: () => this.loop.now,
      counters: this.counters,
      emit: (event) => this.#send({ type: 'event', event }),
      flowsOf: ({ id }) => this.tcp.flowsOf(id) + this.udp.flowsOf(id) + this.echo.flowsOf(id),
      changed: (guest) => this.#forwards.refresh(guest, this.loop.now),
      portBound: (port) => this.#shapes.onPort(port),
      portGone: (port, host) => {
        this.#shapes.onPortGone(port);
        this.#dying.push({ port, host, atMs: this.loop.now + GRACE_MS });
      },
      portMoved: (from, to) => {
        this.tcp.movePort(from, to);
        this.udp.movePort(from, to);
        this.echo.movePort(from, to);
      },
    });
  }

  #newShapes(): Shapes {
    return new Shapes(this.#sys, this.config.mtu, this.counters, this.#random, {
      fromGuest: (port, off, len) => this.guests.hostOf(port)?.segment.onFrame(port, off, len, this.loop.now),
      toGateway: (port, off, len) => this.guests.hostOf(port)?.segment.gateway?.onFrame(port, off, len, this.loop.now),
      toPort: (port, off, len) => this.guests.hostOf(port)?.segment.deliver(port, off, len),
    });
  }

  #newProbes(streams: HostStreamIo): Probes {
    const sys = this.#sys;
    const kind = C.SOCK_STREAM | C.SOCK_NONBLOCK | C.SOCK_CLOEXEC;
    const sockets = {
      openPair: () => sys.socketpair(C.AF_UNIX, kind),
      second: () => sys.pairSecond(),
      close: (fd: number) => void sys.close(fd),
      adopt: (flow: TcpFlow, fd: number) => streams.adopt(flow, fd, true),
    };
    return new Probes({ tcp: this.tcp, udp: this.udp, sockets, view: sys.arena.view });
  }

  /** Answered later. */
  #probe({ id, guest, protocol, port }: Extract<ToEngine, { type: 'probe' }>): ProbeOutcome | typeof LATER {
    if (this.#probes.size >= MAX_PROBES)
      throw new VmlanError('exhausted', `${MAX_PROBES} ports are being tried already`);
    const target = this.#targets.byName(guest);
    if (target === null) return { address: null, state: 'absent' };
    const address = formatWords(target.words);
    this.#probes[protocol](target, port, this.loop.now, (state) => this.#done(id, { address, state }));
    return LATER;
  }

  #newForwards(streams: HostStreamIo): ForwardTable {
    const context = {
      tcp: this.tcp,
      udp: this.udp,
      sockets: new HostForwards(this.#sys, this.loop),
      counters: this.counters,
      adopt: (flow: TcpFlow, fd: number, unix: boolean) => streams.adopt(flow, fd, unix),
    };
    return new ForwardTable(context, this.#targets, (reverse) => this.#segments.setReverse(reverse));
  }
}

function openEpoll(sys: Sys): number {
  const epoll = sys.epollCreate();
  if (epoll >= 0) return epoll;
  throw new VmlanError('exhausted', `the engine cannot watch sockets: epoll_create1 says errno ${-epoll}`, {
    hint: 'raise `ulimit -n`',
  });
}
