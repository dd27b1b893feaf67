/**
 * Backup and restore through real files: what is taken comes back, what is damaged is refused, and who is killed in the
 * middle leaves the old state or the new one, whole.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, describe, test } from 'node:test';
import * as fc from 'fast-check';
import { LEASE_FORMAT } from '../drivers/userspace/lease-file.ts';
import { FakeDriver } from '../drivers/fake/driver.ts';
import type { Backup } from '../model/api.ts';
import { resolvePaths } from '../model/paths.ts';
import type { Paths } from '../model/paths.ts';
import { StateFile } from '../sys/state-file.ts';
import { parseBackup, sealBackup } from './backup-file.ts';
import { backupOfDirectories } from './backup.ts';
import { CONFIG, TestDaemon, problem } from './daemon.fixture.ts';
import { identityFile } from './identity.ts';
import { decideRestore, finishRestore } from './restore-steps.ts';
import { restoreBackup } from './restore.ts';
import type { RestoreOptions, RestoreReport } from './restore.ts';
import { Store } from './store.ts';

const root = mkdtempSync('/tmp/vmlan-restore-');
after(() => rmSync(root, { recursive: true }));

const LEASES = { network: 'lab', duid: '0004ab', leases: [{ mac: '52:54:00:00:00:01', ip: '10.77.0.5', until: 7 }] };
const YAML = `# kept as it is\n${CONFIG}  own: { mode: user-v2 }\n`;

const bytesOf = (backup: unknown): Uint8Array => Buffer.from(JSON.stringify(backup));

/** Of a daemon that has something of everything, and runs. */
async function takeOne(): Promise<Backup> {
  await using daemon = new TestDaemon(new FakeDriver());
  daemon.configure(YAML);
  await new StateFile(join(daemon.paths.state, 'networks/lab/leases.json'), LEASE_FORMAT).write(JSON.stringify(LEASES));
  await daemon.start();
  const { client } = daemon;
  await client.call('startNetwork', { params: { name: 'lab' } });
  await client.call('createGuest', { body: { name: 'web', network: 'lab', ip: '10.77.0.20' } });
  await client.call('createGuest', { body: { name: 'db', network: 'cut' } });
  await client.call('createForward', { body: { host: '127.0.0.1:9090', guest: 'web:80', network: 'lab' } });
  await client.call('createForward', { body: { host: '127.0.0.1:9091', guest: 'web:81', network: 'lab' } });
  await client.call('createRecord', {
    body: { name: 'x.lab.internal', type: 'A', value: '10.77.0.9', network: 'lab' },
  });
  await client.call('setShape', { body: { guest: 'web', delayMs: 50 } });
  return await client.call('takeBackup');
}

const backup = await takeOne();
const other = sealBackup(
  { ...backup.content, networksYaml: null, identity: 'e'.repeat(32), guests: [], forwards: [], shapes: [], leases: [] },
  '0',
  1,
);

let places = 0;

function newPlace(): Paths {
  const home = join(root, `place-${++places}`);
  mkdirSync(home);
  const env = { VMLAN_STATE_DIR: join(home, 'state'), VMLAN_RUNTIME_DIR: join(home, 'run') };
  return { ...resolvePaths(env, { uid: 1, home }), config: join(home, 'networks.yaml') };
}

function restore(paths: Paths, what: Backup, options: Partial<RestoreOptions> = {}): Promise<RestoreReport> {
  return restoreBackup({
    ...{ name: 'FILE', bytes: bytesOf(what), paths, hostRoutes: [], running: [], dryRun: false, force: false },
    ...options,
  });
}

const contentOf = async (paths: Paths): Promise<Backup['content']> => (await backupOfDirectories('0', paths)).content;

