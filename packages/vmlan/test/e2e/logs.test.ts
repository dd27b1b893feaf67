/**
 * Logs through the daemon, over TCP, and where no daemon answers any more.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TokenView } from '../../src/model/api.ts';
import { run } from '../support/process.ts';
import type { RunResult } from '../support/process.ts';
import { Vmlan } from '../support/vmlan.ts';

const CONFIG = 'networks:\n  lab: { autostart: true, mode: user-v2, subnet: 192.168.77.0/24 }\n';

test('logs are followed through the end of the daemon and the start of the next', async () => {
  await using vmlan = await Vmlan.create({ config: CONFIG });
  await vmlan.ok('up');
  await using follower = vmlan.start('logs', '--follow', '--output', 'json');
  await follower.waitFor(/"message":"vmlan serves/);
  await vmlan.ok('network', 'stop', 'lab');
  await follower.waitFor(/"message":"network lab stopped"/);
  await vmlan.ok('down');
  await vmlan.ok('up');
  await follower.waitFor(/vmlan serves[^]*vmlan serves/);
  const seen = follower.stdout.split('\n');
  assert.equal(new Set(seen).size, seen.length, 'nothing twice');
  assert.match(follower.stderr, /^the daemon has ended; its log is read where it lies$/m);
});

test('logs of a daemon that was killed are still there', async () => {
  await using vmlan = await Vmlan.create({ config: CONFIG });
  await vmlan.ok('up');
  const { pid } = await vmlan.status();
  process.kill(pid, 'SIGKILL');
  assert.match(await vmlan.ok('logs', '--daemon'), /daemon +info +vmlan serves socket=/);
  assert.match(await vmlan.ok('logs', 'lab', '-n', '1', '--quiet'), /^network lab runs/);
  const none = await vmlan.run(['logs', 'none']);
  assert.equal(none.code, 3);
  assert.match(none.stderr, /^vmlan: network "none" has no log: it never ran\nhint: logs are of: lab/);
  const elsewhere = await vmlan.run(['--host', 'http://127.0.0.1:1', 'logs']);
  assert.equal(elsewhere.code, 6);
});

test('over TCP logs need the token, and never hold it', async () => {
  await using vmlan = await Vmlan.create({ config: CONFIG });
  await vmlan.ok('up', '--listen', '127.0.0.1:0');
  const { token, address } = await vmlan.json<TokenView>('token');
  const ask = (env: NodeJS.ProcessEnv, ...args: readonly string[]): Promise<RunResult> =>
    run(vmlan.argv(...args), { env: { ...vmlan.env, VMLAN_HOST: address!, VMLAN_STATE_DIR: '/nowhere', ...env } });
  const { code, stdout, stderr } = await ask({ VMLAN_TOKEN: token }, 'logs', 'lab');
  assert.equal(code, 0, stderr);
  assert.match(stdout, /lab +info +network lab runs/);
  const wrong = 'w'.repeat(43);
  assert.equal((await ask({ VMLAN_TOKEN: wrong }, 'logs')).code, 5);
  const next = (await vmlan.ok('token', '--rotate', '--quiet')).trim();
  assert.equal((await ask({ VMLAN_TOKEN: token }, 'logs')).code, 5);
  assert.equal((await ask({ VMLAN_TOKEN: next }, 'logs')).code, 0);
  const log = readFileSync(join(vmlan.folder, 'state', 'daemon.log'), 'utf8');
  for (const secret of [token, wrong, next]) assert.ok(!log.includes(secret));
});
