import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { optionsIn, startOf } from './running-daemon.ts';

const paths = { config: '/etc/n.yaml', state: '/s', runtime: '/r', socket: '/r/vmlan.sock' };

test('of a command line, what vmlan up may be told', () => {
  const table: [line: string, want: object][] = [
    ['node --max-semi-space-size=1 main.js', {}],
    ['node main.js --config /a.yaml --foreground', { config: '/a.yaml' }],
    ['node main.js --listen=127.0.0.1:1 --socket-group vm', { listen: '127.0.0.1:1', socketGroup: 'vm' }],
    ['node main.js --config', {}],
  ];
  for (const [line, want] of table) assert.deepEqual(optionsIn(line.split(' ')), want, line);
});

test('of a process that is ours to see', async () => {
  const env = { VMLAN_LISTEN: 'a=b', OTHER: 'x' };
  const child = spawn(
    process.execPath,
    ['-e', 'setInterval(() => 0, 1e6); console.log()', '--', '--config', '/c.yaml'],
    {
      env,
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  await once(child.stdout, 'data');
  assert.deepEqual(startOf({ pid: child.pid!, paths }).env, { VMLAN_LISTEN: 'a=b' });
  child.kill();
});

test('of one that is not, its file at least', () => {
  assert.deepEqual(startOf({ pid: 2 ** 30, paths }), { env: { VMLAN_CONFIG: '/etc/n.yaml' }, options: {} });
  assert.deepEqual(startOf({ pid: 2 ** 30, paths: { ...paths, config: null } }).env, {});
});
