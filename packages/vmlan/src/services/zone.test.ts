import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseIpv4, parseIpv6 } from '../wire/address.ts';
import { TYPE, typeName } from '../wire/dns.ts';
import { nameText } from '../wire/dns-name.ts';
import { rdataText } from '../wire/dns-rdata.ts';
import { reverseKey6 } from '../wire/dns-reverse.ts';
import type { UserRecord } from '../wire/dns-records.ts';
import { validateRecord } from '../wire/dns-records.ts';
import { MAX_GUESTS, MAX_USER_RECORDS, Zone } from './zone.ts';

const ip4 = (text: string): number => parseIpv4(text)!;
const ip6 = (text: string): Uint32Array => parseIpv6(text)!;

function makeZone(domain = 'lab.internal'): Zone {
  return new Zone({
    domain,
    subnet4: { network: ip4('192.168.105.0'), prefix: 24 },
    prefix6: { words: ip6('fd00:105::'), prefix: 64 },
    gateway4: ip4('192.168.105.1'),
    gateway6: ip6('fd00:105::1'),
  });
}

/** The result in one line: `outside`, `loop`, `NXDOMAIN lab.internal.`, `NODATA x.`, or the records. */
function ask(zone: Zone, key: string, type: number = TYPE.A): string {
  const result = zone.lookup(key, type);
  if (result.kind === 'outside' || result.kind === 'loop') return result.kind;
  const records = result.answers.flatMap(({ owner, set }) =>
    set.rdata.map((rdata) =>
      `${owner === undefined ? '' : nameText(owner)} ${typeName(set.type)} ${rdataText(set.type, rdata)}`.trim(),
    ),
  );
  if (result.kind === 'alias') return [...records, `→ ${nameText(result.target)}`].join(', ');
  const negative =
    result.soa === null ? [] : [`${result.rcode === 0 ? 'NODATA' : 'NXDOMAIN'} ${nameText(result.soa.name)}`];
  return [...records, ...negative].join(', ');
}

const WEB4 = [ip4('192.168.105.10')];
const WEB6 = [ip6('fd00:105::10')];

test('a guest answers under all its names', () => {
  const zone = makeZone();
  assert.equal(zone.setGuest('Web', WEB4, WEB6), true);
  for (const key of ['web.lab.internal', 'web.vmlan.internal', 'lima-web.internal', 'web']) {
    assert.equal(ask(zone, key), 'A 192.168.105.10', key);
    assert.equal(ask(zone, key, TYPE.AAAA), 'AAAA fd00:105::10', key);
  }
  assert.equal(ask(zone, '10.105.168.192.in-addr.arpa', TYPE.PTR), 'PTR web.lab.internal.');
  assert.equal(ask(zone, reverseKey6(WEB6[0]!), TYPE.PTR), 'PTR web.lab.internal.');
  assert.equal(zone.guestCount, 1);
});

test('a guest that is gone leaves no names', () => {
  const zone = makeZone();
  const before = zone.list().length;
  zone.setGuest('web', WEB4, WEB6);
  zone.removeGuest('WEB');
  zone.removeGuest('web');
  assert.equal(ask(zone, 'web.lab.internal'), 'NXDOMAIN lab.internal.');
  assert.equal(ask(zone, 'web.vmlan.internal'), 'NXDOMAIN vmlan.internal.');
  assert.equal(ask(zone, 'lima-web.internal'), 'NXDOMAIN internal.');
  assert.equal(ask(zone, 'web'), 'outside');
  assert.equal(ask(zone, '10.105.168.192.in-addr.arpa', TYPE.PTR), 'NXDOMAIN 105.168.192.in-addr.arpa.');
  assert.equal(zone.list().length, before);
});

