/**
 * docs/tour.md, typed into a shell as it stands there.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { consoleProgram, matchesExpected, outputsOf, parseConsole } from '../support/console-session.ts';
import { guestImage } from '../support/guest-image.ts';
import { missing } from '../support/needs.ts';
import { Lab } from '../support/netns.ts';
import { run } from '../support/process.ts';
import { QEMU } from '../support/qemu-guest.ts';
import { CHECKOUT } from '../support/source-files.ts';
import { Vmlan } from '../support/vmlan.ts';

const SESSION_TIMEOUT_MS = 240_000;
const MARK = 'this command has ended';

test('what a document expects is found in what a program prints', () => {
  const table: [expected: string, output: string, want: boolean][] = [
    ['a b', 'a   b\n', true],
    ['a b', 'a c', false],
    ['pid …', 'pid 17', true],
    ['…\nend', 'end', true],
    ['…\nend', 'one\ntwo\nend', true],
    ['end', 'one\nend', false],
    ['', '', true],
    ['', 'something', false],
    ['a', '', false],
    ['$1 (x)', '$1 (x)', true],
  ];
  for (const [expected, output, want] of table) assert.equal(matchesExpected(output, expected), want, expected);
  assert.deepEqual(parseConsole('x\n```console\n$ a \\\n  b\nout\n$ c\n```\n```sh\nno\n```\n'), [
    { command: 'a \\\n  b', expected: 'out' },
    { command: 'c', expected: '' },
  ]);
});

describe('the tour', { skip: missing('ip', 'curl', QEMU) }, () => {
  test('goes as it is written', async () => {
    await guestImage();
    const steps = parseConsole(await readFile(join(CHECKOUT, 'docs/tour.md'), 'utf8'));
    assert.ok(steps.length > 25);
    await using lab = await Lab.create(); // where port 8080 is free
    await using vmlan = await Vmlan.create({ namespace: lab.host });
    const program = join(vmlan.folder, 'tour');
    await writeFile(program, consoleProgram(steps, MARK));
    const { stdout } = await run(lab.host.argv(['bash', program]), {
      cwd: CHECKOUT,
      env: { ...vmlan.env, TMPDIR: vmlan.folder },
      timeoutMs: SESSION_TIMEOUT_MS,
    });
    const outputs = outputsOf(stdout, MARK);
    for (const [index, { command, expected }] of steps.entries()) {
      const output = outputs[index] ?? '';
      assert.ok(matchesExpected(output, expected), `$ ${command}\n${output}\n--- docs/tour.md expects\n${expected}`);
    }
  });
});
