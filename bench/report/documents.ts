/**
 * docs/performance.md: what lies between its marks is made from a result; the rest is written by hand.
 *
 * Zone: control.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BenchResult } from '../results.ts';
import { body, lossTable } from './markdown.ts';

const FILE = join(import.meta.dirname, '../../docs/performance.md');

/** `<!-- NAME -->` … `<!-- /NAME -->`. Throws when a mark is not there. */
export function between(text: string, name: string, content: string): string {
  const [open, close] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const [start, end] = [text.indexOf(open), text.indexOf(close)];
  if (start < 0 || end < start) throw new Error(`docs/performance.md has no place for "${name}"`);
  return `${text.slice(0, start + open.length)}\n\n${content.trim()}\n\n${text.slice(end)}`;
}

export async function writeDocuments(result: BenchResult): Promise<void> {
  let text = await readFile(FILE, 'utf8');
  text = between(text, 'figures', body(result).join('\n'));
  text = between(text, 'losses', lossTable(result).join('\n'));
  const { format, resolveConfig } = await import('prettier'); // a tool of ours: the bench runs without it
  await writeFile(FILE, await format(text, { ...(await resolveConfig(FILE)), filepath: FILE }));
}
