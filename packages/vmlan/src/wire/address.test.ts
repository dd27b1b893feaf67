import assert from 'node:assert/strict';
import { isIPv6 } from 'node:net';
import { test } from 'node:test';
import * as fc from 'fast-check';
import * as address from './address.ts';

const words = fc.array(fc.nat(0xffff_ffff), { minLength: 4, maxLength: 4 });
const bytesOf = (v: DataView): string => Buffer.from(v.buffer as ArrayBuffer).toString('hex');

test('IPv4 text round trip', () => {
  fc.assert(fc.property(fc.nat(0xffff_ffff), (ip) => assert.equal(address.parseIpv4(address.formatIpv4(ip)), ip)));
  assert.equal(address.formatIpv4(0xc0a80101 | 0), '192.168.1.1');
});

for (const text of [
  '',
  '1',
  '1.2.3',
  '1.2.3.4.5',
  '01.2.3.4',
  '1.2.3.256',
  '1.2.3.-4',
  '0x1.2.3.4',
  ' 1.2.3.4',
  '1.2.3.4 ',
  '1..2.3',
  '1.2.3.1e1',
  '1.2.3.４',
]) {
  test(`not IPv4: ${JSON.stringify(text)}`, () => assert.equal(address.parseIpv4(text), null));
}

const ipv6Texts: [string, string][] = [
  ['::', '::'],
  ['::1', '::1'],
  ['1::', '1::'],
  ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
  ['2001:db8::0001', '2001:db8::1'],
  ['1:0:0:2:0:0:0:3', '1:0:0:2::3'], // the longest run
  ['1:0:0:2:3:0:0:4', '1::2:3:0:0:4'], // the first of two equal runs
  ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'], // a single group is not shortened
  ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
  ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
  ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ['1:2:3:4:5:6:1.2.3.4', '1:2:3:4:5:6:102:304'],
  ['fe80::5054:ff:fe00:a', 'fe80::5054:ff:fe00:a'],
];
for (const [text, canonical] of ipv6Texts) {
  test(`IPv6 ${text} is ${canonical}`, () => {
    const parsed = address.parseIpv6(text);
    assert.ok(parsed);
    assert.equal(address.formatIpv6(parsed), canonical);
  });
}

for (const text of [
  '',
  ':',
  ':::',
  '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8:9',
  '1::2::3',
  '12345::',
  'g::',
  '1:2:3:4:5:6:7:8::',
  '::1%eth0',
  '1.2.3.4',
  '1.2.3.4::',
  '::1.2.3',
  '1:2:3:4:5:6:7:1.2.3.4',
  ':1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:',
  '::1 ',
  '::1.2.3.4:5',
]) {
  test(`not IPv6: ${JSON.stringify(text)}`, () => assert.equal(address.parseIpv6(text), null));
}

test('IPv6 text round trip', () => {
  const sparse = fc.array(fc.oneof(fc.constant(0), fc.nat(0xffff_ffff), fc.nat(0xffff)), {
    minLength: 4,
    maxLength: 4,
  });
  fc.assert(
    fc.property(sparse, (w) => {
      const text = address.formatIpv6(w);
      assert.ok(isIPv6(text));
      assert.deepEqual([...address.parseIpv6(text)!], w);
    }),
  );
});

test('what parses as IPv6 is what Node takes for IPv6, without zone', () => {
  const alphabet = fc.constantFrom('0', '1', 'f', 'ffff', ':', '::', '.', '255', '256', '1.2.3.4', 'g');
  fc.assert(
    fc.property(fc.array(alphabet, { maxLength: 18 }), (parts) => {
      const text = parts.join('');
      assert.equal(address.parseIpv6(text) !== null, isIPv6(text), text);
    }),
    { numRuns: 2000 },
  );
});

