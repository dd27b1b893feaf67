/**
 * What the package exports, with its doc comments, out of the sources: the text of docs/library.md below its tutorial.
 *
 * The sources are formatted by one program and have explicit types everywhere, so that a declaration can be read off its
 * lines: no compiler is needed to know where it ends.
 *
 * Zone: control.
 */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface Declaration {
  readonly name: string;
  readonly doc: string;
  /** TypeScript, without bodies and without what is internal. */
  readonly code: string;
}

const EXPORTED = /^export (?:type )?\{ ([^}]*) \} from '([^']+)';$/gm;
const MEMBER_START = /^ {2}(?=[^\s}/*])/;

/** In the order in which the index has them. */
export function declarationsOf(index: string): Declaration[] {
  const text = readFileSync(index, 'utf8')
    .replaceAll(/\{\s+/g, '{ ')
    .replaceAll(/,?\s+\}/g, ' }');
  return [...text.matchAll(EXPORTED)].flatMap(([, names = '', path = '']) => {
    const source = readFileSync(join(dirname(index), path), 'utf8').split('\n');
    return names.split(/,\s*/).map((name) => declarationOf(source, name.trim(), path));
  });
}

function declarationOf(lines: readonly string[], name: string, path: string): Declaration {
  const pattern = new RegExp(`^export (?:abstract )?(?:interface|class|type|const) ${name}\\b`);
  const start = lines.findIndex((line) => pattern.test(line));
  if (start < 0) throw new Error(`${path} declares no ${name}`);
  const isClass = lines[start]!.startsWith('export class');
  const code = isClass ? classOf(lines, start) : plainOf(lines, start);
  return { name, doc: docOf(lines, start), code: code.replace(/^export /, '') };
}

/** The text of the comment that ends above a line. */
function docOf(lines: readonly string[], at: number): string {
  return commentAbove(lines, at)
    .map((line) => line.replace(/^\s*(?:\/\*\*|\*\/|\*)? ?/, '').replace(/\s*\*\/$/, ''))
    .join('\n')
    .trim();
}

function commentAbove(lines: readonly string[], at: number): readonly string[] {
  if (!lines[at - 1]?.trimEnd().endsWith('*/')) return [];
  let start = at - 1;
  while (!lines[start]!.trimStart().startsWith('/**')) start--;
  return lines.slice(start, at);
}

/** An interface or a type: up to the end of its brackets. */
function plainOf(lines: readonly string[], start: number): string {
  let depth = 0;
  for (let end = start; ; end++) {
    const line = lines[end];
    if (line === undefined) throw new Error(`no end of ${lines[start]}`);
    depth += balance(line);
    // The members of a union end with a brace, too, and the next one is indented.
    const isOver = depth === 0 && /[;}]$/.test(line) && !/^\s/.test(lines[end + 1] ?? '');
    if (isOver) return lines.slice(start, end + 1).join('\n');
  }
}

/** Opened less closed brackets; comments count as nothing. */
function balance(line: string): number {
  const text = line.replace(/^\s*(?:\/?\*.*|\/\/.*)$/, '').replaceAll(/'[^']*'/g, '');
  return count(text, /[{([]/g) - count(text, /[})\]]/g);
}

export const count = (text: string, pattern: RegExp): number => text.match(pattern)?.length ?? 0;

function classOf(lines: readonly string[], start: number): string {
  const members: string[] = [];
  for (let at = start + 1; lines[at] !== '}'; at++) {
    if (!MEMBER_START.test(lines[at]!)) continue;
    const comment = commentAbove(lines, at);
    const end = signatureEnd(lines, at);
    const signature = signatureOf(lines.slice(at, end + 1).join('\n'));
    if (signature !== null && !comment.some((line) => line.includes('@internal'))) {
      members.push([...comment, `  ${signature}`].join('\n'));
    }
    while (!isMemberEnd(lines[at]!, at >= end)) at++;
  }
  return [lines[start], ...members, '}'].join('\n');
}

/** The line on which the body begins, or the declaration ends. */
function signatureEnd(lines: readonly string[], start: number): number {
  let depth = 0;
  for (let at = start; ; at++) {
    const line = lines[at]!;
    depth += balance(line);
    if (depth === 0 && (line.endsWith(';') || line.endsWith('}'))) return at;
    if (depth === 1 && line.endsWith('{')) return at;
  }
}

const isMemberEnd = (line: string, isBehindSignature: boolean): boolean =>
  isBehindSignature && (/^ {2}\}/.test(line) || /^ {2}\S.*;$/.test(line) || /^ {2}\);$/.test(line));

/** Null for what is private. */
function signatureOf(text: string): string | null {
  const line = text
    .replaceAll(/\s*\n\s*/g, ' ')
    .trim()
    .replace(/^(static )?async (\*?)/, '$1')
    .replace(/^\*/, '');
  if (/^(?:readonly )?#|^(?:private|get #|static \{)|^constructor/.test(line)) return null;
  const head = line.endsWith('{') ? line.slice(0, -1).trim() : line.replace(/;$/, '');
  if (head.startsWith('get ')) return `${head.replace(/^get (.*)\(\): /, 'readonly $1: ')};`;
  const isMethod = /^(?:static )?[\w[\].]+(?:<.*>)?\(/.test(head);
  if (!isMethod) return `${head.replace(/ = .*$/, '')};`;
  return `${head.replaceAll(/(\w+): ((?:\{[^}]*\}|[^,=(){}])+?) = (?:\{\}|\[\]|[\w'.]+)/g, '$1?: $2').replaceAll(/\( | \)|, (?=\))/g, (part) => part.trim())};`;
}
