/**
 * Links, switch and stack together, without a system call: guests on loopback links, frames in and frames out. What the
 * layers test by themselves is not repeated; this is about the seams.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Arena } from '../../src/core/arena.ts';
import { Counters } from '../../src/core/counters.ts';
import { LoopbackLink } from '../../src/links/loopback.ts';
import { Gateway } from '../../src/stack/gateway.ts';
import { IpOutput } from '../../src/stack/ip-output.ts';
import { CONFIG } from '../../src/stack/gateway.fixture.ts';
import { Reassembler } from '../../src/stack/reassembly.ts';
import { ReceiveQueues } from '../../src/stack/tcp/receive-queue.ts';
import { ScriptedHost } from '../../src/stack/tcp/scripted-host.fixture.ts';
import { TcpSegments } from '../../src/stack/tcp/segments.ts';
import { TcpTranslator } from '../../src/stack/tcp/translator.ts';
import { ADDRESSES } from '../../src/switching/bench.fixture.ts';
import { Guard } from '../../src/switching/guard.ts';
import { Port } from '../../src/switching/port.ts';
import { Segment } from '../../src/switching/segment.ts';
import { parseMac } from '../../src/wire/address.ts';
import { hex, view } from '../../src/wire/frames.fixture.ts';
import * as icmpv4 from '../../src/wire/icmpv4.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import {
  BROADCAST_MAC,
  GATEWAY_MAC,
  arpFrame,
  icmp6Of,
  icmpOf,
  ipv4Frame,
  ipv6Frame,
  neighborOf,
  raw,
  tcpOf,
  udpOf,
} from '../../src/wire/packets.fixture.ts';
import { printFrame } from '../../src/wire/print.ts';
import * as tcp from '../../src/wire/tcp.ts';

const A = '52:54:00:00:00:0a';
const B = '52:54:00:00:00:0b';
const some = (len: number): Uint8Array => Uint8Array.from({ length: len }, (_, i) => i & 0xff);

class Guest {
  readonly frames: Uint8Array[] = [];
  readonly port: Port;
  readonly link: LoopbackLink;
  readonly #world: World;

  constructor(world: World, id: number) {
    this.#world = world;
    this.port = new Port(id);
    const input = {
      onFrame: (off: number, len: number, nowMs: number) => world.segment.onFrame(this.port, off, len, nowMs),
      onUp: () => {},
      onDown: () => {},
      restMs: () => 0,
    };
    this.link = new LoopbackLink(world.arena, input, (frame) => void this.frames.push(frame.slice()));
    this.port.link = this.link;
    world.segment.addPort(this.port);
  }

  sends(...frames: Uint8Array[]): void {
    for (const frame of frames) this.link.inject(frame, this.#world.nowMs);
    this.#world.tcp.poll(this.#world.nowMs);
  }

  /** What it has heard since the last call, as lines; every checksum is checked on the way. */
  hears(): string[] {
    const lines = this.frames.splice(0).map((frame) => printFrame(view(frame), 0, frame.length));
    for (const line of lines) assert.doesNotMatch(line, /\[(bad|too|unknown)/);
    return lines;
  }
}

class World {
  readonly arena: Arena = new Arena(new ArrayBuffer(16 << 20));
  readonly counters: Counters = new Counters();
  readonly segment: Segment;
  readonly gateway: Gateway;
  readonly host: ScriptedHost;
  readonly tcp: TcpTranslator;
  nowMs = 1000;
  #nextId = 1;

  constructor() {
    const { hi, lo } = parseMac(GATEWAY_MAC)!;
    const copy = this.arena.alloc(1 << 17) + 64;
    const guard = new Guard(ADDRESSES, 64, 1);
    const identity = { id: 1, gatewayMacHi: hi, gatewayMacLo: lo, isolateGuests: false, hostGate: null };
    this.segment = new Segment(this.arena, copy, { ...identity, guard, macTableSets: 64, seed: 2 }, this.counters);
    const output = new IpOutput(this.arena, { mtu: 1500, macHi: hi, macLo: lo }, this.counters);
    const reassembler = new Reassembler(this.arena, this.counters);
    const queues = new ReceiveQueues(this.arena);
    this.host = new ScriptedHost(this.arena.u8);
    this.tcp = new TcpTranslator(
      {
        segments: new TcpSegments(output, queues, this.counters),
        queues,
        host: this.host,
        opener: this.host,
        errors: this.host,
        counters: this.counters,
        random: () => 5000,
        view: this.arena.view,
      },
      64,
      this.nowMs,
    );
    this.host.translator = this.tcp;
    this.host.now = () => this.nowMs;
    const forwarding = {
      onTcp: (packet: Parameters<TcpTranslator['onSegment']>[0], nowMs: number) => this.tcp.onSegment(packet, nowMs),
      onUdp: () => {},
      onEcho: () => {},
    };
    const services = { onDatagram: () => false, onRouterSolicit: () => {} };
    // The switch's segment and port are what the stack asks for.
    const toGuests = this.segment as unknown as ConstructorParameters<typeof Gateway>[0];
    this.gateway = new Gateway(toGuests, CONFIG, output, reassembler, services, forwarding, this.counters);
    this.segment.gateway = this.gateway;
  }

