/**
 * The whole of vmlan at once: a machine under QEMU and a namespace on one network get addresses, names, the outside and
 * each other. The first test to look at when everything else is red.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { obtainLease } from '../support/dhcp-clients.ts';
import { needs, needsRoot } from '../support/needs.ts';
import { INTERNET } from '../support/netns.ts';
import { client, serve } from '../support/peers.ts';
import { QEMU } from '../support/qemu-guest.ts';
import { World } from './world.ts';

const CONFIG = 'networks:\n  user-v2:\n    mode: user-v2\n';

test('a machine and a namespace on one network', async (t) => {
  if (!needsRoot(t) || !needs(t, QEMU, 'dnsmasq', 'busybox')) return;
  await using world = await World.create({ config: CONFIG });
  await using _web = await serve(world.lab.internet, [{ kind: 'http', port: 80, name: 'internet' }]);

  const alice = await world.namespaceGuest('alice', { network: 'user-v2' });
  const lease = await obtainLease(alice, 'udhcpc', { device: 'eth0' });
  assert.match(lease.address, /^192\.168\.104\./);
  await alice.setResolver(lease.dns);

  const bob = await world.qemuGuest('bob', { network: 'user-v2' });
  const { ip } = await bob.waitLease();
  assert.match(ip, /^192\.168\.104\./);

  await t.test('the gateway answers', async () => {
    await bob.sh(`ping -c 1 -W 2 ${lease.routers[0] ?? ''}`);
  });
  await t.test('the outside answers by name', async () => {
    assert.equal(await bob.sh('wget -q -O - http://web.test/'), 'hello from internet\n');
    const tally = await client(alice, 'http', { url: 'http://web.test/', count: 3, parallel: 1, keepAlive: false });
    assert.equal(tally.ok, 3);
  });
  await t.test('guests find each other by name', async () => {
    await bob.sh('ping -c 1 -W 2 alice');
    await alice.output(['ping', '-c', '1', '-W', '2', 'bob.vmlan.internal']);
  });
  await t.test('the outside is told the truth about a port where nobody is', async () => {
    assert.equal((await client(alice, 'connect', { host: INTERNET.server4, port: 9 })).errno, 'ECONNREFUSED');
  });
  await t.test('vmlan knows both', async () => {
    const guests = await world.vmlan.json<{ name: string }[]>('list');
    assert.deepEqual(guests.map(({ name }) => name).sort(), ['alice', 'bob']);
  });
});
