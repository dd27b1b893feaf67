/**
 * IPv6 as a guest's own kernel finds it: addresses by SLAAC and DHCPv6, and a default route exactly while the host has one.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { until } from '../support/deadline.ts';
import { DhcpClient } from '../support/dhcp-clients.ts';
import { dnsmasq } from '../support/dns-tools.ts';
import { INTERNET, type Namespace } from '../support/netns.ts';
import { client, serve } from '../support/peers.ts';
import { type BedGuest, EngineBed, GATEWAY, ready, root } from './engine-bed.ts';

const PREFIX = /^fd00:1:2:3:/;
const ROUTER_6 = '2001:db8:51::1';
const FOLLOWS_MS = 4000; // the engine looks at the host's route every two seconds
const WAITS_MS = 15_000;
const PROMPT_MS = 2000;
/** A name with both families, as most sites have. */
const DUAL_STACK = `--host-record=web.test,${INTERNET.server4},${INTERNET.server6}`;

const defaultRoute = async (namespace: Namespace): Promise<string> =>
  (await namespace.ip('-6', 'route', 'show', 'default')).trim();

/** A guest that takes what the network offers: DHCP for IPv4, the kernel's own SLAAC. */
async function automatic(bed: EngineBed, stack: AsyncDisposableStack, name: string): Promise<BedGuest> {
  const guest = await bed.tapGuest(name, { automatic: true });
  const dhcp = stack.use(await DhcpClient.start(guest.namespace, 'udhcpc', { device: 'eth0' }));
  await dhcp.next('bound');
  await guest.namespace.setResolver([GATEWAY.address4]);
  await guest.namespace.waitForAddress('eth0', 6);
  return guest;
}

async function assertPrompt(namespace: Namespace, argv: readonly string[]): Promise<void> {
  const started = performance.now();
  const text = await namespace.output(argv, { timeoutMs: 30_000 });
  const ms = performance.now() - started;
  assert.match(text, /hello from peer/);
  assert.ok(ms < PROMPT_MS, `${argv[0]} took ${ms} ms`);
}

for (const ipv6 of [false, true]) {
  describe(ipv6 ? 'a host with IPv6' : 'a host without IPv6', () => {
    const stack = new AsyncDisposableStack();
    let bed: EngineBed;
    let guest: BedGuest;

    before(async () => {
      if (!root) return;
      bed = stack.use(await EngineBed.create({ ipv6 }));
      stack.use(await dnsmasq(bed.lab.internet, [DUAL_STACK]));
      stack.use(
        await serve(bed.lab.internet, [
          { kind: 'http', port: 80 },
          { kind: 'udp-mirror', port: 8000 },
          { kind: 'sink', port: 9000 },
        ]),
      );
      guest = await automatic(bed, stack, 'web');
    });
    after(() => stack.disposeAsync());

    test('the guest has an address by SLAAC and one by DHCPv6', async (t) => {
      if (!ready(t, 'busybox', 'dhclient', 'dnsmasq')) return;
      const slaac = await guest.namespace.addresses('eth0', 6);
      assert.equal(slaac.length, 1);
      assert.match(slaac[0]!, PREFIX);
      await using dhcp = await DhcpClient.start(guest.namespace, 'dhclient6', { device: 'eth0' });
      const { address } = await dhcp.next('bound');
      assert.match(address, PREFIX);
      assert.notEqual(address, slaac[0]);
      const { guests } = await bed.snapshot();
      assert.ok(guests[0]!.address6.includes(slaac[0]!), guests[0]!.address6.join());
    });

    test(`the default route is ${ipv6 ? 'there' : 'not announced'}`, async (t) => {
      if (!ready(t, 'busybox', 'dnsmasq')) return;
      assert.equal((await bed.snapshot()).ipv6Reachable, ipv6);
      assert.match(await defaultRoute(guest.namespace), ipv6 ? /^default via fe80::\S+ dev eth0/ : /^$/);
    });

    for (const argv of [
      ['curl', '-sS', '--max-time', '20', 'http://web.test/'],
      ['busybox', 'wget', '-q', '-O-', 'http://web.test/'],
    ]) {
      test(`${argv.slice(0, 2).join(' ')} of a name with both families does not wait`, async (t) => {
        if (!ready(t, argv[0]!, 'busybox', 'dnsmasq')) return;
        await assertPrompt(guest.namespace, argv);
      });
    }

    test(`TCP and UDP over IPv6 ${ipv6 ? 'work' : 'fail at once'}`, async (t) => {
      if (!ready(t, 'busybox', 'dnsmasq')) return;
      const target = { host: INTERNET.server6, port: 9000 };
      if (!ipv6) {
        const { errno, ms } = await client(guest.namespace, 'connect', target);
        assert.equal(errno, 'ENETUNREACH');
        assert.ok(ms < PROMPT_MS);
        return;
      }
      const { bytes } = await client(guest.namespace, 'upload', { ...target, bytes: 1_000_000 });
      assert.equal(bytes, 1_000_000);
      const [seen = ''] = await client(guest.namespace, 'askAll', {
        targets: [{ host: INTERNET.server6, port: 8000 }],
        text: 'who am I?',
      });
      assert.match(seen, /^2001:db8:51::2 /, 'the host speaks for the guest');
    });

    if (!ipv6) return;

    test('the route follows that of the host, while the guest looks', async (t) => {
      if (!ready(t, 'busybox', 'dnsmasq')) return;
      for (let i = 0; i < 2; i++) {
        await bed.lab.host.ip('-6', 'route', 'del', 'default');
        await until('the route to go', FOLLOWS_MS, async () => (await defaultRoute(guest.namespace)) === '');
        await assertPrompt(guest.namespace, ['curl', '-sS', '--max-time', '20', 'http://web.test/']);
        await bed.lab.host.ip('-6', 'route', 'add', 'default', 'via', ROUTER_6);
        await until('the route to come back', FOLLOWS_MS, async () => (await defaultRoute(guest.namespace)) !== '');
      }
      assert.match((await guest.namespace.addresses('eth0', 6)).join(), PREFIX);
      const events = bed.messages.flatMap(({ event }) => event as { kind: string; reachable?: boolean }[]);
      const reachable = events.filter(({ kind }) => kind === 'ipv6-reachable').map((event) => event.reachable);
      assert.deepEqual(reachable, [false, true, false, true]);
    });

    test('a guest that comes later hears of the route at once', async (t) => {
      if (!ready(t, 'busybox', 'dnsmasq')) return;
      const late = await bed.streamGuest('late', { automatic: true });
      await late.namespace.waitForAddress('eth0', 6);
      await until('a default route', WAITS_MS, async () => (await defaultRoute(late.namespace)) !== '');
    });
  });
}
