/**
 * The examples of the library, run as a reader runs them: by the package's name, against what is built.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { output, run } from '../support/process.ts';
import { CHECKOUT } from '../support/source-files.ts';

const EXAMPLES = join(CHECKOUT, 'examples');
const NODE = [process.execPath, '--disable-warning=ExperimentalWarning'];
const BUILD_TIMEOUT_MS = 60_000;
/** They take about two seconds; CI gives each of them ten. */
const EXAMPLE_TIMEOUT_MS = 10_000;
/** Those of the tutorial, above the reference. */
const programs = (await readFile(join(CHECKOUT, 'docs/library.md'), 'utf8'))
  .split('## Reference')[0]!
  .split('```ts\n')
  .slice(1)
  .map((block) => block.split('```')[0]!);
const names = (await readdir(EXAMPLES)).filter((name) => name.endsWith('.ts'));

describe('examples', () => {
  let folder = '';

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'vmlan-examples-'));
    const modules = join(folder, 'node_modules');
    await mkdir(modules);
    await output(
      [...NODE, join(CHECKOUT, 'bin/lib/build.ts'), join(CHECKOUT, 'packages/vmlan'), join(modules, 'vmlan')],
      {
        timeoutMs: BUILD_TIMEOUT_MS,
      },
    );
    for (const name of ['koffi', '@koromix']) {
      await symlink(join(CHECKOUT, 'node_modules', name), join(modules, name));
    }
    for (const name of names) await copyFile(join(EXAMPLES, name), join(folder, name));
    for (const [i, program] of programs.entries()) await writeFile(join(folder, `tutorial-${i}.ts`), program);
  });
  after(() => rm(folder, { recursive: true, force: true }));

  test('are three, besides those of the tutorial', () => {
    assert.equal(programs.length, 2);
    assert.deepEqual(names.toSorted(), ['dns-failover.ts', 'egress-allow-list.ts', 'survive-a-partition.ts']);
  });

  for (const i of programs.keys()) {
    test(`program ${i + 1} of the tutorial runs`, async () => {
      await output([...NODE, join(folder, `tutorial-${i}.ts`)], { timeoutMs: EXAMPLE_TIMEOUT_MS });
    });
  }

  for (const name of names) {
    test(`${name} runs within ten seconds, and ends by itself`, async () => {
      const { code, stdout, stderr } = await run([...NODE, join(folder, name)], { timeoutMs: EXAMPLE_TIMEOUT_MS });
      assert.equal(code, 0, `${stdout}${stderr}`);
      assert.equal(stderr, '');
      assert.ok(stdout.split('\n').length > 3, stdout);
    });
  }
});
