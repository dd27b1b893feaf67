import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Arena } from '../core/arena.ts';
import type { LinkOutput } from '../switching/port.ts';
import { ipv4Frame, tcpOf } from '../wire/packets.fixture.ts';
import * as vnetHdr from '../wire/vnet-hdr.ts';
import { MAX_FRAME_LEN } from './link.ts';
import { LoopbackLink } from './loopback.ts';

const some = (len: number): Uint8Array => Uint8Array.from({ length: len }, (_, i) => i & 0xff);

function setup(): {
  link: LoopbackLink;
  arena: Arena;
  heard: [Uint8Array, number][];
  toGuest: Uint8Array[];
  ups: LinkOutput[];
} {
  const arena = new Arena(new ArrayBuffer(1 << 20));
  const heard: [Uint8Array, number][] = [];
  const toGuest: Uint8Array[] = [];
  const ups: LinkOutput[] = [];
  const input = {
    onFrame: (off: number, len: number, nowMs: number) => {
      assert.equal(vnetHdr.flags(arena.view, off - vnetHdr.LEN), 0);
      heard.push([arena.u8.slice(off, off + len), nowMs]);
    },
    restMs: () => 0,
    onUp: (link: LinkOutput) => void ups.push(link),
    onDown: () => {},
  };
  const link = new LoopbackLink(arena, input, (frame) => void toGuest.push(frame.slice()));
  return { link, arena, heard, toGuest, ups };
}

test('is up at once, and hands on what the guest sends', () => {
  const { link, heard, ups } = setup();
  assert.deepEqual(ups, [link]);
  link.inject(some(60), 7);
  assert.deepEqual(heard, [[some(60), 7]]);
});

test('a frame that is too long is cut', () => {
  const { link, heard } = setup();
  link.inject(some(MAX_FRAME_LEN + 10), 0);
  assert.equal(heard[0]![0].length, MAX_FRAME_LEN);
});

test('the guest gets plain frames', () => {
  const { link, arena, toGuest } = setup();
  const at = arena.alloc(1 << 17) + 64;
  const frame = ipv4Frame({ src: '192.0.2.1', dst: '192.0.2.2' }, tcpOf({ flags: 0x10 }, some(3000)));
  arena.u8.set(frame, at);
  vnetHdr.emit(arena.view, at - vnetHdr.LEN, vnetHdr.NEEDS_CSUM, vnetHdr.GSO_TCPV4, 54, 1000, 34, 16);
  assert.equal(link.send(at, frame.length), true);
  assert.deepEqual(
    toGuest.map((plain) => plain.length),
    [1054, 1054, 1054],
  );
});

test('a guest whose window is shut takes nothing', () => {
  const { link, arena, toGuest } = setup();
  const at = arena.alloc(256) + 64;
  vnetHdr.clear(arena.view, at - vnetHdr.LEN);
  link.window = 100;
  assert.equal(link.room(), 100);
  assert.equal(link.send(at, 101), false);
  assert.equal(link.send(at, 100), true);
  assert.equal(toGuest.length, 1);
  assert.equal(link.reserve(MAX_FRAME_LEN + 1), -1);
});
