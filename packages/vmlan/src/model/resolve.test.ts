import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DEFAULT_NETWORKS, defaultDomain } from './defaults.ts';
import { deriveMac } from './guest.ts';
import { ConfigIssue } from './issue.ts';
import { MODES } from './network.ts';
import type { Network } from './network.ts';
import { closedDestinations, resolveNetwork } from './resolve.ts';
import type { NetworkInput } from './schema.ts';

const identify = (text: string): Uint8Array => Uint8Array.from({ length: 16 }, (_, i) => (text.length * 7 + i) & 255);
const context = { identify, pickSubnet: (): string => '192.168.107.0/24' };
const resolve = (input: NetworkInput, name = 'lab'): Network => resolveNetwork(name, input, context);

describe('default networks', () => {
  const facts: Record<string, object> = {
    user: {
      subnet: '192.168.5.0/24',
      gateway: '192.168.5.2',
      dns: '192.168.5.3',
      fixedGuest: '192.168.5.15',
      hostAddress: null,
    },
    'user-v2': {
      subnet: '192.168.104.0/24',
      gateway: '192.168.104.1',
      poolStart: '192.168.104.2',
      poolEnd: '192.168.104.254',
      hostAddress: null,
    },
    shared: {
      gateway: '192.168.105.1',
      poolEnd: '192.168.105.254',
      hostAddress: '192.168.105.254',
      excluded: ['192.168.105.254'],
    },
    host: { gateway: '192.168.106.1', hostAddress: '192.168.106.254', announceRouter: false },
  };
  for (const [name, want] of Object.entries(facts)) {
    test(name, () => assert.partialDeepStrictEqual(resolveNetwork(name, DEFAULT_NETWORKS[name]!, context).ipv4, want));
  }

  test('keep their addresses when a file only names their mode', () => {
    assert.equal(resolveNetwork('user-v2', { mode: 'user-v2' }, context).ipv4?.gateway, '192.168.104.1');
    assert.equal(resolveNetwork('shared', { mode: 'nat' }, context).ipv4?.subnet, '192.168.107.0/24');
  });
});

describe('modes', () => {
  test('nat has no guards', () => assert.equal(resolve({ mode: 'nat' }).guards, false));
  test('host has no way out', () => {
    const network = resolve({ mode: 'host' });
    assert.partialDeepStrictEqual(network, { outward: false, hostAccess: 'all', dns: { upstream: 'none' } });
  });
  test('isolated has no addresses unless a subnet is given', () => {
    assert.partialDeepStrictEqual(resolve({ mode: 'isolated' }), { ipv4: null, ipv6: null, hostAccess: 'none' });
    const { ipv4 } = resolve({ mode: 'isolated', subnet: '10.1.0.0/24' });
    assert.partialDeepStrictEqual(ipv4, { poolStart: '10.1.0.2', announceRouter: false, hostAddress: null });
  });
  test('all but bridged and unmanaged resolve with nothing else', () => {
    for (const mode of MODES.filter((one) => one !== 'bridged' && one !== 'unmanaged'))
      assert.equal(resolve({ mode }).mode, mode);
  });
  test('bridged and unmanaged have no addresses', () => {
    assert.equal(resolve({ mode: 'bridged', interface: 'eth0' }).ipv4, null);
    assert.equal(resolve({ mode: 'unmanaged', socket: '/run/vmnet' }).ipv6, null);
  });
});