test('new addresses replace the old ones', () => {
  const zone = makeZone();
  zone.setGuest('web', WEB4, WEB6);
  zone.setGuest('web', [ip4('192.168.105.11')], []);
  assert.equal(ask(zone, 'web'), 'A 192.168.105.11');
  assert.equal(ask(zone, 'web.lab.internal', TYPE.AAAA), 'NODATA lab.internal.');
  assert.equal(ask(zone, '10.105.168.192.in-addr.arpa', TYPE.PTR), 'NXDOMAIN 105.168.192.in-addr.arpa.');
  assert.equal(ask(zone, '11.105.168.192.in-addr.arpa', TYPE.PTR), 'PTR web.lab.internal.');
});

test('guests of one address share its reverse name', () => {
  const zone = makeZone();
  zone.setGuest('a', WEB4, []);
  zone.setGuest('b', WEB4, []);
  assert.equal(ask(zone, '10.105.168.192.in-addr.arpa', TYPE.PTR), 'PTR a.lab.internal., PTR b.lab.internal.');
  zone.removeGuest('a');
  assert.equal(ask(zone, '10.105.168.192.in-addr.arpa', TYPE.PTR), 'PTR b.lab.internal.');
});

test('names of guests must be host labels, and are bounded', () => {
  const zone = makeZone();
  for (const name of ['', 'a.b', 'a_b', '-a', 'a-', 'ä', 'a'.repeat(64), 'a b', '*']) {
    assert.equal(zone.setGuest(name, WEB4, []), false, name);
  }
  assert.equal(zone.setGuest('a'.repeat(63), WEB4, []), true); // too long for lima-GUEST.internal only
  for (let i = 1; i < MAX_GUESTS; i++) assert.equal(zone.setGuest(`g${i}`, [i], []), true);
  assert.equal(zone.setGuest('one-more', WEB4, []), false);
  assert.equal(zone.setGuest('g1', WEB4, []), true);
});

test('names of the gateway', () => {
  const zone = makeZone();
  for (const key of ['host.vmlan.internal', 'host.lima.internal', 'gateway.vmlan.internal']) {
    assert.equal(ask(zone, key), 'A 192.168.105.1', key);
    assert.equal(ask(zone, key, TYPE.AAAA), 'AAAA fd00:105::1', key);
  }
  assert.equal(ask(zone, 'host.vmlan.internal', TYPE.TXT), 'NODATA vmlan.internal.');
  assert.equal(ask(zone, 'host.lima.internal', TYPE.MX), 'NODATA host.lima.internal.');
  assert.equal(ask(zone, '1.105.168.192.in-addr.arpa', TYPE.PTR), 'PTR gateway.vmlan.internal.');
});

test('without a gateway its names do not exist, and stay local', () => {
  const zone = new Zone({ domain: 'lab.internal' });
  assert.equal(ask(zone, 'host.vmlan.internal'), 'NXDOMAIN vmlan.internal.');
  assert.equal(ask(zone, 'host.lima.internal'), 'NXDOMAIN host.lima.internal.');
  assert.equal(ask(zone, '10.105.168.192.in-addr.arpa', TYPE.PTR), 'outside');
});

test('a guest cannot take the name of the host', () => {
  const zone = makeZone();
  zone.setGuest('host', WEB4, []);
  zone.setGuest('localhost', WEB4, []);
  assert.equal(ask(zone, 'host.vmlan.internal'), 'A 192.168.105.1');
  assert.equal(ask(zone, 'host.lab.internal'), 'A 192.168.105.10');
  assert.equal(ask(zone, 'localhost'), 'A 127.0.0.1');
});

