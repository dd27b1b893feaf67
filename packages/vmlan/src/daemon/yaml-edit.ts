/**
 * Changes one value in the text of a YAML file and leaves every other character as a person wrote it.
 *
 * Zone: control.  The change is cut into the text at the places that the parser reports, never printed anew, so that
 * comments, blank lines, quotes and alignment stay.  What was made is read again: it holds what was wanted, or the
 * change is refused.  Comments inside of what is removed go with it, those above it stay.
 */
import { Document, isAlias, isCollection, isMap, isScalar, isSeq, parseDocument } from 'yaml';
import type { Node, Pair, YAMLMap, YAMLSeq } from 'yaml';
import { VmlanError } from '../core/errors.ts';

export type YamlPath = readonly (string | number)[];
type Collection = YAMLMap | YAMLSeq;

const DEFAULT_INDENT = 2; // columns
const MAX_ALIASES = 100;

/** The text with `value` at `path`; undefined removes what is there. */
export function editYaml(text: string, path: YamlPath, value: unknown): string {
  return checked(text, new Splicer(text).set(path, value), withValue(valueOf(text), path, value));
}

/**
 * The text with the lines of `block`, a map, as the value at `path`: with its own comments and layout.  A block that is
 * no YAML gives a text that is none either: whoever judges the text says where.
 */
export function editYamlBlock(text: string, path: YamlPath, block: string): string {
  const lines = block.replaceAll('\r\n', '\n').replace(/\s*$/, '').split('\n');
  const edited = new Splicer(text).set(path, new Block(lines));
  if (isBroken(block)) return isBroken(edited) ? edited : checked(text, edited, undefined);
  return checked(text, edited, withValue(valueOf(text), path, valueOf(block)));
}

const isBroken = (text: string): boolean => parseDocument(text, { uniqueKeys: true }).errors.length > 0;

/** The lines of the map at `path`, without its indentation; null when it is no block of lines. */
export function yamlBlockAt(text: string, path: YamlPath): string | null {
  return new Splicer(text).blockAt(path);
}

