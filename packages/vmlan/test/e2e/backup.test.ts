/**
 * Backup and restore from the command line: from a vmlan that runs to another one, and back to what was.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { lstatSync, readFileSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Backup, ForwardView, GuestView } from '../../src/model/api.ts';
import { Vmlan } from '../support/vmlan.ts';

const CONFIG = '# mine\nnetworks:\n  lab: { mode: user-v2, subnet: 192.168.87.0/24 } # the one\n';

describe('a backup', () => {
  let one: Vmlan;
  let other: Vmlan;
  let file = '';

  before(async () => {
    one = await Vmlan.create({ config: CONFIG });
    other = await Vmlan.create({ config: 'networks: {}\n' });
    file = join(one.folder, 'backup.json');
    await one.ok('up');
    await one.ok('network', 'start', 'lab');
    await one.ok('attach', 'web', '--network', 'lab');
    await one.ok('forward', 'add', '127.0.0.1:28087', 'web:80', '--network', 'lab');
  });
  after(async () => {
    await one.close();
    await other.close();
  });

  const content = (path: string): Backup['content'] => (JSON.parse(readFileSync(path, 'utf8')) as Backup).content;

  test('is taken while everything runs, for its owner alone to read', async () => {
    await one.ok('backup', file);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const { networksYaml, guests, forwards, leases } = content(file);
    assert.equal(networksYaml, CONFIG);
    assert.deepEqual([guests.length, forwards.length], [1, 1]);
    assert.deepEqual(
      leases.map(({ network }) => network),
      ['lab'],
    );
  });

  test('replaces a file, also through a link, and nothing else', async () => {
    const link = join(one.folder, 'link.json');
    const target = join(one.folder, 'target.json');
    writeFileSync(target, CONFIG);
    symlinkSync(target, link);
    const refused = await one.run(['backup', link]);
    assert.deepEqual([refused.code, /link\.json is there, and is no backup\nhint: /.test(refused.stderr)], [4, true]);
    assert.equal(readFileSync(target, 'utf8'), CONFIG);
    writeFileSync(target, readFileSync(file).subarray(0, 300), { mode: 0o644 }); // a backup, though half of one
    await one.ok('backup', link);
    assert.ok(lstatSync(link).isSymbolicLink());
    assert.deepEqual(content(target), content(file));
    assert.equal(statSync(target).mode & 0o777, 0o600);
    const { code, stderr } = await one.run(['backup', one.folder]);
    assert.deepEqual([code, /cannot be written/.test(stderr)], [2, true]);
    const pipe = join(one.folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    const [read] = await Promise.all([readFile(pipe, 'utf8'), one.ok('backup', pipe)]);
    assert.deepEqual((JSON.parse(read) as Backup).content, content(file));
  });

  test('is not restored under a daemon that runs, nor where there is state', async () => {
    const { code, stderr } = await one.run(['restore', file, '--force']);
    assert.equal(code, 4);
    assert.match(stderr, /a daemon runs in .*\nhint: `vmlan down` first/);
    const refused = await other.run(['restore', file]);
    assert.equal(refused.code, 4);
    assert.match(refused.stderr, /there is state already: .*networks\.yaml.*\nhint: `--force`/);
    assert.equal(readFileSync(join(other.folder, 'networks.yaml'), 'utf8'), 'networks: {}\n');
  });

  test('is refused when it is damaged', async () => {
    const damaged = join(one.folder, 'damaged.json');
    writeFileSync(damaged, readFileSync(file, 'utf8').replace('28087', '28088'));
    const { code, stderr } = await other.run(['restore', damaged, '--force']);
    assert.equal(code, 2);
    assert.match(stderr, /damaged\.json is damaged: its checksum is wrong/);
    assert.equal((await other.run(['restore', join(one.folder, 'none.json')])).code, 3);
  });

  test('makes another vmlan like this one', async () => {
    await one.ok('down');
    await other.ok('restore', file, '--force');
    await other.ok('up');
    await other.ok('network', 'start', 'lab');
    assert.equal(readFileSync(join(other.folder, 'networks.yaml'), 'utf8'), CONFIG);
    const [guest] = await other.json<readonly GuestView[]>('list');
    const want = content(file).guests[0]!;
    assert.deepEqual([guest?.name, guest?.nics[0]?.mac], [want.name, want.nics[0]?.mac]);
    const forwards = await other.json<readonly ForwardView[]>('forward', 'list');
    assert.deepEqual(
      forwards.map(({ host }) => host),
      ['127.0.0.1:28087'],
    );
    const copy = JSON.parse(await other.ok('backup', '-')) as Backup;
    assert.deepEqual(copy.content, content(file));
  });

  test('leads back to what was, and is taken without a daemon too', async () => {
    await other.ok('forward', 'remove', '127.0.0.1:28087');
    await other.ok('down');
    const later = join(other.folder, 'later.json');
    await other.ok('backup', later);
    assert.deepEqual(content(later).forwards, []);
    await other.ok('restore', file, '--force');
    assert.deepEqual((JSON.parse(await other.ok('backup', '-')) as Backup).content, content(file));
    const kept = readdirSync(join(other.folder, 'state')).filter((name) => name.startsWith('before-restore-'));
    assert.equal(kept.length, 2);
  });

  test('does not come under networks that run without a daemon', async () => {
    await other.ok('up');
    await other.ok('network', 'start', 'lab');
    await other.ok('down', '--keep-networks');
    const { code, stderr } = await other.run(['restore', file, '--force']);
    assert.equal(code, 4);
    assert.match(stderr, /networks run without a daemon: lab/);
    await other.ok('up');
  });
});