test('what is local and what is outside', () => {
  const zone = makeZone();
  zone.setGuest('web', WEB4, []);
  const table: [string, string][] = [
    ['x.lab.internal', 'NXDOMAIN lab.internal.'],
    ['x.web.lab.internal', 'NXDOMAIN lab.internal.'],
    ['lab.internal', 'NODATA lab.internal.'],
    ['vmlan.internal', 'NODATA vmlan.internal.'],
    ['lima-x.internal', 'NXDOMAIN internal.'],
    ['a.lima-x.internal', 'NXDOMAIN internal.'],
    ['a.lima-web.internal', 'NXDOMAIN internal.'],
    ['x.host.lima.internal', 'NXDOMAIN host.lima.internal.'],
    ['105.168.192.in-addr.arpa', 'NODATA 105.168.192.in-addr.arpa.'],
    ['77.105.168.192.in-addr.arpa', 'NXDOMAIN 105.168.192.in-addr.arpa.'],
    // Everything else is somebody else's.
    ['internal', 'outside'],
    ['lima.internal', 'outside'],
    ['other.internal', 'outside'],
    ['limax.internal', 'outside'],
    ['xlab.internal', 'outside'],
    ['lima-x.internal.example', 'outside'],
    ['168.192.in-addr.arpa', 'outside'],
    ['1.106.168.192.in-addr.arpa', 'outside'],
    ['in-addr.arpa', 'outside'],
    ['x.web', 'outside'],
    ['example.com', 'outside'],
    ['printer.local', 'outside'],
    ['com', 'outside'],
    ['', 'outside'],
  ];
  for (const [key, want] of table) assert.equal(ask(zone, key), want, key);
  assert.equal(ask(zone, 'web', TYPE.MX), 'NODATA web.');
  assert.equal(ask(zone, 'lima-web.internal', TYPE.HTTPS), 'NODATA lima-web.internal.');
});

test('special-use names', () => {
  const zone = makeZone();
  const table: [string, number, string][] = [
    ['localhost', TYPE.A, 'A 127.0.0.1'],
    ['a.b.localhost', TYPE.AAAA, 'AAAA ::1'],
    ['localhost', TYPE.MX, 'NODATA localhost.'],
    ['1.0.0.127.in-addr.arpa', TYPE.PTR, 'PTR localhost.'],
    ['9.0.0.127.in-addr.arpa', TYPE.PTR, 'NXDOMAIN 127.in-addr.arpa.'],
    [reverseKey6(ip6('::1')), TYPE.PTR, 'PTR localhost.'],
    ['invalid', TYPE.A, 'NXDOMAIN invalid.'],
    ['a.b.invalid', TYPE.TXT, 'NXDOMAIN invalid.'],
    ['x.onion', TYPE.AAAA, 'NXDOMAIN onion.'],
    ['_dns.resolver.arpa', TYPE.SVCB, 'NODATA _dns.resolver.arpa.'],
    ['resolver.arpa', TYPE.A, 'NODATA resolver.arpa.'],
  ];
  for (const [key, type, want] of table) assert.equal(ask(zone, key, type), want, key);
});

test('apexes have SOA and NS', () => {
  const zone = makeZone();
  for (const key of ['lab.internal', 'vmlan.internal', '105.168.192.in-addr.arpa']) {
    assert.match(
      ask(zone, key, TYPE.SOA),
      /^SOA gateway\.vmlan\.internal\. hostmaster\.vmlan\.internal\. \d+ 3600 600 86400 2$/,
    );
    assert.equal(ask(zone, key, TYPE.NS), 'NS gateway.vmlan.internal.');
  }
});

test('the serial grows with every change, in every SOA', () => {
  const zone = makeZone();
  const serial = (key: string): number => Number(ask(zone, key, TYPE.SOA).split(' ')[3]);
  const first = serial('lab.internal');
  zone.setGuest('web', WEB4, []);
  zone.setRecords([]);
  zone.removeGuest('web');
  assert.equal(serial('lab.internal'), first + 3);
  assert.equal(serial('vmlan.internal'), first + 3);
});

