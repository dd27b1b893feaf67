import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { GuestView, NetworkView, NicView, StatusView } from '../model/api.ts';
import { metricsOf, renderMetrics } from './metrics.ts';

const counters = {
  ...{ framesFromGuest: 1, framesToGuest: 2, bytesFromGuest: 30, bytesToGuest: 40 },
  ...{ dropsFromGuest: 5, dropsToGuest: 6 },
};

const nic = (more: Partial<NicView> = {}): NicView => ({
  ...{ key: 'web/0', network: 'lab', mac: '52:54:00:12:34:56', aliasMac: null, ip: null, connected: true },
  ...{ state: 'connected', link: 'stream', attachment: null, address4: ['10.0.0.5'], address6: [], hostname: null },
  ...{ sinceMs: 0, counters, flows: 2, ...more },
});

const guest = (name: string, nics: readonly NicView[], registered = true): GuestView => ({
  ...{ name, registered, names: [], nics },
});

const network = (name: string, more: Partial<NetworkView> = {}): NetworkView => ({
  ...{ name, mode: 'user-v2', driver: 'userspace', driverReason: '', state: 'running', problem: null, autostart: true },
  ...{ subnet: null, gateway: null, dns: null, poolStart: null, poolEnd: null, hostAddress: null, subnet6: null },
  ...{ gateway6: null, domain: '', mtu: 1500, interface: null, hostAccess: 'all', sockets: null, pid: 1 },
  ...{ startedMs: 2500, restarts: 1, guests: 2, leases: 3, flows: { tcp: 4, udp: 5, icmp: 0 } },
  ...{ counters: { drop_bad_arp: 7 }, ipv6Reachable: null, ping: null, warnings: [], ...more },
});

const status = (networks: readonly NetworkView[], guests: readonly GuestView[]): StatusView => ({
  ...{
    version: '1.2.3',
    pid: 1,
    startedMs: 1500,
    privileged: false,
    address: null,
    problems: [],
    defaultNetwork: null,
    warnings: [],
  },
  ...{ paths: { config: null, state: '', runtime: '', socket: '' }, networks, guests },
});

const NOTHING = { residentBytes: 0, cpuSeconds: 0, openFiles: null, connections: 0, refused: {} };
const FACTS = { residentBytes: 1e6, cpuSeconds: 1.25, openFiles: 40, connections: 3, refused: { host: 2 } };

const samples = (text: string): string[] => text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));

test('every network and registered guest has its samples', () => {
  const forwards = [
    { network: 'lab', state: 'listening' },
    { network: 'lab', state: 'listening' },
    { network: 'lab', state: 'failed' },
    { network: 'of-none', state: 'stopped' },
  ] as const;
  const text = renderMetrics(
    status([network('lab')], [guest('web', [nic()]), guest('odd', [nic()], false)]),
    forwards,
    FACTS,
  );
  assert.deepEqual(samples(text), [
    'vmlan_build_info{version="1.2.3"} 1',
    'process_start_time_seconds 1.5',
    'process_cpu_seconds_total 1.25',
    'process_resident_memory_bytes 1000000',
    'process_open_fds 40',
    'vmlan_api_connections 3',
    'vmlan_api_refused_total{reason="host"} 2',
    'vmlan_guests 2',
    'vmlan_problems 0',
    'vmlan_network_info{network="lab",mode="user-v2",driver="userspace"} 1',
    'vmlan_network_running{network="lab"} 1',
    'vmlan_network_failed{network="lab"} 0',
    'vmlan_network_start_time_seconds{network="lab"} 2.5',
    'vmlan_network_restarts_total{network="lab"} 1',
    'vmlan_network_guests{network="lab"} 2',
    'vmlan_network_leases{network="lab"} 3',
    'vmlan_network_flows{network="lab",protocol="tcp"} 4',
    'vmlan_network_flows{network="lab",protocol="udp"} 5',
    'vmlan_network_flows{network="lab",protocol="icmp"} 0',
    'vmlan_datapath_events_total{network="lab",event="drop_bad_arp"} 7',
    'vmlan_network_forwards{network="lab",state="listening"} 2',
    'vmlan_network_forwards{network="lab",state="waiting-for-guest"} 0',
    'vmlan_network_forwards{network="lab",state="stopped"} 0',
    'vmlan_network_forwards{network="lab",state="failed"} 1',
    'vmlan_nic_connected{network="lab",guest="web",nic="0"} 1',
    'vmlan_nic_frames_total{network="lab",guest="web",nic="0",direction="from_guest"} 1',
    'vmlan_nic_frames_total{network="lab",guest="web",nic="0",direction="to_guest"} 2',
    'vmlan_nic_bytes_total{network="lab",guest="web",nic="0",direction="from_guest"} 30',
    'vmlan_nic_bytes_total{network="lab",guest="web",nic="0",direction="to_guest"} 40',
    'vmlan_nic_drops_total{network="lab",guest="web",nic="0",direction="from_guest"} 5',
    'vmlan_nic_drops_total{network="lab",guest="web",nic="0",direction="to_guest"} 6',
  ]);
});

