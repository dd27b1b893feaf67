import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Counters } from '../core/counters.ts';
import { formatIpv6, parseIpv4, parseIpv6 } from '../wire/address.ts';
import * as wire from '../wire/dhcpv6.ts';
import type { Dhcp6Message, Dhcp6Option, IaAddress } from '../wire/dhcpv6.ts';
import { DhcpServer } from './dhcp.ts';
import { Dhcp6Server } from './dhcpv6.ts';
import type { Dhcp6Config, Dhcp6Reply, Dhcp6Source } from './dhcpv6.ts';
import { hostAddress, hostNumber } from './dhcpv6-ia.ts';
import { INFINITE_SECONDS } from './lease-binding.ts';
import { LeaseStore } from './lease-store.ts';

const START_MS = 1_700_000_000_000;
const HOUR_MS = 3_600_000;
const words = (text: string): Uint32Array => parseIpv6(text) ?? assert.fail(text);
const SERVER_DUID = Uint8Array.of(0, 3, 0, 1, 0x52, 0x54, 0, 0xff, 0, 1);

const CONFIG: Dhcp6Config = {
  prefix: words('fd00:0:0:1::'),
  duid: SERVER_DUID,
  dns: [words('fd00:0:0:1::1')],
  searchDomains: ['lab.internal'],
  leaseSeconds: 3600,
  poolFirst: 2,
  poolLast: 14,
  excluded: [1],
  reservations: [],
};

interface Got extends Dhcp6Reply {
  message: Dhcp6Message;
  type: number;
  /** Each identity association as `IAID: address valid, …` or `IAID: status n`. */
  associations: string[];
  status: number | null;
}

const statusOf = (options: readonly Dhcp6Option[]): number | null => {
  const value = wire.findOption(options, wire.OPT_STATUS_CODE);
  return value === null ? null : ((value[0] ?? 0) << 8) | (value[1] ?? 0);
};

const describeAddress = ({ address, valid }: IaAddress): string => `${formatIpv6(address)} ${valid}`;

function describeIa(option: Dhcp6Option): string {
  const ia = wire.parseIa(option) ?? assert.fail('a broken association');
  const status = statusOf(ia.options);
  return `${ia.iaid}: ${status === null ? wire.iaAddresses(ia).map(describeAddress).join(', ') : `status ${status}`}`;
}

class Network {
  nowMs = START_MS;
  store = new LeaseStore();
  readonly counters = new Counters();
  readonly config: Dhcp6Config;
  server: Dhcp6Server;

  constructor(more: Partial<Dhcp6Config> = {}) {
    this.config = { ...CONFIG, ...more };
    this.server = new Dhcp6Server(this.config, this.store, this.counters);
  }

  restart(): void {
    const stored = JSON.parse(JSON.stringify(this.store.snapshot())) as unknown[];
    this.store = new LeaseStore();
    this.server = new Dhcp6Server(this.config, this.store, this.counters);
    this.store.restore(stored, this.nowMs);
  }

  guest(number: number): Guest {
    return new Guest(this, number);
  }
}

class Guest {
  readonly #network: Network;
  readonly number: number;
  duid: Uint8Array;

  constructor(network: Network, number: number) {
    this.#network = network;
    this.number = number;
    this.duid = Uint8Array.of(0, 3, 0, 1, 0x52, 0x54, 0, 0, 0, number);
  }

