import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { VmlanError } from '../core/errors.ts';
import type { HostRoute } from '../model/subnet.ts';
import { loadConfig } from './config.ts';
import type { Config, ConfigContext } from './config.ts';

const directory = mkdtempSync('/tmp/vmlan-config-');
after(() => rmSync(directory, { recursive: true }));
let files = 0;

function load(text: string | null, more: Partial<ConfigContext> = {}): Config {
  const file = join(directory, `${++files}.yaml`);
  if (text !== null) writeFileSync(file, text);
  return loadConfig({
    file,
    required: false,
    identify: (name) => createHash('sha256').update(name).digest(),
    hostRoutes: [],
    picked: new Map(),
    running: new Set(),
    ...more,
  });
}

/** A network `lab` with these lines; the first of them is line 4. */
const lab = (...lines: readonly string[]): string =>
  ['networks:', '  lab:', '    mode: shared', ...lines.map((line) => `    ${line}`)].join('\n');

const LIMA = `# Lima's own file
paths:
  socketVMNet: "/opt/socket_vmnet/bin/socket_vmnet"
  varRun: /private/var/run/lima
  sudoers: /private/etc/sudoers.d/lima
group: everyone
networks:
  user-v2:
    mode: user-v2
    gateway: 192.168.104.1
    netmask: 255.255.255.0
  shared:
    mode: shared
    gateway: 192.168.105.1
    dhcpEnd: 192.168.105.254
    netmask: 255.255.255.0
  bridged:
    mode: bridged
    interface: en0
    gateway:
  host:
    mode: host
    gateway: 192.168.106.1
    dhcpEnd: 192.168.106.254
    netmask: 255.255.255.0
`;

describe('what loads', () => {
  test('no file: the default networks', () => {
    const config = load(null);
    assert.deepEqual([...config.networks.keys()], ['user', 'user-v2', 'shared', 'host']);
    assert.deepEqual([config.file, config.defaultNetwork], [null, 'user-v2']);
  });
  test("Lima's file, unchanged", () => {
    const { networks } = load(LIMA);
    assert.deepEqual([...networks.keys()], ['user-v2', 'shared', 'bridged', 'host', 'user']);
    assert.equal(networks.get('bridged')?.interface, 'en0');
    assert.equal(networks.get('shared')?.ipv4?.poolEnd, '192.168.105.254');
  });
  for (const text of ['', '# nothing', 'networks:', 'networks: {}']) {
    test(`${JSON.stringify(text)}: what needs no configuration`, () => {
      assert.deepEqual([...load(text).networks.keys()], ['user', 'user-v2']);
    });
  }
  test("the file's own user-v2 network takes the place of the implicit one", () => {
    const { networks, defaultNetwork } = load('networks: { mine: { mode: user-v2, subnet: 10.9.0.0/24 } }');
    assert.deepEqual([...networks.keys()], ['mine', 'user']);
    assert.equal(defaultNetwork, 'user');
  });
  test('an implicit network that would overlap is left out', () => {
    assert.ok(!load(lab('subnet: 192.168.104.0/23')).networks.has('user-v2'));
  });
  test('everything at once', () => {
    const { networks } = load(
      lab(
        'driver: auto',
        'subnet: 192.168.110.0/24',
        'subnet6: auto',
        'mtu: 1400',
        'dhcp: { range: [192.168.110.2, 192.168.110.254], leaseTime: 1d, reservations: [{ guest: db, ip: 192.168.110.10 }] }',
        'dns: { domain: lab.internal, upstream: host, hosts: { registry.lab.internal: 192.168.110.10 } }',
        'hostAccess: [22, 80]',
        'isolation: { guests: true, host: false }',
        'filter: filters/lab.rules',
        'forwards: [{ host: 127.0.0.1:8080, guest: web:80 }, { host: 5353, guest: web:53, protocol: udp }]',
        'autostart: true',
        'listen: [/run/lab.sock, tcp://127.0.0.1:5000]',
      ),
    );
    const network = networks.get('lab');
    assert.partialDeepStrictEqual(network, {
      mtu: 1400,
      hostAccess: [22, 80],
      isolation: { guests: true, host: false },
      filter: 'filters/lab.rules',
      autostart: true,
      ipv4: { leaseSeconds: 86_400 },
    });
    assert.equal(network?.forwards.length, 2);
  });
});

