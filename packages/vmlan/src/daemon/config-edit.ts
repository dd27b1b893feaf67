/**
 * From the configuration of a network that somebody wants to the changes of the file that bring it, as few as possible.
 *
 * Zone: control.  Pure: text in, text out.
 */
import { DEFAULT_NETWORKS } from '../model/defaults.ts';
import { editYaml, editYamlBlock, isSameValue } from './yaml-edit.ts';
import type { YamlPath } from './yaml-edit.ts';

/** More changes of one list or map than this are made at once, by writing it anew. */
const MAX_EDITS = 32;

const HEADER = `# The networks of vmlan. Every key: docs/config.md, or vmlan config schema.
`;

/** A file without networks of its own. */
export const EMPTY_FILE: string = `${HEADER}networks:
`;

interface Edit {
  readonly path: YamlPath;
  readonly value: unknown;
}

type Plain = Readonly<Record<string, unknown>>;

/** The text with this and nothing else under `networks: NAME`. */
export function setNetwork(text: string | null, name: string, before: unknown, wanted: Plain): string {
  const edits = difference(['networks', name], before, asWritten(pruned(wanted)));
  return edits.reduce((current, { path, value }) => editYaml(current, path, value), text ?? HEADER);
}

/** The text with these lines of YAML, comments and all, under `networks: NAME`. */
export const setNetworkBlock = (text: string | null, name: string, block: string): string =>
  editYamlBlock(text ?? HEADER, ['networks', name], block);

export const removeNetwork = (text: string, name: string): string => editYaml(text, ['networks', name], undefined);

/** A network that vmlan brings, in as few words as it takes to keep it in a file. */
export function setBuiltInNetwork(text: string | null, name: string): string {
  return setNetwork(text, name, undefined, { mode: DEFAULT_NETWORKS[name]!.mode });
}

/** RFC 7396: maps are merged, null removes, all else replaces. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isMap(patch)) return patch;
  const merged: Record<string, unknown> = isMap(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key];
    else merged[key] = mergePatch(merged[key], value);
  }
  return merged;
}

const isMap = (value: unknown): value is Plain => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Without what is empty: a list of no reservations is no line of the file. */
function pruned(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(pruned);
  if (!isMap(value)) return value;
  const entries = Object.entries(value).map(([key, entry]) => [key, pruned(entry)] as const);
  return Object.fromEntries(entries.filter(([key, entry]) => entry !== undefined && !isEmpty(key, entry)));
}

/** `hostAccess: []` and `search: []` say something: no port, no domain. */
const SAYS_NOTHING: readonly string[] = ['hostAccess', 'search'];
const isEmpty = (key: string, value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.keys(value).length === 0 && !SAYS_NOTHING.includes(key);

/** Ports are written as the numbers they are. */
function asWritten(value: unknown): unknown {
  if (!isMap(value) || !Array.isArray(value['forwards'])) return value;
  const bare = (text: unknown): unknown => (typeof text === 'string' && /^\d{1,5}$/.test(text) ? Number(text) : text);
  const forwards = value['forwards'].map((entry: unknown) =>
    isMap(entry) ? { ...entry, host: bare(entry['host']), guest: bare(entry['guest']) } : entry,
  );
  return { ...value, forwards };
}

function difference(path: YamlPath, before: unknown, wanted: unknown): readonly Edit[] {
  if (isSame(before, wanted)) return [];
  const all: readonly Edit[] = [{ path, value: wanted }];
  if (Array.isArray(before) && Array.isArray(wanted)) return fewOr(all, listDifference(path, before, wanted));
  if (!isMap(before) || !isMap(wanted) || Object.keys(before).length === 0) return all;
  const gone = Object.keys(before).filter((key) => !(key in wanted) && !isUnset(before[key]));
  return fewOr(all, [
    ...Object.entries(wanted).flatMap(([key, value]) => difference([...path, key], before[key], value)),
    ...gone.map((key): Edit => ({ path: [...path, key], value: undefined })),
  ]);
}

const fewOr = (all: readonly Edit[], few: readonly Edit[] | null): readonly Edit[] =>
  few === null || few.length > MAX_EDITS ? all : few;

/** `gateway:` with nothing behind it, as Lima writes it, may stay. */
const isUnset = (value: unknown): boolean => value === null || value === '';

/** `[]` is not nothing here. */
function isSame(a: unknown, b: unknown): boolean {
  return isSameValue(a, b) && Array.isArray(a) === Array.isArray(b) && (a === undefined) === (b === undefined);
}

/** Entries that change in their place, or some that go and some that come at the end; null: another order. */
function listDifference(
  path: YamlPath,
  before: readonly unknown[],
  wanted: readonly unknown[],
): readonly Edit[] | null {
  if (wanted.length === 0) return null;
  if (before.length === wanted.length) {
    return wanted.flatMap((value, i) => (isSame(before[i], value) ? [] : [{ path: [...path, i], value }]));
  }
  const gone: number[] = [];
  let kept = 0;
  for (const [i, value] of before.entries()) {
    if (kept < wanted.length && isSame(value, wanted[kept])) kept++;
    else gone.push(i);
  }
  const come = wanted.slice(kept);
  if (gone.length === before.length) return null;
  // From the end, so that the places of the others stay.
  return [
    ...gone.toReversed().map((i): Edit => ({ path: [...path, i], value: undefined })),
    ...come.map((value, i): Edit => ({ path: [...path, kept + i], value })),
  ];
}