describe('addresses', () => {
  test('of a network that gives none are picked', () => {
    assert.partialDeepStrictEqual(resolve({ mode: 'shared' }).ipv4, {
      subnet: '192.168.107.0/24',
      gateway: '192.168.107.1',
    });
  });
  test('follow a range', () => {
    const dhcp = { range: ['10.0.0.10', '10.0.0.20'], leaseTime: '2h' };
    const { ipv4 } = resolve({ mode: 'shared', subnet: '10.0.0.0/24', dhcp });
    assert.partialDeepStrictEqual(ipv4, { poolStart: '10.0.0.10', hostAddress: '10.0.0.20', leaseSeconds: 7200 });
  });
  test('lie on the larger side of the gateway', () => {
    const { ipv4 } = resolve({ mode: 'user-v2', subnet: '10.0.0.0/24', gateway: '10.0.0.254' });
    assert.partialDeepStrictEqual(ipv4, { poolStart: '10.0.0.1', poolEnd: '10.0.0.253' });
  });
  test('exclude a gateway inside the range', () => {
    const dhcp = { range: ['10.0.0.2', '10.0.0.20'] };
    const { ipv4 } = resolve({ mode: 'user-v2', subnet: '10.0.0.0/24', gateway: '10.0.0.9', dhcp });
    assert.deepEqual(ipv4?.excluded, ['10.0.0.9']);
  });
  test('of a large subnet are bounded', () => {
    assert.equal(resolve({ mode: 'user-v2', subnet: '10.0.0.0/8' }).ipv4?.poolEnd, '10.1.0.1');
  });
  test('of IPv6 are a stable ULA, a prefix, or none', () => {
    assert.match(resolve({ mode: 'shared' }).ipv6?.prefix ?? '', /^fd[0-9a-f:]+::\/64$/);
    assert.deepEqual(resolve({ mode: 'shared', subnet6: 'fd12::/64' }).ipv6, {
      prefix: 'fd12::/64',
      gateway: 'fd12::1',
      hostAddress: 'fd12::ffff:0:0:1',
    });
    assert.equal(resolve({ mode: 'shared', subnet6: 'off' }).ipv6, null);
    assert.equal(resolve({ mode: 'user-v2', subnet6: 'fd12::/64' }).ipv6?.hostAddress, null);
  });
  test('of the host are none when it is isolated from guests', () => {
    const network = resolve({ mode: 'shared', isolation: { host: true } });
    assert.partialDeepStrictEqual(network, {
      hostAccess: 'none',
      ipv4: { hostAddress: null },
      ipv6: { hostAddress: null },
    });
  });
});

describe('services', () => {
  test('records come from hosts', () => {
    const hosts = { 'a.lab': '10.0.0.1', 'b.lab': ['fd00::1', '10.0.0.2'], 'c.lab': 'a.lab' };
    assert.deepEqual(resolve({ mode: 'shared', dns: { hosts } }).dns.records, [
      { name: 'a.lab', type: 'A', value: '10.0.0.1' },
      { name: 'b.lab', type: 'AAAA', value: 'fd00::1' },
      { name: 'b.lab', type: 'A', value: '10.0.0.2' },
      { name: 'c.lab', type: 'CNAME', value: 'a.lab' },
    ]);
  });
  test('sockets to listen at', () => {
    const listen = [
      '/run/a',
      'unix:/run/b',
      'dgram:/run/c',
      'tcp://127.0.0.1:5000',
      'tcp://[::1]:5001',
      'tcp://localhost:5002',
    ];
    assert.deepEqual(resolve({ mode: 'shared', listen }).listen, [
      { kind: 'unix', path: '/run/a' },
      { kind: 'unix', path: '/run/b' },
      { kind: 'dgram', path: '/run/c' },
      { kind: 'tcp', host: '127.0.0.1', port: 5000 },
      { kind: 'tcp', host: '::1', port: 5001 },
      { kind: 'tcp', host: '127.0.0.1', port: 5002 },
    ]);
  });
  test('domains are labels that DNS allows', () => {
    const cases: [string, string][] = [
      ['user-v2', 'user-v2.internal'],
      ['My_Net', 'my-net.internal'],
      ['a.b', 'a.b.internal'],
      ['lima', 'lima-net.internal'],
      ['vmlan', 'vmlan-net.internal'],
      ['x'.repeat(76), `${'x'.repeat(63)}.internal`],
    ];
    for (const [name, domain] of cases) assert.equal(defaultDomain(name), domain);
  });
  test('other networks of the host are closed', () => {
    const shared = resolve({ mode: 'shared', subnet: '10.1.0.0/24', subnet6: 'fd01::/64' }, 'a');
    const user = resolve({ mode: 'user-v2', subnet: '10.2.0.0/24' }, 'b');
    assert.deepEqual(closedDestinations(user, [shared, user]), ['169.254.0.0/16', '10.1.0.0/24', 'fd01::/64']);
    assert.deepEqual(closedDestinations(shared, [shared, user]), ['169.254.0.0/16']);
  });
});

