/**
 * The npm package as its users get it: packed from the checkout, installed into an empty prefix, and run from there.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { AttachResult } from '../../src/model/api.ts';
import { needs } from '../support/needs.ts';
import { output, run } from '../support/process.ts';
import { QEMU } from '../support/qemu-guest.ts';
import { CHECKOUT } from '../support/source-files.ts';
import { Vmlan } from '../support/vmlan.ts';

const BUILD = join(CHECKOUT, 'packaging/npm/build');
const INSTALL_TIMEOUT_MS = 120_000; // dependencies come from the registry, or from npm's cache
const DEMO_TIMEOUT_MS = 240_000;

const pack = async (folder: string, cwd: string): Promise<string> =>
  (await output([BUILD, folder], { cwd, timeoutMs: 60_000 })).trim();

describe('the npm package', () => {
  let folder = '';
  let tarball = '';
  /** What npm made of it. */
  let installed = '';
  let program = '';

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'vmlan-npm-'));
    tarball = await pack(join(folder, 'first'), folder);
    const prefix = join(folder, 'prefix');
    await mkdir(prefix);
    await output(['npm', 'install', '--prefix', prefix, '--prefer-offline', '--no-audit', '--no-fund', tarball], {
      timeoutMs: INSTALL_TIMEOUT_MS,
    });
    installed = join(prefix, 'node_modules/vmlan');
    program = join(prefix, 'node_modules/.bin/vmlan');
  });
  after(() => rm(folder, { recursive: true, force: true }));

  test('is the same however often it is packed, wherever that is done', async () => {
    const again = await pack(join(folder, 'second'), '/');
    assert.deepEqual(await readFile(again), await readFile(tarball));
  });

  test('holds what runs, and nothing of this checkout', async () => {
    const names = (await readdir(installed, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name).slice(installed.length + 1));
    for (const name of [
      'package.json',
      'README.md',
      'LICENSE',
      'man/vmlan.1',
      'dist/cli/main.js',
      'dist/engine/worker.js',
    ])
      assert.ok(names.includes(name), name);
    for (const name of names) {
      assert.doesNotMatch(name, /test|fixture|\.map$|(?<!\.d)\.ts$/);
      const text = await readFile(join(installed, name), 'utf8');
      assert.ok(!text.includes(CHECKOUT) && !text.includes(tmpdir() + '/'), `${name} names a folder of this machine`);
    }
  });

  test('is what package managers and bundlers expect', async () => {
    const { code, stdout, stderr } = await run([
      join(CHECKOUT, 'node_modules/.bin/publint'),
      'run',
      '--strict',
      installed,
    ]);
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /All good!/);
    const manifest = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8')) as Record<string, unknown>;
    assert.deepEqual(manifest['engines'], { node: '>=22.18' });
    assert.equal(manifest['license'], 'Apache-2.0');
    assert.equal(manifest['scripts'], undefined);
  });

  test('is imported by its name, with its types', async () => {
    const project = join(folder, 'prefix');
    await writeFile(
      join(project, 'use.mts'),
      "import { Network } from 'vmlan';\nawait using net = await Network.create({ mode: 'user-v2' });\n" +
        "const guest: Promise<{ readonly name: string }> = net.addGuest('web');\nconsole.log((await guest).name);\n",
    );
    const options = ['--module', 'nodenext', '--target', 'es2024', '--lib', 'es2024,esnext.disposable', '--strict'];
    const types = ['--types', 'node', '--typeRoots', join(CHECKOUT, 'node_modules/@types'), '--noEmit'];
    const { code, stdout } = await run([join(CHECKOUT, 'node_modules/.bin/tsc'), ...options, ...types, 'use.mts'], {
      cwd: project,
    });
    assert.equal(code, 0, stdout);
    const ran = await run([process.execPath, '--disable-warning=ExperimentalWarning', 'use.mts'], { cwd: project });
    assert.deepEqual(ran, { code: 0, stdout: 'web\n', stderr: '' });
  });

  test('runs a daemon and attaches a guest', async () => {
    const { version } = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8')) as { version: string };
    assert.equal(await output([program, '--version']), `${version}\n`);
    await using vmlan = await Vmlan.create({
      config: 'networks:\n  lab:\n    mode: user-v2\n    autostart: true\n',
      program,
    });
    assert.match(await vmlan.ok('up'), /^lab +user-v2 /m);
    const attached = await vmlan.json<AttachResult>('attach', 'web', '--network', 'lab');
    assert.equal(attached.network, 'lab');
    assert.match(await vmlan.ok('list'), /^web /m);
    await vmlan.ok('down');
  });

  test('an older Node.js is told apart from a broken package', async () => {
    const old = join(folder, 'old.mjs');
    await writeFile(old, OLD_NODE);
    const { code, stderr } = await run([
      process.execPath,
      '--import',
      old,
      join(installed, 'dist/cli/main.js'),
      'list',
    ]);
    assert.equal(code, 1);
    assert.match(stderr, /^vmlan: Node\.js >= 22\.18 is needed, this is 20\.19\.2 \(.*\)\nhint: .*\n$/);
  });

  test('runs the demo', async (t) => {
    if (!needs(t, QEMU)) return;
    const { code, stdout } = await run([join(CHECKOUT, 'bin/demo'), '--vmlan', program], {
      timeoutMs: DEMO_TIMEOUT_MS,
    });
    assert.equal(code, 0, stdout);
    assert.match(stdout, /All of it worked/);
  });
});

const OLD_NODE = "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.19.2' } });";
