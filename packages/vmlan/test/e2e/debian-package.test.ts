/**
 * The Debian package as its users get it: built from the checkout, judged by lintian, installed into a clean Debian,
 * used there, and removed without a trace.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { until } from '../support/deadline.ts';
import { CHECKOUT_INSIDE, DebianRoot } from '../support/debian-root.ts';
import { guestImage } from '../support/guest-image.ts';
import { missing, needs } from '../support/needs.ts';
import { output, run } from '../support/process.ts';
import { CHECKOUT } from '../support/source-files.ts';

const BUILD = join(CHECKOUT, 'packaging/debian/build');
const MAINTAINER = 'vmlan packagers <packagers@example.org>'; // who builds for others names himself
const BUILD_TIMEOUT_MS = 120_000;
const DEMO_TIMEOUT_MS = 240_000;
const PATIENCE_MS = 15_000;
/** Checks that read all strings of all programs, which take a minute for the 120 MB of Node.js alone. */
const NOT_NODE = ['--dont-check-part', 'binaries/spelling,libraries/embedded'];
const NOBODY = '65534:65534';

const build = async (folder: string): Promise<string> =>
  (
    await output([BUILD, '--quick', folder], { timeoutMs: BUILD_TIMEOUT_MS, env: { VMLAN_MAINTAINER: MAINTAINER } })
  ).trim();

describe('the Debian package', { skip: missing('dpkg-deb') }, () => {
  let folder = '';
  let file = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'vmlan-deb-'));
    file = await build(join(folder, 'first'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  test('is the same however often it is built', async () => {
    const again = await build(join(folder, 'second'));
    assert.equal(Buffer.compare(await readFile(again), await readFile(file)), 0);
  });

  test('is what Debian expects of a package', async (t) => {
    if (!needs(t, 'lintian')) return;
    const { code, stdout } = await run(['lintian', '--allow-root', '--fail-on', 'error,warning', ...NOT_NODE, file], {
      timeoutMs: BUILD_TIMEOUT_MS,
    });
    assert.equal(code, 0, stdout);
  });

  test('holds each thing in its place', async () => {
    const listing = await output(['dpkg-deb', '--contents', file]);
    for (const path of [
      'usr/bin/vmlan',
      'usr/lib/vmlan/node',
      'usr/lib/vmlan/dist/daemon/main.js',
      'usr/share/man/man1/vmlan.1.gz',
      'usr/share/man/man1/vmlan-run.1.gz',
      'usr/share/man/man5/networks.yaml.5.gz',
      'lib/systemd/system/vmlan.service',
      'lib/systemd/user/vmlan.service',
      'usr/share/bash-completion/completions/vmlan',
      'usr/share/zsh/vendor-completions/_vmlan',
      'usr/share/fish/vendor_completions.d/vmlan.fish',
      'usr/share/doc/vmlan/copyright',
    ])
      assert.ok(listing.includes(` ./${path}\n`), path);
    assert.ok(listing.split('\n').every((line) => line === '' || line.includes(' root/root ')));
  });

  describe('in a clean Debian', { skip: missing('mmdebstrap') }, () => {
    let debian: DebianRoot;
    before(async () => {
      debian = await DebianRoot.create();
      await debian.copy(file, 'package.deb');
      await debian.ok('dpkg', '--install', '/package.deb');
    });
    after(() => debian[Symbol.asyncDispose]());

    test('installs, and starts nothing', async () => {
      assert.deepEqual(debian.processes(), []);
      assert.match(await debian.ok('vmlan', '--version'), /^\d+\.\d+\.\d+\n$/);
      assert.equal(await debian.ok('dpkg', '--verify', 'vmlan'), '');
    });

    test('runs the demo for an ordinary user', async () => {
      await guestImage();
      const program = ['/usr/lib/vmlan/node', '--disable-warning=ExperimentalWarning'];
      const { code, stdout, stderr } = await debian.run(
        [...program, `${CHECKOUT_INSIDE}/bin/lib/demo.ts`, '--vmlan', '/usr/bin/vmlan'],
        { as: NOBODY, timeoutMs: DEMO_TIMEOUT_MS, env: { HOME: '/tmp' } },
      );
      assert.equal(code, 0, stdout + stderr);
      assert.match(stdout, /All of it worked/);
    });

    test('leaves no trace when it is purged, not even of a daemon that runs', async () => {
      await debian.ok('vmlan', 'up');
      await debian.ok('vmlan', 'attach', 'web', '--network', 'user-v2');
      assert.ok(debian.processes().length >= 2, 'daemon and network process');
      await debian.ok('dpkg', '--remove', 'vmlan');
      await until('all processes to end', PATIENCE_MS, () => debian.processes().length === 0);
      assert.ok(existsSync(join(debian.folder, 'var/lib/vmlan')), 'removal keeps the state');
      await debian.ok('dpkg', '--purge', 'vmlan');
      const left = await debian.ok(
        'find',
        '/',
        '-xdev',
        '-path',
        CHECKOUT_INSIDE,
        '-prune',
        '-o',
        '-name',
        '*vmlan*',
        '-print',
      );
      assert.equal(left, '');
    });
  });
});
