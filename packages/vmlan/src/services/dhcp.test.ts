import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatIpv4 } from '../wire/address.ts';
import * as wire from '../wire/dhcpv4.ts';
import type { Dhcp4Option } from '../wire/dhcpv4.ts';
import { DhcpServer } from './dhcp.ts';
import { INFINITE_SECONDS } from './lease-binding.ts';
import {
  HOUR_MS,
  ip,
  CONFIG,
  Network,
  requested,
  server,
  clientId,
  wants,
  codesOf,
  hexOf,
  textOf,
  destination,
} from './dhcp.fixture.ts';
import type { Sent } from './dhcp.fixture.ts';

test('DISCOVER and REQUEST: an OFFER promises nothing, an ACK is to be stored first', () => {
  const network = new Network();
  const guest = network.guest(1);
  const offer = guest.gets(wire.DISCOVER, { xid: 0xdeadbeef, secs: 7 });
  assert.deepEqual([offer.type, offer.yiaddr, offer.generation, offer.lease], [wire.OFFER, '10.0.0.2', 0, null]);
  assert.deepEqual([offer.message.op, offer.message.xid, offer.message.secs], [wire.BOOT_REPLY, 0xdeadbeef, 0]);
  assert.deepEqual(offer.message.chaddr.subarray(0, 6), guest.mac);
  assert.equal(network.store.generation, 0);
  const ack = guest.gets(wire.REQUEST, { options: [requested('10.0.0.2'), server('10.0.0.1')] });
  assert.deepEqual([ack.type, ack.yiaddr, ack.generation], [wire.ACK, '10.0.0.2', 1]);
  assert.equal(ack.lease?.address, '10.0.0.2');
  assert.equal(network.store.snapshot().length, 1);
});

test('the options of a client without a list, byte by byte', () => {
  const offer = new Network().guest(1).gets(wire.DISCOVER);
  const want: [number, string][] = [
    [53, '02'], // OFFER
    [54, '0a000001'], // server identifier
    [51, '00000e10'], // 3600 s
    [58, '00000708'], // T1 1800 s
    [59, '00000c4e'], // T2 3150 s
    [1, 'fffffff0'], // mask
    [3, '0a000001'], // router
    [6, '0a000001'], // DNS
    [15, Buffer.from('lab.internal').toString('hex')],
    [26, '05dc'], // MTU 1500
    [28, '0a00000f'], // broadcast
    [119, '036c616208696e7465726e616c0005766d6c616ec004'], // lab.internal, vmlan -> internal
    [12, Buffer.from('g1').toString('hex')], // the guest's name
  ];
  assert.deepEqual(
    codesOf(offer),
    want.map(([code]) => code),
  );
  for (const [code, hex] of want) assert.equal(hexOf(offer, code), hex, `option ${code}`);
  assert.equal(offer.payload.length, 240 + want.reduce((sum, [, hex]) => sum + 2 + hex.length / 2, 1));
});

test('the list of a client is honoured in its order, and what it forgot is added', () => {
  const offer = new Network().guest(1).gets(wire.DISCOVER, { options: [wants(26, 3, 121, 12, 1)] });
  assert.deepEqual(codesOf(offer), [53, 54, 51, 58, 59, 1, 26, 3, 12, 6, 15, 28]);
  assert.equal(new Network().guest(1).gets(wire.REQUEST, { ciaddr: '9.9.9.9' }).payload.length, 300);
});

test('a network without way out, names and resolver has no such options', () => {
  const offer = new Network({ gateway: null, dns: [], domain: null, searchDomains: [] }).guest(1).gets(wire.DISCOVER);
  assert.deepEqual(codesOf(offer), [53, 54, 51, 58, 59, 1, 26, 28, 12]);
  assert.equal(offer.yiaddr, '10.0.0.2');
});

