/** Changes that are asked for at the same time, as two people or programs do it: none is lost, none half made. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { test } from 'node:test';
import { TestDaemon } from './daemon.fixture.ts';
import { Store } from './store.ts';

const CONFIG = 'networks:\n  lab:\n    mode: user-v2\n    subnet: 10.77.0.0/24\n';
const NAMES = Array.from({ length: 8 }, (_, i) => `g${i}`);

async function withGuests(): Promise<TestDaemon> {
  const daemon = await TestDaemon.start(CONFIG);
  for (const name of NAMES) await daemon.client.call('createGuest', { body: { name, network: 'lab' } });
  return daemon;
}

const rename = (daemon: TestDaemon, before: string, name: string): Promise<unknown> =>
  daemon.client.call('updateGuest', { params: { name: before }, body: { name } });

const namesOf = async ({ client }: TestDaemon): Promise<string[]> =>
  (await client.call('listGuests')).map(({ name }) => name).sort();

test('two guests are not given one name', async () => {
  await using daemon = await withGuests();
  const results = await Promise.allSettled([
    ...NAMES.slice(1).map((name) => rename(daemon, name, 'chief')),
    daemon.client.call('createGuest', { body: { name: 'chief', network: 'lab' } }),
  ]);
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
  const names = await namesOf(daemon);
  assert.equal(new Set(names).size, names.length);
  assert.ok(names.length >= NAMES.length, `nobody is gone: ${names.join(' ')}`);
  await daemon.restart();
  assert.deepEqual(await namesOf(daemon), names);
});

test('names are exchanged without anybody waiting for himself', async () => {
  await using daemon = await withGuests();
  await Promise.allSettled([rename(daemon, 'g0', 'g1'), rename(daemon, 'g1', 'g0'), rename(daemon, 'g0', 'g0')]);
  assert.deepEqual(await namesOf(daemon), NAMES);
});

test('two guests are not promised one address', async () => {
  await using daemon = await withGuests();
  const { client } = daemon;
  const ip = '10.77.0.50';
  const results = await Promise.allSettled([
    ...NAMES.map((name) => client.call('updateGuest', { params: { name }, body: { ip } })),
    client.call('createGuest', { body: { name: 'new', network: 'lab', ip } }),
  ]);
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
  const holders = (await client.call('listGuests')).filter(({ nics }) => nics[0]!.ip === ip);
  assert.equal(holders.length, 1);
  const [holder] = holders;
  await client.call('updateGuest', { params: { name: holder!.name }, body: { ip: null } });
  await client.call('updateGuest', { params: { name: 'g7' }, body: { ip } });
});

test('forwards, shapes and new names at once are all there after a restart', async () => {
  await using daemon = await withGuests();
  const { client } = daemon;
  await Promise.all([
    ...NAMES.map((name) => rename(daemon, name, `new-${name}`)),
    ...Array.from({ length: 60 }, (_, i) =>
      client.call('createForward', { body: { host: `127.0.0.1:${21_000 + i}`, guest: 'db:80', network: 'lab' } }),
    ),
  ]);
  const shape = (name: string): Promise<unknown> => client.call('setShape', { body: { guest: name, delayMs: 5 } });
  await Promise.all([
    ...NAMES.map((name) => shape(`new-${name}`)),
    ...NAMES.map((name) => rename(daemon, `new-${name}`, `old-${name}`)),
  ]).catch(() => undefined); // a shape may come too late for a name
  const seen = async (): Promise<unknown> => ({
    guests: await namesOf(daemon),
    forwards: (await client.call('listForwards')).map(({ id, guest }) => `${id} ${guest}`).sort(),
    shapes: (await client.call('listShapes')).map(({ id, guest }) => `${id} ${guest}`).sort(),
  });
  const before = await seen();
  assert.equal((before as { forwards: unknown[] }).forwards.length, 60);
  for (const shape of (before as { shapes: string[] }).shapes) assert.match(shape, / old-/);
  await daemon.restart();
  assert.deepEqual(await seen(), before);
});

test('changes of one file wait for each other, also those of several kinds', async (t) => {
  const directory = mkdtempSync('/tmp/vmlan-concurrent-');
  t.after(() => rmSync(directory, { recursive: true }));
  const store = await Store.open(directory);
  const forward = (i: number): never =>
    ({ id: `f${i}`, network: 'lab', protocol: 'tcp', direction: 'host', host: String(i), guest: 'web:80' }) as never;
  await Promise.all(
    Array.from({ length: 300 }, (_, i) =>
      store.change(
        i % 3 === 0 ? (): object => ({ forwards: { put: [forward(i)] } }) : { forwards: { put: [forward(i)] } },
      ),
    ),
  );
  const ids = (one: Store): string[] => one.forwards.map(({ id }) => id).sort();
  assert.equal(ids(store).length, 300);
  assert.deepEqual(ids(await Store.open(directory)), ids(store));
});
