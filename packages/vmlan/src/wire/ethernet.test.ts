import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as ethernet from './ethernet.ts';
import { ARP_REQUEST, ECHO_REQUEST_6, NEIGHBOR_SOLICIT, view } from './frames.fixture.ts';

test('fields of a captured frame', () => {
  const v = view(ARP_REQUEST);
  assert.equal(ethernet.dstHi(v, 0), 0xffff);
  assert.equal(ethernet.dstLo(v, 0), 0xffffffff);
  assert.equal(ethernet.srcHi(v, 0), 0x5254);
  assert.equal(ethernet.srcLo(v, 0), 0x0000000a);
  assert.equal(ethernet.etherType(v, 0), ethernet.TYPE_ARP);
});

test('emit writes what was captured', () => {
  const v = new DataView(new ArrayBuffer(16));
  ethernet.emit(v, 2, 0x5254, 0x0000000b, 0x5254, 0x0000000a, ethernet.TYPE_IPV6);
  assert.deepEqual(new Uint8Array(v.buffer, 2), ECHO_REQUEST_6.slice(0, ethernet.HEADER_LEN));
});

test('group bits', () => {
  assert.equal(ethernet.isMulticast(view(ARP_REQUEST), 0), true);
  assert.equal(ethernet.isBroadcast(view(ARP_REQUEST), 0), true);
  assert.equal(ethernet.isMulticast(view(NEIGHBOR_SOLICIT), 0), true);
  assert.equal(ethernet.isBroadcast(view(NEIGHBOR_SOLICIT), 0), false);
  assert.equal(ethernet.isMulticast(view(ECHO_REQUEST_6), 0), false);
  assert.equal(ethernet.isSrcMulticast(view(ECHO_REQUEST_6), 0), false);
  const v = new DataView(new ArrayBuffer(14));
  ethernet.setSrc(v, 0, 0x0300, 0);
  assert.equal(ethernet.isSrcMulticast(v, 0), true);
});

test('check wants a whole header', () => {
  assert.equal(ethernet.check(13), false);
  assert.equal(ethernet.check(14), true);
});
