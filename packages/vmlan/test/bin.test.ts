/**
 * The scripts in bin/, as far as a build server relies on them: exit status, last line, any folder, any name.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { appendFile, chmod, cp, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { asUser, NOBODY } from './support/netns.ts';
import { output, run } from './support/process.ts';
import { CHECKOUT } from './support/source-files.ts';

const bin = (name: string): string => join(CHECKOUT, 'bin', name);
const lastLine = (text: string): string => text.trimEnd().split('\n').at(-1) ?? '';

describe('bin/', () => {
  let folder = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'vmlan bin '));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  test('vmlan runs from any folder and by a link', async () => {
    await symlink(bin('vmlan'), join(folder, 'vmlan'));
    const { code, stdout } = await run([join(folder, 'vmlan'), '--version'], { cwd: folder });
    assert.equal(code, 0);
    assert.match(stdout, /^\d+\.\d+\.\d+/);
  });

  test('a test run that finds nothing fails, and says so in its last line', async () => {
    const { code, stdout } = await run([bin('test'), 'there is no such file'], { cwd: folder });
    assert.equal(code, 1);
    assert.equal(lastLine(stdout), '0 passed, 1 failed, 0 skipped');
  });

  test('a test run ends with its counts', async () => {
    const { code, stdout } = await run([bin('test'), 'wire/address.test.ts'], { cwd: folder });
    assert.equal(code, 0, stdout);
    assert.match(lastLine(stdout), /^\d+ passed, 0 failed, 0 skipped$/);
  });

  test('counts of all parts are added up, and coverage below the floor fails', async () => {
    const totals = async (...runs: readonly object[]): Promise<{ code: number | null; line: string }> => {
      const file = join(folder, 'totals');
      await writeFile(file, runs.map((each) => `${JSON.stringify(each)}\n`).join(''));
      const { code, stdout } = await run([process.execPath, bin('lib/totals.ts'), file]);
      return { code, line: lastLine(stdout) };
    };
    assert.deepEqual(await totals(), { code: 1, line: '0 passed, 0 failed, 0 skipped' });
    assert.deepEqual(await totals({ passed: 0, failed: 0, skipped: 3 }), {
      code: 1,
      line: '0 passed, 0 failed, 3 skipped',
    });
    assert.deepEqual(await totals({ passed: 2, skipped: 1 }, { passed: 1 }), {
      code: 0,
      line: '3 passed, 0 failed, 1 skipped',
    });
    assert.deepEqual(await totals({ passed: 2 }, { failed: 1 }), { code: 1, line: '2 passed, 1 failed, 0 skipped' });
    const covered = { passed: 1, coverage: { wire: 96.4, stack: 89.9 } };
    assert.deepEqual(await totals(covered), { code: 1, line: '2 passed, 1 failed, 0 skipped' });
  });

  test('demo explains itself', async () => {
    const { code, stdout } = await run([bin('demo'), '--help'], { cwd: folder });
    assert.equal(code, 0);
    assert.match(stdout, /--keep/);
  });
});

describe('bin/vmlan of a checkout', () => {
  let checkout = '';
  const vmlan = (): string => join(checkout, 'bin/vmlan');
  const main = (): string => join(checkout, 'packages/vmlan/src/cli/main.ts');
  /** What the program that runs says of itself, by a line that the test has put into it. */
  const ran = async (argv: readonly string[]): Promise<string> =>
    /^here (.*)$/m.exec(await output([...argv, '--version']))?.[1] ?? 'nothing';

  before(async () => {
    checkout = await mkdtemp(join(tmpdir(), 'vmlan-checkout-'));
    await chmod(checkout, 0o755);
    for (const part of [
      'bin',
      'package.json',
      'package-lock.json',
      'packages/vmlan/package.json',
      'packages/vmlan/src',
    ]) {
      await cp(join(CHECKOUT, part), join(checkout, part), { recursive: true });
    }
    await symlink(join(CHECKOUT, 'node_modules'), join(checkout, 'node_modules'));
    await appendFile(main(), 'process.stdout.write(`here ${import.meta.filename}\\n`);\n');
  });
  after(() => rm(checkout, { recursive: true, force: true }));

  test('runs JavaScript that it builds once, however many want it', async () => {
    const [first, ...others] = await Promise.all([1, 2, 3].map(() => ran([vmlan()])));
    assert.match(first ?? '', /\/\.cache\/built\/[0-9a-f]{16}\/dist\/cli\/main\.js$/);
    assert.deepEqual(others, [first, first]);
    assert.equal((await readdir(join(checkout, 'packages/vmlan/.cache/built'))).length, 1);
  });

  test('never runs what the sources no longer say', async () => {
    const before = await ran([vmlan()]);
    await appendFile(main(), "process.stdout.write('and more\\n');\n");
    assert.match(await output([vmlan(), '--version']), /^and more$/m);
    assert.notEqual(await ran([vmlan()]), before);
  });

  test('runs the sources for whom it may not build', { skip: process.getuid?.() !== 0 && 'root only' }, async (t) => {
    const readable = ['test', '-r', join(checkout, 'node_modules/.installed')];
    if ((await run(asUser(NOBODY, readable))).code !== 0) return t.skip('this checkout is private');
    const built = await ran(asUser(NOBODY, [vmlan()]));
    assert.match(built, /main\.js$/, 'who may not write uses what is there');
    await appendFile(main(), '\n');
    assert.match(await ran(asUser(NOBODY, [vmlan()])), /src\/cli\/main\.ts$/);
    assert.match(await ran([vmlan()]), /main\.js$/);
  });
});
