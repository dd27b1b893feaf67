import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { within } from '../../core/deadline.fixture.ts';
import type { LeaseChanges } from '../../engine/control-messages.ts';
import { LeaseFile, parseLeases } from './lease-file.ts';

type LeaseRecord = NonNullable<LeaseChanges['changes'][number][1]>;

function folder(t: TestContext): string {
  const directory = mkdtempSync('/tmp/vmlan-leases-');
  t.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

interface Heard {
  readonly durable: number[];
  readonly trouble: (string | null)[];
  next(count: number): Promise<void>;
}

function listen(file: LeaseFile): Heard {
  const durable: number[] = [];
  const trouble: (string | null)[] = [];
  let wake = (): void => undefined;
  file.listen({
    onDurable: (generation) => {
      durable.push(generation);
      wake();
    },
    onTrouble: (text) => {
      trouble.push(text);
      wake();
    },
  });
  const next = async (count: number): Promise<void> => {
    const more = (): Promise<void> => new Promise((resolve) => (wake = resolve));
    while (durable.length + trouble.length < count) await within('word of the file', 10_000, more());
  };
  return { durable, trouble, next };
}

const NOBODY = 65_534;

/** A lease as far as the file looks at it: not at all. */
const lease = (address: string): LeaseRecord => ({ address }) as LeaseRecord;
const whole = (...changes: LeaseChanges['changes']): LeaseChanges => ({ isWhole: true, changes });
const more = (...changes: LeaseChanges['changes']): LeaseChanges => ({ isWhole: false, changes });

test('a new file has a DUID-UUID, kept from the first moment', async (t) => {
  const path = join(folder(t), 'leases.json');
  const file = await LeaseFile.open(path, 'lab');
  assert.match(file.duid, /^0004[0-9a-f]{32}$/);
  assert.equal((await LeaseFile.open(path, 'lab')).duid, file.duid);
  assert.deepEqual([file.leases, file.warning], [[], null]);
});

test('what is stored is there again', async (t) => {
  const path = join(folder(t), 'leases.json');
  const file = await LeaseFile.open(path, 'lab');
  const heard = listen(file);
  file.store(1, whole(['4 2', lease('10.0.0.2')]));
  await heard.next(1);
  assert.deepEqual((await LeaseFile.open(path, 'lab')).leases, [{ address: '10.0.0.2' }]);
  assert.deepEqual(parseLeases(path, readFileSync(path, 'utf8')), [{ address: '10.0.0.2' }]);
});

test('generations that come during a write are written as one, the newest', async (t) => {
  const path = join(folder(t), 'leases.json');
  const file = await LeaseFile.open(path, 'lab');
  const heard = listen(file);
  for (let generation = 1; generation <= 50; generation++) {
    file.store(generation, more(['4 2', lease(`10.0.0.${generation}`)]));
  }
  await file.flush();
  assert.deepEqual([heard.durable.at(0), heard.durable.at(-1)], [1, 50]);
  assert.ok(heard.durable.length <= 3, `confirmed ${heard.durable.join()}`);
  assert.deepEqual((await LeaseFile.open(path, 'lab')).leases, [lease('10.0.0.50')]);
});

test('changes are of what is stored; the whole takes the place of all of it', async (t) => {
  const path = join(folder(t), 'leases.json');
  const file = await LeaseFile.open(path, 'lab');
  const [a, b, c] = [lease('10.0.0.2'), lease('10.0.0.3'), lease('10.0.0.4')];
  file.store(1, whole(['4 2', a], ['4 3', b]));
  file.store(2, more(['4 2', null], ['4 4', c]));
  await file.flush();
  assert.deepEqual((await LeaseFile.open(path, 'lab')).leases, [b, c]);
  file.store(3, whole(['4 2', a]));
  await file.flush();
  assert.deepEqual((await LeaseFile.open(path, 'lab')).leases, [a]);
});

describe('a damaged file', () => {
  const damaged: Record<string, string> = {
    truncated: '{"version":1,"duid":"0004aa","leas',
    empty: '',
    'of another version': '{"version":9,"duid":"0004aa","leases":[]}',
    'without a DUID': '{"version":1,"leases":[]}',
    'without leases': '{"version":1,"duid":"0004aa"}',
  };
  for (const [name, text] of Object.entries(damaged)) {
    test(`${name} is set aside and reported`, async (t) => {
      const directory = folder(t);
      const path = join(directory, 'leases.json');
      writeFileSync(path, text);
      const file = await LeaseFile.open(path, 'lab');
      assert.match(file.warning ?? '', /was damaged and is kept as .*leases\.json\.damaged-\d{8}T\d{6}Z/);
      const aside = readdirSync(directory).find((one) => one.includes('damaged'))!;
      assert.equal(readFileSync(join(directory, aside), 'utf8'), text);
      assert.deepEqual(file.leases, []);
    });
  }

  test('never takes the place of an earlier one', async (t) => {
    const directory = folder(t);
    const path = join(directory, 'leases.json');
    for (const text of ['one', 'two', 'three']) {
      writeFileSync(path, text);
      await LeaseFile.open(path, 'lab');
    }
    const kept = readdirSync(directory).filter((one) => one.includes('damaged'));
    assert.deepEqual(kept.map((one) => readFileSync(join(directory, one), 'utf8')).sort(), ['one', 'three', 'two']);
  });
});

test('a disk that fails confirms nothing, is reported once, and tried again', async (t) => {
  const directory = folder(t);
  const file = await LeaseFile.open(join(directory, 'leases.json'), 'lab');
  const heard = listen(file);
  const blocked = join(directory, 'leases.json.tmp');
  // A directory in the place of the temporary file: no write can succeed, for root neither.
  mkdirSync(join(blocked, 'x'), { recursive: true });
  file.store(1, whole());
  await heard.next(1);
  assert.deepEqual(heard.durable, []);
  assert.match(heard.trouble[0] ?? '', /leases are not stored: .*leases\.json cannot be written/);
  file.store(2, more(['4 2', lease('10.0.0.2')]));
  rmSync(blocked, { recursive: true });
  await heard.next(3);
  assert.deepEqual([heard.durable, heard.trouble.at(-1)], [[2], null]);
});

test('a directory that may not be written is said so', async (t) => {
  const directory = folder(t);
  chmodSync(directory, 0o555);
  const isRoot = process.getuid!() === 0;
  if (isRoot) process.seteuid!(NOBODY); // root may write anywhere: somebody else asks
  try {
    await assert.rejects(LeaseFile.open(join(directory, 'leases.json'), 'lab'), { code: 'not-permitted' });
  } finally {
    if (isRoot) process.seteuid!(0);
  }
});
