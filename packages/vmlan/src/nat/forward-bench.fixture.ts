/**
 * Forwards between scripted clients on the host and a guest made of frames.
 *
 *   const bench = new ForwardBench();
 *   const forward = bench.tcpForward(80);
 *   const client = bench.connects();
 *   bench.sent('[S]')                      the SYN that the guest was sent
 *
 * Zone: control.  Host sockets of TCP flows are those of the transcripts in stack/tcp.
 */
import assert from 'node:assert/strict';
import type { GuestPort } from '../stack/path.ts';
import type { TcpFlow } from '../stack/tcp/flow.ts';
import { ReceiveQueues } from '../stack/tcp/receive-queue.ts';
import { ScriptedHost, type ScriptedSocket } from '../stack/tcp/scripted-host.fixture.ts';
import { TcpSegments } from '../stack/tcp/segments.ts';
import { TcpTranslator } from '../stack/tcp/translator.ts';
import { parseMac } from '../wire/address.ts';
import { GUEST_MAC, ipv4Frame, ipv6Frame, tcpOf } from '../wire/packets.fixture.ts';
import { GUEST_4, NatBench } from './bench.fixture.ts';
import type { Client, ForwardSockets, ListenAddress } from './forward-sockets.ts';
import { type ForwardContext, TcpForward, UdpForward } from './forwards.ts';
import type { GuestTarget } from './guest-path.ts';
import { type ScriptedMessages, bytesOf, latin1, textOf, words } from './scripted-sockets.fixture.ts';

const EAGAIN = -11;

interface Datagram {
  readonly from: string;
  readonly port: number;
  readonly scope: number;
  readonly payload: Uint8Array;
}

/** The socket that a forward waits on. */
export class ScriptedListener {
  muted = true;
  closed = false;
  /** Clients that wait to be accepted. */
  pending = 0;
  readonly inbox: Datagram[] = [];
  /** `to:port%scope payload` of what was sent. */
  readonly sent: string[] = [];
  onReady: (nowMs: number) => void = () => {};
}

export class ScriptedForwardSockets implements ForwardSockets {
  readonly listeners: ScriptedListener[] = [];
  /** Connections that were reset without a flow. */
  resets = 0;
  failMute = 0;
  failSend = 0;
  /** What the last receive took. */
  readonly #from: Datagram[] = [];
  readonly #bench: ForwardBench;

  constructor(bench: ForwardBench) {
    this.#bench = bench;
  }

  openTcp(_address: ListenAddress): number {
    return this.listeners.push(new ScriptedListener()) - 1;
  }

  openUdp(address: ListenAddress): number {
    return this.openTcp(address);
  }

  setMuted(fd: number, _protocol: 'tcp' | 'udp', muted: boolean): number {
    if (this.failMute < 0) return this.failMute;
    this.#live(fd).muted = muted;
    return 0;
  }

  watch(fd: number, onReady: (nowMs: number) => void): void {
    this.#live(fd).onReady = onReady;
  }

  /** The descriptor that `adopt` will give the connection. */
  accept(fd: number): number {
    const listener = this.#live(fd);
    if (listener.pending === 0) return EAGAIN;
    listener.pending--;
    return this.#bench.host.sockets.length;
  }

  get received(): ScriptedMessages {
    return this.#bench.sockets.received;
  }

  receive(fd: number, to: number, max: number): number {
    this.#from.length = 0;
    return this.received.fill(to, max, 0, (off) => this.#recv(fd, off));
  }

  #recv(fd: number, off: number): number {
    const datagram = this.#live(fd).inbox.shift();
    if (datagram === undefined) return EAGAIN;
    this.#from.push(datagram);
    this.#bench.arena.u8.set(datagram.payload, off);
    return datagram.payload.length;
  }

  readClient(index: number, client: Client): void {
    const { from, port, scope } = this.#from[index]!;
    client.words.set(words(from));
    client.port = port;
    client.scope = scope;
  }

  sendTo(fd: number, off: number, len: number, size: number, to: Int32Array, port: number, scope: number): number {
    if (this.failSend < 0) return this.failSend;
    for (let at = 0; at === 0 || at < len; at += size === 0 ? len + 1 : size) {
      const payload = latin1(this.#bench.arena.u8.slice(off + at, off + Math.min(len, at + (size === 0 ? len : size))));
      this.#live(fd).sent.push(`${textOf(to[0]!, to[1]!, to[2]!, to[3]!)}:${port}%${scope} ${payload}`);
    }
    return len;
  }

  reset(fd: number): void {
    assert.equal(fd, this.#bench.host.sockets.length, 'a connection that no flow has taken');
    this.resets++;
  }

  close(fd: number): void {
    this.#live(fd).closed = true;
  }

  #live(fd: number): ScriptedListener {
    const listener = this.listeners[fd];
    assert.ok(listener !== undefined && !listener.closed, `listener ${fd} is closed`);
    return listener;
  }
}

export class ForwardBench extends NatBench {
  readonly host: ScriptedHost = new ScriptedHost(this.arena.u8);
  readonly tcp: TcpTranslator;
  readonly forwards: ScriptedForwardSockets = new ScriptedForwardSockets(this);
  readonly context: ForwardContext;
  /** Where the guest is now; null while it is away. */
  target: GuestTarget | null;
  /** Flows that were adopted, and whether by a unix socket. */
  readonly adopted: { readonly flow: TcpFlow; readonly unix: boolean }[] = [];