test('boot server, file and clock', () => {
  const pxe = { tftpServer: ip('10.0.0.1'), bootfile: 'undionly.kpxe' };
  const network = new Network({ pxe, ntp: [ip('10.0.0.1')] });
  // What iPXE sends: architecture, encapsulated options, user class, a long list, 1472 bytes at most.
  const ipxe: Dhcp4Option[] = [
    wire.u16Option(57, 1472),
    wire.u16Option(93, 0),
    [94, Uint8Array.of(1, 2, 1)],
    wire.textOption(60, 'PXEClient:Arch:00000:UNDI:002001'),
    wire.textOption(77, 'iPXE'),
    wants(1, 3, 6, 7, 12, 15, 17, 26, 42, 43, 60, 66, 67, 119, 128, 129, 175, 203),
    [175, Uint8Array.from(Buffer.from('b105 01 8086 100e'.replaceAll(' ', ''), 'hex'))],
    [97, new Uint8Array(17)],
  ];
  const offer = network.guest(1).gets(wire.DISCOVER, { options: ipxe });
  assert.equal(formatIpv4(offer.message.siaddr), '10.0.0.1');
  assert.equal(Buffer.from(offer.payload.subarray(108, 122)).toString(), 'undionly.kpxe\0');
  assert.deepEqual([textOf(offer, 66), textOf(offer, 67), hexOf(offer, 42)], ['10.0.0.1', 'undionly.kpxe', '0a000001']);
  const ack = network.guest(1).gets(wire.REQUEST, { options: [...ipxe, requested('10.0.0.2'), server('10.0.0.1')] });
  assert.equal(ack.type, wire.ACK);
});

test('where replies go (RFC 2131 §4.1)', () => {
  const network = new Network();
  const guest = network.guest(9);
  const toGuest = [0x5254, 9];
  const toAll = ['255.255.255.255', 68, 0xffff, 0xffff_ffff];
  assert.deepEqual(destination(guest.gets(wire.DISCOVER)), ['10.0.0.2', 68, ...toGuest]);
  assert.deepEqual(destination(guest.gets(wire.DISCOVER, { flags: 0x8000 })), toAll);
  const ack = guest.gets(wire.REQUEST, { options: [requested('10.0.0.2'), server('10.0.0.1')] });
  assert.deepEqual(destination(ack), ['10.0.0.2', 68, ...toGuest]);
  const renewed = guest.gets(wire.REQUEST, { ciaddr: '10.0.0.2', flags: 0x8000 });
  assert.deepEqual(destination(renewed), ['10.0.0.2', 68, ...toGuest]);
  assert.equal(formatIpv4(renewed.message.ciaddr), '10.0.0.2');
  const nak = guest.gets(wire.REQUEST, { ciaddr: '10.0.0.9' });
  assert.deepEqual(destination(nak), toAll);
  // A reply is never aimed at a hardware address that did not ask.
  const forged = guest.gets(wire.DISCOVER, { chaddr: Uint8Array.of(0x52, 0x54, 0, 0, 0, 77) });
  assert.deepEqual(destination(forged), toAll);
  const noEthernet = network.guest(3).gets(wire.DISCOVER, { htype: 32, hlen: 0, options: [clientId(0, 1, 2)] });
  assert.deepEqual(destination(noEthernet), toAll);
});

test('relays of this subnet are answered at port 67, others not at all', () => {
  const network = new Network();
  const guest = network.guest(1);
  const circuit: Dhcp4Option = [82, Uint8Array.of(1, 4, 0, 1, 2, 3)];
  const offer = guest.gets(wire.DISCOVER, { giaddr: '10.0.0.14', options: [circuit, clientId(1, 2, 3)] });
  assert.deepEqual(destination(offer), ['10.0.0.14', 67, 0x5254, 1]);
  assert.equal(formatIpv4(offer.message.giaddr), '10.0.0.14');
  assert.deepEqual([codesOf(offer).at(-1), hexOf(offer, 82), hexOf(offer, 61)], [82, '010400010203', '010203']);
  const nak = guest.gets(wire.REQUEST, { giaddr: '10.0.0.14', options: [requested('9.9.9.9'), circuit] });
  assert.deepEqual([nak.type, nak.message.flags, hexOf(nak, 82)], [wire.NAK, 0x8000, '010400010203']);
  assert.deepEqual(destination(nak), ['10.0.0.14', 67, 0x5254, 1]);
  assert.equal(guest.sends(wire.DISCOVER, { giaddr: '10.9.0.1' }), null);
});

