/**
 * The wrappers of DHCP and DNS tools, against dnsmasq.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from './deadline.ts';
import { DhcpClient, obtainLease, type ClientKind } from './dhcp-clients.ts';
import { dig, dnsmasq, dnsperf, kdig } from './dns-tools.ts';
import { needs, needsRoot } from './needs.ts';
import { INTERNET, Lab, type Namespace } from './netns.ts';

const DHCP = [
  '--no-ping',
  '--dhcp-authoritative',
  '--dhcp-leasefile=/dev/null',
  '--dhcp-range=192.0.2.10,192.0.2.50,255.255.255.0,2m',
  '--dhcp-option=option:router,192.0.2.1',
  '--dhcp-option=option:dns-server,192.0.2.1',
  '--dhcp-option=option:mtu,1400',
  '--domain=lab.test',
  '--enable-ra',
  '--dhcp-range=2001:db8:7::100,2001:db8:7::1ff,slaac,64,2m',
];

async function serverAndGuest(lab: Lab): Promise<{ server: Namespace; guest: Namespace }> {
  const server = await lab.guest('server');
  const guest = await lab.guest('alice');
  await server.ip('link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', guest.name);
  await server.ip('link', 'set', 'eth0', 'up');
  await server.ip('addr', 'add', '192.0.2.1/24', 'dev', 'eth0');
  await server.ip('addr', 'add', '2001:db8:7::1/64', 'dev', 'eth0', 'nodad');
  await guest.ip('link', 'set', 'eth0', 'up');
  return { server, guest };
}

for (const [kind, ...commands] of [
  ['udhcpc', 'busybox'],
  ['dhclient', 'dhclient'],
  ['dhcpcd', 'dhcpcd'],
] as [ClientKind, ...string[]][]) {
  test(`${kind} gets an IPv4 lease and sets it`, async (t) => {
    if (!needsRoot(t) || !needs(t, 'dnsmasq', ...commands)) return;
    await using lab = await Lab.create();
    const { server, guest } = await serverAndGuest(lab);
    await using _dnsmasq = await dnsmasq(server, ['--port=0', ...DHCP]);
    await using client = await DhcpClient.start(guest, kind, {
      device: 'eth0',
      hostname: 'alice',
      request: '192.0.2.33',
    });
    const lease = await client.next('bound');
    assert.equal(lease.address, '192.0.2.33');
    assert.equal(lease.prefixLength, 24);
    assert.deepEqual(lease.routers, ['192.0.2.1']);
    assert.deepEqual(lease.dns, ['192.0.2.1']);
    assert.equal(lease.domain, 'lab.test');
    assert.equal(lease.serverId, '192.0.2.1');
    assert.equal(lease.leaseSeconds, 120);
    assert.equal(lease.mtu, '1400');
    assert.equal(await guest.waitForAddress('eth0', 4), '192.0.2.33');
    assert.match(await guest.ip('route', 'show', 'default'), /via 192\.0\.2\.1/);
    if (kind !== 'udhcpc') return;
    client.renew();
    assert.equal((await client.next('renewed')).address, '192.0.2.33');
    client.release();
    await client.next('lost');
    assert.deepEqual(await guest.addresses('eth0', 4), []);
  });
}

for (const kind of ['dhclient6', 'dhcpcd6'] as const) {
  test(`${kind} gets an address by DHCPv6`, async (t) => {
    if (!needsRoot(t) || !needs(t, 'dnsmasq', kind.slice(0, -1))) return;
    await using lab = await Lab.create();
    const { server, guest } = await serverAndGuest(lab);
    await using _dnsmasq = await dnsmasq(server, ['--port=0', ...DHCP]);
    // A client that asks before its link-local address is usable gives up.
    await guest.waitForLinkLocal('eth0');
    await using client = await DhcpClient.start(guest, kind, { device: 'eth0' });
    const lease = await client.next('bound', 40_000);
    assert.match(lease.address, /^2001:db8:7::1[0-9a-f]{2}$/);
    await until('an address by SLAAC beside it', 10_000, async () => (await guest.addresses('eth0', 6)).length === 2);
  });
}

test('a client with the state of an earlier one asks for its old address', async (t) => {
  if (!needsRoot(t) || !needs(t, 'dnsmasq', 'dhclient')) return;
  await using lab = await Lab.create();
  const { server, guest } = await serverAndGuest(lab);
  await using _dnsmasq = await dnsmasq(server, ['--port=0', ...DHCP]);
  const stateFolder = await mkdtemp(join(tmpdir(), 'vmlan-dhcp-'));
  try {
    const first = await obtainLease(guest, 'dhclient', { device: 'eth0', request: '192.0.2.44', stateFolder });
    const second = await obtainLease(guest, 'dhclient', { device: 'eth0', stateFolder });
    assert.equal(first.raw['reason'], 'BOUND');
    assert.equal(second.raw['reason'], 'REBOOT');
    assert.equal(second.address, '192.0.2.44');
  } finally {
    await rm(stateFolder, { recursive: true, force: true });
  }
});

test('dig, kdig and dnsperf are understood', async (t) => {
  if (!needsRoot(t) || !needs(t, 'dnsmasq', 'dig', 'kdig', 'dnsperf')) return;
  await using lab = await Lab.create();
  const records = [
    '--address=/web.test/203.0.113.10',
    '--txt-record=text.test,hello there',
    '--local=/test/',
    '--auth-ttl=7',
  ];
  await using _dnsmasq = await dnsmasq(lab.internet, records);
  for (const ask of [dig, kdig]) {
    const found = await ask(lab.host, INTERNET.resolver4, 'web.test', 'A');
    assert.equal(found.status, 'NOERROR');
    assert.ok(found.flags.includes('qr') && found.flags.includes('ra'), found.text);
    assert.deepEqual(
      found.answers.map(({ name, type, data }) => [name, type, data]),
      [['web.test.', 'A', '203.0.113.10']],
    );
    assert.equal(
      (await ask(lab.host, INTERNET.resolver6, 'text.test', 'TXT', '+tcp')).answers[0]?.data,
      '"hello there"',
    );
    assert.equal((await ask(lab.host, INTERNET.resolver4, 'none.test', 'A')).status, 'NXDOMAIN');
    assert.equal((await ask(lab.host, `${INTERNET.server4}#5`, 'web.test', 'A')).status, '', 'nobody there');
  }
  const load = await dnsperf(lab.host, INTERNET.resolver4, {
    queries: ['web.test A', 'none.test A'],
    perSecond: 500,
    seconds: 1,
  });
  assert.equal(load.lost, 0);
  assert.ok(load.completed >= 400, `${load.completed}`);
  assert.ok((load.codes['NXDOMAIN'] ?? 0) > 0);
});
