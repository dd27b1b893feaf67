import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { describeEndpoint, parseEndpoint, resolveEndpoint } from './endpoint.ts';
import { VmlanError, errorFromTransport } from './errors.ts';

const none = (): boolean => false;
const system = (path: string): boolean => path === '/run/vmlan/vmlan.sock';
const all = (): boolean => true;

test('which socket is used', () => {
  const xdg = { XDG_RUNTIME_DIR: '/run/user/7' };
  const table: {
    name: string;
    host?: string;
    env: NodeJS.ProcessEnv;
    uid: number;
    exists: (p: string) => boolean;
    want: string;
  }[] = [
    { name: 'root', env: xdg, uid: 0, exists: none, want: '/run/vmlan/vmlan.sock' },
    { name: 'user', env: xdg, uid: 7, exists: none, want: '/run/user/7/vmlan/vmlan.sock' },
    { name: 'user with both', env: xdg, uid: 7, exists: all, want: '/run/user/7/vmlan/vmlan.sock' },
    { name: "user with the system's alone", env: xdg, uid: 7, exists: system, want: '/run/vmlan/vmlan.sock' },
    { name: 'no runtime directory', env: {}, uid: 7, exists: none, want: '/tmp/vmlan-7/vmlan.sock' },
    { name: 'a directory of its own', env: { VMLAN_RUNTIME_DIR: '/r' }, uid: 7, exists: system, want: '/r/vmlan.sock' },
    { name: 'environment', env: { VMLAN_HOST: 'unix:///a%20b' }, uid: 7, exists: none, want: '/a b' },
    { name: 'flag first', host: 'unix:///x', env: { VMLAN_HOST: 'unix:///a' }, uid: 7, exists: none, want: '/x' },
    { name: 'loopback', host: 'http://[::1]:8080', env: {}, uid: 7, exists: none, want: 'http://::1:8080' },
    { name: 'port 80', host: 'http://localhost', env: {}, uid: 7, exists: none, want: 'http://localhost:80' },
  ];
  for (const { name, host, env, uid, exists, want } of table) {
    assert.equal(describeEndpoint(resolveEndpoint(host, env, uid, exists)), want, name);
  }
});

test('which token is sent over TCP', () => {
  const directory = mkdtempSync('/tmp/vmlan-endpoint-');
  mkdirSync(join(directory, 'vmlan'));
  writeFileSync(join(directory, 'vmlan/token'), 'own\n');
  writeFileSync(join(directory, 'other'), 'other\n');
  const own = { XDG_STATE_HOME: directory };
  const table: { host: string; env: NodeJS.ProcessEnv; want: string | undefined }[] = [
    { host: 'http://127.0.0.1:7117', env: { ...own, VMLAN_TOKEN: ' given ' }, want: 'given' },
    { host: 'http://127.0.0.1:7117', env: { ...own, VMLAN_TOKEN_FILE: join(directory, 'other') }, want: 'other' },
    { host: 'http://127.0.0.1:7117', env: own, want: 'own' },
    { host: 'http://localhost:7117', env: own, want: 'own' },
    { host: 'http://example.com:7117', env: own, want: undefined },
    { host: 'http://example.com:7117', env: { ...own, VMLAN_TOKEN: 'given' }, want: 'given' },
    { host: 'http://127.0.0.1:7117', env: { XDG_STATE_HOME: '/nowhere' }, want: undefined },
  ];
  for (const { host, env, want } of table) {
    const endpoint = resolveEndpoint(host, env, 7, none);
    assert.equal(endpoint.kind === 'http' ? endpoint.token : 'unix', want, JSON.stringify({ host, env }));
  }
  assert.throws(
    () => resolveEndpoint('http://127.0.0.1:7117', { VMLAN_TOKEN_FILE: '/nowhere' }, 7, none),
    (error) => error instanceof VmlanError && error.code === 'usage',
  );
  rmSync(directory, { recursive: true });
});

test('what is no address is a usage error', () => {
  for (const text of ['/run/x', 'unix://x', 'tcp://1.2.3.4', 'http://', 'https://x']) {
    assert.throws(
      () => parseEndpoint(text),
      (error) => error instanceof VmlanError && error.code === 'usage',
      text,
    );
  }
});

test('a full queue of connections is no refusal', () => {
  const error = errorFromTransport(Object.assign(new Error('connect EAGAIN'), { code: 'EAGAIN' }), '/run/x');
  assert.equal(error.code, 'daemon-unreachable');
  assert.match(error.message, /too many connections waiting/);
});

test('a socket of another user is unreachable, with a hint', () => {
  const error = errorFromTransport(Object.assign(new Error('connect EACCES'), { code: 'EACCES' }), '/run/x');
  assert.equal(error.code, 'daemon-unreachable');
  assert.match(error.message, /may not be opened/);
});