test('MAC text round trip', () => {
  fc.assert(
    fc.property(fc.nat(0xffff), fc.nat(0xffff_ffff), (hi, lo) => {
      assert.deepEqual(address.parseMac(address.formatMac(hi, lo)), { hi, lo });
    }),
  );
  assert.deepEqual(address.parseMac('52-54-00-AB-cd-EF'), { hi: 0x5254, lo: 0x00abcdef });
  for (const text of [
    '',
    '52:54:00:00:00',
    '52:54:00:00:00:0g',
    '52:54:00:00:00:00:00',
    '52:54-00:00:00:00',
    '5254.0000.0000',
  ]) {
    assert.equal(address.parseMac(text), null, text);
  }
});

test('CIDR of IPv4', () => {
  assert.deepEqual(address.parseCidr4('192.168.105.7/24'), {
    address: 0xc0a86907,
    network: 0xc0a86900,
    prefix: 24,
    mask: 0xffffff00,
    hasHostBits: true,
  });
  assert.equal(address.parseCidr4('10.0.0.0/8')?.hasHostBits, false);
  assert.equal(address.parseCidr4('0.0.0.0/0')?.mask, 0);
  assert.equal(address.parseCidr4('1.2.3.4/32')?.mask, 0xffffffff);
  assert.equal(address.formatCidr4(0x0a000000, 8), '10.0.0.0/8');
  for (const text of ['10.0.0.0', '10.0.0.0/', '10.0.0.0/33', '10.0.0.0/08', '10.0.0.0/8/8', '/8', '10.0.0/8']) {
    assert.equal(address.parseCidr4(text), null, text);
  }
});

test('CIDR of IPv6', () => {
  const cidr = address.parseCidr6('fd00:1:2:3:4::1/52');
  assert.ok(cidr);
  assert.equal(address.formatCidr6(cidr.network, cidr.prefix), 'fd00:1:2::/52');
  assert.equal(cidr.hasHostBits, true);
  assert.deepEqual([...cidr.mask], [0xffffffff, 0xfffff000, 0, 0]);
  assert.equal(address.parseCidr6('::/0')?.hasHostBits, false);
  assert.ok(address.contains6(cidr.network, 52, address.parseIpv6('fd00:1:2:fff::9')!));
  assert.ok(!address.contains6(cidr.network, 52, address.parseIpv6('fd00:1:2:1000::9')!));
  for (const text of ['::', '::/129', 'fd00::/-1', '::/1/1', '10.0.0.0/8', '::/']) {
    assert.equal(address.parseCidr6(text), null, text);
  }
});

test('masks', () => {
  for (let prefix = 0; prefix <= 32; prefix++) assert.equal(address.prefixOfMask4(address.mask4(prefix)), prefix);
  assert.equal(address.prefixOfMask4(0xff00ff00), null);
  assert.equal(address.contains4(0xc0a80000, 0xffff0000, 0xc0a8fffe), true);
  assert.equal(address.contains4(0xc0a80000, 0xffff0000, 0xc0a90000), false);
});

type Predicate4 = (ip: number) => boolean;
const predicates4: [string, Predicate4, string[], string[]][] = [
  ['isThisNetwork4', address.isThisNetwork4, ['0.0.0.0', '0.255.1.2'], ['1.0.0.0']],
  ['isLoopback4', address.isLoopback4, ['127.0.0.1', '127.255.255.255'], ['128.0.0.1', '126.255.255.255']],
  ['isLinkLocal4', address.isLinkLocal4, ['169.254.0.0', '169.254.169.254'], ['169.253.0.1', '169.255.0.0']],
  ['isMulticast4', address.isMulticast4, ['224.0.0.1', '239.255.255.255'], ['223.255.255.255', '240.0.0.0']],
  ['isReserved4', address.isReserved4, ['240.0.0.0', '255.255.255.255'], ['239.255.255.255']],
  ['isBroadcast', address.isBroadcast, ['255.255.255.255'], ['255.255.255.254', '0.0.0.0']],
  [
    'isPrivate4',
    address.isPrivate4,
    ['10.1.2.3', '172.16.0.0', '172.31.255.255', '192.168.0.1'],
    ['172.32.0.0', '172.15.0.0', '11.0.0.0'],
  ],
];
for (const [name, predicate, inside, outside] of predicates4) {
  test(name, () => {
    for (const text of inside) assert.equal(predicate(address.parseIpv4(text)!), true, text);
    for (const text of outside) assert.equal(predicate(address.parseIpv4(text)!), false, text);
  });
}