test('prefixes that end inside an octet or a nibble', () => {
  const zone = new Zone({
    domain: 'lab.internal',
    subnet4: { network: ip4('10.0.16.0'), prefix: 20 },
    prefix6: { words: ip6('fd00:0:0:8000::'), prefix: 50 },
  });
  zone.setGuest('web', [ip4('10.0.17.5')], []);
  const table: [string, string][] = [
    ['5.17.0.10.in-addr.arpa', 'PTR web.lab.internal.'],
    ['6.17.0.10.in-addr.arpa', 'NXDOMAIN 0.10.in-addr.arpa.'],
    ['17.0.10.in-addr.arpa', 'NODATA 0.10.in-addr.arpa.'],
    ['18.0.10.in-addr.arpa', 'NXDOMAIN 0.10.in-addr.arpa.'],
    ['1.32.0.10.in-addr.arpa', 'outside'],
    ['0.10.in-addr.arpa', 'outside'],
    [reverseKey6(ip6('fd00:0:0:8001::1')), 'NXDOMAIN 0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa.'],
    [reverseKey6(ip6('fd00:0:0:c001::1')), 'outside'],
    ['0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa', 'outside'],
  ];
  for (const [key, want] of table) assert.equal(ask(zone, key, TYPE.PTR), want, key);
});

test('a domain outside .internal, and one that is vmlan.internal', () => {
  const home = makeZone('Home.ARPA.');
  assert.equal(home.domain, 'home.arpa');
  home.setGuest('web', WEB4, []);
  assert.equal(ask(home, 'web.home.arpa'), 'A 192.168.105.10');
  assert.equal(ask(home, 'x.home.arpa'), 'NXDOMAIN home.arpa.');
  const common = makeZone('vmlan.internal');
  common.setGuest('web', WEB4, []);
  assert.equal(ask(common, 'web.vmlan.internal'), 'A 192.168.105.10');
  assert.throws(() => makeZone('..'), /"\.\." is not a domain name/);
  assert.throws(() => makeZone('.'), /not a domain name/);
});

const RECORDS: UserRecord[] = [
  { name: 'registry.lab.internal', type: 'A', value: '192.168.105.20' },
  { name: 'registry.lab.internal', type: 'A', value: '192.168.105.21', ttl: 60 },
  { name: 'Registry.lab.internal.', type: 'a', value: '192.168.105.20' },
  { name: 'registry.lab.internal', type: 'AAAA', value: 'fd00:105::20' },
  { name: 'deep.er.lab.internal', type: 'TXT', value: 'hello there' },
  { name: 'lab.internal', type: 'MX', value: '10 mail.lab.internal' },
  { name: '_sip._udp.lab.internal', type: 'SRV', value: '0 5 5060 registry.lab.internal' },
  { name: 'lab.internal', type: 'NS', value: 'ns.lab.internal' },
  { name: '99.105.168.192.in-addr.arpa', type: 'PTR', value: 'printer.lab.internal' },
  { name: 'lab.internal', type: 'CAA', value: '0 issue ";"' },
  { name: 'www.lab.internal', type: 'HTTPS', value: '1 . alpn=h2' },
  { name: 'raw.lab.internal', type: 'TYPE4711', value: '00ff' },
  { name: 'api.example.com', type: 'A', value: '10.9.9.9' },
  { name: '*.dev.example.com', type: 'A', value: '10.9.9.8' },
  { name: 'x.y.dev.example.com', type: 'A', value: '10.9.9.7' },
  { name: '*.apps.lab.internal', type: 'CNAME', value: 'registry.lab.internal' },
  { name: 'alias.lab.internal', type: 'CNAME', value: 'alias2.lab.internal' },
  { name: 'alias2.lab.internal', type: 'CNAME', value: 'REGISTRY.lab.internal' },
  { name: 'cdn.lab.internal', type: 'CNAME', value: 'cdn.example.net' },
  { name: 'dangling.lab.internal', type: 'CNAME', value: 'nothing.lab.internal' },
  { name: 'a.loop.lab.internal', type: 'CNAME', value: 'b.loop.lab.internal' },
  { name: 'b.loop.lab.internal', type: 'CNAME', value: 'a.loop.lab.internal' },
];