describe('one error, with its place', () => {
  const cases: { name: string; text: string; at: string; message: RegExp; hint?: RegExp }[] = [
    { name: 'no YAML', text: 'networks: [', at: '1:12', message: /not YAML/ },
    { name: 'a tab', text: 'networks:\n\tlab: {}', at: '2:1', message: /not YAML/ },
    {
      name: 'a key twice',
      text: 'networks:\n  a: { mode: user }\n  a: { mode: user }',
      at: '3:3',
      message: /not YAML.*unique/,
    },
    { name: 'a list', text: '- a', at: '1:1', message: /the file is a list/ },
    { name: 'a text', text: 'hello', at: '1:1', message: /the file is a text/ },
    { name: 'networks as a list', text: 'networks: [a]', at: '1:1', message: /networks is a list, not a map/ },
    {
      name: 'an unknown key at the top',
      text: 'network:\n  a: {}',
      at: '1:1',
      message: /unknown key `network`/,
      hint: /did you mean `networks`/,
    },
    {
      name: 'an unknown key',
      text: lab('gatway: 10.0.0.1'),
      at: '4:5',
      message: /unknown key `gatway` in network "lab"/,
      hint: /did you mean `gateway`/,
    },
    {
      name: 'an unknown key that is like none',
      text: lab('color: red'),
      at: '4:5',
      message: /unknown key `color`/,
      hint: /known keys: mode,/,
    },
    {
      name: 'an unknown key below',
      text: lab('dhcp:', '  leasetime: 1d'),
      at: '5:7',
      message: /unknown key `leasetime` in network "lab": dhcp/,
      hint: /leaseTime/,
    },
    {
      name: 'an unknown key of a reservation',
      text: lab('dhcp:', '  reservations:', '    - gest: a', '      ip: 1.2.3.4'),
      at: '6:11',
      message: /unknown key `gest`/,
      hint: /guest/,
    },
    {
      name: 'an unknown key of dns',
      text: lab('dns: { domein: x }'),
      at: '4:12',
      message: /unknown key `domein`/,
      hint: /domain/,
    },
    {
      name: 'an unknown key of a forward',
      text: lab('forwards: [{ hots: 1, guest: a:1 }]'),
      at: '4:18',
      message: /unknown key `hots`/,
      hint: /host/,
    },
    {
      name: 'an unknown key of isolation',
      text: lab('isolation: { guest: true }'),
      at: '4:18',
      message: /unknown key `guest`/,
      hint: /guests/,
    },
    {
      name: 'an unknown key of paths',
      text: 'paths: { varrun: /x }',
      at: '1:10',
      message: /unknown key `varrun`/,
      hint: /varRun/,
    },
    {
      name: 'a wrong mode',
      text: 'networks:\n  a:\n    mode: shard',
      at: '3:11',
      message: /"shard" is none of user, user-v2/,
      hint: /did you mean `shared`/,
    },
    {
      name: 'no mode',
      text: 'networks:\n  a:\n    mtu: 1500',
      at: '2:3',
      message: /network "a" has no `mode`/,
      hint: /add `mode`/,
    },
    { name: 'an empty network', text: 'networks:\n  a:', at: '2:5', message: /network "a" is empty, not a map/ },
    {
      name: 'a wrong type',
      text: lab('mtu: large'),
      at: '4:10',
      message: /network "lab": mtu is a text, not a number/,
    },
    {
      name: 'a wrong boolean',
      text: lab('autostart: yes'),
      at: '4:16',
      message: /autostart is a text, not true or false/,
    },
    { name: 'an MTU too small', text: lab('mtu: 576'), at: '4:10', message: /mtu: 576 is less than 1280/ },
    { name: 'an MTU too large', text: lab('mtu: 70000'), at: '4:10', message: /mtu: 70000 is more than 65520/ },
    {
      name: 'a wrong address',
      text: lab('gateway: 10.0.0.256'),
      at: '4:14',
      message: /"10.0.0.256" is not an IPv4 address/,
    },
    { name: 'an octal address', text: lab('gateway: 010.0.0.1'), at: '4:14', message: /is not an IPv4 address/ },
    { name: 'a wrong subnet', text: lab('subnet: 10.0.0.0'), at: '4:13', message: /is not a subnet such as/ },
    {
      name: 'a subnet with host bits',
      text: lab('subnet: 10.0.0.7/24'),
      at: '4:13',
      message: /bits behind its prefix/,
      hint: /write 10.0.0.0\/24/,
    },
    { name: 'a wrong lease time', text: lab('dhcp: { leaseTime: soon }'), at: '4:24', message: /not a duration/ },
    {
      name: 'a lease time too short',
      text: lab('dhcp: { leaseTime: 5s }'),
      at: '4:24',
      message: /not a duration of 60s/,
    },
    { name: 'a range of one', text: lab('dhcp: { range: [10.0.0.2] }'), at: '4:13', message: /dhcp.range: a range is/ },
    { name: 'host access to port 0', text: lab('hostAccess: [0]'), at: '4:18', message: /hostAccess/ },
    {
      name: 'an unsafe name',
      text: 'networks:\n  ../x:\n    mode: shared',
      at: '2:3',
      message: /a network name is letters and digits/,
    },
    {
      name: 'an unsafe interface',
      text: 'networks:\n  a:\n    mode: bridged\n    interface: "a b"',
      at: '4:16',
      message: /interface name/,
    },
    {
      name: 'an address outside',
      text: lab('subnet: 10.0.0.0/24', 'gateway: 10.0.1.1'),
      at: '5:14',
      message: /gateway 10.0.1.1 lies outside the subnet/,
    },
    { name: 'the broadcast as gateway', text: lab('gateway: 10.0.0.255'), at: '4:14', message: /broadcast address/ },
    {
      name: 'a backward range',
      text: lab('subnet: 10.0.0.0/24', 'dhcp:', '  range: [10.0.0.9, 10.0.0.2]'),
      at: '6:7',
      message: /before it begins/,
    },
    {
      name: 'a double reservation',
      text: lab(
        'subnet: 10.0.0.0/24',
        'dhcp:',
        '  reservations:',
        '    - { guest: a, ip: 10.0.0.9 }',
        '    - { guest: b, ip: 10.0.0.9 }',
      ),
      at: '8:27',
      message: /reserved twice/,
    },
    {
      name: 'a nameless reservation',
      text: lab('dhcp:', '  reservations:', '    - ip: 10.0.0.9'),
      at: '6:11',
      message: /names a guest or a mac/,
    },
    {
      name: 'networks that overlap',
      text: 'networks:\n  a: { mode: shared, subnet: 10.0.0.0/16 }\n  b: { mode: shared, subnet: 10.0.5.0/24 }',
      at: '3:30',
      message: /network "b": 10.0.5.0\/24 overlaps network "a"/,
    },
    {
      name: 'networks that overlap, in the manner of Lima',
      text: 'networks:\n  a: { mode: shared, subnet: 10.0.0.0/16 }\n  b:\n    mode: shared\n    gateway: 10.0.5.1',
      at: '5:14',
      message: /overlaps network "a"/,
    },
    {
      name: 'prefixes that overlap',
      text: 'networks:\n  a: { mode: shared, subnet6: "fd00::/64" }\n  b: { mode: shared, subnet6: "fd00::/64" }',
      at: '3:31',
      message: /overlaps network "a"/,
    },
    {
      name: 'a port forwarded twice',
      text: 'networks:\n  a: { mode: shared, forwards: [{ host: 80, guest: x:80 }] }\n  b: { mode: shared, forwards: [{ host: "*:80", guest: y:80 }] }',
      at: '3:41',
      message: /is forwarded by network "a" already/,
    },
    {
      name: 'a broken forward',
      text: lab('forwards:', '  - host: nowhere', '    guest: web:80'),
      at: '5:15',
      message: /no address with a port/,
    },
    { name: 'the first of several', text: lab('mtu: 1', 'gateway: x', 'color: y'), at: '4:10', message: /mtu/ },
  ];
  for (const { name, text, at, message, hint } of cases) {
    test(name, () => {
      assert.throws(
        () => load(text),
        (error) => {
          assert.ok(error instanceof VmlanError, String(error));
          assert.equal(error.code, 'invalid-config');
          assert.match(error.message, message);
          assert.equal(/^[^:]+:(\d+:\d+): /.exec(error.message)?.[1], at, error.message);
          if (hint !== undefined) assert.match(error.hint ?? '', hint);
          return true;
        },
      );
    });
  }

  test('aliases that blow up', () => {
    const bomb = [
      'a: &a [x,x,x,x,x,x,x,x,x,x]',
      'b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]',
      'c: [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]',
    ];
    assert.throws(() => load(bomb.join('\n')), /alias/i);
  });
  test('a file that must be there', () => {
    assert.throws(() => load(null, { required: true }), /does not exist/);
  });
  test('a directory in its place', () => {
    assert.throws(() => load(null, { file: directory }), /cannot be read/);
  });
  test('a file that is too large', () => {
    assert.throws(() => load('#'.repeat(5_000_000)), /too large/);
  });
});

