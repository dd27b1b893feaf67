/**
 * The command line, and anything else, over loopback TCP with the token.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { StatusView, TokenView } from '../../src/model/api.ts';
import { run } from '../support/process.ts';
import type { RunResult } from '../support/process.ts';
import { Vmlan } from '../support/vmlan.ts';

const CONFIG = 'networks:\n  lab: { mode: user-v2, subnet: 192.168.77.0/24 }\n';

describe('over TCP', () => {
  test('the command line works with a token from the environment, from a file, or with its own', async () => {
    await using vmlan = await Vmlan.create({ config: CONFIG });
    await vmlan.ok('up', '--listen', '127.0.0.1:0');
    const { token, address, file } = await vmlan.json<TokenView>('token');
    assert.match(await vmlan.ok('status'), new RegExp(`^address +${address!}$`, 'm'));
    const ask = (env: NodeJS.ProcessEnv, ...args: readonly string[]): Promise<RunResult> =>
      run(vmlan.argv(...args), { env: { ...vmlan.env, VMLAN_HOST: address!, ...env } });
    const elsewhere = { VMLAN_STATE_DIR: '/nowhere' };
    for (const env of [{ ...elsewhere, VMLAN_TOKEN: token }, { ...elsewhere, VMLAN_TOKEN_FILE: file }, {}]) {
      const { code, stdout, stderr } = await ask(env, 'status', '--output', 'json');
      assert.equal(code, 0, stderr);
      assert.equal((JSON.parse(stdout) as StatusView).address, address);
    }
    const without = await ask(elsewhere, 'list');
    assert.deepEqual([without.code, without.stdout], [5, '']);
    assert.match(
      without.stderr,
      /^vmlan: the request has no token\nhint: set VMLAN_TOKEN to what `vmlan token` prints\n$/,
    );
    assert.equal((await ask({}, 'token')).code, 5, 'the token is told on the unix socket alone');
    assert.equal((await ask({}, 'network', 'start', 'lab')).code, 0);

    const rotated = (await vmlan.ok('token', '--rotate', '--quiet')).trim();
    assert.notEqual(rotated, token);
    assert.equal((await ask({ ...elsewhere, VMLAN_TOKEN: token }, 'list')).code, 5);
    assert.equal((await ask({ ...elsewhere, VMLAN_TOKEN: rotated }, 'list')).code, 0);
    assert.equal((await ask({}, 'down')).code, 0, 'what may be asked may be ended');
  });

  test('nothing but loopback is listened at', async () => {
    await using vmlan = await Vmlan.create({ config: CONFIG });
    const { code, stderr } = await vmlan.run(['up', '--listen', '0.0.0.0:7117']);
    assert.equal(code, 2);
    assert.match(stderr, /served at loopback addresses alone\nhint: write 127\.0\.0\.1:7117/);
    await vmlan.ok('up');
    const again = await vmlan.run(['up', '--listen', '127.0.0.1:0']);
    assert.equal(again.code, 0);
    assert.match(again.stderr, /--listen holds from the next start; add --upgrade/);
    assert.match((await vmlan.run(['token'])).stderr, /does not listen over TCP: start it with/);
  });
});