function checked(before: string, after: string, wanted: unknown): string {
  try {
    if (isSameValue(valueOf(after), wanted)) return after;
  } catch {
    // what it says now cannot be read: the same refusal
  }
  const anchors = /(?:^|[\s[{,])[&*]\w/m.test(before);
  throw new VmlanError('conflict', 'the layout of the file does not allow this change to be made for you', {
    hint: anchors
      ? 'it uses anchors and aliases: change the file with an editor, then run: vmlan config reload'
      : 'change the file with an editor, then run: vmlan config reload',
  });
}

function valueOf(text: string): unknown {
  const document = parseDocument(text, { uniqueKeys: true });
  if (document.errors.length > 0) throw document.errors[0]!;
  return document.toJS({ maxAliasCount: MAX_ALIASES }) as unknown;
}

function withValue(whole: unknown, path: YamlPath, value: unknown): unknown {
  const [step, ...rest] = path;
  if (step === undefined) return value;
  if (Array.isArray(whole)) {
    const next = withValue(whole[step as number], rest, value);
    return next === undefined ? whole.toSpliced(Number(step), 1) : whole.toSpliced(Number(step), 1, next);
  }
  const map = typeof whole === 'object' && whole !== null ? (whole as Record<string, unknown>) : {};
  const { [step]: old, ...others } = map;
  const next = withValue(old, rest, value);
  return next === undefined ? others : { ...others, [step]: next };
}

/** Equal for a reader of the configuration: `8080` and `"8080"` are, and nothing, `{}` and `[]` are. */
export function isSameValue(a: unknown, b: unknown): boolean {
  if (isNothing(a) || isNothing(b)) return isNothing(a) && isNothing(b);
  if (isScalarValue(a) || isScalarValue(b)) return isScalarValue(a) && isScalarValue(b) && String(a) === String(b);
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>];
  return [...new Set([...Object.keys(left), ...Object.keys(right)])].every((key) => isSameValue(left[key], right[key]));
}

const isScalarValue = (value: unknown): value is string | number | boolean => typeof value !== 'object';

const isNothing = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  value === '' ||
  (typeof value === 'object' && Object.values(value).every(isNothing));

/** Lines that are written as they are, but for their indentation. */
class Block {
  readonly lines: readonly string[];

  constructor(lines: readonly string[]) {
    this.lines = lines;
  }
}

/** One change of one text. Offsets are those of the text as it was parsed. */
class Splicer {
  readonly #text: string;
  readonly #root: unknown;
  readonly #indent: number;

  constructor(text: string) {
    this.#text = text;
    this.#root = parseDocument(text, { uniqueKeys: true }).contents;
    this.#indent = this.#usualIndent();
  }

  set(path: YamlPath, value: unknown): string {
    if (!isCollection(this.#root) || this.#root.items.length === 0) return this.#append(nest(path, value));
    let node: Collection = this.#root;
    for (const [depth, step] of path.entries()) {
      const rest = path.slice(depth + 1);
      const item = itemOf(node, step);
      if (item === null) return value === undefined ? this.#text : this.#insert(node, step, nest(rest, value));
      if (rest.length === 0) return value === undefined ? this.#remove(node, item) : this.#replace(node, item, value);
      if (!isCollection(item.value) || item.value.items.length === 0) {
        if (value === undefined) return this.#text;
        return this.#replace(node, item, withValue(plain(item.value, this.#root), rest, value));
      }
      node = item.value;
    }
    return this.#text;
  }

  blockAt(path: YamlPath): string | null {
    let node: unknown = this.#root;
    for (const step of path) {
      const item = isCollection(node) ? itemOf(node, step) : null;
      if (item === null) return null;
      node = item.value;
    }
    if (!isMap(node) || node.flow === true || node.anchor !== undefined) return null;
    const pad = ' '.repeat(this.#columnOf(startOf(node)));
    // Comments above the first key belong to it, too.
    const start = this.#lineAfter(this.#keyEnd(path));
    const lines = this.#text.slice(start, this.#endOfLine(this.#contentEnd(node))).split('\n');
    const isIndented = lines.every((line) => line.trim() === '' || line.startsWith(pad) || /^\s*#/.test(line));
    if (!isIndented) return null;
    return lines.map((line) => (line.startsWith(pad) ? line.slice(pad.length) : line.trimStart())).join('\n');
  }

  #keyEnd(path: YamlPath): number {
    const parent = path
      .slice(0, -1)
      .reduce<unknown>((node, step) => itemOf(node as Collection, step)!.value, this.#root);
    const item = itemOf(parent as Collection, path.at(-1)!)!;
    return endOf(item.key);
  }

  #usualIndent(): number {
    const first = isMap(this.#root) ? this.#root.items[0] : undefined;
    const child = first === undefined ? null : first.value;
    const columns = isMap(child) && child.flow !== true ? this.#columnOf(startOf(child)) : 0;
    return columns > 0 && columns <= 8 ? columns : DEFAULT_INDENT;
  }

  /** A file without content but comments. */
  #append(value: unknown): string {
    if (value === undefined) return this.#text;
    const start = this.#root === null ? withNewline(this.#text) : this.#text.slice(0, startOf(this.#root));
    const rest = this.#root === null ? '' : this.#text.slice(this.#endOfLine(endOf(this.#root)));
    return start + lines(this.#blockLines(value, 0)) + rest;
  }

  #insert(node: Collection, step: string | number, value: unknown): string {
    const last = node.items.at(-1);
    if (node.flow === true) {
      const text = isSeq(node) ? flowText(value) : flowText({ [step]: value }).slice(2, -2);
      const end = this.#contentEnd(last);
      return this.#cut(end, end, `, ${text}`);
    }
    const column = this.#columnOf(startOf(node));
    const added = isSeq(node) ? this.#itemLines(value, column) : this.#pairLines(String(step), value, column);
    const at = this.#endOfLine(this.#contentEnd(node));
    const gap = this.#isSpaced(node) ? '\n' : '';
    return `${withNewline(this.#text.slice(0, at))}${gap}${lines(added)}${this.#text.slice(at)}`;
  }

  /** Entries stand apart from each other, so that a new one does, too. */
  #isSpaced(node: Collection): boolean {
    const [before, last] = node.items.slice(-2);
    if (before === undefined || last === undefined || !isMap(node)) return false;
    const between = this.#text.slice(this.#contentEnd(before), startOf((last as Pair).key));
    return /\n[ \t]*\r?\n/.test(between);
  }

  #remove(node: Collection, item: Item): string {
    if (node.flow === true) return this.#removeFromFlow(node, item);
    const start = item.start - (isSeq(node) ? item.start - this.#dashBefore(item.start) : 0);
    const end = this.#endOfLine(item.value === null ? endOf(item.key) : this.#contentEnd(item.value));
    const lineStart = this.#text.lastIndexOf('\n', start - 1) + 1;
    if (this.#text.slice(lineStart, start).trim() === '') return this.#removeLines(lineStart, end, item.index === 0);
    // The first key of a list's item stands behind the dash.
    const next = node.items[item.index + 1];
    return next === undefined ? this.#cut(start, end, '{}\n') : this.#cut(start, startOf((next as Pair).key), '');
  }

  /** Of the blank lines that set an entry apart from its neighbours, those of one side go with it. */
  #removeLines(start: number, end: number, isFirst: boolean): string {
    const [before, after] = [this.#text.slice(0, start), this.#text.slice(end)];
    const blank = /^[ \t]*\r?\n/.exec(after)?.[0] ?? '';
    const followsBlank = /\n[ \t]*\r?\n$/.test(before);
    if (blank !== '' && (isFirst || followsBlank)) return before + after.slice(blank.length);
    return after === '' && followsBlank ? before.replace(/[ \t]*\r?\n$/, '') : before + after;
  }

  #dashBefore(offset: number): number {
    return this.#text.lastIndexOf('-', offset);
  }

  #removeFromFlow(node: Collection, item: Item): string {
    if (node.items.length === 1) return this.#cut(startOf(node), endOf(node), isSeq(node) ? '[]' : '{}');
    const end = item.value === null ? endOf(item.key) : endOf(item.value);
    if (item.index > 0) return this.#cut(this.#contentEnd(node.items[item.index - 1]), end, '');
    const next = node.items[1];
    return this.#cut(item.start, isSeq(node) ? startOf(next) : startOf((next as Pair).key), '');
  }

  #replace(node: Collection, item: Item, value: unknown): string {
    const old = item.value as Node | null;
    const isInline = node.flow === true || isSeq(node) || !isBlockValue(value);
    const end = old === null ? endOf(item.key) : this.#contentEnd(old);
    if (isSeq(node)) return this.#cut(item.start, end, flowText(value));
    const colon = this.#text.indexOf(':', endOf(item.key)) + 1;
    const wasInline = old === null || !isBlockNode(old);
    if (isInline && wasInline) {
      const isEmpty = old === null || startOf(old) === endOf(old);
      return isEmpty ? this.#cut(colon, colon, ` ${flowText(value)}`) : this.#cut(startOf(old), end, flowText(value));
    }
    const lineEnd = this.#endOfLine(wasInline ? end : colon);
    const onLine = this.#text.slice(wasInline ? Math.max(end, colon) : colon, lineEnd).replace(/\r?\n$/, '');
    const comment = onLine.includes('#') ? ` ${onLine.trim()}` : '';
    const after = wasInline ? lineEnd : this.#endOfLine(end);
    if (isInline) return this.#cut(colon, after, ` ${flowText(value)}${comment}\n`);
    const column = this.#columnOf(item.start) + this.#indent;
    return this.#cut(colon, after, `${comment}\n${lines(this.#blockLines(value, column))}`);
  }

  #blockLines(value: unknown, column: number): readonly string[] {
    if (value instanceof Block) {
      return value.lines.map((line) => (line.trim() === '' ? '' : `${' '.repeat(column)}${line}`));
    }
    if (Array.isArray(value)) return value.flatMap((item: unknown) => this.#itemLines(item, column));
    return Object.entries(value as object).flatMap(([key, entry]) => this.#pairLines(key, entry, column));
  }

  #pairLines(key: string, value: unknown, column: number): readonly string[] {
    const start = `${' '.repeat(column)}${flowText(key)}:`;
    if (!isBlockValue(value)) return [`${start} ${flowText(value)}`];
    return [start, ...this.#blockLines(value, column + this.#indent)];
  }

  #itemLines(value: unknown, column: number): readonly string[] {
    return [`${' '.repeat(column)}- ${flowText(value)}`];
  }

  /** Behind the last character that belongs to a node, comments and blank lines left out. */
  #contentEnd(node: unknown): number {
    if (isPairLike(node)) {
      return node.value === null || node.value === undefined ? endOf(node.key) : this.#contentEnd(node.value);
    }
    if (isCollection(node) && node.flow !== true && node.items.length > 0) return this.#contentEnd(node.items.at(-1));
    const end = endOf(node);
    return this.#text[end - 1] === '\n' ? end - 1 : end; // a block scalar
  }

  #endOfLine(offset: number): number {
    const newline = this.#text.indexOf('\n', offset);
    return newline < 0 ? this.#text.length : newline + 1;
  }

  #lineAfter(offset: number): number {
    return this.#endOfLine(offset);
  }

  #columnOf(offset: number): number {
    return offset - (this.#text.lastIndexOf('\n', offset - 1) + 1);
  }

  #cut(start: number, end: number, replacement: string): string {
    return this.#text.slice(0, start) + replacement + this.#text.slice(end);
  }
}

