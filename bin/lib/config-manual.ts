/**
 * networks.yaml(5): docs/config.md, which is made from the schema, as a manual page.
 *
 * Zone: control.  Of Markdown it knows what that page has: headings, paragraphs, code in fences, and tables with a heading.
 */
import {
  bold,
  PLAIN_LINES,
  quoted,
  roffProse,
  roffText,
  section,
  tagged,
  verbatim,
} from '../../packages/vmlan/src/cli/roff.ts';

/** `\|` is a bar within a cell. */
const CELL_BORDER = /(?<!\\)\|/;

export function renderConfigManual(markdown: string, version: string, date: string): string {
  const [introduction = '', ...sections] = markdown.replaceAll(/<!--[\s\S]*?-->\n*/g, '').split(/^## /m);
  return [
    `.TH "NETWORKS.YAML" 5 "${date}" ${quoted(`vmlan ${version}`)} "vmlan"`,
    PLAIN_LINES,
    section('Name', 'networks.yaml \\- the networks of vmlan'),
    section('Description', ...blocks(introduction.replace(/^# .*\n/, ''))),
    ...sections.map((text) => {
      const end = text.indexOf('\n');
      return keySection(plain(text.slice(0, end)), blocks(text.slice(end)));
    }),
    section('See also', '.BR vmlan (1) ,\n.BR vmlan\\-network (1) ,\n.BR vmlan\\-config (1)'),
    '',
  ].join('\n');
}

/** Not in capitals: keys are as they are written. */
const keySection = (title: string, lines: readonly string[]): string =>
  [`.SH ${quoted(title)}`, ...(lines[0] === '.PP' ? lines.slice(1) : lines)].join('\n');

/** Text without marks, for headings. */
const plain = (text: string): string => text.replaceAll('`', '').trim();

function blocks(text: string): string[] {
  const parts = text.trim().split(/^(```\w*\n[\s\S]*?^```$)/m);
  return parts.flatMap((part) => {
    const code = /^```\w*\n([\s\S]*?)\n?```$/.exec(part)?.[1];
    if (code !== undefined) return ['.PP', '.RS 4', verbatim(code), '.RE'];
    return part
      .split(/\n{2,}/)
      .map((each) => each.trim())
      .filter((each) => each !== '')
      .flatMap((each) => (each.startsWith('|') ? table(each) : ['.PP', roffProse(unlinked(each))]));
  });
}

const unlinked = (text: string): string => text.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1');

/** A name, and what the other columns say of it: the meaning first, as in any manual. */
function table(text: string): string[] {
  const lines = text.split('\n').map((line) => line.split(CELL_BORDER).slice(1, -1));
  const [titles = [], , ...rows] = lines.map((row) => row.map(cellText));
  return rows.map((row) => {
    const [key = ''] = row;
    const cell = (title: string): string => row[titles.indexOf(title)] ?? '';
    const [type, preset, meaning, example] = [cell('Type'), cell('Default'), cell('Meaning'), cell('Example')];
    const facts = [
      meaning,
      ...(type === '' ? [] : [`Type: ${type}.`]),
      ...(preset === '' ? [] : [preset === 'required' ? 'It is required.' : `Default: ${preset}.`]),
      ...(example === '' ? [] : [`Example: ${example}`]),
    ];
    return tagged(bold(roffText(plain(key))), roffProse(facts.join(' ')));
  });
}

const cellText = (cell: string): string => cell.trim().replaceAll('\\|', '|').replaceAll('<br>', ', ');
