import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { formatIpv4, formatIpv6, parseIpv6 } from '../wire/address.ts';
import { POLICY_CONFIG } from './bench.fixture.ts';
import {
  $target,
  type Cidr,
  OutboundPolicy,
  PASS,
  PASS_LOCAL,
  type PolicyConfig,
  PROHIBITED,
  REFUSED,
  type ReverseTarget,
  SERVICE_DNS,
  contains,
} from './policy.ts';
import { textOf, words } from './scripted-sockets.fixture.ts';

const NAMES = ['pass', 'local', 'dns', 'refused', 'prohibited'] as const;
const VERDICTS = [PASS, PASS_LOCAL, SERVICE_DNS, REFUSED, PROHIBITED];

const cidr = (text: string): Cidr => {
  const [address = '', bits = ''] = text.split('/');
  const prefix = Number(bits) + (address.includes(':') ? 0 : 96);
  return { words: Int32Array.from(words(address)), prefix };
};

const reverse = (
  protocol: 'tcp' | 'udp',
  gatewayPort: number,
  to: { host: string; port: number } | { path: string },
): ReverseTarget =>
  'path' in to
    ? { protocol, gatewayPort, words: null, port: 0, path: to.path }
    : { protocol, gatewayPort, words: Int32Array.from(words(to.host)), port: to.port, path: null };

const HOST_ADDRESSES = new Set(['192.0.2.10', '2001:db8::10']);
const DNS_4 = '192.168.105.3';

interface Row {
  readonly name: string;
  readonly config?: Partial<PolicyConfig>;
  readonly ask: readonly [protocol: 'tcp' | 'udp' | 'echo', address: string, port: number];
  /** `pass 198.51.100.7:80`; `either` where somebody on the other loopback would do. */
  readonly want: string;
}