interface Item {
  readonly index: number;
  readonly key: unknown;
  /** null: nothing stands behind the key. */
  readonly value: unknown;
  readonly start: number;
}

function itemOf(node: Collection, step: string | number): Item | null {
  if (isSeq(node)) {
    const value: unknown = node.items[step as number];
    return value === undefined ? null : { index: step as number, key: null, value, start: startOf(value) };
  }
  const index = node.items.findIndex(({ key }) => isScalar(key) && String(key.value) === String(step));
  const pair = node.items[index];
  return pair === undefined ? null : { index, key: pair.key, value: pair.value ?? null, start: startOf(pair.key) };
}

const isPairLike = (node: unknown): node is Pair => typeof node === 'object' && node !== null && 'key' in node;

const rangeOf = (node: unknown): readonly number[] => (node as Node).range ?? [0, 0];
const startOf = (node: unknown): number => rangeOf(node)[0] ?? 0;
const endOf = (node: unknown): number => rangeOf(node)[1] ?? 0;

const isBlockNode = (node: unknown): boolean =>
  (isCollection(node) && node.flow !== true) || (isScalar(node) && (node.type ?? '').startsWith('BLOCK'));

/** What gets lines of its own: maps, and lists of maps. */
function isBlockValue(value: unknown): boolean {
  if (value instanceof Block) return true;
  if (typeof value !== 'object' || value === null) return false;
  if (Array.isArray(value)) return value.some((item) => typeof item === 'object' && item !== null);
  return Object.keys(value).length > 0;
}

