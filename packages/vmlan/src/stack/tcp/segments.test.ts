import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Arena } from '../../core/arena.ts';
import { Counters } from '../../core/counters.ts';
import { parseIpv6 } from '../../wire/address.ts';
import { hex } from '../../wire/frames.fixture.ts';
import * as tcp from '../../wire/tcp.ts';
import * as vnetHdr from '../../wire/vnet-hdr.ts';
import { IpOutput } from '../ip-output.ts';
import { MAPPED, type GuestPort, type SegmentOutput } from '../path.ts';
import { ACTIVE_OPEN, HOST_BLOCKED, SACK_OK, TcpFlow } from './flow.ts';
import { WINDOW_NEAR } from './limits.ts';
import { ReceiveQueues } from './receive-queue.ts';
import { TcpSegments } from './segments.ts';

const port: GuestPort = { id: 1, nicKey: 'web/0', guest: 'web', room: () => Infinity };

/** A flow of 192.168.105.2:40000 to 198.51.100.7:80, and the frames that were sent, offload header first. */
function setup(family: 4 | 6 = 4): {
  segments: TcpSegments;
  queues: ReceiveQueues;
  flow: TcpFlow;
  arena: Arena;
  frames: Uint8Array[];
} {
  const arena = new Arena(new ArrayBuffer(4 << 20));
  const counters = new Counters();
  const frames: Uint8Array[] = [];
  const segment: SegmentOutput = {
    id: 1,
    sendTo: (_port, off, len) => void frames.push(arena.u8.slice(off - vnetHdr.LEN, off + len)),
    flood: () => assert.fail('flooded'),
  };
  const output = new IpOutput(arena, { mtu: 1500, macHi: 0x0276, macLo: 0x6d00_0001 }, counters);
  const queues = new ReceiveQueues(arena);
  const flow = new TcpFlow();
  flow.segment = segment;
  flow.port = port;
  flow.family = family;
  flow.macHi = 0x5254;
  flow.macLo = 0x0000_000a;
  const [guest, remote] =
    family === 4
      ? [
          [0, 0, MAPPED, 0xc0a8_6902],
          [0, 0, MAPPED, 0xc633_6407],
        ]
      : [[...parseIpv6('fd00:1::2')!], [...parseIpv6('2001:db8::7')!]];
  flow.setGuest(guest[0]!, guest[1]!, guest[2]!, guest[3]!);
  flow.setRemote(remote[0]!, remote[1]!, remote[2]!, remote[3]!);
  flow.guestPort = 40_000;
  flow.remotePort = 80;
  flow.nextFromGuest = 0x0a0b_0c0d;
  flow.mssToGuest = 1000;
  return { segments: new TcpSegments(output, queues, counters), queues, flow, arena, frames };
}

test('SYN-ACK, IPv4', () => {
  const { segments, flow, frames } = setup();
  flow.shiftFromGuest = 7;
  flow.bits |= SACK_OK;
  segments.sendControl(flow, 0x0102_0304, tcp.SYN | tcp.ACK);
  assert.deepEqual(
    frames[0],
    hex(`
      01 00 4200 0000 2200 1000 0000      // NEEDS_CSUM, no segmentation, headers 66, checksum from 34, at +16
      5254 0000 000a 0276 6d00 0001 0800  // to the guest, from the gateway, IPv4
      45 00 0034 0000 4000 40 06 e6de     // 52 bytes, DF, TTL 64, TCP, checksum
      c633 6407 c0a8 6902                 // 198.51.100.7 to 192.168.105.2
      0050 9c40                           // ports 80, 40000
      0102 0304 0a0b 0c0d                 // sequence, acknowledgement
      80 12 ffff                          // 32 bytes, SYN ACK, window 65535: never scaled in a SYN
      540c 0000                           // sum of the pseudo header, urgent pointer
      02 04 05b4                          // MSS 1460
      01 03 03 07                         // NOP, window scale 7
      01 01 04 02                         // NOP, NOP, SACK permitted
    `),
  );
  assert.equal(flow.edgeFromGuest, 0x0a0b_0c0d + 65_535);
});