const rows: readonly Row[] = [
  { name: 'the world', ask: ['tcp', '198.51.100.7', 80], want: 'pass 198.51.100.7:80' },
  { name: 'the world over IPv6', ask: ['udp', '2001:db8::7', 53], want: 'pass 2001:db8::7:53' },
  { name: 'an echo', ask: ['echo', '198.51.100.7', 0], want: 'pass 198.51.100.7:0' },
  { name: 'the edges of IPv4', ask: ['tcp', '223.255.255.255', 65_535], want: 'pass 223.255.255.255:65535' },
  {
    name: 'no outward: not the world',
    config: { outward: false },
    ask: ['tcp', '198.51.100.7', 80],
    want: 'prohibited',
  },
  {
    name: 'no outward: still the host, by the gateway',
    config: { outward: false },
    ask: ['tcp', '192.168.105.1', 80],
    want: 'local 127.0.0.1:80 either',
  },

  { name: 'DNS over TCP at the gateway', ask: ['tcp', '192.168.105.1', 53], want: 'dns' },
  { name: 'DNS over TCP at its IPv6 address', ask: ['tcp', 'fd00:1::1', 53], want: 'dns' },
  { name: 'DNS over TCP at its link-local address', ask: ['tcp', 'fe80::1', 53], want: 'dns' },
  {
    name: 'DNS over UDP is the gateway’s own before it is asked here',
    ask: ['udp', '192.168.105.1', 53],
    want: 'local 127.0.0.1:53 either',
  },
  { name: 'host loopback by the gateway', ask: ['tcp', '192.168.105.1', 8080], want: 'local 127.0.0.1:8080 either' },
  { name: 'host loopback by IPv6', ask: ['tcp', 'fd00:1::1', 8080], want: 'local ::1:8080 either' },
  { name: 'host loopback by link-local', ask: ['udp', 'fe80::1', 123], want: 'local ::1:123 either' },
  {
    name: 'host loopback closed',
    config: { hostAccess: 'none' },
    ask: ['tcp', '192.168.105.1', 8080],
    want: 'refused',
  },
  {
    name: 'host loopback, a port that is open',
    config: { hostAccess: new Set([22, 8080]) },
    ask: ['tcp', '192.168.105.1', 8080],
    want: 'local 127.0.0.1:8080 either',
  },
  {
    name: 'host loopback, a port that is not',
    config: { hostAccess: new Set([22, 8080]) },
    ask: ['tcp', 'fd00:1::1', 8081],
    want: 'refused',
  },
  {
    name: 'DNS although host access is none',
    config: { hostAccess: 'none' },
    ask: ['tcp', 'fd00:1::1', 53],
    want: 'dns',
  },

  { name: 'the second address: DNS', config: { dns4: 0xc0a8_6903 }, ask: ['tcp', DNS_4, 53], want: 'dns' },
  { name: 'the second address: nothing else', config: { dns4: 0xc0a8_6903 }, ask: ['tcp', DNS_4, 80], want: 'refused' },
  { name: 'the second address, UDP', config: { dns4: 0xc0a8_6903 }, ask: ['udp', DNS_4, 80], want: 'refused' },
  { name: 'without a second address it is like any other', ask: ['tcp', DNS_4, 80], want: `pass ${DNS_4}:80` },

  { name: 'the host’s own address while all is open', ask: ['tcp', '192.0.2.10', 80], want: 'pass 192.0.2.10:80' },
  {
    name: 'the host’s own address, access none',
    config: { hostAccess: 'none' },
    ask: ['tcp', '192.0.2.10', 80],
    want: 'prohibited',
  },
  { name: 'the same over IPv6', config: { hostAccess: 'none' }, ask: ['udp', '2001:db8::10', 80], want: 'prohibited' },
  { name: 'the same by echo', config: { hostAccess: 'none' }, ask: ['echo', '192.0.2.10', 0], want: 'prohibited' },
  {
    name: 'the host’s own address, a port that is open',
    config: { hostAccess: new Set([80]) },
    ask: ['tcp', '192.0.2.10', 80],
    want: 'pass 192.0.2.10:80',
  },
  {
    name: 'the host’s own address, a port that is not',
    config: { hostAccess: new Set([80]) },
    ask: ['tcp', '192.0.2.10', 81],
    want: 'prohibited',
  },
  {
    name: 'its neighbor, access none',
    config: { hostAccess: 'none' },
    ask: ['tcp', '192.0.2.11', 80],
    want: 'pass 192.0.2.11:80',
  },

  {
    name: 'closed',
    config: { closed: [cidr('169.254.0.0/16')] },
    ask: ['tcp', '169.254.169.254', 80],
    want: 'prohibited',
  },
  {
    name: 'first address beside',
    config: { closed: [cidr('169.254.0.0/16')] },
    ask: ['tcp', '169.253.255.255', 80],
    want: 'pass 169.253.255.255:80',
  },
  {
    name: 'first address behind',
    config: { closed: [cidr('169.254.0.0/16')] },
    ask: ['tcp', '169.255.0.0', 80],
    want: 'pass 169.255.0.0:80',
  },
  {
    name: 'a closed host',
    config: { closed: [cidr('10.0.0.1/32')] },
    ask: ['tcp', '10.0.0.1', 80],
    want: 'prohibited',
  },
  {
    name: 'beside a closed host',
    config: { closed: [cidr('10.0.0.1/32')] },
    ask: ['tcp', '10.0.0.0', 80],
    want: 'pass 10.0.0.0:80',
  },
  {
    name: 'an odd prefix, inside',
    config: { closed: [cidr('10.0.128.0/17')] },
    ask: ['tcp', '10.0.200.1', 80],
    want: 'prohibited',
  },
  {
    name: 'an odd prefix, outside',
    config: { closed: [cidr('10.0.128.0/17')] },
    ask: ['tcp', '10.0.127.1', 80],
    want: 'pass 10.0.127.1:80',
  },
  { name: 'all of IPv4', config: { closed: [cidr('0.0.0.0/0')] }, ask: ['tcp', '255.1.2.3', 80], want: 'prohibited' },
  {
    name: 'all of IPv4 is nothing of IPv6',
    config: { closed: [cidr('0.0.0.0/0')] },
    ask: ['tcp', '2001:db8::7', 80],
    want: 'pass 2001:db8::7:80',
  },
  {
    name: 'closed IPv6',
    config: { closed: [cidr('2001:db8:bad::/48')] },
    ask: ['tcp', '2001:db8:bad:1::7', 80],
    want: 'prohibited',
  },
  {
    name: 'beside closed IPv6',
    config: { closed: [cidr('2001:db8:bad::/48')] },
    ask: ['tcp', '2001:db8:bae::7', 80],
    want: 'pass 2001:db8:bae::7:80',
  },
  {
    name: 'all of IPv6 holds IPv4 too, in its mapped form',
    config: { closed: [cidr('::/0')] },
    ask: ['tcp', '198.51.100.7', 80],
    want: 'prohibited',
  },
  {
    name: 'the second of two',
    config: { closed: [cidr('10.0.0.0/8'), cidr('fc00::/7')] },
    ask: ['udp', 'fd12::1', 80],
    want: 'prohibited',
  },
  {
    name: 'the gateway is open although its network is closed',
    config: { closed: [cidr('192.168.0.0/16'), cidr('fe80::/10')] },
    ask: ['tcp', 'fe80::1', 80],
    want: 'local ::1:80 either',
  },

  {
    name: 'without IPv6 its gateway address is anybody’s',
    config: { gateway6: null },
    ask: ['tcp', 'fd00:1::1', 80],
    want: 'pass fd00:1::1:80',
  },
];

function ask(policy: OutboundPolicy, [protocol, address, port]: Row['ask']): string {
  const verdict = policy.decide(protocol, ...words(address), port);
  const name = NAMES[VERDICTS.indexOf(verdict)]!;
  if (name !== 'pass' && name !== 'local') return name;
  const { w0, w1, w2, w3, path, eitherLoopback } = $target;
  if (path !== null) return `${name} ${path}`;
  return `${name} ${textOf(w0, w1, w2, w3)}:${$target.port}${eitherLoopback ? ' either' : ''}`;
}

