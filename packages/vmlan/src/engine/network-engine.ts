/**
 * The datapath of one network: every layer made and joined, one turn of the loop after the other.
 *
 * Zone: control to build and command, flow and packet below.  Nothing here knows threads: `send` is how it speaks to the
 * control plane, `handle` how it is spoken to, so tests run it in one thread over a fake kernel.
 */
import { getHeapStatistics } from 'node:v8';
import { Counters } from '../core/counters.ts';
import { VmlanError } from '../core/errors.ts';
import { MAX_FRAME_LEN } from '../links/link.ts';
import { StreamBuffers } from '../links/stream-framing.ts';
import { EchoNat } from '../nat/echo-nat.ts';
import { UdpNat } from '../nat/udp-nat.ts';
import { LeaseStore } from '../services/lease-store.ts';
import { IpOutput } from '../stack/ip-output.ts';
import { Reassembler } from '../stack/reassembly.ts';
import type { TcpFlow } from '../stack/tcp/flow.ts';
import { MAX_FLOWS } from '../stack/tcp/limits.ts';
import { QUEUE_LEN, ReceiveQueues } from '../stack/tcp/receive-queue.ts';
import { TcpSegments } from '../stack/tcp/segments.ts';
import { TcpTranslator } from '../stack/tcp/translator.ts';
import type { LinkOutput, Port } from '../switching/port.ts';
import { ipv6DefaultRoute, peekOffsetWorks, pingSocketWorks, udpGsoWorks } from '../sys/probe.ts';
import type { Sys } from '../sys/sys.ts';
import { Attachments } from './attachments.ts';
import { Captures } from './captures.ts';
import { Commands } from './commands.ts';
import { mac, words } from './config.ts';
import type {
  EngineCapabilities,
  EngineConfig,
  EngineSnapshot,
  FromEngine,
  ToEngine,
  SnapshotScope,
} from './control-messages.ts';
import { DnsStreams } from './dns-stream.ts';
import { FlowList } from './flow-list.ts';
import { ForwardTable } from './forward-table.ts';
import { GuestTargets } from './guest-targets.ts';
import { GRACE_MS, Guests } from './guests.ts';
import { HostDatagrams } from './host-datagrams.ts';
import { HostForwards } from './host-forwards.ts';
import { HostStreamIo } from './host-streams.ts';
import { Leasing } from './leasing.ts';
import { EventLoop } from './loop.ts';
import { PortProbes } from './probes.ts';
import type { SegmentHost, SharedParts } from './segment-host.ts';
import { Segments } from './segments.ts';
import { Shapes } from './shapes.ts';
import { sayUnreachable } from './tcp-unreachable.ts';
import { UpstreamQuestions } from './upstream-questions.ts';