type Predicate6 = (w0: number, w1: number, w2: number, w3: number) => boolean;
const predicates6: [string, Predicate6, string[], string[]][] = [
  ['isUnspecified6', address.isUnspecified6, ['::'], ['::1', '8000::']],
  ['isLoopback6', address.isLoopback6, ['::1'], ['::', '::2', '1::1', '::1:0:0:1']],
  ['isLinkLocal6', address.isLinkLocal6, ['fe80::', 'febf:ffff::1'], ['fec0::', 'fe7f::1', '::']],
  ['isMulticast6', address.isMulticast6, ['ff02::1', 'ffff::'], ['fe80::1']],
  ['isV4Mapped6', address.isV4Mapped6, ['::ffff:1.2.3.4'], ['::1.2.3.4', '1::ffff:1.2.3.4']],
  ['isUniqueLocal6', address.isUniqueLocal6, ['fc00::', 'fdff::1'], ['fe00::', 'fbff::']],
];
for (const [name, predicate, inside, outside] of predicates6) {
  test(name, () => {
    const holds = (text: string): boolean => {
      const [w0, w1, w2, w3] = address.parseIpv6(text)!;
      return predicate(w0!, w1!, w2!, w3!);
    };
    for (const text of inside) assert.equal(holds(text), true, text);
    for (const text of outside) assert.equal(holds(text), false, text);
  });
}

test('MAC predicates', () => {
  assert.equal(address.isMulticastMac(0x0100), true);
  assert.equal(address.isMulticastMac(0x5254), false);
  assert.equal(address.isBroadcastMac(0xffff, 0xffffffff), true);
  assert.equal(address.isBroadcastMac(0xffff, 0xfffffffe), false);
});

test('multicast MACs and addresses', () => {
  const mac = new DataView(new ArrayBuffer(6));
  address.ipv4MulticastMac(mac, 0, address.parseIpv4('239.255.1.2')!);
  assert.equal(bytesOf(mac), '01005e7f0102');
  address.ipv6MulticastMac(mac, 0, 0xff00000a);
  assert.equal(bytesOf(mac), '3333ff00000a');
  const ip = new DataView(new ArrayBuffer(16));
  address.solicitedNode(ip, 0, 0xfe00000a);
  assert.equal(bytesOf(ip), 'ff0200000000000000000001ff00000a');
});

test('link-local address of a MAC, as Linux derives it', () => {
  assert.equal(address.formatIpv6(address.linkLocalOfMac(0x5254, 0x0000000a)), 'fe80::5054:ff:fe00:a');
  fc.assert(
    fc.property(fc.nat(0xffff), fc.nat(0xffff_ffff), (hi, lo) => {
      const v = new DataView(new ArrayBuffer(16));
      address.eui64LinkLocal(v, 0, hi, lo);
      const written = [0, 4, 8, 12].map((i) => v.getUint32(i));
      assert.deepEqual(written, [...address.linkLocalOfMac(hi, lo)]);
    }),
  );
});

test('a mask word of IPv6 covers what its prefix covers', () => {
  fc.assert(
    fc.property(words, fc.nat(128), (w, prefix) => {
      const bits = w.map((word) => word.toString(2).padStart(32, '0')).join('');
      const masked = w.map((word, i) => (word & address.maskWord6(prefix, i)) >>> 0);
      const expected = bits.slice(0, prefix).padEnd(128, '0');
      assert.equal(masked.map((word) => word.toString(2).padStart(32, '0')).join(''), expected);
    }),
  );
});