test('user records of every type', () => {
  const zone = makeZone();
  zone.setRecords(RECORDS);
  const table: [string, number, string][] = [
    ['registry.lab.internal', TYPE.A, 'A 192.168.105.20, A 192.168.105.21'],
    ['registry.lab.internal', TYPE.AAAA, 'AAAA fd00:105::20'],
    ['registry.lab.internal', TYPE.ANY, 'A 192.168.105.20, A 192.168.105.21, AAAA fd00:105::20'],
    ['registry.lab.internal', TYPE.TXT, 'NODATA lab.internal.'],
    ['deep.er.lab.internal', TYPE.TXT, 'TXT "hello there"'],
    ['er.lab.internal', TYPE.A, 'NODATA lab.internal.'], // empty non-terminal
    ['x.er.lab.internal', TYPE.A, 'NXDOMAIN lab.internal.'],
    ['lab.internal', TYPE.MX, 'MX 10 mail.lab.internal.'],
    ['lab.internal', TYPE.NS, 'NS ns.lab.internal.'],
    ['_sip._udp.lab.internal', TYPE.SRV, 'SRV 0 5 5060 registry.lab.internal.'],
    ['_udp.lab.internal', TYPE.SRV, 'NODATA lab.internal.'],
    ['99.105.168.192.in-addr.arpa', TYPE.PTR, 'PTR printer.lab.internal.'],
    ['lab.internal', TYPE.CAA, 'CAA 0 issue ";"'],
    ['www.lab.internal', TYPE.HTTPS, 'HTTPS 1 . alpn="h2"'],
    ['raw.lab.internal', 4711, String.raw`TYPE4711 \# 2 00ff`],
    // outside of the zones: the name alone is local
    ['api.example.com', TYPE.A, 'A 10.9.9.9'],
    ['api.example.com', TYPE.AAAA, 'NODATA api.example.com.'],
    ['www.example.com', TYPE.A, 'outside'],
    ['example.com', TYPE.A, 'outside'],
    ['x.api.example.com', TYPE.A, 'outside'],
    // wildcards (RFC 4592)
    ['any.dev.example.com', TYPE.A, 'A 10.9.9.8'],
    ['a.b.c.dev.example.com', TYPE.A, 'A 10.9.9.8'],
    ['any.dev.example.com', TYPE.MX, 'NODATA dev.example.com.'],
    ['x.y.dev.example.com', TYPE.A, 'A 10.9.9.7'],
    ['y.dev.example.com', TYPE.A, 'NODATA dev.example.com.'],
    ['z.y.dev.example.com', TYPE.A, 'NXDOMAIN dev.example.com.'],
    ['dev.example.com', TYPE.A, 'outside'],
    ['*.dev.example.com', TYPE.A, 'A 10.9.9.8'],
    ['shop.apps.lab.internal', TYPE.AAAA, 'CNAME registry.lab.internal., registry.lab.internal. AAAA fd00:105::20'],
    // aliases
    [
      'alias.lab.internal',
      TYPE.AAAA,
      'CNAME alias2.lab.internal., alias2.lab.internal. CNAME REGISTRY.lab.internal., REGISTRY.lab.internal. AAAA fd00:105::20',
    ],
    ['alias.lab.internal', TYPE.CNAME, 'CNAME alias2.lab.internal.'],
    ['alias.lab.internal', TYPE.ANY, 'CNAME alias2.lab.internal.'],
    ['dangling.lab.internal', TYPE.A, 'CNAME nothing.lab.internal., NXDOMAIN lab.internal.'],
    ['alias2.lab.internal', TYPE.MX, 'CNAME REGISTRY.lab.internal., NODATA lab.internal.'],
    ['cdn.lab.internal', TYPE.A, 'CNAME cdn.example.net., → cdn.example.net.'],
    ['a.loop.lab.internal', TYPE.A, 'loop'],
  ];
  for (const [key, type, want] of table) assert.equal(ask(zone, key, type), want, `${key} ${typeName(type)}`);
});

