import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import * as arp from './arp.ts';
import { ARP_REPLY, ARP_REQUEST, view } from './frames.fixture.ts';

const AT = 14;

test('fields of a captured reply', () => {
  const v = view(ARP_REPLY);
  assert.equal(arp.check(v, AT, arp.LEN), true);
  assert.equal(arp.op(v, AT), arp.OP_REPLY);
  assert.equal(arp.senderHi(v, AT), 0x5254);
  assert.equal(arp.senderLo(v, AT), 0x0000000b);
  assert.equal(arp.senderIp(v, AT), 0xc0000202);
  assert.equal(arp.targetHi(v, AT), 0x5254);
  assert.equal(arp.targetLo(v, AT), 0x0000000a);
  assert.equal(arp.targetIp(v, AT), 0xc0000201);
});

test('emit writes what was captured', () => {
  const v = new DataView(new ArrayBuffer(arp.LEN));
  arp.emit(v, 0, arp.OP_REQUEST, 0x5254, 0x0000000a, 0xc0000201, 0, 0, 0xc0000202);
  assert.deepEqual(new Uint8Array(v.buffer), ARP_REQUEST.slice(AT));
});

const refused: { name: string; at: number; value: number }[] = [
  { name: 'hardware other than Ethernet', at: 1, value: 6 },
  { name: 'protocol other than IPv4', at: 2, value: 0x86 },
  { name: 'MAC length 8', at: 4, value: 8 },
  { name: 'address length 16', at: 5, value: 16 },
];
for (const { name, at, value } of refused) {
  test(`refused: ${name}`, () => {
    const bytes = ARP_REQUEST.slice(AT);
    bytes[at] = value;
    assert.equal(arp.check(view(bytes), 0, bytes.length), false);
  });
}

test('check never reads past what is there', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => void arp.check(view(bytes), 0, bytes.length)));
  const bytes = ARP_REQUEST.slice(AT, AT + arp.LEN - 1);
  assert.equal(arp.check(view(bytes), 0, bytes.length), false);
});
