import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { resolvePaths } from '../model/paths.ts';
import { checkConfig } from './config-check.ts';
import { daemonSettings } from './config-view.ts';
import { CONFIG, TestDaemon } from './daemon.fixture.ts';

test('every value says where it comes from', async () => {
  await using daemon = await TestDaemon.start(
    `${CONFIG}  free: { mode: shared, gateway: , hostAccess: [80], forwards: [{ host: 53, guest: dns:53, protocol: udp }] }\n`,
  );
  const { file, exists, entries } = await daemon.client.call('getConfig');
  assert.deepEqual([file, exists], [daemon.paths.config, true]);
  const byKey = new Map(entries.map(({ key, value, origin, place }) => [key, [value, origin, place]]));
  const want: readonly (readonly [key: string, entry: readonly unknown[]])[] = [
    ['networks.lab.mode', ['shared', 'file', `${file}:4`]],
    ['networks.lab.subnet', ['10.77.0.0/24', 'file', `${file}:5`]],
    ['networks.lab.gateway', ['10.77.0.1', 'default', null]],
    ['networks.lab.dhcp.reservations', ['db=10.77.0.10', 'file', `${file}:6`]],
    ['networks.lab.dhcp.leaseTime', ['86400s', 'default', null]],
    ['networks.lab.dns.hosts', ['registry.lab.internal=10.77.0.10', 'file', `${file}:7`]],
    ['networks.lab.forwards', ['127.0.0.1:8080=web:80', 'file', `${file}:8`]],
    ['networks.lab.isolation.host', [false, 'default', null]],
    ['networks.lan.interface', ['eth0', 'file', `${file}:10`]],
    ['networks.free.hostAccess', ['80', 'file', `${file}:11`]],
    ['networks.free.forwards', ['127.0.0.1:53=dns:53/udp', 'file', `${file}:11`]],
    ['networks.user-v2.mode', ['user-v2', 'default', null]],
  ];
  for (const [key, entry] of want) assert.deepEqual(byKey.get(key), entry, key);
  assert.deepEqual(byKey.get('networks.free.subnet')?.slice(1), ['picked', `${daemon.paths.state}/subnets.json`]);
  assert.equal(byKey.get('networks.lan.dhcp.range'), undefined);
});

describe("the daemon's own settings come", () => {
  const home = { uid: 1000, home: '/home/a' };
  const origins = (environment: Record<string, string>, flags: Record<string, string> = {}): unknown =>
    daemonSettings(environment, resolvePaths(environment, home), flags).map(({ key, origin, place }) =>
      [key, origin, place].join(' '),
    );

  test('from nothing', () => {
    assert.deepEqual(origins({}), [
      'paths.config default ',
      'paths.state default ',
      'paths.runtime default ',
      'paths.socket default ',
      'listen default ',
      'socketGroup default ',
    ]);
  });

  test('from the environment', () => {
    const environment = {
      XDG_CONFIG_HOME: '/c',
      VMLAN_STATE_DIR: '/s',
      XDG_RUNTIME_DIR: '/r',
      VMLAN_HOST: 'unix:///x.sock',
      VMLAN_LISTEN: '127.0.0.1:1',
    };
    assert.deepEqual(origins(environment), [
      'paths.config environment XDG_CONFIG_HOME',
      'paths.state environment VMLAN_STATE_DIR',
      'paths.runtime environment XDG_RUNTIME_DIR',
      'paths.socket environment VMLAN_HOST',
      'listen environment VMLAN_LISTEN',
      'socketGroup default ',
    ]);
  });

  test('from flags', () => {
    const flags = { config: '/f.yaml', listen: '127.0.0.1:2', 'socket-group': 'vm' };
    assert.deepEqual(
      (origins({ VMLAN_CONFIG: '/f.yaml', VMLAN_LISTEN: '127.0.0.1:1' }, flags) as string[]).filter((line) =>
        line.includes('flag'),
      ),
      ['paths.config flag --config', 'listen flag --listen', 'socketGroup flag --socket-group'],
    );
  });
});

test('a file that is not in use is judged beside the host', () => {
  const verdict = checkConfig('/nowhere/networks.yaml', new Set(), []);
  assert.equal(verdict.error?.code, 'invalid-config');
  assert.match(verdict.error.message, /does not exist/);
});
