/**
 * Scenario 13: DNS and DHCP as a guest sees them, against dnsmasq on a bridge. vmlan is the whole product here, since its
 * ACK waits for the disk.
 *
 * Zone: control.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { World } from '../../packages/vmlan/test/e2e/world.ts';
import { dnsmasq } from '../../packages/vmlan/test/support/dns-tools.ts';
import { INTERNET, type Lab, type Namespace } from '../../packages/vmlan/test/support/netns.ts';
import { openLab } from '../bed.ts';
import { missing } from '../commands.ts';
import { compare, type BenchTest, type Contender } from '../compare.ts';
import { dnsP99Us, dnsRate } from '../load/dnsperf.ts';
import { LoadAgent } from '../load/load-client.ts';
import { kernel } from '../peers/kernel.ts';
import { SMALL_MTU } from '../peers/peer.ts';
import type { Goal, Metric } from '../results.ts';
import type { Scenario } from '../scenario.ts';

const NAMES = 1000;
const UPSTREAM_NAMES = 100;
/** vmlan keeps 63 bindings for one card of a /24: none of these is ever recycled. */
const DHCP_CLIENTS = 48;
const DOMAIN = 'bench.internal';
const RATE: Metric = { name: 'rate', unit: 'per second', better: 'higher' };
const P99: Metric = { name: 'p99', unit: 'µs', better: 'lower' };
const FAILED: Metric = { name: 'failed', unit: '%', better: 'lower' };
/** What the resolver of the lab's internet knows: every name below upstream.test, to be kept for an hour. */
const UPSTREAM = ['--address=/upstream.test/203.0.113.77', '--local-ttl=3600'];

const nameOf = (index: number): string => `h${index}.${DOMAIN}`;
const addressOf = (index: number): string => `10.9.${index >> 8}.${index & 0xff}`;
const indexes = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

interface ServiceBed extends AsyncDisposable {
  readonly guest: Namespace;
  readonly agent: LoadAgent;
  /** The DNS server as the guest knows it. */
  readonly dns: string;
  readonly queries: { readonly own: string; readonly upstream: string };
}

async function queryFiles(folder: string): Promise<ServiceBed['queries']> {
  const files = { own: join(folder, 'own'), upstream: join(folder, 'upstream') };
  await writeFile(
    files.own,
    indexes(NAMES)
      .map((index) => `${nameOf(index)} A\n`)
      .join(''),
  );
  await writeFile(
    files.upstream,
    indexes(UPSTREAM_NAMES)
      .map((index) => `c${index}.upstream.test A\n`)
      .join(''),
  );
  return files;
}

async function openFolder(stack: AsyncDisposableStack): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'vmlan-bench-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

