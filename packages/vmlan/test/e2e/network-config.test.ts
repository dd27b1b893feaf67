/**
 * Networks made, changed and deleted while guests use them: the real daemon, real network processes, a namespace as
 * guest, and the file with a person's comments.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import type { NetworkView } from '../../src/model/api.ts';
import { until } from '../support/deadline.ts';
import { needs, needsRoot } from '../support/needs.ts';
import { Lab } from '../support/netns.ts';
import { output } from '../support/process.ts';
import { openTun, restoreTun } from '../support/tun.ts';
import { Vmlan } from '../support/vmlan.ts';

const PATIENCE_MS = 15_000;
const FILE = `# networks of this machine
networks:
  office: { mode: isolated }   # not in use
`;

before(openTun);
after(restoreTun);

const textOf = (vmlan: Vmlan): string => readFileSync(join(vmlan.folder, 'networks.yaml'), 'utf8');
const lab = (vmlan: Vmlan): Promise<NetworkView> => vmlan.json<NetworkView>('network', 'show', 'lab');

test('a network is made, used, changed and deleted while a guest is on it', async (t: TestContext) => {
  if (!needsRoot(t) || !needs(t, 'ip', 'ping')) return;
  await using host = await Lab.create();
  await using vmlan = await Vmlan.create({ config: FILE, namespace: host.host });
  await vmlan.ok('up');
  const guest = await host.guest('g1');
  const reaches = async (address: string): Promise<boolean> =>
    output(guest.argv(['ping', '-c', '1', '-W', '1', address])).then(
      () => true,
      () => false,
    );

  const made = await vmlan.ok('network', 'create', 'lab', '--subnet', '192.168.78.0/24', '--start');
  assert.equal(made, 'network "lab" created\nnetwork "lab" runs, 192.168.78.0/24\n');
  assert.equal(textOf(vmlan), `${FILE}  lab:\n    mode: shared\n    subnet: 192.168.78.0/24\n`);
  const { pid } = await lab(vmlan);
  await vmlan.ok('run', 'g1', '--network', 'lab', '--netns', guest.name, '--config-net');
  assert.ok(await reaches('192.168.78.1'));

  // Live: the process is the same, and the guest has the address with its next attachment.
  await vmlan.ok('network', 'reservation', 'add', 'lab', 'g1', '192.168.78.50');
  await vmlan.ok('network', 'edit', 'lab', '--set', 'forwards=[{host: 47812, guest: "g1:80"}]');
  assert.equal((await lab(vmlan)).pid, pid);
  assert.match(
    await vmlan.ok('run', 'g1', '--network', 'lab', '--netns', guest.name, '--config-net'),
    /192\.168\.78\.50/,
  );
  assert.ok(await reaches('192.168.78.1'));
  assert.match(await vmlan.ok('forward', 'list', '--network', 'lab'), /127\.0\.0\.1:47812 +-> +g1:80 .*listening/);

  // What the process was started with asks for a restart, and gets it.
  const { stderr } = await vmlan.run(['network', 'edit', 'lab', '--set', 'dns.domain=lab.test']);
  assert.match(stderr, /network "lab" runs on with its older settings until it is started again/);
  await vmlan.ok('network', 'edit', 'lab', '--set', 'dns.domain=lab.test', '--unset', 'forwards', '--restart');
  const restarted = await lab(vmlan);
  assert.notEqual(restarted.pid, pid);
  assert.deepEqual([restarted.domain, restarted.warnings], ['lab.test', []]);
  await until('the guest to reach the gateway again', PATIENCE_MS, () => reaches('192.168.78.1'));

  // Another daemon finds all of it.
  await vmlan.ok('down');
  await vmlan.ok('up');
  assert.equal(await vmlan.ok('network', 'reservation', 'list', 'lab', '-q'), '192.168.78.50\n');
  assert.match(
    await vmlan.ok('config', 'show', 'networks.lab.dns.domain', '--origin'),
    /lab\.test +file +.*networks\.yaml:\d+/,
  );

  const refused = await vmlan.run(['network', 'delete', 'lab']);
  assert.equal(refused.code, 4);
  assert.match(refused.stderr, /network "lab" has guests: g1\nhint: vmlan network delete lab --force/);
  await vmlan.ok('network', 'delete', 'lab', '--force');
  assert.equal(textOf(vmlan), FILE);
  assert.equal(await vmlan.ok('list', '-q'), '');
  assert.equal((await vmlan.run(['network', 'show', 'lab'])).code, 3);
});

describe('the file', () => {
  test('takes the changes of many command lines at once', async () => {
    await using vmlan = await Vmlan.create({ config: FILE });
    await vmlan.ok('up');
    const names = Array.from({ length: 6 }, (_, i) => `net${i}`);
    await Promise.all(names.map((name, i) => vmlan.ok('network', 'create', name, '--subnet', `10.91.${i}.0/24`)));
    const networks = (await vmlan.ok('network', 'list', '-q')).trim().split('\n');
    assert.deepEqual(
      names.filter((name) => !networks.includes(name)),
      [],
    );
    assert.match(await vmlan.ok('config', 'check', join(vmlan.folder, 'networks.yaml')), /nothing is wrong/);
    await vmlan.ok('network', 'delete', ...names);
    assert.equal(textOf(vmlan), FILE);
  });

  test('broken by hand names the place, and what was loaded goes on', async () => {
    await using vmlan = await Vmlan.create({ config: FILE });
    await vmlan.ok('up');
    await vmlan.configure(FILE.replace('isolated', 'isolatd'));
    for (const words of [
      ['network', 'create', 'new'],
      ['config', 'reload'],
    ]) {
      const { code, stderr } = await vmlan.run(words);
      assert.equal(code, 2);
      assert.match(
        stderr,
        /networks\.yaml:3:19: network "office": mode: "isolatd" is none of .*\nhint: did you mean `isolated`/,
      );
    }
    assert.equal((await vmlan.json<NetworkView>('network', 'show', 'office')).mode, 'isolated');
  });
});