test('user records win over guests and come and go without trace', () => {
  const zone = makeZone();
  const before = zone.list();
  zone.setGuest('web', WEB4, WEB6);
  zone.setRecords([
    { name: 'web.lab.internal', type: 'A', value: '10.1.1.1' },
    { name: 'web.vmlan.internal', type: 'CNAME', value: 'other.lab.internal' },
    { name: 'host.vmlan.internal', type: 'A', value: '10.1.1.2' },
    { name: 'lab.internal', type: 'A', value: '10.1.1.3' },
  ]);
  assert.equal(ask(zone, 'web.lab.internal'), 'A 10.1.1.1');
  assert.equal(ask(zone, 'web.lab.internal', TYPE.AAAA), 'AAAA fd00:105::10');
  assert.equal(ask(zone, 'web.vmlan.internal'), 'CNAME other.lab.internal., NXDOMAIN lab.internal.');
  assert.equal(ask(zone, 'host.vmlan.internal'), 'A 10.1.1.2');
  assert.equal(ask(zone, 'lab.internal'), 'A 10.1.1.3');
  zone.setRecords([]);
  assert.equal(ask(zone, 'web.vmlan.internal'), 'A 192.168.105.10');
  assert.equal(ask(zone, 'host.vmlan.internal'), 'A 192.168.105.1');
  zone.removeGuest('web');
  const strip = (list: typeof before): string[] =>
    list
      .filter(({ type }) => type !== 'SOA')
      .map((r) => JSON.stringify(r))
      .sort();
  assert.deepEqual(strip(zone.list()), strip(before));
});

test('wrong records are refused as a whole', () => {
  const zone = makeZone();
  zone.setRecords([{ name: 'keep.lab.internal', type: 'A', value: '10.1.1.1' }]);
  const good: UserRecord = { name: 'a.lab.internal', type: 'A', value: '10.0.0.1' };
  const table: { records: UserRecord[]; want: RegExp }[] = [
    {
      records: [{ ...good, value: 'x' }],
      want: /^DNS record a\.lab\.internal A: "x" is not a value of type A; an example: 192/,
    },
    { records: [good, { ...good, type: 'CNAME', value: 'b' }], want: /CNAME record can have no other/ },
    { records: [1, 2].map((i) => ({ name: 'c', type: 'CNAME', value: `x${i}` })), want: /no other/ },
    { records: [{ name: 'lab.internal', type: 'CNAME', value: 'b' }], want: /top of a zone/ },
    {
      records: Array.from({ length: 257 }, (_, i) => ({ ...good, value: `10.0.${i >> 8}.${i & 255}` })),
      want: /256 records/,
    },
    { records: Array.from({ length: MAX_USER_RECORDS + 1 }, () => good), want: /at most 10000/ },
  ];
  for (const { records, want } of table) {
    assert.throws(
      () => zone.setRecords(records),
      (error: Error) => want.test(error.message),
      String(want),
    );
  }
  assert.equal(ask(zone, 'keep.lab.internal'), 'A 10.1.1.1');
  assert.equal(ask(zone, 'a.lab.internal'), 'NXDOMAIN lab.internal.');
});