/** RFC 2131 §4.3.2, table 4, and what an authoritative server makes of it. `own`: the client has 10.0.0.2. */
const requests: { name: string; own: boolean; in: Sent; want: number | null }[] = [
  { name: 'SELECTING, our offer', own: true, in: { options: [requested('10.0.0.2'), server('10.0.0.1')] }, want: 5 },
  {
    name: 'SELECTING, another server',
    own: true,
    in: { options: [requested('10.0.0.2'), server('10.0.0.7')] },
    want: null,
  },
  {
    name: 'SELECTING, not the offer',
    own: true,
    in: { options: [requested('10.0.0.5'), server('10.0.0.1')] },
    want: 6,
  },
  {
    name: 'SELECTING, offer forgotten',
    own: false,
    in: { options: [requested('10.0.0.5'), server('10.0.0.1')] },
    want: 5,
  },
  { name: 'SELECTING, no address', own: true, in: { options: [server('10.0.0.1')] }, want: null },
  { name: 'INIT-REBOOT, own address', own: true, in: { options: [requested('10.0.0.2')] }, want: 5 },
  { name: 'INIT-REBOOT, not its address', own: true, in: { options: [requested('10.0.0.3')] }, want: 6 },
  { name: 'INIT-REBOOT, of another network', own: true, in: { options: [requested('192.168.1.7')] }, want: 6 },
  { name: 'INIT-REBOOT, unknown and free', own: false, in: { options: [requested('10.0.0.3')] }, want: 5 },
  { name: 'INIT-REBOOT, somebody else has it', own: false, in: { options: [requested('10.0.0.2')] }, want: 6 },
  { name: 'INIT-REBOOT, network address', own: false, in: { options: [requested('10.0.0.0')] }, want: 6 },
  { name: 'INIT-REBOOT, broadcast address', own: false, in: { options: [requested('10.0.0.15')] }, want: 6 },
  { name: 'INIT-REBOOT, gateway', own: false, in: { options: [requested('10.0.0.1')] }, want: 6 },
  { name: 'INIT-REBOOT, outside the pool', own: false, in: { options: [requested('10.0.0.13')] }, want: 6 },
  { name: 'INIT-REBOOT, excluded', own: false, in: { options: [requested('10.0.0.4')] }, want: 6 },
  { name: 'INIT-REBOOT, reserved for another', own: false, in: { options: [requested('10.0.0.6')] }, want: 6 },
  { name: 'RENEWING or REBINDING', own: true, in: { ciaddr: '10.0.0.2' }, want: 5 },
  { name: 'RENEWING, not its address', own: true, in: { ciaddr: '10.0.0.3' }, want: 6 },
  { name: 'RENEWING, of another network', own: false, in: { ciaddr: '172.16.0.9' }, want: 6 },
  { name: 'REBINDING, unknown and free', own: false, in: { ciaddr: '10.0.0.3' }, want: 5 },
  { name: 'nothing at all', own: true, in: {}, want: null },
];
for (const { name, own, in: sent, want } of requests) {
  test(`REQUEST in ${name}`, () => {
    const reservations = [{ guest: 'db', ip: ip('10.0.0.6') }];
    const network = new Network({ poolEnd: ip('10.0.0.12'), excluded: [ip('10.0.0.4')], reservations });
    assert.equal(network.guest(1).boots(), '10.0.0.2');
    network.nowMs += 600_000;
    const reply = network.guest(own ? 1 : 2).sends(wire.REQUEST, sent);
    assert.equal(reply?.type ?? null, want);
    if (want === wire.ACK) assert.ok((reply?.generation ?? 0) > 0 && reply?.message.options.has(51));
    if (want === wire.NAK) {
      assert.deepEqual([reply?.generation, reply?.yiaddr, reply?.lease], [0, '0.0.0.0', null]);
      assert.ok(reply && !reply.message.options.has(51) && reply.message.options.has(56));
    }
    const stillOwner = network.store.holder(4, '10.0.0.2')?.nic;
    assert.equal(stillOwner, 'g1/0');
  });
}

test('a client that takes another server frees our offer at once', () => {
  const network = new Network({ poolEnd: ip('10.0.0.2') });
  assert.ok(network.guest(1).sends(wire.DISCOVER));
  assert.equal(network.guest(2).sends(wire.DISCOVER), null);
  assert.equal(network.counters.get('dhcp_exhausted'), 1);
  network.guest(1).sends(wire.REQUEST, { options: [requested('10.0.0.2'), server('10.0.0.7')] });
  assert.equal(network.guest(2).boots(), '10.0.0.2');
});