describe('what is taken', () => {
  test('is all that there is', () => {
    const { content } = backup;
    assert.equal(content.networksYaml, YAML);
    assert.deepEqual(content.leases, [LEASES]);
    assert.deepEqual(content.guests.map(({ name }) => name).sort(), ['db', 'web']);
    assert.deepEqual([content.forwards.length, content.records.length, content.shapes.length], [2, 1, 1]);
    assert.deepEqual(Object.keys(content.subnets), ['own']);
    assert.match(content.identity, /^[0-9a-f]{32}$/);
    assert.deepEqual(content.warnings, []);
  });

  test('comes back, and once more', async () => {
    const paths = newPlace();
    const report = await restore(paths, backup);
    assert.equal(report.aside, null);
    assert.deepEqual(report.replaced, []);
    assert.deepEqual(report.counts, { guests: 2, forwards: 2, records: 1, shapes: 1, leases: 1 });
    assert.deepEqual(await contentOf(paths), backup.content);
    assert.equal(statSync(join(paths.state, 'guests/web.json')).mode & 0o777, 0o600);
    assert.ok(!readdirSync(paths.state).some((name) => name.includes('restore')));
    const again = await restore(paths, other, { force: true });
    assert.deepEqual(await contentOf(paths), other.content);
    assert.ok(!existsSync(paths.config));
    const aside = again.aside!;
    assert.equal(readFileSync(join(aside, 'networks.yaml'), 'utf8'), YAML);
    assert.equal((await Store.open(aside)).guests.size, 2);
    await restore(paths, backup, { force: true });
    assert.deepEqual(await contentOf(paths), backup.content);
    assert.equal(readdirSync(paths.state).filter((name) => name.startsWith('before-restore-')).length, 2);
  });

  test('is what a daemon works with that starts then', async () => {
    const paths = newPlace();
    await restore(paths, backup);
    await using daemon = new TestDaemon(new FakeDriver(), join(paths.config, '..'));
    await daemon.start();
    assert.deepEqual((await daemon.client.call('takeBackup')).content, backup.content);
    const guest = await daemon.client.call('getGuest', { params: { name: 'web' } });
    assert.equal(guest.nics[0]?.mac, backup.content.guests.find(({ name }) => name === 'web')?.nics[0]?.mac);
  });

  test('has what holds where the file was edited, and tells of it', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    daemon.configure('networks: { broken');
    const { content } = await daemon.client.call('takeBackup');
    assert.equal(content.networksYaml, CONFIG);
    assert.match(content.warnings.join(), /networks\.yaml was edited since it was loaded/);
  });

  test('misses damaged leases, and tells of them; a file with a fault is not taken', async () => {
    const paths = newPlace();
    await restore(paths, backup);
    writeFileSync(join(paths.state, 'networks/lab/leases.json'), '{}');
    const { leases, warnings } = await contentOf(paths);
    assert.deepEqual(leases, []);
    assert.match(warnings.join(), /leases of network "lab" are missing/);
    writeFileSync(paths.config, 'networks:\n  lab: { mode: shard }\n');
    await assert.rejects(contentOf(paths), problem('invalid-config', /networks\.yaml:2/));
  });

  test('holds no change that is half made', async () => {
    const store = await Store.open(join(root, 'rest'));
    const { promise, reject } = Promise.withResolvers<undefined>();
    const begun = Promise.withResolvers<undefined>();
    const change = store.change({ forwards: { put: backup.content.forwards } }, () => {
      begun.resolve(undefined);
      return promise;
    });
    const read = store.atRest(() => store.forwards.length);
    await begun.promise;
    assert.equal(store.forwards.length, 2);
    reject(new Error('the network refuses'));
    await assert.rejects(change, /refuses/);
    assert.equal(await read, 0);
  });
});

