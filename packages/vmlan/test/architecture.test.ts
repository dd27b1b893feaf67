/**
 * The rules of the house that a compiler does not know (docs/architecture.md): who may import whom, what every file has,
 * what no file may hold.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, test } from 'node:test';
import {
  CHECKOUT,
  sourceFile,
  sourceFiles,
  trackedFiles,
  type Import,
  type SourceFile,
} from './support/source-files.ts';

const MAX_LINES = 600;

/** What each layer may import: layers, or single modules of one. `type:` allows types alone. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  wire: [],
  core: [],
  switching: ['wire', 'core'],
  stack: ['wire', 'core'],
  services: ['wire', 'core'],
  nat: ['wire', 'core', 'stack'],
  sys: ['core'],
  links: ['wire', 'core', 'sys', 'type:switching'],
  engine: ['wire', 'core', 'switching', 'stack', 'services', 'nat', 'sys', 'links'],
  model: ['wire/address.ts'],
  drivers: ['model', 'core', 'sys', 'wire', 'engine/control-messages.ts'],
  api: ['model', 'core', 'drivers/driver.ts'],
  client: ['model', 'core'],
  cli: ['client', 'model', 'core'],
  daemon: ['api', 'client', 'model', 'drivers', 'core', 'sys', 'wire', 'engine'],
  guest: ['wire', 'core'],
  library: [
    ...['guest', 'drivers', 'engine', 'model', 'sys', 'wire', 'core'],
    ...['daemon/config-issues.ts', 'daemon/guest-name.ts', 'daemon/host-routes.ts'],
  ],
  'index.ts': ['library', 'guest', 'model', 'core/errors.ts', 'engine/control-messages.ts'],
};

/** Packages and Node modules that one layer alone, or no sans-I/O layer, may know. */
const ONLY_IN: Readonly<Record<string, readonly string[]>> = {
  koffi: ['sys'],
  fastify: ['api', 'daemon'],
  commander: ['cli'],
};
const WITHOUT_NODE = new Set(['wire', 'core', 'switching', 'stack', 'services', 'nat', 'model', 'guest']);

function allowed(file: SourceFile, { target, typeOnly }: Import): boolean {
  if (target.startsWith(`${file.layer}/`)) return true;
  return (MAY_IMPORT[file.layer] ?? []).some((rule) => {
    const [module, types] = rule.startsWith('type:') ? [rule.slice(5), true] : [rule, false];
    return (typeOnly || !types) && (target === module || target.startsWith(`${module}/`));
  });
}

/** A driver knows the interface and the registry's files at the top, but no other driver. */
function otherDriver(file: SourceFile, { target }: Import): boolean {
  const [layer, own, ...rest] = file.path.split('/');
  const [, other, ...otherRest] = target.split('/');
  return (
    layer === 'drivers' && target.startsWith('drivers/') && rest.length > 0 && otherRest.length > 0 && own !== other
  );
}

function faults(file: SourceFile): string[] {
  const found: string[] = [];
  for (const imported of file.imports) {
    if (imported.own) {
      if (!allowed(file, imported)) found.push(`${file.layer} may not import ${imported.target}`);
      if (otherDriver(file, imported)) found.push(`a driver may not import another: ${imported.target}`);
    } else {
      const only = ONLY_IN[imported.target.split('/')[0] ?? ''];
      if (only !== undefined && !only.includes(file.layer))
        found.push(`${imported.target} belongs to ${only.join(', ')}`);
      if (WITHOUT_NODE.has(file.layer) && imported.target.startsWith('node:'))
        found.push(`${file.layer} is free of ${imported.target}`);
    }
  }
  return found;
}

/** In a fake of the kernel all things know each other, as in the real one. */
const KNOW_EACH_OTHER = 'sys/fake/';

/** Files that need each other, types included: each as the way from a file back to itself. */
function circles(all: readonly SourceFile[]): string[] {
  const needs = new Map(
    all
      .filter(({ path }) => !path.startsWith(KNOW_EACH_OTHER))
      .map(({ path, imports }) => [
        path,
        // A file that writes a file of its own kind holds an import of itself as text.
        imports.filter(({ late, target }) => !late && target !== path).map(({ target }) => target),
      ]),
  );
  const found: string[] = [];
  const done = new Set<string>();
  const walk = (path: string, way: readonly string[]): void => {
    if (way.includes(path)) found.push([...way.slice(way.indexOf(path)), path].join(' → '));
    if (way.includes(path) || done.has(path)) return;
    for (const target of needs.get(path) ?? []) walk(target, [...way, path]);
    done.add(path);
  };
  for (const path of needs.keys()) walk(path, []);
  return found;
}

const files = sourceFiles();
const sources = files.filter(({ test: isTest }) => !isTest);

function assertNone(found: readonly string[]): void {
  assert.equal(found.length, 0, `\n${found.join('\n')}`);
}

