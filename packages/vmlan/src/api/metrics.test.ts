import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { GuestView, NetworkView, NicView, StatusView } from '../model/api.ts';
import { renderMetrics } from './metrics.ts';

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

const NOTHING = { residentBytes: 0, refused: {} };

const samples = (text: string): string[] => text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));

test('every network and registered guest has its samples', () => {
  const text = renderMetrics(status([network('lab')], [guest('web', [nic()]), guest('odd', [nic()], false)]), {
    residentBytes: 1e6,
    refused: { host: 2 },
  });
  assert.deepEqual(samples(text), [
    'vmlan_build_info{version="1.2.3"} 1',
    'process_start_time_seconds 1.5',
    'process_resident_memory_bytes 1000000',
    'vmlan_api_refused_total{reason="host"} 2',
    'vmlan_guests 2',
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
  const lines = samples(renderMetrics(status([stopped], [guest('db', [away, away])]), NOTHING)).slice(4);
  assert.deepEqual(lines.slice(1, 3), [
    'vmlan_network_running{network="dev"} 0',
    'vmlan_network_failed{network="dev"} 1',
  ]);
  assert.deepEqual(
    lines.filter((line) => /start_time|flows|datapath|frames/.test(line)),
    [],
  );
  assert.deepEqual(lines.slice(-2), [
    'vmlan_nic_connected{network="dev",guest="db",nic="0"} 0',
    'vmlan_nic_connected{network="dev",guest="db",nic="1"} 0',
  ]);
});

test('no value can end its quotes', () => {
  const text = renderMetrics({ ...status([], []), version: 'a"b\\c\nd' }, NOTHING);
  assert.ok(text.includes('vmlan_build_info{version="a\\"b\\\\c\\nd"} 1\n'));
});

test('docs/metrics.md tells of each and of no other', () => {
  const page = readFileSync(new URL('../../../../docs/metrics.md', import.meta.url), 'utf8');
  const told = Array.from(page.matchAll(/^\| `(\w+)` +\| (gauge|counter) /gm), ([, name, type]) => `${name} ${type}`);
  const text = renderMetrics(status([], []), NOTHING);
  const made = Array.from(text.matchAll(/^# TYPE (\w+) (\w+)$/gm), ([, name, type]) => `${name} ${type}`);
  assert.deepEqual(told, made);
});
