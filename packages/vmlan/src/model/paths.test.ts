import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resolvePaths } from './paths.ts';

const user = { uid: 1000, home: '/home/u' };

test('a user has the XDG directories', () => {
  assert.deepEqual(resolvePaths({ XDG_RUNTIME_DIR: '/run/user/1000' }, user), {
    config: '/home/u/.config/vmlan/networks.yaml',
    configRequired: false,
    state: '/home/u/.local/state/vmlan',
    runtime: '/run/user/1000/vmlan',
    socket: '/run/user/1000/vmlan/vmlan.sock',
  });
});

test('the XDG variables move them', () => {
  const env = { XDG_CONFIG_HOME: '/c', XDG_STATE_HOME: '/s', XDG_RUNTIME_DIR: '/r' };
  const { config, state, runtime } = resolvePaths(env, user);
  assert.deepEqual([config, state, runtime], ['/c/vmlan/networks.yaml', '/s/vmlan', '/r/vmlan']);
});

test('a session without a runtime directory has one of its own', () => {
  assert.equal(resolvePaths({}, user).runtime, '/tmp/vmlan-1000');
});

test('root has those of the system, whatever its session says', () => {
  const { config, state, runtime } = resolvePaths({ XDG_RUNTIME_DIR: '/run/user/0' }, { uid: 0, home: '/r' });
  assert.deepEqual([config, state, runtime], ['/etc/vmlan/networks.yaml', '/var/lib/vmlan', '/run/vmlan']);
});

test('VMLAN variables win', () => {
  const env = { VMLAN_CONFIG: '/a.yaml', VMLAN_STATE_DIR: '/b', VMLAN_RUNTIME_DIR: '/c', VMLAN_HOST: 'unix:///d.sock' };
  assert.deepEqual(resolvePaths(env, user), {
    config: '/a.yaml',
    configRequired: true,
    state: '/b',
    runtime: '/c',
    socket: '/d.sock',
  });
});

test('empty ones count as not set', () => {
  assert.equal(resolvePaths({ VMLAN_CONFIG: '', XDG_RUNTIME_DIR: '' }, user).configRequired, false);
});
