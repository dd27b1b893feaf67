/**
 * The manual pages as files.
 *
 *   node manual.ts FOLDER      writes vmlan.1, vmlan-run.1 …; prints their names
 *
 * Zone: control.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { renderManual } from '../../packages/vmlan/src/cli/manual.ts';

const MANIFEST = join(import.meta.dirname, '../../packages/vmlan/package.json');

export async function writeManual(folder: string): Promise<string[]> {
  const { version } = JSON.parse(readFileSync(MANIFEST, 'utf8')) as { version: string };
  const pages = await renderManual(version);
  mkdirSync(folder, { recursive: true });
  for (const { file, text } of pages) writeFileSync(join(folder, file), text);
  return pages.map(({ file }) => file);
}

if (process.argv[1] === import.meta.filename) {
  const [folder] = process.argv.slice(2);
  if (folder === undefined) throw new Error('usage: manual.ts FOLDER');
  process.stdout.write((await writeManual(folder)).map((file) => `${file}\n`).join(''));
}