  constructor(maxFlows = 4096) {
    super();
    const queues = new ReceiveQueues(this.arena);
    this.tcp = new TcpTranslator(
      {
        segments: new TcpSegments(this.output, queues, this.counters),
        queues,
        host: this.host,
        opener: this.host,
        errors: this.host,
        counters: this.counters,
        random: () => 1_000_000,
        view: this.arena.view,
      },
      maxFlows,
      this.nowMs,
    );
    this.host.translator = this.tcp;
    this.host.now = () => this.nowMs;
    this.onTcp = (packet) => this.tcp.onSegment(packet, this.nowMs);
    this.context = {
      tcp: this.tcp,
      udp: this.udp,
      sockets: this.forwards,
      counters: this.counters,
      adopt: (flow, fd, unix) => {
        this.adopted.push({ flow, unix });
        this.host.adopt(flow);
        assert.equal(flow.fd, fd);
      },
    };
    this.target = this.at(GUEST_4);
  }

  /** A guest at an address, behind a port; `port` null: not yet known where. */
  at(address: string, port: GuestPort | null = this.port): GuestTarget {
    const { hi, lo } = parseMac(GUEST_MAC)!;
    const neighbor = port === null ? null : { port, macHi: hi, macLo: lo };
    return { gateway: this.gateway, words: Int32Array.from(words(address)), neighbor };
  }

  tcpForward(port: number, unix = false): TcpForward {
    const address = unix ? { words: null, port: 0, path: '/run/app.sock' } : LISTEN;
    const fd = this.forwards.openTcp(address);
    const forward = new TcpForward(this.context, 'f', fd, address, { find: () => this.target, port });
    forward.refresh();
    return forward;
  }

  udpForward(port: number): UdpForward {
    const forward = new UdpForward(this.context, 'f', this.forwards.openUdp(LISTEN), { find: () => this.target, port });
    forward.refresh();
    return forward;
  }

  /** The listener that was opened last. */
  get listener(): ScriptedListener {
    return this.forwards.listeners.at(-1)!;
  }

  /** A client connects; the host's socket of its flow, or null when there is none. */
  connects(listener: ScriptedListener = this.listener): ScriptedSocket | null {
    assert.equal(listener.muted, false, 'the kernel refuses');
    const before = this.host.sockets.length;
    listener.pending++;
    listener.onReady(this.nowMs);
    return this.host.sockets[before] ?? null;
  }

  /** A client's datagram. */
  asks(payload: string, port = 7000, from = '127.0.0.1', scope = 0): void {
    assert.equal(this.listener.muted, false, 'the kernel refuses');
    this.listener.inbox.push({ from, port, scope, payload: bytesOf(payload) });
    this.listener.onReady(this.nowMs);
  }

  /** Ports and addresses of the SYNs that guests were sent since the last call. */
  syns(): { readonly from: string; readonly fromPort: number; readonly to: string }[] {
    return this.says().flatMap((line) => {
      const [, from = '', fromPort = '', to = ''] = /^(.*)\.(\d+) > (\S+) tcp \[S\] /.exec(line) ?? [];
      return from === '' ? [] : [{ from, fromPort: Number(fromPort), to }];
    });
  }

  /** A segment of the guest; the translator's first sequence number is 1 000 000. */
  segment(remote: string, guestPort: number, remotePort: number, flags: number, seq = 0, data = ''): void {
    const upper = tcpOf({ srcPort: guestPort, dstPort: remotePort, seq, ack: 1_000_001, flags }, bytesOf(data));
    const isV4 = !remote.includes(':');
    const src = this.target === null ? GUEST_4 : textOf(...wordsOf(this.target.words));
    const frame = isV4 ? ipv4Frame({ src, dst: remote }, upper) : ipv6Frame({ src, dst: remote }, upper);
    this.hears(frame);
    this.tcp.poll(this.nowMs);
  }

  override passes(ms: number): void {
    for (const end = this.nowMs + ms; this.nowMs < end;) {
      super.passes(Math.min(10, end - this.nowMs));
      this.tcp.poll(this.nowMs);
    }
  }
}

const LISTEN: ListenAddress = { words: Int32Array.from(words('127.0.0.1')), port: 8080, path: null };
const wordsOf = (w: Int32Array): [number, number, number, number] => [w[0]!, w[1]!, w[2]!, w[3]!];