test('data with segmentation left to the link, IPv6', () => {
  const { segments, flow, arena, frames } = setup(6);
  arena.u8.fill(0x61, segments.payload(flow), segments.payload(flow) + 2500);
  segments.sendData(flow, 0x0102_0304, 2500, tcp.PSH);
  assert.deepEqual(
    frames[0]!.subarray(0, vnetHdr.LEN + 14 + 40 + 20),
    hex(`
      01 04 4a00 e803 3600 1000 0000      // NEEDS_CSUM, TCPv6, headers 74, segments of 1000, checksum from 54
      5254 0000 000a 0276 6d00 0001 86dd
      6000 0000 09d8 06 40                // 2520 bytes, TCP, hop limit 64
      2001 0db8 0000 0000 0000 0000 0000 0007
      fd00 0001 0000 0000 0000 0000 0000 0002
      0050 9c40 0102 0304 0a0b 0c0d
      50 18 ffff                          // 20 bytes, PSH ACK, all of the window that fits unscaled
      34a2 0000                           // sum of the pseudo header
    `),
  );
  assert.equal(frames[0]!.length, vnetHdr.LEN + 14 + 40 + 20 + 2500);
  assert.ok(frames[0]!.subarray(-2500).every((byte) => byte === 0x61));
});

test('data of one segment needs no cutting', () => {
  const { segments, flow, frames } = setup();
  segments.sendData(flow, 1, 1000, 0);
  assert.deepEqual(frames[0]!.subarray(0, vnetHdr.LEN), hex('01 00 3600 0000 2200 1000 0000'));
});

test('ACK with SACK blocks', () => {
  const { segments, queues, flow, frames } = setup();
  flow.shiftFromGuest = 7;
  flow.bits |= SACK_OK;
  flow.queue = queues.open(flow.nextFromGuest);
  queues.insert(flow.queue, flow.nextFromGuest + 16, 1024, 16);
  queues.insert(flow.queue, flow.nextFromGuest + 64, 1024, 16);
  segments.sendControl(flow, 1, tcp.ACK);
  assert.deepEqual(
    frames[0]!.subarray(vnetHdr.LEN + 34 + 12),
    hex(`
      a0 10 0800 5414 0000                // 40 bytes, ACK, window 2048 x 128, sum
      01 01 05 12                         // NOP, NOP, SACK with two blocks
      0a0b 0c4d 0a0b 0c5d
      0a0b 0c1d 0a0b 0c2d
    `),
  );
  assert.equal(flow.ackedFromGuest, flow.nextFromGuest);
});

test('our own SYN offers everything, and has no acknowledgement', () => {
  const { segments, flow, frames } = setup();
  flow.bits |= ACTIVE_OPEN;
  segments.sendControl(flow, 7, tcp.SYN);
  assert.deepEqual(
    frames[0]!.subarray(vnetHdr.LEN + 34 + 4),
    hex('0000 0007 0000 0000 80 02 ffff 540c 0000 0204 05b4 0103 0307 0101 0402'),
  );
});

test('RST has no window', () => {
  const { segments, flow, frames } = setup();
  flow.edgeFromGuest = 5;
  segments.sendControl(flow, 7, tcp.RST | tcp.ACK);
  assert.deepEqual(frames[0]!.subarray(vnetHdr.LEN + 34 + 4, -4), hex('0000 0007 0a0b 0c0d 50 14 0000'));
  assert.equal(flow.edgeFromGuest, 5, 'and moves no edge');
});

test('the window is what the queue has room for', () => {
  const { segments, queues, flow } = setup();
  assert.equal(segments.window(flow), WINDOW_NEAR);
  flow.bits |= HOST_BLOCKED;
  assert.equal(segments.window(flow), 0, 'nowhere to put bytes');
  flow.queue = queues.open(flow.nextFromGuest);
  assert.equal(segments.window(flow), WINDOW_NEAR);
  queues.insert(flow.queue, flow.nextFromGuest, 1024, 4096);
  assert.equal(segments.window(flow), WINDOW_NEAR - 4096);
});

test('the largest segment follows the MTU', () => {
  const { segments } = setup();
  assert.equal(segments.maxMss(4), 1460);
  assert.equal(segments.maxMss(6), 1440);
});
