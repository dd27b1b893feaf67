/**
 * The DHCP server against messages that nobody honest sends.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import * as wire from '../wire/dhcpv4.ts';
import type { Dhcp4Option } from '../wire/dhcpv4.ts';
import { HOUR_MS, CONFIG, Network, requested, server } from './dhcp.fixture.ts';

test('property: no message makes the server throw, leave its pool or answer out of the subnet', () => {
  const anyOption = fc
    .tuple(fc.integer({ min: 1, max: 254 }), fc.uint8Array({ maxLength: 40 }))
    .map(([code, value]): Dhcp4Option => [code, value]);
  const telling = fc.oneof(
    anyOption,
    fc.constantFrom(requested('10.0.0.2'), requested('10.0.0.15'), server('10.0.0.1'), server('10.0.0.7')),
    fc.uint8Array({ maxLength: 300 }).map((value): Dhcp4Option => [61, value]),
    fc.uint8Array({ maxLength: 70 }).map((value): Dhcp4Option => [12, value]),
  );
  const message = fc.record({
    type: fc.integer({ min: 0, max: 9 }),
    guest: fc.integer({ min: 1, max: 20 }),
    options: fc.array(telling, { maxLength: 6 }),
    ciaddr: fc.constantFrom('0.0.0.0', '10.0.0.2', '10.0.0.15', '8.8.8.8'),
    giaddr: fc.constantFrom('0.0.0.0', '0.0.0.0', '10.0.0.14', '8.8.8.8'),
    flags: fc.constantFrom(0, 0x8000, 0xffff),
    chaddr: fc.uint8Array({ maxLength: 16 }),
    passMs: fc.constantFrom(0, 1000, HOUR_MS),
  });
  fc.assert(
    fc.property(fc.array(message, { maxLength: 40 }), (messages) => {
      const network = new Network();
      for (const { type, guest, passMs, ...sent } of messages) {
        network.nowMs += passMs;
        const reply = network.guest(guest).sends(type, sent);
        if (reply === null) continue;
        assert.ok(reply.payload.length >= 300 && reply.payload.length <= 1472);
        assert.ok(reply.dstIp === 0xffff_ffff || reply.dstIp >>> 4 === CONFIG.network >>> 4);
        if (reply.message.yiaddr !== 0) assert.match(reply.yiaddr, /^10\.0\.0\.([2-9]|1[0-4])$/);
      }
      assert.ok(network.store.list(network.nowMs).length <= 13);
    }),
    { numRuns: 300 },
  );
});

test('property: random bytes behind a good header never throw', () => {
  const network = new Network();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), fc.integer({ min: 0, max: 9 }), (tail, type) => {
      const bytes = new Uint8Array(243 + tail.length);
      bytes.set([wire.BOOT_REQUEST, 1, 6, 0]);
      bytes.set([0x63, 0x82, 0x53, 0x63, 53, 1, type, ...tail], 236); // magic cookie, message type
      network.guest(1).sendsBytes(bytes);
      network.guest(1).sendsBytes(tail);
    }),
  );
});
