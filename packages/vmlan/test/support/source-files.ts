/**
 * The source tree as the architecture test sees it: files by layer, and what each imports.
 *
 * Zone: control.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';

export const CHECKOUT: string = join(import.meta.dirname, '../../../..');
const SOURCE = join(CHECKOUT, 'packages/vmlan/src');

export interface Import {
  /** A path below src/ for our own modules, else the package's name. */
  readonly target: string;
  readonly own: boolean;
  readonly typeOnly: boolean;
  /** By `import()`, when it is needed. */
  readonly late: boolean;
}

export interface SourceFile {
  /** Below src/, for example `wire/udp.ts`. */
  readonly path: string;
  readonly layer: string;
  readonly test: boolean;
  readonly text: string;
  /** The comment at the top, empty if there is none. */
  readonly header: string;
  readonly imports: readonly Import[];
}

const STATIC_IMPORT =
  /^(?:import|export)\s+(?!(?:const|function|class|interface|abstract|async|let|default|declare)\b)(type\s)?(?:[^'";]*?\sfrom\s+)?'([^']+)'/gm;
const DYNAMIC_IMPORT = /\bimport\(\s*'([^']+)'\s*\)/g;
const NAMED_TYPES_ONLY = /^(?:import|export)\s+\{\s*(?:type\s+[\w$]+(?:\s+as\s+[\w$]+)?\s*,?\s*)+\}\s+from/;

function importsOf(path: string, text: string): Import[] {
  const resolve = (specifier: string, typeOnly: boolean, late: boolean): Import =>
    specifier.startsWith('.')
      ? { target: posix.join(posix.dirname(path), specifier), own: true, typeOnly, late }
      : { target: specifier, own: false, typeOnly, late };
  const fixed = [...text.matchAll(STATIC_IMPORT)].map(([whole, type, specifier = '']) =>
    resolve(specifier, type !== undefined || NAMED_TYPES_ONLY.test(whole), false),
  );
  const dynamic = [...text.matchAll(DYNAMIC_IMPORT)].map(([, specifier = '']) => resolve(specifier, false, true));
  return [...fixed, ...dynamic];
}

/** `text` and `path` as a file of the tree; separate from the disk so that the rules themselves can be tested. */
export function sourceFile(path: string, text: string): SourceFile {
  return {
    path,
    layer: path.split('/')[0] ?? '',
    test: /\.(test|fixture)\.ts$/.test(path),
    text,
    header: /^(?:#!.*\n)?\/\*\*[\s\S]*?\*\//.exec(text)?.[0] ?? '',
    imports: importsOf(path, text),
  };
}

export function sourceFiles(): SourceFile[] {
  return readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .sort()
    .map((path) => sourceFile(path.replaceAll('\\', '/'), readFileSync(join(SOURCE, path), 'utf8')));
}

/** Paths that git tracks; empty where there is no git checkout. */
export function trackedFiles(): string[] {
  try {
    return execFileSync('git', ['ls-files', '-z'], { cwd: CHECKOUT, encoding: 'utf8', stdio: 'pipe' })
      .split('\0')
      .filter((path) => path !== '');
  } catch {
    return [];
  }
}