test('DECLINE: the address stays out and the client gets another', () => {
  const network = new Network();
  const guest = network.guest(1);
  guest.boots();
  assert.equal(guest.sends(wire.DECLINE, { options: [requested('10.0.0.3'), server('10.0.0.1')] }), null);
  assert.equal(guest.sends(wire.DECLINE, { options: [requested('10.0.0.2'), server('10.0.0.7')] }), null);
  assert.equal(network.guest(2).sends(wire.DECLINE, { options: [requested('10.0.0.2'), server('10.0.0.1')] }), null);
  assert.equal(network.store.holder(4, '10.0.0.2')?.nic, 'g1/0');
  assert.equal(guest.sends(wire.DECLINE, { options: [requested('10.0.0.2'), server('10.0.0.1')] }), null);
  assert.equal(network.store.list(network.nowMs)[0]?.state, 'declined');
  assert.equal(guest.boots(), '10.0.0.3');
});

test('RELEASE: only by the owner, and remembered', () => {
  const network = new Network();
  const guest = network.guest(1);
  guest.boots();
  network.guest(2).sends(wire.RELEASE, { ciaddr: '10.0.0.2', options: [server('10.0.0.1')] });
  guest.sends(wire.RELEASE, { ciaddr: '10.0.0.3', options: [server('10.0.0.1')] });
  assert.equal(network.store.holder(4, '10.0.0.2')?.nic, 'g1/0');
  assert.equal(guest.sends(wire.RELEASE, { ciaddr: '10.0.0.2', options: [server('10.0.0.1')] }), null);
  assert.equal(network.store.list(network.nowMs)[0]?.state, 'released');
  assert.equal(network.guest(2).boots(), '10.0.0.3');
  assert.equal(guest.boots(), '10.0.0.2');
});

test('INFORM: parameters without a lease', () => {
  const network = new Network();
  const guest = network.guest(1);
  const ack = guest.gets(wire.INFORM, { ciaddr: '10.0.0.9', flags: 0x8000, options: [wants(6)] });
  assert.deepEqual([ack.type, ack.yiaddr, ack.generation, ack.lease], [wire.ACK, '0.0.0.0', 0, null]);
  assert.deepEqual(codesOf(ack), [53, 54, 1, 6, 3, 15, 26, 28]);
  assert.deepEqual(destination(ack), ['10.0.0.9', 68, 0x5254, 1]);
  const bySource = guest.gets(wire.INFORM, { from: { srcIp: ip('10.0.0.9') } });
  assert.deepEqual(destination(bySource), ['10.0.0.9', 68, 0x5254, 1]);
  const relayed = guest.gets(wire.INFORM, { ciaddr: '10.0.0.9', giaddr: '10.0.0.14' });
  assert.deepEqual(destination(relayed), ['10.0.0.14', 67, 0x5254, 1]);
  assert.equal(guest.sends(wire.INFORM, { ciaddr: '8.8.8.8' }), null);
  assert.equal(guest.sends(wire.INFORM), null);
  assert.deepEqual(network.store.list(network.nowMs), []);
});

test('rapid commit (RFC 4039), where it is allowed', () => {
  const rapid: Dhcp4Option = [80, new Uint8Array(0)];
  const ack = new Network().guest(1).gets(wire.DISCOVER, { options: [rapid] });
  assert.deepEqual([ack.type, ack.generation, hexOf(ack, 80), codesOf(ack).includes(80)], [wire.ACK, 1, '', true]);
  const offer = new Network({ rapidCommit: false }).guest(1).gets(wire.DISCOVER, { options: [rapid] });
  assert.deepEqual([offer.type, codesOf(offer).includes(80)], [wire.OFFER, false]);
});

