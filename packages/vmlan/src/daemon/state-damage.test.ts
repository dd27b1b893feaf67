/**
 * Any damage to any file of the state: what is intact loads, what is not is kept aside and told of.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { after, describe, test } from 'node:test';
import * as fc from 'fast-check';
import { LeaseFile } from '../drivers/userspace/lease-file.ts';
import { identityFile, loadIdentity } from './identity.ts';
import { Store } from './store.ts';
import type { StoredForward, StoredRecord } from '../model/stored.ts';

const root = mkdtempSync('/tmp/vmlan-damage-');
after(() => rmSync(root, { recursive: true }));

const forward = (id: string): StoredForward => ({
  ...{ id, network: 'lab', protocol: 'tcp', direction: 'host', host: '80', guest: 'web:80' },
});
const record = (id: string): StoredRecord => ({ id, network: 'lab', name: id, type: 'A', value: '10.0.0.1', ttl: 60 });
const nic = { index: 0, network: 'lab', mac: '52:54:00:00:00:01', ip: null, connected: true, attachment: null };

/** A state directory with something of everything. */
async function makeState(): Promise<string> {
  const directory = join(root, 'whole');
  const store = await Store.open(directory);
  await store.change({
    guests: { put: ['web', 'db', 'mail'].map((name) => ({ name, nics: [nic] })) },
    forwards: { put: ['f1', 'f2', 'f3', 'f4'].map(forward) },
    records: { put: ['r1', 'r2', 'r3'].map(record) },
  });
  await store.putPicks(new Map([['lab', '10.0.0.0/24']]));
  await identityFile(directory).write(JSON.stringify('a'.repeat(32)));
  await (await LeaseFile.open(join(directory, 'leases.json'), 'lab')).flush();
  return directory;
}

const whole = await makeState();
const files = (readdirSync(whole, { recursive: true }) as string[]).filter((name) => name.endsWith('.json')).sort();

interface Loaded {
  /** Everything that was read, each thing as one line. */
  readonly things: readonly string[];
  readonly warnings: readonly string[];
}

async function load(directory: string): Promise<Loaded> {
  const store = await Store.open(directory);
  const identity = await loadIdentity(directory, []);
  const leases = await LeaseFile.open(join(directory, 'leases.json'), 'lab');
  const kinds = { guest: store.guests.values(), forward: store.forwards, record: store.records, pick: store.picks };
  const things = Object.entries(kinds).flatMap(([kind, all]) =>
    [...all].map((one) => `${kind} ${JSON.stringify(one)}`),
  );
  const warnings = [...store.warnings, identity.warning, leases.warning].filter((warning) => warning !== null);
  return { things: [...things, `id ${identity.id}`, `duid ${leases.duid}`], warnings };
}

let copies = 0;

/** Damages one file of a copy, and sees what becomes of it. */
async function assertKept(file: string, damage: (path: string) => void): Promise<void> {
  const directory = join(root, `copy-${++copies}`);
  cpSync(whole, directory, { recursive: true });
  const path = join(directory, file);
  damage(path);
  const before = describeFile(path);
  const { things, warnings } = await load(directory);
  const lost = expected.filter((thing) => !things.includes(thing));
  assert.ok(lost.length > 0 && lost.every((thing) => readFileSync(join(whole, file), 'utf8').includes(keyOf(thing))));
  assert.equal(warnings.length, 1, warnings.join('\n'));
  const [, named, aside = ''] = /^(\S+) was damaged and is kept as (\S+): ./.exec(warnings[0]!) ?? [];
  assert.equal(named, path);
  assert.equal(describeFile(aside), before);
  assert.ok(readdirSync(dirname(path)).includes(basename(aside)));
  // Nothing is in the way of what comes then, and nobody is told twice.
  const store = await Store.open(directory);
  await store.change({
    guests: { put: [...store.guests.values(), { name: 'new', nics: [] }] },
    forwards: { put: ['f1', 'f2', 'f3', 'f4'].map(forward) },
    records: { put: ['r1', 'r2', 'r3'].map(record) },
  });
  await store.putPicks(new Map([['lab', '10.0.1.0/24']]));
  assert.deepEqual((await load(directory)).warnings, []);
  rmSync(directory, { recursive: true });
}

/** What of a thing stands in its file as it is. */
const keyOf = (thing: string): string => /(?:"(?:name|id)":|\[|id )"?([^",]+)/.exec(thing)![1]!;

function describeFile(path: string): string {
  const stat = lstatSync(path);
  return stat.isFile() ? readFileSync(path).toString('latin1') : `${stat.mode & 0o170000}`;
}

const expected = (await load(whole)).things;

test('there is something of everything', () => {
  assert.equal(expected.length, 3 + 4 + 3 + 1 + 2);
  assert.ok(files.length >= 3 + 2 + 2 + 3, files.join(' '));
});

test('one bit, anywhere', async () => {
  const property = fc.asyncProperty(fc.constantFrom(...files), fc.nat(), async (file, seed) => {
    await assertKept(file, (path) => {
      const bytes = readFileSync(path);
      const bit = seed % (bytes.length * 8);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      writeFileSync(path, bytes);
    });
  });
  await fc.assert(property, { numRuns: 60 });
});

test('the end missing, from anywhere on', async () => {
  const property = fc.asyncProperty(fc.constantFrom(...files), fc.nat(), async (file, seed) => {
    await assertKept(file, (path) => {
      const bytes = readFileSync(path);
      // All but the closing line feed, which means nothing.
      writeFileSync(path, bytes.subarray(0, seed % (bytes.length - 1)));
    });
  });
  await fc.assert(property, { numRuns: 60 });
});

describe('in place of each file', () => {
  const replacements: Record<string, (path: string) => void> = {
    nothing: (path) => writeFileSync(path, ''),
    zeroes: (path) => writeFileSync(path, Buffer.alloc(512)),
    'a directory': (path) => mkdirSync(join(path, 'x'), { recursive: true }),
    'a link': (path) => symlinkSync('/etc/hostname', path),
    'a pipe': (path) => void execFileSync('mkfifo', [path]),
    'another version': (path) => writeFileSync(path, '{"version":7,"data":[]}'),
  };
  for (const [name, make] of Object.entries(replacements)) {
    test(name, async () => {
      for (const file of files) {
        await assertKept(file, (path) => {
          rmSync(path);
          make(path);
        });
      }
    });
  }
});