/** `value` on one line: `{ host: 8080, guest: web:80 }`, `[80, 443]`. */
function flowText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flowText).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return scalarText(value);
  const entries = Object.entries(value).map(([key, entry]) => `${scalarText(key)}: ${flowText(entry)}`);
  return entries.length === 0 ? '{}' : `{ ${entries.join(', ')} }`;
}

/** Quoted where a bare word would mean something else, also inside braces. */
function scalarText(value: unknown): string {
  const document = new Document([value]);
  (document.contents as unknown as YAMLSeq).flow = true;
  return document.toString({ lineWidth: 0, flowCollectionPadding: false }).trimEnd().slice(1, -1);
}

const nest = (path: YamlPath, value: unknown): unknown =>
  value === undefined ? undefined : path.reduceRight<unknown>((inner, step) => ({ [step]: inner }), value);

/** What an alias or a scalar stands for. */
function plain(node: unknown, root: unknown): unknown {
  if (isAlias(node)) return node.resolve(new Document(root))?.toJSON() as unknown;
  return isScalar(node) && typeof node.value === 'object' ? node.value : {};
}

const lines = (all: readonly string[]): string => all.map((line) => `${line}\n`).join('');

const withNewline = (text: string): string => (text === '' || text.endsWith('\n') ? text : `${text}\n`);