test('BOOTP, messages of servers and broken messages are not answered', () => {
  const network = new Network();
  const guest = network.guest(1);
  assert.equal(guest.sends(0), null);
  assert.equal(guest.sends(wire.DISCOVER, { op: wire.BOOT_REPLY }), null);
  for (const type of [wire.OFFER, wire.ACK, wire.NAK, 9, 255]) assert.equal(guest.sends(type), null);
  assert.equal(guest.sends(wire.DISCOVER, { hlen: 17 }), null);
  assert.equal(guest.sends(wire.DISCOVER, { options: [[61, new Uint8Array(256)]] }), null);
  assert.equal(guest.sendsBytes(new Uint8Array(300)), null);
  assert.equal(network.counters.get('dhcp_malformed'), 3);
  assert.equal(network.counters.get('dhcp_ignored'), 7);
  assert.deepEqual(network.store.list(network.nowMs), []);
});

test('renewals: quiet ones promise what is left, later ones extend', () => {
  const network = new Network();
  const guest = network.guest(1);
  guest.boots();
  network.nowMs += 10_500;
  const quiet = guest.gets(wire.REQUEST, { ciaddr: '10.0.0.2' });
  assert.deepEqual([quiet.generation, hexOf(quiet, 51)], [1, (3589).toString(16).padStart(8, '0')]);
  network.nowMs += HOUR_MS / 2;
  const renewed = guest.gets(wire.REQUEST, { ciaddr: '10.0.0.2' });
  assert.deepEqual([renewed.generation, hexOf(renewed, 51)], [1, '00000e10'], 'it waits for no disk');
  assert.equal(network.store.generation, 2, 'its end is stored all the same');
  network.nowMs += 3 * HOUR_MS;
  assert.equal(guest.gets(wire.REQUEST, { ciaddr: '10.0.0.2' }).type, wire.ACK);
});

test('leases without end', () => {
  const network = new Network({ leaseSeconds: INFINITE_SECONDS });
  const guest = network.guest(1);
  guest.boots();
  network.nowMs += 1000 * HOUR_MS;
  const ack = guest.gets(wire.REQUEST, { ciaddr: '10.0.0.2' });
  assert.deepEqual(
    [51, 58, 59].map((code) => hexOf(ack, code)),
    ['ffffffff', 'ffffffff', 'ffffffff'],
  );
});

test('reservations by guest name and by MAC, and a guest moves to a new one', () => {
  const network = new Network();
  assert.equal(network.guest(1).boots(), '10.0.0.2');
  const reservations = [
    { guest: 'g1', ip: ip('10.0.0.7') },
    { mac: { hi: 0x5254, lo: 2 }, ip: ip('10.0.0.8') },
    { guest: 'elsewhere', ip: ip('10.9.9.9') },
  ];
  network.server = new DhcpServer({ ...CONFIG, poolEnd: ip('10.0.0.6'), reservations }, network.store);
  assert.equal(network.guest(2, 'mac:52:54:00:00:00:02').boots(), '10.0.0.8');
  assert.equal(network.guest(1).gets(wire.REQUEST, { ciaddr: '10.0.0.2' }).type, wire.NAK);
  assert.equal(network.guest(1).boots(), '10.0.0.7');
  assert.equal(network.guest(1).gets(wire.REQUEST, { ciaddr: '10.0.0.7' }).type, wire.ACK);
  assert.equal(network.guest(3).gets(wire.REQUEST, { options: [requested('10.0.0.7')] }).type, wire.NAK);
  assert.equal(network.guest(1).gets(wire.REQUEST, { options: [requested('10.0.0.7')] }).type, wire.ACK);
});

test('reservations of NICs come and go while the server runs', () => {
  const network = new Network({ poolEnd: ip('10.0.0.4') });
  const [first, second, third] = [network.guest(1), network.guest(2), network.guest(3)];
  assert.equal(first.boots(), '10.0.0.2');
  // An address outside of the pool; its guest is told to move, and nobody else gets it.
  network.server.reserve('g1/0', ip('10.0.0.9'));
  assert.equal(first.gets(wire.REQUEST, { ciaddr: '10.0.0.2' }).type, wire.NAK);
  assert.equal(first.boots(), '10.0.0.9');
  // One that somebody has: it is given when that guest lets go, and no longer to others.
  assert.equal(second.boots(), '10.0.0.3');
  network.server.reserve('g3/0', ip('10.0.0.3'));
  assert.equal(third.boots(), '10.0.0.4');
  assert.equal(second.gets(wire.REQUEST, { ciaddr: '10.0.0.3' }).type, wire.NAK);
  assert.equal(second.boots(), '10.0.0.2');
  assert.equal(third.gets(wire.REQUEST, { ciaddr: '10.0.0.4' }).type, wire.NAK);
  assert.equal(third.boots(), '10.0.0.3');
  // The promise ends: the address is one of the pool again.
  network.store.onNicGone('g3/0', network.nowMs);
  assert.equal(network.guest(4).boots(), '10.0.0.4');
  assert.equal(network.guest(5).sends(wire.DISCOVER), null, 'kept for a guest that is gone');
  network.server.reserve('g3/0', null);
  assert.equal(network.guest(5).boots(), '10.0.0.3');
});