describe('refused', () => {
  const cases: { name: string; input: NetworkInput; path: string; message: RegExp }[] = [
    {
      name: 'host bits',
      input: { mode: 'shared', subnet: '10.0.0.1/24' },
      path: 'subnet',
      message: /bits behind its prefix/,
    },
    { name: 'a /31', input: { mode: 'shared', subnet: '10.0.0.0/31' }, path: 'subnet', message: /\/8 to \/30/ },
    { name: 'loopback', input: { mode: 'shared', subnet: '127.0.0.0/24' }, path: 'subnet', message: /reserved/ },
    { name: 'multicast', input: { mode: 'shared', gateway: '224.0.0.1' }, path: 'gateway', message: /reserved/ },
    { name: 'a netmask alone', input: { mode: 'shared', netmask: '255.255.0.0' }, path: 'netmask', message: /without/ },
    {
      name: 'a netmask with holes',
      input: { mode: 'shared', gateway: '10.0.0.1', netmask: '255.0.255.0' },
      path: 'netmask',
      message: /holes/,
    },
    {
      name: 'a netmask that contradicts',
      input: { mode: 'shared', subnet: '10.0.0.0/24', netmask: '255.255.0.0' },
      path: 'netmask',
      message: /contradicts/,
    },
    {
      name: 'a gateway outside',
      input: { mode: 'shared', subnet: '10.0.0.0/24', gateway: '10.0.1.1' },
      path: 'gateway',
      message: /outside/,
    },
    {
      name: 'a gateway that is the subnet',
      input: { mode: 'shared', gateway: '10.0.0.0' },
      path: 'gateway',
      message: /itself/,
    },
    {
      name: 'a gateway that is the broadcast',
      input: { mode: 'shared', gateway: '10.0.0.255' },
      path: 'gateway',
      message: /broadcast/,
    },
    {
      name: 'dhcpEnd before the pool',
      input: { mode: 'shared', gateway: '10.0.0.9', dhcpEnd: '10.0.0.5' },
      path: 'dhcpEnd',
      message: /before/,
    },
    {
      name: 'dhcpEnd on the gateway',
      input: { mode: 'shared', gateway: '10.0.0.9', dhcpEnd: '10.0.0.9' },
      path: 'dhcpEnd',
      message: /gateway's/,
    },
    {
      name: 'two ends of the pool',
      input: { mode: 'shared', gateway: '10.0.0.1', dhcpEnd: '10.0.0.9', dhcp: { range: ['10.0.0.2', '10.0.0.3'] } },
      path: 'dhcpEnd',
      message: /both/,
    },
    {
      name: 'a backward range',
      input: { mode: 'shared', gateway: '10.0.0.1', dhcp: { range: ['10.0.0.9', '10.0.0.3'] } },
      path: 'dhcp.range',
      message: /before it begins/,
    },
    {
      name: 'a range outside',
      input: { mode: 'shared', gateway: '10.0.0.1', dhcp: { range: ['10.0.1.9', '10.0.0.3'] } },
      path: 'dhcp.range.0',
      message: /outside/,
    },
    {
      name: 'a range from the gateway',
      input: { mode: 'shared', gateway: '10.0.0.1', dhcp: { range: ['10.0.0.1', '10.0.0.3'] } },
      path: 'dhcp.range.0',
      message: /gateway's/,
    },
    {
      name: 'a huge range',
      input: { mode: 'shared', subnet: '10.0.0.0/8', dhcp: { range: ['10.0.0.2', '10.9.0.2'] } },
      path: 'dhcp.range',
      message: /more than 65536/,
    },
    {
      name: 'a pool of one',
      input: { mode: 'shared', subnet: '10.0.0.0/30' },
      path: 'subnet',
      message: /no address is left/,
    },
    {
      name: 'a small subnet for mode user',
      input: { mode: 'user', subnet: '10.0.0.0/28' },
      path: 'subnet',
      message: /broadcast/,
    },
    {
      name: 'mode user with the guest on the gateway',
      input: { mode: 'user', subnet: '10.0.0.0/24', gateway: '10.0.0.15' },
      path: 'gateway',
      message: /gateway's or DNS's/,
    },
    {
      name: 'a reservation outside',
      input: { mode: 'shared', subnet: '10.0.0.0/24', dhcp: { reservations: [{ guest: 'a', ip: '10.9.0.1' }] } },
      path: 'dhcp.reservations.0.ip',
      message: /outside/,
    },
    {
      name: 'a reservation of the gateway',
      input: { mode: 'shared', subnet: '10.0.0.0/24', dhcp: { reservations: [{ guest: 'a', ip: '10.0.0.1' }] } },
      path: 'dhcp.reservations.0.ip',
      message: /gateway's/,
    },
    {
      name: 'a reservation of the host',
      input: { mode: 'shared', subnet: '10.0.0.0/24', dhcp: { reservations: [{ guest: 'a', ip: '10.0.0.254' }] } },
      path: 'dhcp.reservations.0.ip',
      message: /host's own/,
    },
    {
      name: 'an address reserved twice',
      input: {
        mode: 'shared',
        subnet: '10.0.0.0/24',
        dhcp: {
          reservations: [
            { guest: 'a', ip: '10.0.0.9' },
            { guest: 'b', ip: '10.0.0.9' },
          ],
        },
      },
      path: 'dhcp.reservations.1.ip',
      message: /reserved twice/,
    },
    {
      name: 'a guest with two',
      input: {
        mode: 'shared',
        subnet: '10.0.0.0/24',
        dhcp: {
          reservations: [
            { guest: 'a', ip: '10.0.0.8' },
            { guest: 'a', ip: '10.0.0.9' },
          ],
        },
      },
      path: 'dhcp.reservations.1.guest',
      message: /reserved twice/,
    },
    {
      name: 'reservations in mode user',
      input: { mode: 'user', dhcp: { reservations: [{ guest: 'a', ip: '10.0.0.8' }] } },
      path: 'dhcp.reservations.0',
      message: /leases no addresses/,
    },
    {
      name: 'a subnet6 of another size',
      input: { mode: 'shared', subnet6: 'fd00::/48' },
      path: 'subnet6',
      message: /no \/64/,
    },
    {
      name: 'a subnet6 with host bits',
      input: { mode: 'shared', subnet6: 'fd00::5/64' },
      path: 'subnet6',
      message: /behind its prefix/,
    },
    {
      name: 'a link-local subnet6',
      input: { mode: 'shared', subnet6: 'fe80::/64' },
      path: 'subnet6',
      message: /no prefix that guests/,
    },
    { name: 'bridged without a card', input: { mode: 'bridged' }, path: 'mode', message: /needs `interface`/ },
    {
      name: 'bridged with a gateway',
      input: { mode: 'bridged', interface: 'eth0', gateway: '10.0.0.1' },
      path: 'gateway',
      message: /does not fit/,
    },
    { name: 'unmanaged without a socket', input: { mode: 'unmanaged' }, path: 'mode', message: /needs `socket`/ },
    {
      name: 'a socket elsewhere',
      input: { mode: 'shared', socket: '/run/x' },
      path: 'socket',
      message: /belongs to mode unmanaged/,
    },
    { name: 'a VLAN elsewhere', input: { mode: 'shared', vlan: 5 }, path: 'vlan', message: /VLANs/ },
    {
      name: 'a forward into isolation',
      input: { mode: 'isolated', forwards: [] },
      path: 'forwards',
      message: /no part/,
    },
    {
      name: 'host access against isolation',
      input: { mode: 'shared', hostAccess: 'all', isolation: { host: true } },
      path: 'hostAccess',
      message: /closes/,
    },
    {
      name: 'a broken forward',
      input: { mode: 'shared', forwards: [{ host: 'x', guest: 'a:1' }] },
      path: 'forwards.0.host',
      message: /no address/,
    },
    {
      name: 'a forward twice',
      input: {
        mode: 'shared',
        forwards: [
          { host: '1', guest: 'a:1' },
          { host: '1', guest: 'b:1' },
        ],
      },
      path: 'forwards.1.host',
      message: /twice/,
    },
    {
      name: 'a forward out of the subnet',
      input: { mode: 'shared', forwards: [{ host: '1', guest: '10.9.9.9:1' }] },
      path: 'forwards.0.guest',
      message: /outside/,
    },
    {
      name: 'a forward by address in mode user',
      input: { mode: 'user', forwards: [{ host: '1', guest: '192.168.107.15:1' }] },
      path: 'forwards.0.guest',
      message: /name the guest/,
    },
    {
      name: 'a socket twice',
      input: { mode: 'shared', listen: ['/run/a', '/run/a'] },
      path: 'listen.1',
      message: /twice/,
    },
    {
      name: 'a TCP port of 0',
      input: { mode: 'shared', listen: ['tcp://127.0.0.1:0'] },
      path: 'listen.0',
      message: /1 to 65535/,
    },
    {
      name: 'a TCP address that is none',
      input: { mode: 'shared', listen: ['tcp://1.2.3:80'] },
      path: 'listen.0',
      message: /no address/,
    },
  ];
  for (const { name, input, path, message } of cases) {
    test(name, () => {
      assert.throws(
        () => resolve(input),
        (error) => {
          assert.ok(error instanceof ConfigIssue, String(error));
          assert.match(error.message, message);
          assert.equal(error.path.join('.'), path);
          return true;
        },
      );
    });
  }

  test('a network when no subnet is free', () => {
    const full = { identify, pickSubnet: () => null };
    assert.throws(() => resolveNetwork('lab', { mode: 'shared' }, full), /no subnet is free/);
  });
});

describe('MAC addresses', () => {
  test('are the same for the same NIC, and others when taken', () => {
    const hash = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.padEnd(16)).subarray(-16));
    const first = deriveMac(hash, 'lab', 'web/0', () => false);
    assert.equal(
      deriveMac(hash, 'lab', 'web/0', () => false),
      first,
    );
    assert.match(first ?? '', /^52:54:00:/);
    assert.equal(
      deriveMac(hash, 'lab', 'web/0', () => true),
      null,
    );
  });
});
