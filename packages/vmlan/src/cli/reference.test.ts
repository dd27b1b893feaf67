import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { format, resolveConfig } from 'prettier';
import { renderReference } from './reference.ts';

const PAGE = join(import.meta.dirname, '../../../../docs/cli.md');

/** VMLAN_UPDATE_DOCS=1 writes the page instead of comparing it. */
test('docs/cli.md is what the command tree says', async () => {
  const options = await resolveConfig(PAGE);
  const text = await format(await renderReference(), { ...options, parser: 'markdown' });
  if (process.env['VMLAN_UPDATE_DOCS'] === '1') writeFileSync(PAGE, text);
  assert.equal(readFileSync(PAGE, 'utf8'), text, 'run: VMLAN_UPDATE_DOCS=1 ./bin/test cli/reference');
});