test('what is configured to be kept changes while guests are there', () => {
  const network = new Network();
  const [first, second] = [network.guest(1), network.guest(2)];
  assert.equal(first.boots(), '10.0.0.2');
  network.server.setReservations([
    { guest: 'g1', ip: ip('10.0.0.9') },
    { mac: { hi: 0x5254, lo: 0x0000_0002 }, ip: ip('10.0.0.3') },
  ]);
  assert.equal(first.gets(wire.REQUEST, { ciaddr: '10.0.0.2' }).type, wire.NAK);
  assert.equal(first.boots(), '10.0.0.9');
  assert.equal(network.guest(3).boots(), '10.0.0.4', 'the third is kept');
  assert.equal(second.boots(), '10.0.0.3');
  // Promises to NICs are another thing.
  network.server.reserve('g5/0', ip('10.0.0.8'));
  network.server.setReservations([]);
  assert.equal(network.guest(5).boots(), '10.0.0.8');
  assert.equal(first.boots(), '10.0.0.9', 'what it has it keeps');
});

test('a reserved guest that asks by INIT-REBOOT takes its address over from a guest that is gone', () => {
  const network = new Network();
  network.guest(1).boots();
  network.store.onNicGone('g1/0', network.nowMs);
  network.server = new DhcpServer({ ...CONFIG, reservations: [{ guest: 'db', ip: ip('10.0.0.2') }] }, network.store);
  const ack = network.guest(2, 'db/0').gets(wire.REQUEST, { options: [requested('10.0.0.2')] });
  assert.equal(ack.type, wire.ACK);
  assert.equal(network.store.holder(4, '10.0.0.2')?.nic, 'db/0');
});

test('the same guest has the same address after a restart of guest and server, under any client identifier', () => {
  const network = new Network();
  network.guest(1).boots();
  const address = network.guest(2).boots([clientId(1, 0x52, 0x54, 0, 0, 0, 2)]); // the initramfs
  const duid = clientId(255, 0, 0, 0, 1, 0, 4, ...Array.from({ length: 16 }, (_, i) => i)); // RFC 4361
  assert.equal(network.guest(2).boots([duid]), address);
  network.restart();
  assert.equal(network.guest(2).boots(), address);
  network.store.onNicGone('g2/0', network.nowMs);
  network.nowMs += 100 * HOUR_MS;
  network.restart();
  network.nowMs += HOUR_MS;
  assert.equal(network.guest(3).boots(), '10.0.0.4');
  assert.equal(network.guest(2).boots([duid]), address);
});

test('300 short-lived guests on a /28, none of which says goodbye, with restarts between', () => {
  const network = new Network();
  for (let i = 1; i <= 300; i++) {
    const guest = network.guest(i, `mac:52:54:00:00:00:${i.toString(16)}`);
    assert.match(guest.boots(), /^10\.0\.0\.([2-9]|1[0-4])$/);
    network.store.onNicGone(guest.nic, network.nowMs);
    network.nowMs += 1000;
    if (i % 50 === 0) network.restart();
  }
});

test('a flood of DISCOVERs and REQUESTs with forged identifiers from one port leaves the others their addresses', () => {
  const network = new Network();
  assert.equal(network.guest(1).boots(), '10.0.0.2');
  for (let i = 0; i < 500; i++) {
    const forged = { chaddr: Uint8Array.of(2, 0, 0, 0, i >> 8, i), options: [requested(`10.0.0.${2 + (i % 13)}`)] };
    network.guest(66).sends(i % 2 === 0 ? wire.DISCOVER : wire.REQUEST, forged);
  }
  assert.ok(network.store.list(network.nowMs).filter(({ nic }) => nic === 'g66/0').length <= 8);
  assert.match(network.guest(2).boots(), /^10\.0\.0\./);
  assert.equal(network.guest(1).boots(), '10.0.0.2');
});