describe('imports', () => {
  test('every layer has its rule', () => {
    const layers = new Set(files.map(({ layer }) => layer));
    assertNone([...layers].filter((layer) => !layer.endsWith('.ts') && !(layer in MAY_IMPORT)));
  });

  test('every import is one that the layer may make', () => {
    assertNone(sources.flatMap((file) => faults(file).map((fault) => `${file.path}: ${fault}`)));
  });

  test('no file needs itself in the end', () => {
    assertNone(circles(sources));
    const [a, b, c] = ['b', 'c', 'a'].map((next, i) =>
      sourceFile(`core/${'abc'[i]}.ts`, `import type { X } from './${next}.ts';`),
    ) as [SourceFile, SourceFile, SourceFile];
    assert.deepEqual(circles([a, b, c]), ['core/a.ts → core/b.ts → core/c.ts → core/a.ts']);
    const late = sourceFile('core/c.ts', "export const x = import('./a.ts');");
    assert.deepEqual([circles([a, b]), circles([a, b, late])], [[], []]);
  });

  test('the rules see what they must', () => {
    const cases: [string, string, number][] = [
      ['wire/a.ts', "import { x } from '../core/b.ts';", 1],
      ['core/a.ts', "export { x } from '../wire/b.ts';", 1],
      ['nat/a.ts', "import { x } from '../wire/b.ts';\nimport { y } from '../services/c.ts';", 1],
      ['nat/a.ts', "import {\n  x,\n  y,\n} from '../services/c.ts';", 1],
      ['links/a.ts', "import type { P } from '../switching/port.ts';", 0],
      ['links/a.ts', "import { type P, type Q } from '../switching/port.ts';", 0],
      ['links/a.ts', "import { type P, q } from '../switching/port.ts';", 1],
      ['model/a.ts', "import { x } from '../wire/address.ts';", 0],
      ['model/a.ts', "import { x } from '../wire/udp.ts';", 1],
      ['model/a.ts', "import { readFile } from 'node:fs';", 1],
      ['drivers/userspace/a.ts', "import { x } from '../../engine/control-messages.ts';", 0],
      ['drivers/userspace/a.ts', "import { x } from '../../engine/loop.ts';", 1],
      ['drivers/userspace/a.ts', "import { x } from '../fake/b.ts';", 1],
      ['drivers/registry.ts', "import { x } from './fake/b.ts';", 0],
      ['cli/a.ts', "const x = await import('../daemon/main.ts');", 1],
      ['cli/a.ts', "import koffi from 'koffi';", 1],
      ['cli/a.ts', "import '../daemon/main.ts';", 1],
      ['cli/a.ts', "// import { x } from '../daemon/main.ts'\nexport const a: string = 'from';", 0],
    ];
    for (const [path, text, count] of cases)
      assert.equal(faults(sourceFile(path, text)).length, count, `${path}: ${text}`);
  });
});

describe('files', () => {
  test('start with a header that names the zone', () => {
    assertNone(sources.filter(({ header }) => !/\bZone: (packet|flow|control)\b/.test(header)).map(({ path }) => path));
  });

  test('import packages at their top', () => {
    // Joined by the build, a CommonJS package has its names for a static import alone.
    const late = /\bimport\('(?!\.|node:)[^']*'\)(?!\.)/;
    assertNone(sources.flatMap(({ path, text }) => (late.exec(text) ?? []).map((found) => `${path}: ${found}`)));
  });

  test('of the packet zone neither throw nor wait', () => {
    const forbidden =
      /^(?!\s*(?:\*|\/\/|\/\*)).*(?:\bthrow\b|\basync\b|\bawait\b|\bBigInt\b|\b\d+n\b|setTimeout|EventEmitter)/m;
    const packet = sources.filter(({ header }) => /\bZone: packet\./.test(header));
    assertNone(
      packet.flatMap(({ path, text }) => (forbidden.exec(text) ?? []).map((line) => `${path}: ${line.trim()}`)),
    );
  });

  test('have names in kebab-case, at most 600 lines and no default export', () => {
    assertNone(
      files.flatMap(({ path, text }) => [
        ...(/^[a-z0-9]+(-[a-z0-9]+)*(\.(test|fixture))?\.ts$/.test(basename(path)) ? [] : [`${path}: not kebab-case`]),
        ...(text.split('\n').length <= MAX_LINES + 1 ? [] : [`${path}: more than ${MAX_LINES} lines`]),
        ...(/^export default\b/m.test(text) ? [`${path}: default export`] : []),
      ]),
    );
  });

  test('that are published run on the oldest Node.js that the manifest names', () => {
    // 22.18 strips types but leaves syntax: `using` and these names came later.
    const newer =
      /^\s*(?:await\s+)?using\s+\w+\s*=|\bimport\.meta\.main\b|\bRegExp\.escape\b|\b(?:Async)?DisposableStack\b|\bPromise\.try\b/m;
    assertNone(
      sources.flatMap(({ path, text }) => (newer.exec(text) ?? []).map((found) => `${path}: ${found.trim()}`)),
    );
  });

  test('hold no leftovers', () => {
    const leftover =
      /@ts-(ignore|nocheck)|\b(it|test|describe)\.only\(|\bTODO\b(?!\(#\d+\))|\bFIXME\b|\bXXX\b|\bdebugger\b/;
    assertNone(
      files.flatMap(({ path, text }) => (leftover.exec(text) ? [`${path}: ${leftover.exec(text)?.[0]}`] : [])),
    );
  });
});

describe('the repository', () => {
  test('names no machine that it was made on', (t) => {
    const tracked = trackedFiles().filter((path) => existsSync(join(CHECKOUT, path)));
    if (tracked.length === 0) return t.skip('not a git checkout');
    const place = /(?<![\w.])\/(work|root)\/|\.\.\/shared\/|\/tmp\/brief/;
    assertNone(
      tracked.flatMap((path) => {
        const found = place.exec(readFileSync(join(CHECKOUT, path), 'latin1'));
        return found === null ? [] : [`${path}: ${found[0]}`];
      }),
    );
  });

  test('locks packages by version and hash, not by address', () => {
    const lock = readFileSync(join(CHECKOUT, 'package-lock.json'), 'utf8');
    assert.doesNotMatch(lock, /"resolved": "(?!packages\/)/);
    assert.match(readFileSync(join(CHECKOUT, '.npmrc'), 'utf8'), /^omit-lockfile-registry-resolved=true$/m);
    assert.doesNotMatch(readFileSync(join(CHECKOUT, '.npmrc'), 'utf8'), /registry=/);
  });
});
