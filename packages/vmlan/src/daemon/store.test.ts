import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import type { StoredGuest } from '../model/guest.ts';
import { seal } from '../sys/sealed-text.ts';
import { MAX_GUESTS, MAX_LIVE_FORWARDS, MAX_LIVE_RECORDS, STATE_VERSION, Store } from './store.ts';
import type { StoredForward, StoredRecord } from '../model/stored.ts';

function folder(t: TestContext): string {
  const directory = mkdtempSync('/tmp/vmlan-store-');
  t.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

const nic = { index: 0, network: 'lab', mac: '52:54:00:00:00:01', ip: null, connected: true, attachment: null };
const web: StoredGuest = { name: 'web', nics: [nic] };
const db: StoredGuest = { name: 'db', nics: [] };
const forward = (id: string, host = '80'): StoredForward => ({
  ...{ id, network: 'lab', protocol: 'tcp', direction: 'host', host, guest: 'web:80' },
});
const record = (id: string): StoredRecord => ({
  id,
  network: 'lab',
  name: 'a',
  type: 'A',
  value: '10.0.0.1',
  ttl: null,
});
const many = <T>(count: number, make: (id: string) => T): T[] => Array.from({ length: count }, (_, i) => make(`x${i}`));

/** Everything of a store, for comparison. */
const contents = (store: Store): unknown => ({
  guests: [...store.guests.values()],
  forwards: store.forwards,
  records: store.records,
  picks: [...store.picks],
});

test('what is put is there after a restart, in the order in which it came', async (t) => {
  const directory = folder(t);
  const store = await Store.open(directory);
  await store.change({ guests: { put: [web] } });
  await store.change({ guests: { put: [db] }, forwards: { put: many(200, forward) } });
  await store.change({ guests: { remove: ['db'] }, records: { put: [record('r')] } });
  await store.change({ forwards: { put: [forward('x7', '81')], remove: ['x8', 'none'] } });
  await store.putPicks(new Map([['lab', '10.0.0.0/24']]));
  await store.putPicks(new Map());
  const again = await Store.open(directory);
  assert.deepEqual(contents(again), contents(store));
  assert.deepEqual([...again.guests.keys()], ['web']);
  assert.deepEqual(
    again.forwards.slice(6, 9).map(({ id, host }) => `${id} ${host}`),
    ['x6 80', 'x7 81', 'x9 80'],
  );
  assert.deepEqual([again.forwards.length, again.records.length, again.warnings], [199, 1, []]);
});

test('one change among thousands writes one small file', async (t) => {
  const directory = folder(t);
  const store = await Store.open(directory);
  await store.change({ forwards: { put: many(10_000, forward) } });
  const files = readdirSync(join(directory, 'forwards'));
  assert.equal(files.length, 64);
  const inodes = (): Map<string, string> =>
    new Map(files.map((name) => [name, readFileSync(join(directory, 'forwards', name), 'utf8')]));
  const before = inodes();
  await store.change({ forwards: { put: [forward('more')] } });
  const changed = [...inodes()].filter(([name, text]) => before.get(name) !== text);
  assert.equal(changed.length, 1);
  assert.ok(changed[0]![1].length < 65_536, `${changed[0]![1].length} bytes`);
});

describe('a guest’s file that makes no sense', () => {
  const data = (value: unknown): string => seal(STATE_VERSION, JSON.stringify(value));
  const cases: Record<string, string> = {
    truncated: data(web).slice(0, 40),
    empty: '',
    'of another shape': data({ name: 'web' }),
    'with an unsafe name': data({ name: '../x', nics: [] }),
    'under the name of another guest': data(db),
    'without a checksum': '{"version":2,"data":{"name":"web","nics":[]}}',
    'changed by hand': data(web).replace('"lab"', '"lan"'),
  };
  for (const [name, text] of Object.entries(cases)) {
    test(`${name} is set aside and reported; the rest loads`, async (t) => {
      const directory = folder(t);
      const store = await Store.open(directory);
      await store.change({ guests: { put: [db] } });
      writeFileSync(join(directory, 'guests', 'web.json'), text);
      const again = await Store.open(directory);
      assert.deepEqual([...again.guests.keys()], ['db']);
      assert.match(again.warnings.join('\n'), /^\S+\/guests\/web\.json was damaged and is kept as \S+: .+$/);
      const aside = readdirSync(join(directory, 'guests')).find((file) => file.includes('damaged'))!;
      assert.equal(readFileSync(join(directory, 'guests', aside), 'utf8'), text);
      assert.deepEqual((await Store.open(directory)).warnings, []);
    });
  }
});

describe('versions', () => {
  test('of the first vmlan are taken over, and written as they are now', async (t) => {
    const directory = folder(t);
    mkdirSync(join(directory, 'guests'));
    const old = (file: string, data: unknown): void =>
      writeFileSync(join(directory, file), `${JSON.stringify({ version: 1, data }, null, 2)}\n`);
    old('guests/web.json', web);
    old('forwards.json', [forward('f'), forward('g')]);
    old('records.json', [record('r')]);
    old('subnets.json', { lab: '10.0.0.0/24' });
    const store = await Store.open(directory);
    assert.deepEqual(contents(store), {
      guests: [web],
      forwards: [forward('f'), forward('g')],
      records: [record('r')],
      picks: [['lab', '10.0.0.0/24']],
    });
    assert.deepEqual(readdirSync(directory).sort(), ['forwards', 'guests', 'records', 'subnets.json']);
    await store.change({ guests: { put: [{ ...web, nics: [] }] } });
    assert.match(
      readFileSync(join(directory, 'guests', 'web.json'), 'utf8'),
      /^\{"version":2,"checksum":"[0-9a-f]{8}"/,
    );
    assert.deepEqual(contents(await Store.open(directory)), contents(store));
  });

  test('of a newer vmlan are refused, and not touched', async (t) => {
    const directory = folder(t);
    await (await Store.open(directory)).change({ guests: { put: [web] } });
    const path = join(directory, 'guests', 'web.json');
    const text = seal(STATE_VERSION + 1, '{"name":"web","nics":"another shape"}');
    writeFileSync(path, text);
    await assert.rejects(Store.open(directory), {
      code: 'unsupported',
      message: /guests\/web\.json was written by a newer vmlan: its format has version 3, and this vmlan knows 2/,
    });
    assert.equal(readFileSync(path, 'utf8'), text);
  });
});

describe('a change that fails', () => {
  const block = (directory: string, file: string): void => {
    mkdirSync(join(directory, `${file}.tmp`, 'x'), { recursive: true });
  };

  test('on disk leaves memory and disk as they were, and is carried nowhere', async (t) => {
    const directory = folder(t);
    const store = await Store.open(directory);
    await store.change({ guests: { put: [web] } });
    const before = contents(store);
    for (const file of ['guests/web.json', 'guests/db.json']) block(directory, file);
    for (let i = 0; i < 64; i++) block(directory, `forwards/${i.toString(16).padStart(2, '0')}.json`);
    let carried = 0;
    const carry = (): Promise<void> => Promise.resolve(void carried++);
    const refused = { code: 'unavailable', message: /cannot be written/ };
    await assert.rejects(store.change({ guests: { put: [{ ...web, nics: [] }] } }, carry), refused);
    await assert.rejects(store.change({ guests: { put: [db] } }, carry), refused);
    const both = { forwards: { put: [forward('f')] }, guests: { put: [{ ...db, name: 'other' }] } };
    await assert.rejects(store.change(both, carry), refused);
    assert.deepEqual([contents(store), carried], [before, 0]);
    assert.ok(!readdirSync(join(directory, 'guests')).some((name) => name.startsWith('other')));
    rmSync(join(directory, 'guests', 'web.json.tmp'), { recursive: true });
    rmSync(join(directory, 'guests', 'db.json.tmp'), { recursive: true });
    assert.deepEqual(contents(await Store.open(directory)), before);
  });

  test('in what runs is taken back there, in memory and on disk', async (t) => {
    const directory = folder(t);
    const store = await Store.open(directory);
    await store.change({ forwards: { put: [forward('a'), forward('b'), forward('c')] } });
    const seen: string[][] = [];
    const carry = (): Promise<void> => {
      seen.push(store.forwards.map(({ id }) => id));
      return seen.length === 1 ? Promise.reject(new Error('the port is in use')) : Promise.resolve();
    };
    const change = { forwards: { put: [forward('d')], remove: ['b'] } };
    await assert.rejects(store.change(change, carry), /the port is in use/);
    assert.deepEqual(seen, [
      ['a', 'c', 'd'],
      ['a', 'b', 'c'],
    ]);
    assert.deepEqual(contents(await Store.open(directory)), contents(store));
    assert.ok(!readdirSync(join(directory, 'forwards')).some((name) => name.endsWith('.tmp')));
  });

  test('at its last step is taken back, too', async (t) => {
    const directory = folder(t);
    const store = await Store.open(directory);
    await store.change({ guests: { put: [web, db] } });
    const before = contents(store);
    const seen: number[] = [];
    const carry = (): Promise<void> => {
      seen.push(store.guests.get('db')!.nics.length);
      // What is to be replaced has become a directory meanwhile: the rename fails.
      const path = join(directory, 'guests', 'db.json');
      if (seen.length === 1) rmSync(path);
      if (seen.length === 1) mkdirSync(join(path, 'x'), { recursive: true });
      return Promise.resolve();
    };
    const change = {
      guests: {
        put: [
          { ...web, nics: [] },
          { ...db, nics: [nic] },
        ],
      },
    };
    await assert.rejects(store.change(change, carry), { code: 'unavailable' });
    assert.deepEqual([contents(store), seen], [before, [1, 0]]);
    assert.deepEqual([...(await Store.open(directory)).guests.values()], [web]);
  });
});

test('there is a limit to everything, and what is there may change at it', async (t) => {
  const store = await Store.open(folder(t));
  const tooMany = [
    { forwards: { put: many(MAX_LIVE_FORWARDS + 1, forward) } },
    { records: { put: many(MAX_LIVE_RECORDS + 1, record) } },
    { guests: { put: many(MAX_GUESTS + 1, (name) => ({ name, nics: [] })) } },
  ];
  for (const change of tooMany) await assert.rejects(store.change(change), { code: 'exhausted', message: /at most/ });
  await store.change({ forwards: { put: many(MAX_LIVE_FORWARDS, forward) } });
  await store.change({ forwards: { put: [forward('x1', '81')] } });
  await assert.rejects(store.change({ forwards: { put: [forward('more')] } }), { code: 'exhausted' });
  await store.change({ forwards: { put: [forward('more')], remove: ['x1'] } });
  assert.equal(store.forwards.length, MAX_LIVE_FORWARDS);
});