test('mode user: one address for everybody, whatever is asked', () => {
  const network = new Network({ fixedAddress: ip('10.0.0.9'), reservations: [{ guest: 'g1', ip: ip('10.0.0.3') }] });
  for (const number of [1, 2, 3]) assert.equal(network.guest(number).boots(), '10.0.0.9');
  assert.equal(network.guest(1).gets(wire.DISCOVER, { options: [requested('10.0.0.5')] }).yiaddr, '10.0.0.9');
  assert.equal(network.guest(1).gets(wire.REQUEST, { options: [requested('10.0.0.5')] }).type, wire.NAK);
  assert.equal(network.guest(4).gets(wire.REQUEST, { options: [requested('10.0.0.9')] }).type, wire.ACK);
  network.guest(1).sends(wire.DECLINE, { options: [requested('10.0.0.9'), server('10.0.0.1')] });
  network.restart();
  assert.equal(network.guest(1).boots(), '10.0.0.9');
  assert.equal(network.store.list(network.nowMs).length, 4);
});

test('allocate: the address of a NIC that vmlan configures itself is the one that DHCP gives', () => {
  const network = new Network({ poolEnd: ip('10.0.0.3') });
  network.guest(1).boots();
  const from = { nicKey: 'g2/0', guest: 'g2', srcMacHi: 0x5254, srcMacLo: 2 };
  assert.deepEqual(network.server.allocate(from, network.nowMs), {
    address: ip('10.0.0.3'),
    generation: 2,
  });
  assert.equal(network.guest(2).boots(), '10.0.0.3');
  const third = { nicKey: 'g3/0', guest: null, srcMacHi: 0x5254, srcMacLo: 3 };
  assert.equal(network.server.allocate(third, network.nowMs), null);
});

test('a small maximum size is respected, and a larger one used up to the MTU', () => {
  const searchDomains = Array.from({ length: 30 }, (_, i) => `department-${i}.organisation-${i}.example`);
  const network = new Network({ searchDomains });
  const sizeFor = (maxSize: number | null): number => {
    const options = maxSize === null ? [] : [wire.u16Option(57, maxSize)];
    const offer = network.guest(1).gets(wire.DISCOVER, { options });
    assert.ok(offer.message.options.has(1));
    return offer.payload.length;
  };
  assert.ok(sizeFor(null) <= 576 - 28);
  assert.ok(sizeFor(0) <= 576 - 28);
  assert.ok(sizeFor(1200) <= 1200 - 28);
  const big = sizeFor(9000);
  assert.ok(big > 1000 && big <= 1500 - 28);
});

test('the host name is kept with the lease, hostile text is not', () => {
  const network = new Network();
  network.guest(1).boots([wire.textOption(12, 'Web-1')]);
  network.guest(2).boots([wire.textOption(12, '$(reboot)')]);
  assert.deepEqual(
    network.store.list(network.nowMs).map(({ hostname }) => hostname),
    ['web-1', null],
  );
});

test('the name goes back to the client: the registered one, else its own', () => {
  const network = new Network();
  const fqdn: Dhcp4Option = [81, Buffer.from('\x04\0\0\x02db\0', 'latin1')];
  const offer = network.guest(1).gets(wire.DISCOVER, { options: [fqdn] });
  assert.equal(textOf(offer, 12), 'g1');
  // S and O set by us, E as the client has it, g1.lab.internal in wire format.
  assert.equal(hexOf(offer, 81), '07ffff02673103 6c6162 08696e7465726e616c00'.replaceAll(' ', ''));
  const ascii: Dhcp4Option = [81, Buffer.from('\x01\0\0db')];
  const second = network.guest(2).gets(wire.DISCOVER, { options: [ascii], from: { guest: null } });
  assert.deepEqual(
    [textOf(second, 12), hexOf(second, 81)],
    ['db', `01ffff${Buffer.from('db.lab.internal').toString('hex')}`],
  );
  const nameless = network.guest(3).gets(wire.DISCOVER, { from: { guest: 'not a label' } });
  assert.ok(!nameless.message.options.has(12));
});
