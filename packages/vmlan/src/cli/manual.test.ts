import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readCommandTree } from './command-page.ts';
import type { CommandPage } from './command-page.ts';
import { renderManual } from './manual.ts';
import { roffProse, roffTerm, roffText } from './roff.ts';

/** A page as its reader sees it, roughly: without fonts and escapes. */
const plain = (roff: string): string =>
  roff
    .replaceAll(/\\f[BIR]/g, '')
    .replaceAll('\\-', '-')
    .replaceAll('\\e', '\\');

const everyBelow = (page: CommandPage): CommandPage[] => [page, ...page.commands.flatMap(everyBelow)];

test('each command has a page with all that its help has', async () => {
  const root = await readCommandTree();
  const manual = await renderManual('1.2.3', '2026-11-21');
  const pages = new Map(manual.map(({ file, text }) => [file, plain(text)]));
  assert.equal(pages.size, root.commands.length + 1);
  for (const command of root.commands) {
    const text = pages.get(`vmlan-${command.path.join('-')}.1`) ?? '';
    assert.match(text, new RegExp(`^\\.SH "NAME"\nvmlan-${command.path.join('-')} - \\S`, 'm'));
    for (const { path, terms, examples } of everyBelow(command)) {
      for (const { term } of terms)
        for (const word of term.match(/--?[a-z][\w-]*/g) ?? [])
          assert.ok(text.includes(word), `${path.join(' ')} ${word}`);
      for (const [, line] of examples) assert.ok(text.includes(line), line);
    }
    assert.ok(pages.get('vmlan.1')?.includes(`vmlan-${command.path.join('-')}(1)`));
  }
  // The date without escapes, which mandoc does not read there.
  assert.match(
    manual.find(({ file }) => file === 'vmlan.1')?.text ?? '',
    /^\.TH "VMLAN" 1 "2026-11-21" "vmlan 1\.2\.3" "vmlan"\n/,
  );
});

test('what a formatter would take for its own is escaped', () => {
  const table: [string, string][] = [
    ['a\\b', 'a\\eb'],
    ['--quiet', '\\-\\-quiet'],
    ['.dot', '\\&.dot'],
    ["'tick", "\\&'tick"],
    ['plain. text', 'plain. text'],
  ];
  for (const [text, want] of table) assert.equal(roffText(text), want);
});

test('prose is wrapped, and what is written literally is bold', () => {
  assert.equal(roffProse('see `vmlan up` first'), 'see \\fBvmlan up\\fR first');
  const lines = roffProse('word '.repeat(50).trim() + ' .hidden').split('\n');
  assert.ok(lines.every((line) => line.length <= 80 && !line.startsWith('.')));
  assert.doesNotMatch(roffProse(`${'x'.repeat(70)} \`a b c d e f g h i j\``), /\\fB[^\\]*\n/);
});

test('literal words and placeholders differ', () => {
  assert.equal(roffTerm('-o, --output <format>'), '\\fB\\-o\\fR, \\fB\\-\\-output\\fR \\fIformat\\fR');
  assert.equal(roffTerm('[name...]'), '[\\fIname...\\fR]');
});