describe('routes of the host', () => {
  const vpn: readonly HostRoute[] = [
    { subnet: '0.0.0.0/0', interface: 'eth0' },
    { subnet: '192.168.105.0/24', interface: 'tun0' },
  ];
  test('stop a network of the file', () => {
    assert.throws(
      () => load(lab('subnet: 192.168.105.0/24'), { hostRoutes: vpn }),
      /:4:13: network "lab": 192.168.105.0\/24 overlaps the host's route 192.168.105.0\/24 on tun0/,
    );
  });
  test('do not stop one that runs already', () => {
    const config = load(lab('subnet: 192.168.105.0/24'), { hostRoutes: vpn, running: new Set(['lab']) });
    assert.ok(config.networks.has('lab'));
  });
  test('make a default network unusable, and only that', () => {
    const { unusable } = load(null, { hostRoutes: vpn });
    assert.deepEqual([...unusable.keys()], ['shared']);
    assert.match(unusable.get('shared')?.message ?? '', /on tun0/);
  });
  test('are avoided by networks that name no subnet', () => {
    const hostRoutes = [{ subnet: '192.168.107.0/24', interface: 'eth1' }];
    assert.equal(load(lab(), { hostRoutes }).networks.get('lab')?.ipv4?.subnet, '192.168.108.0/24');
  });
});

describe('subnets that are picked', () => {
  const two = 'networks:\n  a: { mode: shared }\n  b: { mode: shared }';
  test('differ, and are always the same', () => {
    const subnets = [...load(two).picked];
    assert.deepEqual(subnets, [
      ['a', '192.168.107.0/24'],
      ['b', '192.168.108.0/24'],
    ]);
    assert.deepEqual([...load(two).picked], subnets);
  });
  test('are kept when networks come and go', () => {
    const picked = new Map([['b', '192.168.108.0/24']]);
    assert.equal(
      load('networks:\n  b: { mode: shared }', { picked }).networks.get('b')?.ipv4?.subnet,
      '192.168.108.0/24',
    );
    assert.equal(load(two, { picked }).networks.get('a')?.ipv4?.subnet, '192.168.107.0/24');
  });
  test('give way to what is written', () => {
    const picked = new Map([['b', '10.0.0.0/24']]);
    const text = 'networks:\n  a: { mode: shared, subnet: 10.0.0.0/16 }\n  b: { mode: shared }';
    assert.equal(load(text, { picked }).networks.get('b')?.ipv4?.subnet, '192.168.107.0/24');
  });
});
