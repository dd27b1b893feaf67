/**
 * The manual pages in the hands of the programs that show and index them.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { MODES } from '../../src/model/network.ts';
import { needs } from '../support/needs.ts';
import { output, run } from '../support/process.ts';
import { CHECKOUT } from '../support/source-files.ts';

describe('the manual pages', () => {
  let folder = '';
  let pages: string[] = [];
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'vmlan-man-'));
    await output([process.execPath, join(CHECKOUT, 'bin/lib/manual.ts'), folder]);
    pages = (await readdir(folder)).map((name) => join(folder, name));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  test('groff formats them without a warning', async (t) => {
    if (!needs(t, 'groff')) return;
    const { code, stderr } = await run(['groff', '-man', '-ww', '-Kutf8', '-Tutf8', '-z', ...pages]);
    assert.deepEqual([code, stderr], [0, '']);
  });

  test('mandoc finds no fault', async (t) => {
    if (!needs(t, 'mandoc')) return;
    const { stdout, stderr } = await run(['mandoc', '-Tlint', '-W', 'warning', ...pages]);
    assert.deepEqual([stdout, stderr], ['', '']);
  });

  test('networks.yaml(5) explains each mode', async () => {
    const text = await readFile(join(folder, 'networks.yaml.5'), 'utf8');
    const modes = text.slice(text.indexOf('.SH "The modes"'));
    for (const mode of MODES) {
      assert.match(modes, new RegExp(`^\\\\fB${mode.replace('-', String.raw`\\-`)}\\\\fR\\n[A-Z]`, 'm'), mode);
    }
  });

  test('whatis and apropos find them', async (t) => {
    if (!needs(t, 'lexgrog')) return;
    const { code, stdout } = await run(['lexgrog', ...pages]);
    assert.equal(code, 0, stdout);
    assert.match(stdout, /: "vmlan - a network for virtual machines, without root"$/m);
  });
});