  sendsBytes(bytes: Uint8Array, from: Partial<Dhcp6Source> = {}): Got | null {
    const source = { nicKey: `g${this.number}/0`, guest: `g${this.number}`, srcMacHi: 0x5254, srcMacLo: this.number };
    const address = { srcWords: words(`fe80::${this.number}`), toMulticast: true };
    const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const all = { ...source, ...address, ...from };
    const reply = this.#network.server.onMessage(v, 0, bytes.length, all, this.#network.nowMs);
    if (reply === null) return null;
    const { payload } = reply;
    const message = wire.parseDhcp6(new DataView(payload.buffer), 0, payload.length) ?? assert.fail('unreadable reply');
    assert.deepEqual(wire.findOption(message.options, wire.OPT_SERVER_ID), this.#network.config.duid);
    const codes = [wire.OPT_IA_NA, wire.OPT_IA_TA, wire.OPT_IA_PD];
    const associations = message.options.filter(({ code }) => codes.includes(code)).map(describeIa);
    return { ...reply, message, type: message.type, associations, status: statusOf(message.options) };
  }

  sends(type: number, options: Dhcp6Option[], from: Partial<Dhcp6Source> = {}): Got | null {
    const clientId = { code: wire.OPT_CLIENT_ID, value: this.duid };
    return this.sendsBytes(
      wire.emitDhcp6({ type, xid: 0xabc000 + this.number, options: [clientId, ...options] }),
      from,
    );
  }

  gets(type: number, options: Dhcp6Option[], from: Partial<Dhcp6Source> = {}): Got {
    return this.sends(type, options, from) ?? assert.fail('no answer');
  }

  /** SOLICIT, ADVERTISE, REQUEST, REPLY with one association; the address. */
  boots(iaid: number = 1): string {
    const advertise = this.gets(wire.SOLICIT, [na(iaid)]);
    assert.equal(advertise.type, wire.ADVERTISE);
    const [address = ''] = advertise.associations[0]?.replace(/^\d+: /, '').split(' ') ?? [];
    const reply = this.gets(wire.REQUEST, [OURS, na(iaid, address)]);
    assert.deepEqual(reply.associations, [`${iaid}: ${address} 3600`]);
    return address;
  }
}

const OURS: Dhcp6Option = { code: wire.OPT_SERVER_ID, value: SERVER_DUID };
const OTHER: Dhcp6Option = { code: wire.OPT_SERVER_ID, value: Uint8Array.of(0, 3, 0, 1, 9) };
const RAPID: Dhcp6Option = { code: wire.OPT_RAPID_COMMIT, value: new Uint8Array(0) };

function association(code: number, iaid: number, addresses: string[]): Dhcp6Option {
  const options = addresses.map((text) => wire.addressOption({ address: words(text), preferred: 0, valid: 0 }));
  return wire.iaOption(code, { iaid, t1: 0, t2: 0, options });
}
const na = (iaid: number, ...addresses: string[]): Dhcp6Option => association(wire.OPT_IA_NA, iaid, addresses);
const ta = (iaid: number): Dhcp6Option => association(wire.OPT_IA_TA, iaid, []);
const pd = (iaid: number): Dhcp6Option => association(wire.OPT_IA_PD, iaid, []);
const wants = (...codes: number[]): Dhcp6Option => ({
  code: wire.OPT_OPTION_REQUEST,
  value: Uint8Array.from(codes.flatMap((code) => [code >> 8, code & 0xff])),
});
const A = 'fd00:0:0:1::2';
const B = 'fd00:0:0:1::3';
const FOREIGN = 'fd00:0:0:2::2';

test('host numbers read as decimal digits', () => {
  const cases: [number, string][] = [
    [1, 'fd00:0:0:1::1'],
    [10, 'fd00:0:0:1::10'],
    [254, 'fd00:0:0:1::254'],
    [22_068, 'fd00::1:0:0:2:2068'],
  ];
  for (const [host, text] of cases) {
    assert.equal(formatIpv6(hostAddress(CONFIG.prefix, host)), text);
    assert.equal(hostNumber(words(text)), host);
  }
  for (const text of ['fd00:0:0:1::a', 'fd00:0:0:1::1:0:2', 'fd00:0:0:1:5054:ff:fe12:3456']) {
    assert.equal(hostNumber(words(text)), -1, text);
  }
});

test('SOLICIT, ADVERTISE, REQUEST, REPLY, byte by byte', () => {
  const network = new Network();
  const guest = network.guest(7);
  const advertise = guest.gets(wire.SOLICIT, [na(0x11), wants(23, 24)]);
  assert.deepEqual([advertise.generation, advertise.leases, network.store.generation], [0, [], 0]);
  assert.deepEqual([formatIpv6(advertise.dstWords), advertise.dstMacHi, advertise.dstMacLo], ['fe80::7', 0x5254, 7]);
  const tail = [
    '0017 0010 fd000000000000010000000000000001', // DNS
    '0018 000e 036c616208696e7465726e616c00', // lab.internal
  ];
  const address = 'fd000000000000010000000000000002';
  const ia = [
    '0003 0028 00000011 00000708 00000b40', // IA_NA, T1 1800 s, T2 2880 s
    `0005 0018 ${address} 00000e10 00000e10`, // preferred and valid 3600 s
  ];
  const ids = [
    '0001 000a 00030001525400000007', // the client's DUID
    '0002 000a 00030001525400ff0001', // ours
  ];
  const hex = (...lines: string[]): string => lines.join('').replaceAll(' ', '');
  const want = hex('02 abc007', ...ids, '0007 0001 ff', ...ia, ...tail); // ADVERTISE, preference 255
  assert.equal(Buffer.from(advertise.payload).toString('hex'), want);
  const reply = guest.gets(wire.REQUEST, [OURS, na(0x11, A), wants(23, 24)]);
  assert.equal(Buffer.from(reply.payload).toString('hex'), hex('07 abc007', ...ids, ...ia, ...tail));
  assert.deepEqual([reply.generation, reply.leases[0]?.address], [1, A]);
  assert.equal(network.store.snapshot()[0]?.client, '00030001525400000007/17');
});

test('only what was asked for, or everything', () => {
  const network = new Network();
  const codes = (got: Got): number[] => got.message.options.map(({ code }) => code);
  const guest = network.guest(1);
  assert.deepEqual(codes(guest.gets(wire.INFORMATION_REQUEST, [wants(24)])), [1, 2, 24]);
  assert.deepEqual(codes(guest.gets(wire.INFORMATION_REQUEST, [])), [1, 2, 23, 24]);
  assert.deepEqual(codes(guest.gets(wire.INFORMATION_REQUEST, [OURS, wants(32, 23)])), [1, 2, 32, 23]);
  const anonymous = guest.sendsBytes(wire.emitDhcp6({ type: wire.INFORMATION_REQUEST, xid: 1, options: [] }));
  assert.deepEqual(anonymous && codes(anonymous), [2, 23, 24]);
  const bare = new Network({ dns: [], searchDomains: [] }).guest(1);
  assert.deepEqual(codes(bare.gets(wire.INFORMATION_REQUEST, [])), [1, 2]);
  assert.deepEqual(network.store.list(network.nowMs), []);
});

test('rapid commit, where it is allowed', () => {
  const network = new Network();
  const reply = network.guest(1).gets(wire.SOLICIT, [na(1), RAPID]);
  assert.deepEqual([reply.type, reply.generation, reply.associations], [wire.REPLY, 1, [`1: ${A} 3600`]]);
  assert.ok(wire.findOption(reply.message.options, wire.OPT_RAPID_COMMIT));
  const advertise = new Network({ rapidCommit: false }).guest(1).gets(wire.SOLICIT, [na(1), RAPID]);
  assert.deepEqual([advertise.type, advertise.generation], [wire.ADVERTISE, 0]);
});

/** The guest has A bound in association 1; association 2 is unknown. */
const exchanges: { name: string; type: number; in: Dhcp6Option[]; want: string[]; binds?: boolean }[] = [
  {
    name: 'SOLICIT with IA_TA and IA_PD',
    type: wire.SOLICIT,
    in: [ta(3), pd(4)],
    want: ['3: status 2', '4: status 6'],
  },
  {
    name: 'REQUEST with IA_TA and IA_PD',
    type: wire.REQUEST,
    in: [OURS, ta(3), pd(4)],
    want: ['3: status 2', '4: status 6'],
  },
  { name: 'REQUEST off link', type: wire.REQUEST, in: [OURS, na(2, FOREIGN)], want: ['2: status 4'] },
  {
    name: 'REQUEST of a second address',
    type: wire.REQUEST,
    in: [OURS, na(2, B)],
    want: [`2: ${B} 3600`],
    binds: true,
  },
  {
    name: 'REQUEST of a taken address',
    type: wire.REQUEST,
    in: [OURS, na(2, A)],
    want: [`2: ${B} 3600, ${A} 0`],
    binds: true,
  },
  { name: 'RENEW', type: wire.RENEW, in: [OURS, na(1, A)], want: [`1: ${A} 3600`], binds: true },
  {
    name: 'RENEW with a stale address',
    type: wire.RENEW,
    in: [OURS, na(1, A, FOREIGN)],
    want: [`1: ${A} 3600, ${FOREIGN} 0`],
    binds: true,
  },
  { name: 'RENEW of the unknown', type: wire.RENEW, in: [OURS, na(2, B)], want: ['2: status 3'] },
  {
    name: 'RENEW of IA_TA and IA_PD',
    type: wire.RENEW,
    in: [OURS, ta(3), pd(4)],
    want: ['3: status 3', '4: status 3'],
  },
  { name: 'REBIND', type: wire.REBIND, in: [na(1, A)], want: [`1: ${A} 3600`], binds: true },
  { name: 'REBIND of the unknown, free', type: wire.REBIND, in: [na(2, B)], want: [`2: ${B} 3600`], binds: true },
  { name: 'REBIND of the unknown, taken', type: wire.REBIND, in: [na(2, A)], want: [`2: ${A} 0`] },
  { name: 'REBIND off link', type: wire.REBIND, in: [na(2, FOREIGN)], want: [`2: ${FOREIGN} 0`] },
  { name: 'REBIND without address', type: wire.REBIND, in: [na(2)], want: ['2: status 3'] },
  { name: 'RELEASE', type: wire.RELEASE, in: [OURS, na(1, A)], want: [] },
  { name: 'RELEASE of another address', type: wire.RELEASE, in: [OURS, na(1, B)], want: ['1: status 3'] },
  {
    name: 'RELEASE of the unknown',
    type: wire.RELEASE,
    in: [OURS, na(2, B), pd(4)],
    want: ['2: status 3', '4: status 3'],
  },
  { name: 'DECLINE', type: wire.DECLINE, in: [OURS, na(1, A)], want: [] },
  { name: 'DECLINE of the unknown', type: wire.DECLINE, in: [OURS, na(2, A)], want: ['2: status 3'] },
];
for (const { name, type, in: options, want, binds = false } of exchanges) {
  test(name, () => {
    const network = new Network();
    const guest = network.guest(1);
    assert.equal(guest.boots(), A);
    network.nowMs += 600_000;
    const got = guest.gets(type, options);
    assert.equal(got.type, type === wire.SOLICIT ? wire.ADVERTISE : wire.REPLY);
    assert.deepEqual([got.associations, got.generation > 0], [want, binds]);
    assert.equal(got.status, type === wire.RELEASE || type === wire.DECLINE ? wire.STATUS_SUCCESS : null);
  });
}

test('RELEASE and DECLINE end the lease; a second RELEASE finds none', () => {
  const network = new Network();
  const guest = network.guest(1);
  guest.boots();
  guest.gets(wire.RELEASE, [OURS, na(1, A)]);
  assert.equal(network.store.list(network.nowMs)[0]?.state, 'released');
  assert.deepEqual(guest.gets(wire.RELEASE, [OURS, na(1, A)]).associations, ['1: status 3']);
  assert.equal(guest.boots(), A);
  guest.gets(wire.DECLINE, [OURS, na(1, A)]);
  assert.equal(network.store.list(network.nowMs)[0]?.state, 'declined');
  assert.equal(guest.boots(), B);
});

test('CONFIRM says whether the addresses fit this link', () => {
  const guest = new Network().guest(1);
  assert.equal(guest.gets(wire.CONFIRM, [na(1, A)]).status, wire.STATUS_SUCCESS);
  assert.equal(guest.gets(wire.CONFIRM, [na(1, A), na(2, FOREIGN)]).status, wire.STATUS_NOT_ON_LINK);
  assert.equal(guest.sends(wire.CONFIRM, [na(1)]), null);
});

test('messages that clients must not send (RFC 8415 §16) are not answered', () => {
  const network = new Network();
  const guest = network.guest(1);
  const refused: [number, Dhcp6Option[], Partial<Dhcp6Source>?][] = [
    [wire.SOLICIT, [OURS, na(1)]],
    [wire.CONFIRM, [OURS, na(1, A)]],
    [wire.REBIND, [OURS, na(1, A)]],
    [wire.REQUEST, [na(1)]],
    [wire.REQUEST, [OTHER, na(1)]],
    [wire.RENEW, [OTHER, na(1, A)]],
    [wire.RELEASE, [na(1, A)]],
    [wire.DECLINE, [OTHER, na(1, A)]],
    [wire.INFORMATION_REQUEST, [OTHER]],
    [wire.INFORMATION_REQUEST, [na(1)]],
    [wire.ADVERTISE, [OURS]],
    [wire.REPLY, [OURS]],
    [10, []], // RECONFIGURE
    [wire.SOLICIT, [na(1)], { toMulticast: false }],
    [wire.SOLICIT, [na(1)], { srcWords: words('2001:db8::1') }],
    [wire.SOLICIT, [na(1)], { srcWords: words('::') }],
  ];
  for (const [type, options, from] of refused) assert.equal(guest.sends(type, options, from), null, `type ${type}`);
  assert.equal(guest.sendsBytes(wire.emitDhcp6({ type: wire.SOLICIT, xid: 1, options: [na(1)] })), null);
  guest.duid = new Uint8Array(131);
  assert.equal(guest.sends(wire.SOLICIT, [na(1)]), null);
  assert.equal(network.counters.get('dhcp6_ignored'), refused.length + 2);
  assert.equal(guest.sends(wire.SOLICIT, [{ code: wire.OPT_IA_NA, value: new Uint8Array(3) }]), null);
  assert.equal(guest.sendsBytes(Uint8Array.of(12, 0, 0, 0)), null);
  assert.equal(network.counters.get('dhcp6_malformed'), 2);
  assert.deepEqual(network.store.list(network.nowMs), []);
});

test('unicast is sent back to multicast (RFC 8415 §18.4)', () => {
  const network = new Network();
  const guest = network.guest(1);
  guest.boots();
  for (const type of [wire.REQUEST, wire.RENEW, wire.RELEASE, wire.DECLINE]) {
    const got = guest.gets(type, [OURS, na(1, A)], { toMulticast: false, srcWords: words(A) });
    assert.deepEqual([got.type, got.status, got.associations], [wire.REPLY, wire.STATUS_USE_MULTICAST, []]);
  }
  assert.equal(network.store.holder(6, A)?.nic, 'g1/0');
});

test('a guest has the same number in both families, whichever it asks first', () => {
  const network = new Network({
    reservations: [
      { guest: 'g4', host: 9 },
      { mac: { hi: 0x5254, lo: 5 }, host: 8 },
    ],
  });
  const ip = (text: string): number => parseIpv4(text) ?? assert.fail();
  const v4 = new DhcpServer(
    {
      ...{ network: ip('10.0.0.0'), prefix: 28, gateway: null, serverId: ip('10.0.0.1'), dns: [], domain: null },
      ...{ searchDomains: [], mtu: 1500, leaseSeconds: 3600, poolStart: ip('10.0.0.2'), poolEnd: ip('10.0.0.14') },
      ...{ excluded: [], reservations: [] },
    },
    network.store,
  );
  const allocate = (number: number): number => {
    const from = { nicKey: `g${number}/0`, guest: `g${number}`, srcMacHi: 0x5254, srcMacLo: number };
    return (v4.allocate(from, network.nowMs)?.address ?? 0) & 15;
  };
  allocate(1);
  assert.equal(network.guest(2).boots(), B);
  assert.deepEqual([allocate(3), allocate(2)], [4, 3]);
  assert.deepEqual([network.guest(3).boots(), network.guest(1).boots()], ['fd00:0:0:1::4', A]);
  assert.deepEqual([network.guest(4).boots(), network.guest(5).boots()], ['fd00:0:0:1::9', 'fd00:0:0:1::8']);
});

test('two associations of one client have two addresses, also after a reboot with another DUID', () => {
  const network = new Network();
  const guest = network.guest(1);
  const first = guest.gets(wire.REQUEST, [OURS, na(1), na(2)]).associations;
  assert.deepEqual(first, [`1: ${A} 3600`, `2: ${B} 3600`]);
  network.store.onNicGone('g1/0', network.nowMs);
  guest.duid = Uint8Array.of(0, 4, 1, 2, 3);
  const offered = guest.gets(wire.SOLICIT, [na(71), na(72)]).associations.map((text) => text.split(' ')[1]);
  assert.deepEqual(new Set(offered), new Set([A, B]));
  assert.equal(network.store.list(network.nowMs).length, 2);
});

test('the same guest has the same address after a restart of guest and server', () => {
  const network = new Network();
  network.guest(1).boots();
  const guest = network.guest(2);
  const address = guest.boots();
  guest.duid = Uint8Array.of(0, 4, ...Array.from({ length: 16 }, (_, i) => i));
  assert.equal(guest.boots(99), address);
  network.restart();
  network.nowMs += 100 * HOUR_MS;
  assert.equal(guest.boots(99), address);
  assert.deepEqual(guest.gets(wire.REBIND, [na(99, address)]).associations, [`99: ${address} 3600`]);
});

test('300 short-lived guests on thirteen addresses', () => {
  const network = new Network();
  for (let i = 1; i <= 300; i++) {
    const guest = network.guest(i % 256);
    guest.duid = Uint8Array.of(0, 4, i >> 8, i & 0xff);
    assert.match(guest.boots(), /^fd00:0:0:1::([2-9]|1[0-4])$/);
    network.store.onNicGone(`g${i % 256}/0`, network.nowMs);
  }
});

test('no address left', () => {
  const network = new Network({ poolLast: 2 });
  network.guest(1).boots();
  const guest = network.guest(2);
  assert.deepEqual(guest.gets(wire.SOLICIT, [na(1)]).associations, ['1: status 2']);
  assert.deepEqual(guest.gets(wire.REQUEST, [OURS, na(1), na(2)]).associations, ['1: status 2', '2: status 2']);
  assert.equal(network.counters.get('dhcp6_exhausted'), 3);
  assert.deepEqual(network.guest(1).gets(wire.REQUEST, [OURS, na(2)]).associations, ['2: status 2']);
});

test('mode user: one address for everybody', () => {
  const network = new Network({ fixedHost: 15, reservations: [{ guest: 'g1', host: 3 }] });
  for (const number of [1, 2, 3]) assert.equal(network.guest(number).boots(), 'fd00:0:0:1::15');
  network.restart();
  assert.deepEqual(network.guest(1).gets(wire.RENEW, [OURS, na(1, 'fd00:0:0:1::15')]).associations, [
    '1: fd00:0:0:1::15 3600',
  ]);
  assert.equal(network.store.list(network.nowMs).length, 3);
});

test('quiet renewals promise what is left; leases without end stay so', () => {
  const network = new Network();
  network.guest(1).boots();
  network.nowMs += 10_500;
  const quiet = network.guest(1).gets(wire.RENEW, [OURS, na(1, A)]);
  assert.deepEqual([quiet.generation, quiet.associations], [1, [`1: ${A} 3589`]]);
  const endless = new Network({ leaseSeconds: INFINITE_SECONDS }).guest(1).gets(wire.REQUEST, [OURS, na(1)]);
  const ia = wire.findOption(endless.message.options, wire.OPT_IA_NA) ?? assert.fail();
  assert.equal(Buffer.from(ia.subarray(4, 12)).toString('hex'), 'ffffffffffffffff');
});

test('the host name of option 39 is read, hostile text is not', () => {
  const network = new Network();
  const named = (text: string): Dhcp6Option => ({ code: wire.OPT_FQDN, value: Buffer.from(text, 'latin1') });
  network.guest(1).gets(wire.REQUEST, [OURS, na(1), named('\x01\x03Web\x03lab\0')]);
  network.guest(2).gets(wire.REQUEST, [OURS, na(1), named('\x01\x03$()')]);
  network.guest(3).gets(wire.REQUEST, [OURS, na(1), named('\x01\x3fweb')]);
  assert.deepEqual(
    network.store.list(network.nowMs).map(({ hostname }) => hostname),
    ['web', null, null],
  );
});

test('property: no message makes the server throw or leave its pool', () => {
  const address = fc.constantFrom(A, B, FOREIGN, 'fd00:0:0:1::a', 'fd00:0:0:1::1', 'fd00:0:0:1::9999:9999', 'ff02::1');
  const option = fc.oneof(
    fc
      .tuple(fc.integer({ min: 0, max: 60 }), fc.uint8Array({ maxLength: 40 }))
      .map(([code, value]) => ({ code, value })),
    fc.constantFrom(OURS, OTHER, RAPID, wants(23, 24, 32)),
    fc
      .tuple(fc.constantFrom(3, 4, 25), fc.integer({ min: 0, max: 3 }), fc.array(address, { maxLength: 3 }))
      .map(([code, iaid, addresses]) => association(code, iaid, addresses)),
  );
  const message = fc.record({
    type: fc.integer({ min: 0, max: 13 }),
    guest: fc.integer({ min: 1, max: 20 }),
    options: fc.array(option, { maxLength: 6 }),
    toMulticast: fc.boolean(),
    passMs: fc.constantFrom(0, 1000, HOUR_MS),
  });
  fc.assert(
    fc.property(fc.array(message, { maxLength: 40 }), (messages) => {
      const network = new Network();
      for (const { type, guest, options, toMulticast, passMs } of messages) {
        network.nowMs += passMs;
        const got = network.guest(guest).sends(type, options, { toMulticast });
        for (const lease of got?.leases ?? []) assert.match(lease.address, /^fd00:0:0:1::([2-9]|1[0-4])$/);
      }
      assert.ok(network.store.list(network.nowMs).length <= 13);
    }),
    { numRuns: 300 },
  );
});
