/**
 * docs/library.md: its reference says what the sources say, and its tutorial's programs are those that are run.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { format, resolveConfig } from 'prettier';
import { CHECKOUT } from '../support/source-files.ts';
import { count, declarationsOf } from './declarations.ts';

const PAGE = join(CHECKOUT, 'docs/library.md');
const INDEX = join(CHECKOUT, 'packages/vmlan/src/index.ts');
const UPDATE = 'VMLAN_UPDATE_DOCS=1 ./bin/test library/reference';
const MARK = `<!-- Below: made from the sources by ${UPDATE}; do not edit. -->`;

const declarations = declarationsOf(INDEX);

describe('docs/library.md', () => {
  /** VMLAN_UPDATE_DOCS=1 writes the page instead of comparing it. */
  test('is what the sources say', async () => {
    const page = readFileSync(PAGE, 'utf8');
    const tutorial = page.slice(0, page.indexOf(MARK));
    const reference = declarations.map(
      ({ name, doc, code }) => `### ${name}\n\n${doc === '' ? '' : `${prose(doc)}\n\n`}\`\`\`ts\n${code}\n\`\`\`\n`,
    );
    const options = await resolveConfig(PAGE);
    const text = await format(`${tutorial}${MARK}\n\n## Reference\n\n${reference.join('\n')}`, {
      ...options,
      parser: 'markdown',
    });
    if (process.env['VMLAN_UPDATE_DOCS'] === '1') writeFileSync(PAGE, text);
    assert.equal(readFileSync(PAGE, 'utf8'), text, `run: ${UPDATE}`);
  });

  test('knows every export, and says something of each class and function', () => {
    const names = declarations.map(({ name }) => name);
    for (const name of [
      'Network',
      'NetworkOptions',
      'Guest',
      'TcpSocket',
      'GuestError',
      'VmlanError',
      'NetworkEvent',
    ]) {
      assert.ok(names.includes(name), name);
    }
    for (const { name, code } of declarations) {
      assert.doesNotMatch(code, /#\w|@internal|\bprivate\b/, name);
      assert.equal(count(code, /\{/g), count(code, /\}/g), name);
    }
    for (const { name, doc } of declarations) assert.doesNotMatch(doc, /Zone:/, name);
    const network = declarations.find(({ name }) => name === 'Network')!.code;
    assert.match(network, /^ {2}static create\(options\?: NetworkOptions\): Promise<Network>;$/m);
    assert.match(network, /^ {2}readonly subnet: string \| null;$/m);
  });

  test('names no type that it does not explain', () => {
    const known = new Set(declarations.map(({ name }) => name));
    for (const { name, code } of declarations) {
      const bare = code.replaceAll(/\/\*\*.*?\*\//gs, '').replaceAll(/'[^']*'/g, '');
      const own = new Set(Array.from(bare.matchAll(/<(\w+) extends /g), ([, parameter]) => parameter));
      for (const [, type = ''] of bare.matchAll(/(?<![\w.])([A-Z]\w*)/g))
        assert.ok(known.has(type) || own.has(type) || PLATFORM_TYPES.includes(type), `${name} speaks of ${type}`);
    }
  });
});

/** What TypeScript and Node.js declare. */
const PLATFORM_TYPES: readonly string[] = [
  ...['AsyncDisposable', 'AsyncGenerator', 'AsyncIterable', 'AsyncIterableIterator', 'Disposable', 'Symbol'],
  ...['Extract', 'Omit', 'Partial', 'Pick', 'Promise', 'Readonly', 'Record', 'Error', 'Uint8Array'],
  ...['AbortSignal', 'ReadableStream', 'Request', 'RequestInit', 'Response', 'URL', 'WritableStream'],
];

/** An example of a comment is indented there, and fenced here. */
function prose(doc: string): string {
  return doc.replaceAll(
    /(?:^ {4}.*(?:\n|$))+/gm,
    (block) => `\`\`\`ts\n${block.replaceAll(/^ {4}/gm, '').trimEnd()}\n\`\`\`\n`,
  );
}