describe('refused, and nothing changed:', () => {
  const whole = bytesOf(backup);

  const assertRefused = (bytes: Uint8Array): void =>
    assert.throws(() => parseBackup('FILE', bytes), problem('invalid', /^FILE is (?:damaged: |no backup of vmlan$)/));

  test('any bit', () => {
    for (let bit = 0; bit < whole.length * 8; bit++) {
      const bytes = Uint8Array.from(whole);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      assertRefused(bytes);
    }
  });

  test('the end missing, from anywhere on', () => {
    for (let length = 0; length < whole.length; length++) assertRefused(whole.subarray(0, length));
  });

  test('anything else', () => {
    fc.assert(fc.property(fc.uint8Array(), assertRefused));
    fc.assert(fc.property(fc.json(), (json) => assertRefused(Buffer.from(json))));
    const { content } = backup;
    const twice = { ...content, guests: [...content.guests, content.guests[0]!] };
    assertRefused(bytesOf(sealBackup(twice, '0', 1)));
    const astray = { ...content, leases: [{ ...LEASES, network: '../../x' }] };
    assertRefused(bytesOf(sealBackup(astray, '0', 1)));
    const many = { ...content, guests: Array.from({ length: 4097 }, (_, i) => ({ name: `g${i}`, nics: [] })) };
    assertRefused(bytesOf(sealBackup(many, '0', 1)));
  });

  test('one of a newer vmlan', () => {
    const { format, content } = backup;
    const head = { format, formatVersion: 2, vmlan: '9.0.0', takenMs: 1 };
    const checksum = createHash('sha256')
      .update(JSON.stringify([...Object.values(head), content]))
      .digest('hex');
    const newer = bytesOf({ ...head, checksum, content });
    assert.throws(() => parseBackup('FILE', newer), problem('unsupported', /newer vmlan \(9\.0\.0\).*version 2/));
  });

  const cases: [name: string, options: Partial<RestoreOptions>, what: Backup, want: (error: unknown) => boolean][] = [
    [
      'a bit of it',
      { bytes: Buffer.from(JSON.stringify(backup).replace('web', 'wec')) },
      backup,
      problem('invalid', /checksum/),
    ],
    [
      'a configuration that makes no sense',
      {},
      sealBackup({ ...backup.content, networksYaml: 'networks:\n  a: { mode: shard }\n' }, '0', 1),
      problem('invalid-config', /networks\.yaml:2:14: .*"shard"/),
    ],
    [
      'a subnet that the host has',
      { hostRoutes: [{ subnet: '10.77.0.0/16', interface: 'wg0' }] },
      backup,
      problem('invalid-config', /10\.77\.0\.0\/24 overlaps the host's route/),
    ],
    ['while networks run', { running: ['lab'], force: true }, backup, problem('conflict', /lab/, /vmlan down/)],
    ['over what is there', {}, backup, problem('conflict', /there is state already: .*guests.*subnets/, /--force/)],
  ];
  for (const [name, options, what, want] of cases) {
    test(name, async () => {
      const paths = newPlace();
      await restore(paths, sealBackup({ ...backup.content, records: [] }, '0', 1));
      const before = listing(paths);
      await assert.rejects(restore(paths, what, options), want);
      assert.deepEqual(listing(paths), before);
    });
  }

  test('no file where VMLAN_CONFIG asks for one', async () => {
    const paths = { ...newPlace(), configRequired: true };
    await assert.rejects(restore(paths, other), problem('conflict', /VMLAN_CONFIG asks for/));
  });

  test('a networks.yaml that cannot be written', async () => {
    const paths = newPlace();
    writeFileSync(paths.config, 'networks: {}\n');
    const astray = { ...paths, config: join(paths.config, 'networks.yaml') };
    await assert.rejects(restore(astray, backup), problem('not-permitted', /networks\.yaml cannot be made/));
    assert.deepEqual(readdirSync(join(paths.config, '..')), ['networks.yaml']);
  });

  test('a dry run says what would be, and does nothing', async () => {
    const paths = newPlace();
    await restore(paths, other);
    writeFileSync(paths.config, 'networks: {}\n');
    const before = listing(paths);
    const { dryRun, replaced, aside, networks } = await restore(paths, backup, { dryRun: true });
    assert.deepEqual([dryRun, aside, replaced[0]], [true, null, paths.config]);
    assert.ok(networks.includes('lab'));
    assert.deepEqual(listing(paths), before);
  });
});

test('what does not fit is restored as it is, and told of', async () => {
  const yaml = 'networks:\n  lab: { mode: shared, subnet: 10.99.0.0/24 }\n';
  const { warnings } = await restore(newPlace(), sealBackup({ ...backup.content, networksYaml: yaml }, '0', 1));
  assert.match(warnings.join('\n'), /guest "db": network "cut" is not configured/);
  assert.match(warnings.join('\n'), /network "lab": guest "web" keeps 10\.77\.0\.20/);
});

test('logs, the token and links stay where they are', async () => {
  const paths = newPlace();
  await restore(paths, other);
  for (const name of ['token', 'daemon.log']) writeFileSync(join(paths.state, name), name);
  writeFileSync(join(root, 'elsewhere.yaml'), 'networks: {}\n');
  symlinkSync(join(root, 'elsewhere.yaml'), paths.config);
  await restore(paths, backup, { force: true });
  for (const name of ['token', 'daemon.log']) assert.equal(readFileSync(join(paths.state, name), 'utf8'), name);
  assert.equal(readFileSync(join(root, 'elsewhere.yaml'), 'utf8'), YAML);
});

/** Every file of a place but the sockets, with its content. */
function listing({ state, config }: Paths): readonly string[] {
  const files = (readdirSync(state, { recursive: true }) as string[]).sort();
  const shown = files.map((name) => {
    const path = join(state, name);
    return statSync(path).isFile() ? `${name} ${readFileSync(path, 'utf8')}` : name;
  });
  return [...shown, existsSync(config) ? readFileSync(config, 'utf8') : 'no file'];
}

describe('killed in the middle', { concurrency: availableParallelism() }, async () => {
  const old = newPlace();
  await restore(old, sealBackup({ ...other.content, networksYaml: 'networks: {}\n', leases: [LEASES] }, '0', 1));
  const before = await contentOf(old);

  function copyOfOld(): Paths {
    const paths = newPlace();
    cpSync(old.state, paths.state, { recursive: true });
    cpSync(old.config, paths.config);
    return paths;
  }

  const steps: string[] = [];
  await restore(copyOfOld(), backup, { force: true, beforeStep: (step) => void steps.push(step) });

  test('there are steps of every kind', () => {
    assert.equal(new Set(steps).size, steps.length);
    for (const step of ['fill', 'orders', 'decide', 'set aside networks', 'set aside', 'put guests', 'networks.yaml'])
      assert.ok(steps.includes(step), `${step} among ${steps.join(', ')}`);
  });

  /** A process that restores, and kills itself at the step. Who is killed keeps nothing compiled unless told to. */
  async function restoreUntil(paths: Paths, step: string): Promise<void> {
    const options = { name: 'FILE', paths, hostRoutes: [], running: [], dryRun: false, force: true };
    const program = `
      import { flushCompileCache } from 'node:module';
      import { restoreBackup } from ${JSON.stringify(join(import.meta.dirname, 'restore.ts'))};
      flushCompileCache();
      await restoreBackup({
        ...${JSON.stringify(options)},
        bytes: Buffer.from(${JSON.stringify(JSON.stringify(backup))}),
        beforeStep: (step) => step === ${JSON.stringify(step)} && process.kill(process.pid, 'SIGKILL'),
      });`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      env: { ...process.env, NODE_COMPILE_CACHE: join(root, 'compiled') },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const [said, [status, signal]] = await Promise.all([text(child.stderr), once(child, 'close')]);
    assert.equal(signal, 'SIGKILL', `status ${status}: ${said}`);
  }

  for (const [i, step] of steps.entries()) {
    test(`before: ${step}`, async () => {
      const paths = copyOfOld();
      await restoreUntil(paths, step);
      await using daemon = new TestDaemon(new FakeDriver(), join(paths.config, '..'));
      await daemon.start();
      const { content } = await daemon.client.call('takeBackup');
      const isDecided = i > steps.indexOf('decide');
      assert.deepEqual(content, isDecided ? backup.content : before);
      const left = readdirSync(paths.state).filter((name) => name.includes('restore'));
      assert.equal(left.length, isDecided ? 1 : 0, left.join(' '));
      if (!isDecided) return;
      const aside = join(paths.state, left[0]!);
      assert.equal(readFileSync(join(aside, 'networks.yaml'), 'utf8'), 'networks: {}\n');
      assert.deepEqual((await identityFile(aside).read()).value, before.identity);
      assert.ok(existsSync(join(aside, 'networks/lab/leases.json')));
    });
  }

  test('again and again: whoever goes on may be killed too', async () => {
    const paths = copyOfOld();
    await decideRestore(paths.state, { file: paths.config, text: YAML }, async (directory) => {
      await identityFile(directory).write(JSON.stringify('f'.repeat(32)));
    });
    let count = 0;
    for (let last = 0; ; last++) {
      let step = 0;
      const done = await finishRestore(paths.state, () => {
        count++;
        if (step++ === last % 4) throw new Error('cut off');
      }).catch(() => undefined);
      if (done !== undefined) break;
      assert.ok(last < 100);
    }
    assert.ok(count > 5);
    assert.equal((await identityFile(paths.state).read()).value, 'f'.repeat(32));
    assert.ok(!existsSync(join(paths.state, 'networks')));
  });

  test('orders that are damaged are not guessed', async () => {
    const paths = copyOfOld();
    mkdirSync(join(paths.state, 'restore.decided'));
    await assert.rejects(finishRestore(paths.state), problem('unavailable', /cut off/, /move .* away/));
  });

  test('what fails while it is written leaves what was', async () => {
    const paths = copyOfOld();
    const full = (): Promise<void> => Promise.reject(new Error('the disk is full'));
    const entries = listing(paths);
    await assert.rejects(decideRestore(paths.state, { file: paths.config, text: YAML }, full), /full/);
    assert.deepEqual(listing(paths), entries);
  });
});