const ROUTE_CHECK_MS = 2_000;
const LEASE_ADVANCE_MS = 15_000;
const REASSEMBLY_CHECK_MS = 1_000;

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
  readonly #leasing: Leasing;
  readonly #attachments: Attachments;
  readonly #forwards: ForwardTable;
  readonly #segments: Segments;
  readonly #questions: UpstreamQuestions;
  readonly #shapes: Shapes;
  readonly #captures: Captures;
  readonly #probes: PortProbes;
  readonly #commands: Commands;
  /** Ports whose flows end after their grace, in the order in which they went. */
  readonly #dying: { port: Port; host: SegmentHost; atMs: number }[] = [];
  readonly #dnsStreams: DnsStreams;
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
    this.#dnsStreams = new DnsStreams(sys, this.loop, (id) => this.#segments.get(id)?.dns ?? null);
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
    this.#leasing = new Leasing({
      config,
      store: this.store,
      guests: this.guests,
      counters: this.counters,
      epochMs: () => sys.epochMs(),
      send,
    });
    this.#segments = new Segments(config, this.#sharedParts(), now, (host) => this.#onSegmentCreated(host));
    const buffers = new StreamBuffers(sys.arena);
    this.#attachments = new Attachments(sys, this.loop, buffers, this.counters, {
      addPort: (link, nic, hostSide, own) => this.addPort(link, nic, hostSide, own),
      removePort: (port) => this.removePort(port),
      onFrame: (port, off, len, nowMs) => this.onFrame(port, off, len, nowMs),
    });
    const targets = new GuestTargets(this.guests, this.#segments, this.store);
    this.#forwards = this.#newForwards(streams, targets);
    const { tcp, udp } = this;
    this.#probes = new PortProbes({ sys, tcp, udp, streams, targets });
    this.#captures = new Captures({
      sys,
      counters: this.counters,
      ports: () => this.guests.ports(),
      addressesOf: (guest) => this.guests.addressesOf(guest),
      onReady: (captureId) => this.#send({ type: 'capture-ready', captureId }),
    });
    this.#commands = this.#newCommands();
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
      dhcp: this.#leasing.dhcp,
      dhcp6: this.#leasing.dhcp6,
      journal: this.#leasing.journal,
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
    this.#leasing.journal.flush();
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
        return this.#leasing.journal.onDurable(message.generation);
      case 'dns-reply':
        return this.#questions.onReply(message.queryId, message.reply, this.loop.now);
      case 'dns-changed':
        return this.#segments.flushDns();
      default:
        return this.#commands.handle(message);
    }
  }

  #stop(): void {
    this.#segments.stop();
    this.loop.flush(this.loop.now); // the last word, while links are still there
    this.#forwards.closeAll();
    this.#attachments.closeAll();
    this.#leasing.journal.flush();
    this.#stopped = true;
  }

  snapshot(only: SnapshotScope = EVERYTHING): EngineSnapshot {
    const { guests = false, forwards = false, forwardStates = false, leases = false } = only;
    return {
      guests: guests ? Array.from(this.guests.nics(), (nic) => this.guests.snapshotOf(nic)) : [],
      forwards: this.#forwards.snapshot(forwards),
      ...(forwardStates ? { forwardStates: this.#forwards.states() } : {}),
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
    const serveDns = (fd: number, flow: TcpFlow): void =>
      this.#dnsStreams.serve(fd, flow.segment!.id, flow.port?.id ?? 0, this.loop.now);
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

  #newCommands(): Commands {
    return new Commands({
      send: this.#send,
      loop: this.loop,
      attachments: this.#attachments,
      captures: this.#captures,
      flows: this.#newFlowList(),
      forwards: this.#forwards,
      guests: this.guests,
      leasing: this.#leasing,
      probes: this.#probes,
      segments: this.#segments,
      shapes: this.#shapes,
      snapshot: (only) => this.snapshot(only),
      stop: () => this.#stop(),
    });
  }

  #newFlowList(): FlowList {
    const { ipv4, ipv6 } = this.config;
    const gateways = new Set([ipv4?.gateway, ipv4?.dns, ipv6?.gateway].filter((each) => each !== undefined));
    const { tcp, udp, echo } = this;
    return new FlowList({ sys: this.#sys, tcp, udp, echo, forwards: this.#forwards, gateways });
  }

  #newForwards(streams: HostStreamIo, targets: GuestTargets): ForwardTable {
    const context = {
      tcp: this.tcp,
      udp: this.udp,
      sockets: new HostForwards(this.#sys, this.loop),
      counters: this.counters,
      adopt: (flow: TcpFlow, fd: number, unix: boolean) => streams.adopt(flow, fd, unix),
    };
    return new ForwardTable(context, targets, (reverse) => this.#segments.setReverse(reverse));
  }
}

function openEpoll(sys: Sys): number {
  const epoll = sys.epollCreate();
  if (epoll >= 0) return epoll;
  throw new VmlanError('exhausted', `the engine cannot watch sockets: epoll_create1 says errno ${-epoll}`, {
    hint: 'raise `ulimit -n`',
  });
}
