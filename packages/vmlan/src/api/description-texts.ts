/**
 * What the interfaces of the model say about themselves and their keys, read from their source.
 *
 * Zone: control.  Writes descriptions.ts, so that the API's document says what the code says.
 */
export interface Description {
  readonly text?: string;
  readonly keys: Readonly<Record<string, string>>;
}

const TEXT = /^ {0,2}\/\*\*\s?(.*?)(?:\s*\*\/)?$/;
const CONTINUED = /^ {0,2} \*(?!\/)\s?(.*)$/;

/** `export interface Name {` with the comment above it, and its keys with theirs, as prettier lays them out. */
export function interfaceTexts(source: string): Readonly<Record<string, Description>> {
  const found: Record<string, Description> = {};
  let comment: string[] | null = null;
  let name: string | null = null;
  let text: string | undefined;
  let keys: Record<string, string> = {};
  for (const line of source.split('\n')) {
    const begun = TEXT.exec(line);
    const continued = CONTINUED.exec(line);
    const opened = /^(?:export )?interface (\w+)(?: extends (\w+))?/.exec(line);
    const key = /^ {2}readonly (\w+)\??:/.exec(line);
    if (begun !== null) comment = [begun[1]!];
    else if (comment !== null && continued !== null) comment.push(continued[1]!);
    else if (/^ {0,2} \*\/$/.test(line)) continue;
    else if (opened !== null) {
      // What it extends stands above it, and says the same of the keys they share.
      const inherited = found[opened[2] ?? '']?.keys ?? {};
      [name, text, keys, comment] = [opened[1]!, joined(comment), { ...inherited }, null];
    } else if (key !== null && name !== null) {
      const said = joined(comment);
      if (said !== undefined) keys[key[1]!] = said;
      comment = null;
    } else if (line === '}' && name !== null) {
      if (text !== undefined || Object.keys(keys).length > 0)
        found[name] = { ...(text === undefined ? {} : { text }), keys };
      name = null;
    } else comment = null;
  }
  return found;
}

const joined = (lines: readonly string[] | null): string | undefined =>
  lines
    ?.map((line) => (line.startsWith('- ') ? `\n${line}` : line))
    .join(' ')
    .replaceAll(/ +\n/g, '\n')
    .trim();

export const descriptionsModule = (texts: Readonly<Record<string, Description>>): string => `/**
 * What is said about the documents of the API and their keys.
 *
 * Zone: control.  Made from the interfaces of the model by VMLAN_UPDATE_DOCS=1 ./bin/test api/openapi; do not edit.
 */
import type { Description } from './description-texts.ts';

export const DESCRIPTIONS: Readonly<Record<string, Description>> = ${JSON.stringify(texts, null, 2)};
`;