test('validateRecord names the trouble', () => {
  const table: { record: UserRecord; want: RegExp | null }[] = [
    { record: { name: 'a.b', type: 'TYPE65400', value: String.raw`\# 1 00` }, want: null },
    { record: { name: 'a..b', type: 'A', value: '1.2.3.4' }, want: /"a\.\.b" is not a domain name/ },
    { record: { name: '.', type: 'A', value: '1.2.3.4' }, want: /not a domain name/ },
    { record: { name: 'a', type: 'SOA', value: '' }, want: /made by the network/ },
    { record: { name: 'a', type: 'BOGUS', value: '' }, want: /"BOGUS" is not a record type/ },
    { record: { name: 'a', type: 'ANY', value: '' }, want: /not a type of stored data/ },
    { record: { name: 'a', type: 'TYPE41', value: '00' }, want: /not a type of stored data/ },
    { record: { name: 'a', type: 'TYPE0', value: '00' }, want: /not a type of stored data/ },
    { record: { name: 'a', type: 'TYPE1', value: '01020304' }, want: /write TYPE1 as A/ },
    { record: { name: 'a', type: 'DNAME', value: 'b' }, want: /DNAME records are not supported/ },
    { record: { name: 'a', type: 'TYPE17', value: '0000' }, want: /TYPE17 records are not supported/ },
    { record: { name: 'a', type: 'TYPE9999', value: 'zz' }, want: /an example: \\# 4/ },
    { record: { name: 'a', type: 'A', value: '1.2.3.4', ttl: -1 }, want: /ttl/ },
    { record: { name: 'a', type: 'A', value: '1.2.3.4', ttl: 1.5 }, want: /ttl/ },
    { record: { name: 'a', type: 'TXT', value: 'x'.repeat(5000) }, want: /octets, at most 4096/ },
    ...RECORDS.map((record) => ({ record, want: null })),
  ];
  for (const { record, want } of table) {
    const problem = validateRecord(record);
    if (want === null) assert.equal(problem, null, JSON.stringify(record));
    else assert.match(problem ?? '', want);
  }
});

test('the list shows what is there', () => {
  const zone = makeZone();
  zone.setGuest('web', WEB4, []);
  zone.setRecords([{ name: 'web.lab.internal', type: 'TXT', value: 'x', ttl: 9 }]);
  const own = zone.list().filter(({ name }) => name === 'web.lab.internal.');
  assert.deepEqual(own, [
    { name: 'web.lab.internal.', type: 'A', value: '192.168.105.10', ttl: 5, origin: 'guest' },
    { name: 'web.lab.internal.', type: 'TXT', value: '"x"', ttl: 9, origin: 'user' },
  ]);
});

test('a catch-all wildcard leaves nothing outside', () => {
  const zone = makeZone();
  zone.setRecords([{ name: '*', type: 'A', value: '10.0.0.1' }]);
  assert.equal(ask(zone, 'whatever.example.com'), 'A 10.0.0.1');
  assert.equal(ask(zone, 'x.lab.internal'), 'NXDOMAIN lab.internal.');
  zone.setRecords([]);
  assert.equal(ask(zone, 'whatever.example.com'), 'outside');
});

test('any order of changes leaves the same zone as the last state alone', () => {
  const name = fc.constantFrom('a', 'b', 'c');
  const step = fc.oneof(
    fc.record({ guest: name, address: fc.nat(3) }),
    fc.record({ guest: name, address: fc.constant(-1) }),
    fc.record({
      records: fc.array(
        fc.record({
          name: fc.constantFrom('a.lab.internal', 'x.b.lab.internal', '*.q', 'r.q'),
          type: fc.constant('A'),
          value: fc.constantFrom('10.0.0.1', '10.0.0.2'),
        }),
        { maxLength: 4 },
      ),
    }),
  );
  const shown = (zone: Zone): string[] =>
    zone
      .list()
      .filter(({ type }) => type !== 'SOA')
      .map((r) => JSON.stringify(r))
      .sort();
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
      const zone = makeZone();
      const guests = new Map<string, number>();
      let records: UserRecord[] = [];
      for (const change of steps) {
        if ('records' in change) zone.setRecords((records = change.records));
        else if (change.address < 0) {
          zone.removeGuest(change.guest);
          guests.delete(change.guest);
        } else {
          zone.setGuest(change.guest, [ip4('192.168.105.10') + change.address], []);
          guests.set(change.guest, change.address);
        }
      }
      const fresh = makeZone();
      fresh.setRecords(records);
      for (const [guest, address] of guests) fresh.setGuest(guest, [ip4('192.168.105.10') + address], []);
      assert.deepEqual(shown(zone), shown(fresh));
      for (const key of ['a.lab.internal', 'b.lab.internal', 'z.q', 'r.q', 'a', 'q'])
        assert.equal(ask(zone, key), ask(fresh, key));
    }),
    { numRuns: 300 },
  );
});
