/**
 * What the schema finds wrong, in words for the person who wrote the file.
 *
 * Zone: control.
 */
import type * as z from 'zod';
import { knownKeys } from '../model/schema.ts';
import type { ConfigDocument } from './config-document.ts';
import type { ConfigError } from './config-error.ts';
import { suggest } from './suggest.ts';

type ZodIssue = z.core.$ZodIssue;

export interface Found {
  readonly path: readonly (string | number)[];
  readonly at: 'key' | 'value';
  readonly message: string;
  readonly hint: string | undefined;
}

/** An error for each issue as they stand in the file; what is missing comes last, for it may only be misspelt. */
export function shapeErrors(
  document: ConfigDocument,
  issues: readonly ZodIssue[],
  value: unknown,
): readonly ConfigError[] {
  return issues
    .flatMap(oneByOne)
    .map((issue) => describe(issue, value))
    .map((found) => ({ found, offset: document.offsetOf(found.path, found.at), isThere: document.has(found.path) }))
    .sort((a, b) => Number(b.isThere) - Number(a.isThere) || a.offset - b.offset)
    .map(({ found: { path, message, hint, at } }) => document.fail(path, message, hint, at));
}

/** One issue may be about several keys. */
const oneByOne = (issue: ZodIssue): readonly ZodIssue[] =>
  issue.code === 'unrecognized_keys' ? issue.keys.map((key) => ({ ...issue, keys: [key] })) : [issue];

/** One issue in words; its path is that of the document. */
export function describe(issue: ZodIssue, document: unknown): Found {
  const path = issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step));
  const value = valueAt(document, path);
  const name = nameOf(path);
  if (issue.code === 'unrecognized_keys') return describeUnknownKey(path, issue.keys[0]!);
  if (issue.code === 'invalid_key')
    return { path, at: 'key', message: `${name}: ${issue.issues[0]!.message}`, hint: undefined };
  if (issue.code === 'invalid_value') return describeChoice(path, value, issue.values.map(String));
  if (issue.code === 'invalid_type') return describeType(path, value, issue.expected);
  if (issue.code === 'invalid_union') return describeUnion(path, value, issue.message);
  const shown = written(value);
  const message = `${name}: ${shown === '' ? issue.message : `${shown}${plainMessage(issue)}`}`;
  return { path, at: 'value', message, hint: undefined };
}

function describeUnknownKey(path: readonly (string | number)[], key: string): Found {
  const candidates = knownKeys(path);
  const meant = suggest(key, candidates);
  const where = path.length === 0 ? '' : ` in ${nameOf(path)}`;
  return {
    path: [...path, key],
    at: 'key',
    message: `unknown key \`${key}\`${where}`,
    hint: meant === null ? `known keys: ${candidates.join(', ')}` : `did you mean \`${meant}\`?`,
  };
}

function describeChoice(path: readonly (string | number)[], value: unknown, choices: readonly string[]): Found {
  const known = choices.join(', ');
  if (value === undefined) return missing(path, `one of ${known}`);
  const meant = typeof value === 'string' ? suggest(value, choices) : null;
  return {
    path,
    at: 'value',
    message: `${nameOf(path)}: ${JSON.stringify(value)} is none of ${known}`,
    hint: meant === null ? undefined : `did you mean \`${meant}\`?`,
  };
}

function describeType(path: readonly (string | number)[], value: unknown, expected: string): Found {
  const wanted = TYPE_WORDS[expected] ?? `a ${expected}`;
  if (value === undefined) return missing(path, wanted);
  const message =
    path.length === 0
      ? `the file is ${typeWord(value)}, not a map with the key \`networks\``
      : `${nameOf(path)} is ${typeWord(value)}, not ${wanted}`;
  return { path, at: 'value', message, hint: undefined };
}

function describeUnion(path: readonly (string | number)[], value: unknown, message: string): Found {
  const reason = message === 'Invalid input' ? ` is not what belongs here` : ` is ${message}`;
  return { path, at: 'value', message: `${nameOf(path)}: ${JSON.stringify(value)}${reason}`, hint: undefined };
}

function missing(path: readonly (string | number)[], wanted: string): Found {
  return {
    path,
    at: 'key',
    message: `${nameOf(path.slice(0, -1))} has no \`${String(path.at(-1))}\``,
    hint: `add \`${String(path.at(-1))}\`: ${wanted}`,
  };
}

/** `networks.lab.dhcp.range[0]` becomes `network "lab": dhcp.range[0]`. */
function nameOf(path: readonly (string | number)[]): string {
  const [first, second, ...rest] = path;
  const join = (steps: readonly (string | number)[]): string =>
    steps.map((step, i) => (typeof step === 'number' ? `[${step}]` : i === 0 ? step : `.${step}`)).join('');
  if (first !== 'networks' || second === undefined) return join(path);
  return rest.length === 0 ? `network ${JSON.stringify(second)}` : `network ${JSON.stringify(second)}: ${join(rest)}`;
}

const isNumeric = (origin: string): boolean => origin === 'number' || origin === 'int';

function plainMessage(issue: ZodIssue): string {
  if (issue.code === 'too_small' && isNumeric(issue.origin)) return ` is less than ${issue.minimum}`;
  if (issue.code === 'too_big' && isNumeric(issue.origin)) return ` is more than ${issue.maximum}`;
  return issue.message.startsWith('not ') ? ` is ${issue.message}` : `: ${issue.message}`;
}

const written = (value: unknown): string =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? JSON.stringify(value) : '';

function valueAt(value: unknown, path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>(
    (node, step) => (typeof node === 'object' && node !== null ? (node as Record<string, unknown>)[step] : undefined),
    value,
  );
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map',
  record: 'a map',
};

function typeWord(value: unknown): string {
  if (value === null) return 'empty';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a map';
  return TYPE_WORDS[typeof value] ?? typeof value;
}