test('what does not run has no samples of a running one', () => {
  const stopped = network('dev', { state: 'failed', startedMs: null, flows: null, counters: null });
  const away = nic({ network: 'dev', state: 'waiting', counters: null });
  const lines = samples(renderMetrics(status([stopped], [guest('db', [away, away])]), [], NOTHING));
  assert.deepEqual(
    lines.filter((line) => /running|failed\{/.test(line)),
    ['vmlan_network_running{network="dev"} 0', 'vmlan_network_failed{network="dev"} 1'],
  );
  assert.deepEqual(
    lines.filter((line) => /network_start_time|flows|datapath|frames|open_fds/.test(line)),
    [],
  );
  assert.deepEqual(lines.slice(-2), [
    'vmlan_nic_connected{network="dev",guest="db",nic="0"} 0',
    'vmlan_nic_connected{network="dev",guest="db",nic="1"} 0',
  ]);
});

test('no value can end its quotes', () => {
  const text = renderMetrics({ ...status([], []), version: 'a"b\\c\nd' }, [], NOTHING);
  assert.ok(text.includes('vmlan_build_info{version="a\\"b\\\\c\\nd"} 1\n'));
});

test('names and labels are as Prometheus wants them, and no series is told twice', () => {
  const metrics = metricsOf(
    status([network('lab'), network('dev')], [guest('web', [nic(), nic({ network: 'dev' })]), guest('db', [nic()])]),
    [{ network: 'lab', state: 'listening' }],
    FACTS,
  );
  for (const { name, type, labels, help, samples: all } of metrics) {
    assert.match(name, /^(?:vmlan|process)_[a-z0-9_]+$/);
    assert.equal(name.endsWith('_total'), type === 'counter', name);
    assert.doesNotMatch(name, /_(?:ms|milliseconds|kb|kib|mb|percent)(?:_|$)/, 'base units');
    assert.match(help, /^[A-Z0-9][^\n\\]*\.$/, name);
    for (const [given] of all) assert.deepEqual(Object.keys(given), labels, name);
    assert.equal(new Set(all.map(([given]) => JSON.stringify(given))).size, all.length, name);
  }
  assert.equal(new Set(metrics.map(({ name }) => name)).size, metrics.length);
});

test('docs/metrics.md tells of each and of no other, with its type, unit and labels', () => {
  const page = readFileSync(new URL('../../../../docs/metrics.md', import.meta.url), 'utf8');
  const rows = page.split('\n').filter((line) => line.startsWith('| `'));
  const told = rows.map((line) =>
    line
      .split('|')
      .slice(1, 5)
      .map((cell) => cell.replaceAll('`', '').trim()),
  );
  const made = metricsOf(status([], []), [], NOTHING).map(({ name, type, labels }) => [
    name,
    type,
    /_(seconds|bytes)(?:_total)?$/.exec(name)?.[1] ?? '',
    labels.join(', '),
  ]);
  assert.deepEqual(told, made);
});

test('a thousand guests make no more than their own series, and no address or port is a label', () => {
  const guests = Array.from({ length: 1000 }, (_, i) => guest(`g${i}`, [nic()]));
  const strangers = Array.from({ length: 1000 }, (_, i) => guest(`x${i}`, [nic()], false));
  const forwards = Array.from({ length: 10_000 }, () => ({ network: 'lab', state: 'listening' }) as const);
  const busy = network('lab', { flows: { tcp: 50_000, udp: 50_000, icmp: 9 } });
  const few = samples(renderMetrics(status([busy], []), [], FACTS)).length;
  const text = renderMetrics(status([busy], [...guests, ...strangers]), forwards, FACTS);
  assert.equal(samples(text).length, few + 1000 * 7);
  assert.ok(text.length < 1_000_000, `${text.length} bytes`);
  assert.doesNotMatch(text, /10\.0\.0\.5|52:54/);
});