function policyOf(config: Partial<PolicyConfig> = {}): OutboundPolicy {
  const isHostAddress = (w0: number, w1: number, w2: number, w3: number): boolean =>
    HOST_ADDRESSES.has(textOf(w0, w1, w2, w3));
  return new OutboundPolicy({ ...POLICY_CONFIG, ...config }, isHostAddress);
}

describe('a guest may reach', () => {
  for (const { name, config, ask: question, want } of rows) {
    test(name, () => assert.equal(ask(policyOf(config), question), want));
  }

  test('the host’s addresses are not looked up while all is open', () => {
    const policy = new OutboundPolicy(POLICY_CONFIG, () => assert.fail('a lookup costs system calls'));
    assert.equal(ask(policy, ['tcp', '198.51.100.7', 80]), 'pass 198.51.100.7:80');
  });
});

describe('reverse forwards', () => {
  const policy = policyOf({ hostAccess: 'none', dns4: 0xc0a8_6903 });
  policy.setReverse([
    reverse('tcp', 5432, { host: '10.9.8.7', port: 15_432 }),
    reverse('udp', 5432, { host: '2001:db8::5', port: 25_432 }),
    reverse('tcp', 2375, { path: '/run/docker.sock' }),
    reverse('tcp', 53, { host: '10.9.8.7', port: 53 }),
  ]);
  const cases: readonly (readonly [string, Row['ask'], string])[] = [
    ['TCP', ['tcp', '192.168.105.1', 5432], 'local 10.9.8.7:15432'],
    ['UDP has its own', ['udp', '192.168.105.1', 5432], 'local 2001:db8::5:25432'],
    ['by each address of the gateway', ['tcp', 'fe80::1', 5432], 'local 10.9.8.7:15432'],
    ['to a unix socket', ['tcp', 'fd00:1::1', 2375], 'local /run/docker.sock'],
    ['of the other protocol', ['udp', '192.168.105.1', 2375], 'refused'],
    ['another port', ['tcp', '192.168.105.1', 5433], 'refused'],
    ['not by the address for DNS', ['tcp', DNS_4, 5432], 'refused'],
    ['not elsewhere', ['tcp', '198.51.100.7', 5432], 'pass 198.51.100.7:5432'],
    ['DNS stays DNS', ['tcp', '192.168.105.1', 53], 'dns'],
  ];
  for (const [name, question, want] of cases) test(name, () => assert.equal(ask(policy, question), want));

  test('a target leaves nothing behind for the next question', () => {
    assert.equal(ask(policy, ['tcp', '192.168.105.1', 2375]), 'local /run/docker.sock');
    assert.equal(ask(policy, ['tcp', '198.51.100.7', 80]), 'pass 198.51.100.7:80');
  });

  test('they are replaced as a whole, and whoever gave them may change the list', () => {
    const own = policyOf({ hostAccess: 'none' });
    const list = [reverse('tcp', 1000, { host: '10.0.0.1', port: 1 })];
    own.setReverse(list);
    list.length = 0;
    assert.equal(ask(own, ['tcp', '192.168.105.1', 1000]), 'local 10.0.0.1:1');
    own.setReverse([]);
    assert.equal(ask(own, ['tcp', '192.168.105.1', 1000]), 'refused');
  });
});

test('other destinations can be closed later', () => {
  const own = policyOf({});
  assert.equal(ask(own, ['tcp', '10.9.8.7', 80]), 'pass 10.9.8.7:80');
  own.setClosed([cidr('10.9.0.0/16')]);
  assert.equal(ask(own, ['tcp', '10.9.8.7', 80]), 'prohibited');
  own.setClosed([]);
  assert.equal(ask(own, ['tcp', '10.9.8.7', 80]), 'pass 10.9.8.7:80');
});

test('a prefix contains what agrees with it in that many bits', () => {
  const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
  const address = fc.tuple(int32, int32, int32, int32);
  const bigOf = (w: readonly number[]): bigint => w.reduce((sum, word) => (sum << 32n) | BigInt(word >>> 0), 0n);
  fc.assert(
    fc.property(address, fc.integer({ min: 0, max: 128 }), fc.integer({ min: 0, max: 127 }), (network, prefix, bit) => {
      const target: [number, number, number, number] = [...network];
      target[bit >> 5]! ^= 1 << (31 - (bit & 31));
      const same = (a: readonly number[]): boolean =>
        bigOf(a) >> BigInt(128 - prefix) === bigOf(network) >> BigInt(128 - prefix);
      const held = { words: Int32Array.from(network), prefix };
      assert.equal(contains(held, ...network), true);
      assert.equal(contains(held, ...target), same(target));
    }),
  );
});

test('the texts of this file say what they mean', () => {
  fc.assert(
    fc.property(fc.nat(0xffff_ffff), (ip) => assert.equal(textOf(...words(formatIpv4(ip))), formatIpv4(ip))),
    { numRuns: 20 },
  );
  const six = formatIpv6(parseIpv6('2001:db8::ffff:0:1')!);
  assert.equal(textOf(...words(six)), six);
});
