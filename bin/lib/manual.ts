/**
 * The manual pages as files.
 *
 *   node manual.ts FOLDER      writes vmlan.1, vmlan-run.1 … and networks.yaml.5; prints their names
 *
 * They bear the date of their sources, so that the same sources give the same pages.
 *
 * Zone: control.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { renderConfigManual } from './config-manual.ts';
import { sourceDate } from './source-date.ts';
import { renderManual } from '../../packages/vmlan/src/cli/manual.ts';

const CONFIG = join(import.meta.dirname, '../../docs/config.md');
const MANIFEST = join(import.meta.dirname, '../../packages/vmlan/package.json');

export async function writeManual(folder: string): Promise<string[]> {
  const { version } = JSON.parse(readFileSync(MANIFEST, 'utf8')) as { version: string };
  const date = sourceDate().toISOString().slice(0, 10);
  const config = renderConfigManual(readFileSync(CONFIG, 'utf8'), version, date);
  const pages = [...(await renderManual(version, date)), { file: 'networks.yaml.5', text: config }];
  mkdirSync(folder, { recursive: true });
  for (const { file, text } of pages) writeFileSync(join(folder, file), text);
  return pages.map(({ file }) => file);
}

if (process.argv[1] === import.meta.filename) {
  const [folder] = process.argv.slice(2);
  if (folder === undefined) throw new Error('usage: manual.ts FOLDER');
  process.stdout.write((await writeManual(folder)).map((file) => `${file}\n`).join(''));
}
