import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { networkPaths } from '../drivers/network-paths.ts';
import { describeStep, planNetwork } from '../drivers/plan.ts';
import type { StoredAttachment, StoredNic } from '../model/guest.ts';
import type { Network } from '../model/network.ts';
import { resolveNetwork } from '../model/resolve.ts';
import type { NetworkInput } from '../model/schema.ts';
import { desiredNetwork, forwardsOf, hostInterfaceName } from './desired.ts';
import type { DesiredInput } from './desired.ts';

const context = { identify: () => new Uint8Array(16), pickSubnet: () => null };
const lab = (more: Partial<NetworkInput> = {}): Network =>
  resolveNetwork('lab', { mode: 'shared', subnet: '10.1.0.0/24', subnet6: 'fd01::/64', ...more }, context);

const nic = (more: Partial<StoredNic> = {}): StoredNic => ({
  index: 0,
  network: 'lab',
  mac: '52:54:00:00:00:01',
  ip: null,
  connected: true,
  attachment: null,
  ...more,
});

const attached = (more: Partial<StoredAttachment>): StoredNic =>
  nic({ attachment: { kind: 'qemu-stream', port: null, netns: null, ...more } });

/** The plan for a network that does not run yet, in words: what a person would read. */
function planned(input: Partial<DesiredInput> = {}): readonly string[] {
  const network = input.network ?? lab();
  const wanted = desiredNetwork({
    network,
    others: [],
    paths: networkPaths('/run/v', '/var/v', 'lab'),
    guests: [],
    forwards: [],
    shapes: [],
    records: [],
    privileged: false,
    namespaceExists: () => true,
    cut: new Set(),
    ...input,
  });
  const nothing = {
    network: 'lab',
    pid: null,
    startedMs: null,
    applied: null,
    trouble: null,
    warnings: [],
    notices: [],
  };
  return planNetwork('lab', wanted, nothing).steps.map(describeStep);
}

const COMMON = [
  'start network lab',
  'open link qemu: QEMU stream at /run/v/networks/lab/qemu.sock',
  'open link dgram: datagrams at /run/v/networks/lab/dgram.sock',
];
const web = (one: StoredNic): Partial<DesiredInput> => ({ guests: [{ name: 'web', nics: [one] }] });
const STREAM = 'open link nic web/0: QEMU stream at /run/v/networks/lab/guests/web.sock';

describe('a network shall have', () => {
  test('its two common sockets', () => assert.deepEqual(planned(), COMMON));

  test('the host as a neighbour, when root runs it', () => {
    assert.deepEqual(planned({ privileged: true }).slice(3), ['open link host: TAP of the host']);
    assert.deepEqual(planned({ privileged: true, network: lab({ mode: 'user-v2' }) }).slice(3), []);
    assert.deepEqual(planned({ privileged: true, network: lab({ isolation: { host: true } }) }).slice(3), []);
  });

  test('the further sockets of its configuration', () => {
    const listen = ['/run/a', 'dgram:/run/b', 'tcp://127.0.0.1:5000'];
    assert.deepEqual(planned({ network: lab({ listen }) }).slice(3), [
      'open link listen /run/a: QEMU stream at /run/a',
      'open link listen dgram:/run/b: datagrams at /run/b',
      'open link listen 127.0.0.1:5000: QEMU stream at 127.0.0.1:5000',
    ]);
  });

  const target = { pid: 7, path: null, interface: 'eth0', configure: true, inode: 1 };
  const ways: { name: string; nic: StoredNic; link: readonly string[] }[] = [
    { name: 'its stream socket alone', nic: nic(), link: [] },
    {
      name: 'datagrams for QEMU',
      nic: attached({ kind: 'qemu-dgram' }),
      link: ['open link attach web/0: datagrams at /run/v/networks/lab/guests/web.dgram'],
    },
    {
      name: 'datagrams for vfkit',
      nic: attached({ kind: 'vfkit' }),
      link: ['open link attach web/0: datagrams at /run/v/networks/lab/guests/web.dgram'],
    },
    {
      name: 'a TCP port',
      nic: attached({ kind: 'qemu-socket-tcp', port: 5001 }),
      link: ['open link attach web/0: QEMU stream at 127.0.0.1:5001'],
    },
    {
      name: 'a namespace',
      nic: attached({ kind: 'netns', netns: target }),
      link: ['open link attach web/0: TAP eth0 in the namespace of process 7'],
    },
    {
      name: 'a namespace by path',
      nic: attached({ kind: 'netns', netns: { ...target, pid: null, path: '/run/netns/x' } }),
      link: ['open link attach web/0: TAP eth0 in /run/netns/x'],
    },
  ];
  for (const { name, nic: one, link } of ways) {
    test(`for a guest: ${name}`, () => {
      const steps = planned(web(one));
      const links = steps.filter((step) => step.includes('web/0') && step.startsWith('open'));
      assert.deepEqual(links, [STREAM, ...link]);
      assert.ok(steps.includes('add NIC web/0'));
    });
  }

  test('no link into a namespace that is gone, nor one that is cut', () => {
    const one = attached({ kind: 'netns', netns: target });
    assert.ok(!planned({ ...web(one), namespaceExists: () => false }).some((step) => step.includes('TAP')));
    assert.ok(!planned({ ...web(one), cut: new Set(['web/0']) }).some((step) => step.startsWith('open link nic')));
  });

  test('only its own guests, forwards and records', () => {
    const guests = [{ name: 'other', nics: [nic({ network: 'b' })] }];
    const forward = { id: 'f', network: 'b', protocol: 'tcp', direction: 'host', host: '80', guest: 'web:80' } as const;
    const record = { id: 'r', network: 'b', name: 'a', type: 'A', value: '10.0.0.1', ttl: null } as const;
    assert.deepEqual(planned({ guests, forwards: [forward], records: [record] }), COMMON);
  });

  test('what was added live', () => {
    const forward = {
      id: 'f',
      network: 'lab',
      protocol: 'tcp',
      direction: 'host',
      host: '80-81',
      guest: 'web:80-81',
    } as const;
    const record = { id: 'r', network: 'lab', name: 'a', type: 'A', value: '10.0.0.1', ttl: 5 } as const;
    assert.deepEqual(planned({ forwards: [forward], records: [record] }).slice(3), [
      'serve 1 DNS records',
      'open forward f.0: tcp 127.0.0.1:80 to web:80',
      'open forward f.1: tcp 127.0.0.1:81 to web:81',
    ]);
    const reverse = { ...forward, direction: 'reverse', host: '/run/x', guest: '90' } as const;
    assert.deepEqual(planned({ forwards: [reverse] }).slice(3), ['open reverse forward f: tcp gateway:90 to /run/x']);
  });
});

test('a stored forward that no longer means anything is left out', () => {
  const forward = { id: 'f', network: 'lab', protocol: 'tcp', direction: 'host', host: '?', guest: 'web:80' } as const;
  assert.deepEqual(forwardsOf(lab(), [forward]), []);
});

test('interfaces of the host have names that fit', () => {
  assert.equal(hostInterfaceName('lab'), 'vml-lab');
  assert.match(hostInterfaceName('a-rather-long-name'), /^vml-[0-9a-f]{10}$/);
});