function bedOf(bed: Omit<ServiceBed, typeof Symbol.asyncDispose>, stack: AsyncDisposableStack): ServiceBed {
  return { ...bed, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

async function openVmlan(): Promise<ServiceBed> {
  await using stack = new AsyncDisposableStack();
  const hosts = indexes(NAMES).map((index) => `        ${nameOf(index)}: ${addressOf(index)}\n`);
  const network = 'mode: user-v2\n    subnet: 192.168.110.0/24\n    subnet6: off\n';
  const config = `networks:\n  bench:\n    ${network}    dns:\n      domain: ${DOMAIN}\n      hosts:\n${hosts.join('')}`;
  const world = stack.use(await World.create({ config, records: UPSTREAM, ipv6: false }));
  const guest = await world.namespaceGuest('load', { network: 'bench', configure: true });
  const dns = /nameserver (\S+)/.exec(await guest.output(['cat', '/etc/resolv.conf']))?.[1] ?? '192.168.110.1';
  const queries = await queryFiles(await openFolder(stack));
  const agent = await LoadAgent.start(guest);
  return bedOf({ guest, agent, dns, queries }, stack.move());
}

function dnsmasqArgs(folder: string): string[] {
  const dhcp = ['--dhcp-range=192.168.110.10,192.168.110.250,1h', '--dhcp-authoritative', '--no-ping', '--quiet-dhcp'];
  const dns = [`--server=${INTERNET.resolver4}`, '--cache-size=10000', `--addn-hosts=${join(folder, 'hosts')}`];
  const bare = ['--keep-in-foreground', '--conf-file=/dev/null', '--no-resolv', '--no-hosts', '--user=root'];
  const own = ['--pid-file=', '--interface=br0', '--bind-interfaces', `--dhcp-leasefile=${join(folder, 'leases')}`];
  return ['dnsmasq', ...bare, ...own, ...dhcp, ...dns, '--log-facility=-'];
}

async function startDnsmasq(lab: Lab, folder: string): Promise<void> {
  await writeFile(
    join(folder, 'hosts'),
    indexes(NAMES)
      .map((index) => `${addressOf(index)} ${nameOf(index)}\n`)
      .join(''),
  );
  await lab.host.start(dnsmasqArgs(folder)).waitFor(/started, version/);
}

async function openDnsmasq(): Promise<ServiceBed> {
  await using stack = new AsyncDisposableStack();
  const lab = stack.use(await openLab('near'));
  await dnsmasq(lab.internet, UPSTREAM);
  const { guest } = await kernel.connect(lab, SMALL_MTU, stack);
  const folder = await openFolder(stack);
  await startDnsmasq(lab, folder);
  const agent = await LoadAgent.start(guest);
  return bedOf({ guest, agent, dns: '192.168.110.1', queries: await queryFiles(folder) }, stack.move());
}

function dnsTest(name: string, which: keyof ServiceBed['queries'], seconds: number): BenchTest<ServiceBed> {
  return {
    name,
    metrics: [RATE, P99, FAILED],
    async measure({ guest, dns, queries }) {
      const load = { server: dns, queries: queries[which], seconds };
      const { perSecond, failedShare } = await dnsRate(guest, load);
      return { [RATE.name]: perSecond, [FAILED.name]: 100 * failedShare, [P99.name]: await dnsP99Us(guest, load) };
    },
  };
}

function dhcpTest(seconds: number): BenchTest<ServiceBed> {
  return {
    name: 'DHCP four-way exchanges',
    metrics: [RATE, P99],
    async measure({ agent }) {
      const load = { device: 'eth0', clients: DHCP_CLIENTS, seconds };
      const { perSecond, p99Us } = await agent.run('dhcpExchanges', load);
      return { [RATE.name]: perSecond, [P99.name]: p99Us };
    },
  };
}

export const namesAndLeases: Scenario = {
  id: 13,
  name: 'dns-dhcp',
  title: 'DNS and DHCP',
  async run(options) {
    const contenders: Contender<ServiceBed>[] = [
      { name: 'vmlan', missing: missing('dnsmasq', 'dnsperf'), open: openVmlan },
      { name: 'dnsmasq', missing: missing('dnsmasq', 'dnsperf', 'nft'), open: openDnsmasq },
    ];
    const own = dnsTest('DNS, names of the network', 'own', options.seconds);
    const cached = dnsTest('DNS, cached names', 'upstream', options.seconds);
    const dhcp = dhcpTest(options.seconds);
    const goals = [own, dhcp].map(({ name: test }): Goal => {
      const sides = { ours: ['vmlan'], against: ['dnsmasq'], factor: 1, sense: 'at least' } as const;
      return { text: '≥ 1.0 × dnsmasq', test, metric: RATE.name, ...sides };
    });
    const conditions =
      `vmlan: daemon and network process, its guest behind a TAP; dnsmasq: on a bridge, its guest behind a veth. ` +
      `dnsperf with ${NAMES} names of the network or ${UPSTREAM_NAMES} of upstream, p99 at 2000 queries/s; ` +
      `${DHCP_CLIENTS} DHCP clients at once. vmlan syncs leases to disk before an ACK, dnsmasq writes without syncing.`;
    const { id, name, title } = namesAndLeases;
    const comparison = await compare(contenders, [own, cached, dhcp], options);
    return { id, name, title, conditions, ...comparison, series: [], goals };
  },
};
