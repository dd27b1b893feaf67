/**
 * A YAML document that knows where in the file everything stands.
 *
 * Zone: control.  `fail` makes the error that a wrong file gives: `FILE:LINE:COLUMN: what is wrong`.
 */
import { LineCounter, isMap, isNode, isPair, isScalar, isSeq, parseDocument, visit } from 'yaml';
import type { Document, Node, Pair, YAMLError } from 'yaml';
import type { IssuePath } from '../model/issue.ts';
import { ConfigError, throwTogether } from './config-error.ts';

/** YAML aliases may blow a small file up; ours has no use for many. */
const MAX_ALIASES = 100;
/** Of a line that is quoted. */
const MAX_QUOTED_CHARS = 60;
/** A key that would be no key of an object. */
const NO_KEY = '__proto__';

export class ConfigDocument {
  readonly file: string;
  readonly #document: Document.Parsed;
  readonly #lines = new LineCounter();

  constructor(file: string, text: string) {
    this.file = file;
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false, uniqueKeys: true });
    throwTogether(this.#document.errors.map((error) => this.#syntaxError(error, text)));
    this.#refuseNoKey();
  }

  /** The document as plain values. */
  get value(): unknown {
    try {
      return this.#document.toJS({ maxAliasCount: MAX_ALIASES });
    } catch (cause) {
      throw this.#failAt(0, (cause as Error).message, 'write the values out instead of using aliases');
    }
  }

  /** The error for what stands at `path`; where the path ends early, for the last part of it that exists. */
  fail(path: IssuePath, message: string, hint?: string, at: 'key' | 'value' = 'value'): ConfigError {
    return this.#failAt(this.offsetOf(path, at), message, hint);
  }

  /** `FILE:LINE` of the key at `path`; null when it does not stand in the file, or nothing behind it. */
  placeOf(path: IssuePath): string | null {
    const isEmpty = this.#document.getIn(path) === null;
    return this.has(path) && !isEmpty ? `${this.file}:${this.#lines.linePos(this.offsetOf(path, 'key')).line}` : null;
  }

  /** Where `path` stands, in characters from the start: what comes first in the file is reported first. */
  offsetOf(path: IssuePath, at: 'key' | 'value' = 'value'): number {
    let node: unknown = this.#document.contents;
    let offset = startOf(node) ?? 0;
    for (const [depth, step] of path.entries()) {
      const isLast = depth === path.length - 1;
      const found = childOf(node, step);
      if (found === null) return offset;
      node = found.value;
      const key = startOf(found.key);
      // Blocks start below their key; the key is what a person looks for.
      const isValue = isLast && at === 'value' && !isMap(node) && !isSeq(node);
      offset = (isValue ? startOf(node) : key) ?? key ?? offset;
    }
    return offset;
  }

  has(path: IssuePath): boolean {
    let node: unknown = this.#document.contents;
    for (const step of path) {
      const found = childOf(node, step);
      if (found === null) return false;
      node = found.value;
    }
    return true;
  }

  #syntaxError({ code, pos, message }: YAMLError, text: string): ConfigError {
    const [offset] = pos;
    if (code === 'MULTIPLE_DOCS') return this.#failAt(offset, 'not one YAML document, but several', 'take out `---`');
    const line = text.split('\n')[this.#lines.linePos(offset).line - 1]?.trim() ?? '';
    const quoted = line === '' ? '' : `: ${line.slice(0, MAX_QUOTED_CHARS)}`;
    return this.#failAt(offset, `not YAML: ${message.split('\n')[0]!}${quoted}`, undefined);
  }

  #refuseNoKey(): void {
    visit(this.#document, {
      Pair: (_, pair) => {
        if (!isScalar(pair.key) || pair.key.value !== NO_KEY) return;
        throw this.#failAt(startOf(pair.key) ?? 0, `${NO_KEY} is no name`, undefined);
      },
    });
  }

  #failAt(offset: number, message: string, hint: string | undefined): ConfigError {
    const { line, col } = this.#lines.linePos(Math.max(0, offset));
    return new ConfigError(this.file, { line: Math.max(1, line), column: Math.max(1, col) }, message, hint);
  }
}

function childOf(node: unknown, step: string | number): { readonly key: unknown; readonly value: unknown } | null {
  if (isMap(node)) {
    const pair = node.items.find((item) => keyText(item) === String(step));
    return pair === undefined ? null : { key: pair.key, value: pair.value };
  }
  if (!isSeq(node) || typeof step !== 'number' || step >= node.items.length) return null;
  const item = node.items[step];
  return { key: isPair(item) ? item.key : item, value: item };
}

const keyText = (pair: Pair): string => (isScalar(pair.key) ? String(pair.key.value) : String(pair.key));

const startOf = (node: unknown): number | null => (isNode(node) ? ((node as Node).range?.[0] ?? null) : null);
