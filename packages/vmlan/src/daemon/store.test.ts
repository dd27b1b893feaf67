import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { MAX_GUESTS, MAX_LIVE_FORWARDS, MAX_LIVE_RECORDS, Store } from './store.ts';

function folder(t: TestContext): string {
  const directory = mkdtempSync('/tmp/vmlan-store-');
  t.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

const nic = { index: 0, network: 'lab', mac: '52:54:00:00:00:01', ip: null, connected: true, attachment: null };
const forward = { id: 'f', network: 'lab', protocol: 'tcp', direction: 'host', host: '80', guest: 'web:80' } as const;
const record = { id: 'r', network: 'lab', name: 'a', type: 'A', value: '10.0.0.1', ttl: null } as const;

test('what is put is there after a restart', async (t) => {
  const directory = folder(t);
  const store = await Store.open(directory);
  await store.putGuest({ name: 'web', nics: [nic] });
  await store.putGuest({ name: 'db', nics: [] });
  await store.removeGuest('db');
  await store.putForwards([forward]);
  await store.putRecords([record]);
  await store.putPicks(new Map([['lab', '10.0.0.0/24']]));
  await store.putPicks(new Map());
  const again = await Store.open(directory);
  assert.deepEqual([...again.guests], [['web', { name: 'web', nics: [nic] }]]);
  assert.deepEqual(
    [again.forwards, again.records, [...again.picks], again.warnings],
    [[forward], [record], [['lab', '10.0.0.0/24']], []],
  );
});

describe('files that make no sense', () => {
  const cases: Record<string, string> = {
    truncated: '{"version":1,"data":{"name":"we',
    empty: '',
    'of a later version': '{"version":2,"data":{"name":"web","nics":[]}}',
    'of another shape': '{"version":1,"data":{"name":"web"}}',
    'with an unsafe name': '{"version":1,"data":{"name":"../x","nics":[]}}',
  };
  for (const [name, text] of Object.entries(cases)) {
    test(`${name} are set aside and reported; the rest loads`, async (t) => {
      const directory = folder(t);
      const store = await Store.open(directory);
      await store.putGuest({ name: 'db', nics: [nic] });
      writeFileSync(join(directory, 'guests', 'web.json'), text);
      writeFileSync(join(directory, 'forwards.json'), text);
      const again = await Store.open(directory);
      assert.deepEqual([...again.guests.keys()], ['db']);
      assert.equal(again.warnings.length, 2);
      const aside = readdirSync(join(directory, 'guests')).find((file) => file.includes('damaged'))!;
      assert.equal(readFileSync(join(directory, 'guests', aside), 'utf8'), text);
    });
  }

  test('under the name of another guest are not taken', async (t) => {
    const directory = folder(t);
    await Store.open(directory);
    writeFileSync(join(directory, 'guests', 'a.json'), '{"version":1,"data":{"name":"b","nics":[]}}');
    assert.equal((await Store.open(directory)).guests.size, 0);
  });
});

test('a write that fails leaves memory and disk as they were', async (t) => {
  const directory = folder(t);
  const store = await Store.open(directory);
  await store.putGuest({ name: 'web', nics: [nic] });
  for (const name of ['guests/web.json.tmp', 'guests/db.json.tmp', 'forwards.json.tmp', 'records.json.tmp']) {
    mkdirSync(join(directory, name, 'x'), { recursive: true });
  }
  await assert.rejects(store.putGuest({ name: 'web', nics: [] }), { code: 'unavailable' });
  await assert.rejects(store.putGuest({ name: 'db', nics: [] }), { code: 'unavailable' });
  await assert.rejects(store.putForwards([forward]), { code: 'unavailable' });
  await assert.rejects(store.putRecords([record]), { code: 'unavailable' });
  assert.deepEqual([...store.guests], [['web', { name: 'web', nics: [nic] }]]);
  assert.deepEqual([store.forwards, store.records], [[], []]);
});

test('there is a limit to everything', async (t) => {
  const store = await Store.open(folder(t));
  for (let i = 0; i < MAX_GUESTS; i++) store.guests.set(`g${i}`, { name: `g${i}`, nics: [] });
  await assert.rejects(store.putGuest({ name: 'more', nics: [] }), { code: 'exhausted' });
  await assert.rejects(store.putForwards(Array.from({ length: MAX_LIVE_FORWARDS + 1 }, () => forward)), {
    code: 'exhausted',
  });
  await assert.rejects(store.putRecords(Array.from({ length: MAX_LIVE_RECORDS + 1 }, () => record)), {
    code: 'exhausted',
  });
});
