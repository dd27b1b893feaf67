import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  ECHO_REPLY_4,
  ECHO_REPLY_6,
  ECHO_REQUEST_4,
  ECHO_REQUEST_6,
  PORT_UNREACHABLE_4,
  PORT_UNREACHABLE_6,
  view,
} from './frames.fixture.ts';
import * as icmpv4 from './icmpv4.ts';
import * as icmpv6 from './icmpv6.ts';
import * as ipv4 from './ipv4.ts';
import * as ipv6 from './ipv6.ts';
import { BAD_CHECKSUM, OK, TOO_SHORT } from './verdict.ts';

const IP = 14;
const AT4 = IP + 20;
const AT6 = IP + 40;
const pseudoOf = (frame: Uint8Array): number => ipv6.pseudo(view(frame), IP, ipv4.PROTO_ICMPV6);

test('ICMPv4: fields of a captured echo request', () => {
  const v = view(ECHO_REQUEST_4);
  assert.equal(icmpv4.check(v, AT4, 16), OK);
  assert.equal(icmpv4.type(v, AT4), icmpv4.TYPE_ECHO_REQUEST);
  assert.equal(icmpv4.code(v, AT4), 0);
  assert.equal(icmpv4.checksum(v, AT4), 0xbbd8);
  assert.equal(icmpv4.echoId(v, AT4), 12310);
  assert.equal(icmpv4.echoSequence(v, AT4), 1);
});

test('ICMPv4: the reply in place is the reply that was captured', () => {
  const frame = ECHO_REQUEST_4.slice();
  icmpv4.emitEchoReply(view(frame), AT4);
  assert.deepEqual(frame.slice(AT4), ECHO_REPLY_4.slice(AT4));
});

test('ICMPv4: an error written anew is the error that was captured', () => {
  const frame = PORT_UNREACHABLE_4.slice();
  const v = view(frame);
  frame.fill(0xee, AT4, AT4 + 8);
  icmpv4.emit(v, AT4, icmpv4.TYPE_UNREACHABLE, icmpv4.CODE_PORT_UNREACHABLE, 0);
  icmpv4.setChecksum(v, AT4, frame.length - AT4);
  assert.deepEqual(frame, PORT_UNREACHABLE_4);
  assert.equal(icmpv4.rest(v, AT4), 0);
});

test('ICMPv4: the MTU of "fragmentation needed"', () => {
  const v = new DataView(new ArrayBuffer(8));
  icmpv4.emit(v, 0, icmpv4.TYPE_UNREACHABLE, icmpv4.CODE_FRAGMENTATION_NEEDED, 1400);
  assert.equal(icmpv4.nextHopMtu(v, 0), 1400);
});

test('ICMPv4: check', () => {
  const v = view(ECHO_REQUEST_4.with(AT4 + 9, 0xff));
  assert.equal(icmpv4.check(v, AT4, 16), BAD_CHECKSUM);
  assert.equal(icmpv4.check(v, AT4, 7), TOO_SHORT);
});

test('which types are errors', () => {
  const errors4 = Array.from({ length: 256 }, (_, type) => type).filter((type) => icmpv4.isError(type));
  assert.deepEqual(errors4, [3, 5, 11, 12]);
  assert.equal(icmpv6.isError(icmpv6.TYPE_PARAMETER_PROBLEM), true);
  assert.equal(icmpv6.isError(icmpv6.TYPE_ECHO_REQUEST), false);
});

test('ICMPv6: fields of a captured echo request', () => {
  const v = view(ECHO_REQUEST_6);
  assert.equal(icmpv6.check(v, AT6, 16, pseudoOf(ECHO_REQUEST_6)), OK);
  assert.equal(icmpv6.type(v, AT6), icmpv6.TYPE_ECHO_REQUEST);
  assert.equal(icmpv6.code(v, AT6), 0);
  assert.equal(icmpv6.checksum(v, AT6), 0xe817);
  assert.equal(icmpv6.echoId(v, AT6), 12311);
  assert.equal(icmpv6.echoSequence(v, AT6), 1);
});

test('ICMPv6: the reply in place is the reply that was captured', () => {
  const frame = ECHO_REQUEST_6.slice();
  icmpv6.emitEchoReply(view(frame), AT6, 16, pseudoOf(ECHO_REPLY_6));
  assert.deepEqual(frame.slice(AT6), ECHO_REPLY_6.slice(AT6));
});

test('ICMPv6: an error written anew is the error that was captured', () => {
  const frame = PORT_UNREACHABLE_6.slice();
  const v = view(frame);
  frame.fill(0xee, AT6, AT6 + 8);
  icmpv6.emit(v, AT6, icmpv6.TYPE_UNREACHABLE, icmpv6.CODE_PORT_UNREACHABLE, 0);
  icmpv6.setChecksum(v, AT6, frame.length - AT6, pseudoOf(frame));
  assert.deepEqual(frame, PORT_UNREACHABLE_6);
});

test('ICMPv6: rest of header of errors', () => {
  const v = new DataView(new ArrayBuffer(8));
  icmpv6.emit(v, 0, icmpv6.TYPE_PACKET_TOO_BIG, 0, 1280);
  assert.equal(icmpv6.mtu(v, 0), 1280);
  icmpv6.emit(v, 0, icmpv6.TYPE_PARAMETER_PROBLEM, icmpv6.CODE_UNKNOWN_NEXT_HEADER, 40);
  assert.equal(icmpv6.rest(v, 0), 40);
});

test('ICMPv6: check', () => {
  const v = view(ECHO_REQUEST_6);
  assert.equal(icmpv6.check(v, AT6, 16, pseudoOf(ECHO_REQUEST_6) + 1), BAD_CHECKSUM);
  assert.equal(icmpv6.check(v, AT6, 7, 0), TOO_SHORT);
});

test('an echo identifier is exchanged without summing anew', () => {
  fc.assert(
    fc.property(fc.nat(0xffff), (id) => {
      const frame4 = ECHO_REQUEST_4.slice();
      icmpv4.setEchoId(view(frame4), AT4, id);
      assert.equal(icmpv4.echoId(view(frame4), AT4), id);
      assert.equal(icmpv4.check(view(frame4), AT4, 16), OK);
      const frame6 = ECHO_REQUEST_6.slice();
      icmpv6.setEchoId(view(frame6), AT6, id);
      assert.equal(icmpv6.echoId(view(frame6), AT6), id);
      assert.equal(icmpv6.check(view(frame6), AT6, 16, pseudoOf(frame6)), OK);
    }),
  );
});

test('check never reads past what is there', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      icmpv4.check(view(bytes), 0, bytes.length);
      icmpv6.check(view(bytes), 0, bytes.length, 0);
    }),
  );
});