  guest(): Guest {
    return new Guest(this, this.#nextId++);
  }
}

test('two guests find the gateway and each other', () => {
  const world = new World();
  const [a, b] = [world.guest(), world.guest()];
  a.sends(arpFrame({ from: A, sender: '192.168.105.2', target: '192.168.105.1' }));
  assert.deepEqual(a.hears(), [`${GATEWAY_MAC} > ${A} ARP 192.168.105.1 is-at ${GATEWAY_MAC}`]);
  assert.equal(b.hears().length, 1, 'a broadcast reaches everybody');
  b.sends(arpFrame({ from: B, to: A, op: 2, sender: '192.168.105.3', target: '192.168.105.2' }));
  assert.deepEqual(a.hears(), [`${B} > ${A} ARP 192.168.105.3 is-at ${B}`]);
  a.sends(ipv4Frame({ from: A, to: B, src: '192.168.105.2', dst: '192.168.105.3' }, icmpOf(8, 0, 1, some(8))));
  assert.deepEqual(b.hears(), [
    `${A} > ${B} IPv4 192.168.105.2 > 192.168.105.3 icmp echo request id 0 seq 1 length 16`,
  ]);
  a.sends(ipv4Frame({ from: A, src: '192.168.105.2', dst: '192.168.105.1' }, icmpOf(8, 0, 1, some(8))));
  assert.deepEqual(a.hears(), [
    `${GATEWAY_MAC} > ${A} IPv4 192.168.105.1 > 192.168.105.2 icmp echo reply id 0 seq 1 length 16`,
  ]);
});

test('over IPv6, too', () => {
  const world = new World();
  const a = world.guest();
  const ask = { from: A, src: 'fd00:1::2', dst: 'ff02::1:ff00:1', to: '33:33:ff:00:00:01', hopLimit: 255 };
  a.sends(ipv6Frame(ask, neighborOf('solicit', 'fd00:1::1', A)));
  a.sends(ipv6Frame({ from: A, src: 'fd00:1::2', dst: 'fd00:1::1' }, icmp6Of(128, 0, 1, some(8))));
  assert.deepEqual(a.hears(), [
    `${GATEWAY_MAC} > ${A} IPv6 fd00:1::1 > fd00:1::2 icmp6 is-at fd00:1::1 mac ${GATEWAY_MAC} length 32`,
    `${GATEWAY_MAC} > ${A} IPv6 fd00:1::1 > fd00:1::2 icmp6 echo reply id 0 seq 1 length 16`,
  ]);
});

test('duplicate address detection: everybody hears that the address is taken', () => {
  const world = new World();
  const [a, b] = [world.guest(), world.guest()];
  const probe = { from: A, src: '::', dst: 'ff02::1:ff00:1', to: '33:33:ff:00:00:01', hopLimit: 255 };
  a.sends(ipv6Frame(probe, neighborOf('solicit', 'fd00:1::1', null)));
  const defence = `${GATEWAY_MAC} > 33:33:00:00:00:01 IPv6 fd00:1::1 > ff02::1 icmp6 is-at fd00:1::1 mac ${GATEWAY_MAC} length 32`;
  assert.deepEqual(a.hears(), [defence]);
  assert.equal(b.hears().at(-1), defence);
});

describe('two guests with one MAC', () => {
  const twins = (): { world: World; first: Guest; second: Guest } => {
    const world = new World();
    const [first, second] = [world.guest(), world.guest()];
    first.sends(arpFrame({ from: A, sender: '192.168.105.2', target: '192.168.105.1' }));
    second.sends(arpFrame({ from: A, sender: '192.168.105.3', target: '192.168.105.1' }));
    return { world, first, second };
  };

  test('each has its answers from the gateway, addressed to the MAC it believes in', () => {
    const { first, second } = twins();
    for (const guest of [first, second]) {
      const answer = guest.hears().filter((line) => line.includes('192.168.105.1 is-at'));
      assert.deepEqual(answer, [`${GATEWAY_MAC} > ${A} ARP 192.168.105.1 is-at ${GATEWAY_MAC}`]);
    }
    for (const [guest, src] of [
      [first, '192.168.105.2'],
      [second, '192.168.105.3'],
    ] as const) {
      guest.sends(ipv4Frame({ from: A, src, dst: '192.168.105.1' }, icmpOf(8, 0, 7, some(100))));
      assert.deepEqual(guest.hears(), [
        `${GATEWAY_MAC} > ${A} IPv4 192.168.105.1 > ${src} icmp echo reply id 0 seq 7 length 108`,
      ]);
    }
    assert.deepEqual([first.hears(), second.hears()], [[], []]);
  });

  test('the gateway finds both when it asks', () => {
    const { world, first, second } = twins();
    first.hears();
    second.hears();
    const at = (last: number): Port =>
      world.gateway.neighbors.lookup(0, 0, 0xffff, 0xc0a8_6900 + last)!.port as unknown as Port;
    assert.deepEqual([at(2), at(3)], [first.port, second.port]);
  });

  test('each has its TCP stream, long segments cut and summed', () => {
    const { world, first, second } = twins();
    for (const [guest, src] of [
      [first, '192.168.105.2'],
      [second, '192.168.105.3'],
    ] as const) {
      guest.hears();
      const options = hex('0204 05b4 0103 0307');
      guest.sends(ipv4Frame({ from: A, src, dst: '8.8.8.8' }, tcpOf({ flags: tcp.SYN, seq: 100, options })));
      world.host.connects();
      assert.match(guest.hears()[0]!, /\[S\.\] seq 5000 ack 101 win 65535 options \[mss 1460, wscale 7\]/);
      guest.sends(ipv4Frame({ from: A, src, dst: '8.8.8.8' }, tcpOf({ flags: tcp.ACK, seq: 101, ack: 5001 })));
      world.host.writes(some(4000));
      const payload = guest.frames.map((frame) => frame.subarray(14 + 20 + 20));
      assert.deepEqual(
        payload.map((part) => part.length),
        [1460, 1460, 1080],
      );
      assert.ok(Buffer.concat(payload).equals(some(4000)));
      for (const line of guest.hears())
        assert.ok(line.startsWith(`${GATEWAY_MAC} > ${A} IPv4 8.8.8.8.80 > ${src}.40000 tcp [`));
    }
  });
});

test('a ping of 5000 bytes goes in fragments and comes back in fragments', () => {
  const world = new World();
  const a = world.guest();
  const whole = ipv4Frame({ src: '192.168.105.2', dst: '192.168.105.1' }, icmpOf(8, 0, 9, some(5000))).subarray(34);
  for (let at = 0; at < whole.length; at += 1480) {
    const more = at + 1480 < whole.length ? ipv4.FLAG_MF : 0;
    const fields = { from: A, src: '192.168.105.2', dst: '192.168.105.1', id: 3, fragment: more | (at >>> 3) };
    a.sends(ipv4Frame(fields, raw(1, whole.slice(at, at + 1480))));
  }
  const answer = Buffer.concat(a.frames.map((frame) => frame.subarray(34)));
  assert.deepEqual(
    a.hears().map((line) => line.split(' frag ')[1]),
    ['1:1480@0+', '1:1480@1480+', '1:1480@2960+', '1:568@4440'],
  );
  const v = view(answer);
  assert.equal(icmpv4.check(v, 0, answer.length), 0);
  assert.equal(icmpv4.type(v, 0), icmpv4.TYPE_ECHO_REPLY);
  assert.ok(answer.subarray(8).equals(Buffer.from(some(5000))));
});

test('traceroute: the gateway is the first hop', () => {
  const world = new World();
  const a = world.guest();
  a.sends(ipv4Frame({ from: A, src: '192.168.105.2', dst: '8.8.8.8', ttl: 1 }, udpOf(5, 33_434, some(10))));
  assert.deepEqual(a.hears(), [
    `${GATEWAY_MAC} > ${A} IPv4 192.168.105.1 > 192.168.105.2 icmp type 11 code 0 rest 0 length 46`,
  ]);
});

test('a guest that lies reaches neither the gateway nor its neighbors', () => {
  const world = new World();
  const [a, b] = [world.guest(), world.guest()];
  a.sends(arpFrame({ from: A, sender: '192.168.105.2', target: '192.168.105.1' }));
  a.hears();
  b.hears();
  b.sends(
    arpFrame({ from: B, op: 2, sender: '192.168.105.2', target: '192.168.105.1' }),
    ipv4Frame({ from: B, src: '192.168.105.2', dst: '192.168.105.1' }, icmpOf(8, 0, 1)),
    ipv4Frame({ from: GATEWAY_MAC, to: BROADCAST_MAC, src: '192.168.105.4', dst: '192.168.105.2' }, icmpOf(8, 0, 1)),
  );
  assert.deepEqual(b.hears(), []);
  assert.deepEqual(a.hears(), []);
  assert.equal(world.gateway.neighbors.lookup(0, 0, 0xffff, 0xc0a8_6902)!.port, a.port);
  assert.equal(b.port.dropsFromGuest, 3);
});
