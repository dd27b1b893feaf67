/**
 * Another name for a guest that goes on: what follows it, what refuses it, and what a death in the middle leaves.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { describe, test } from 'node:test';
import { TestDaemon, problem } from './daemon.fixture.ts';
import { Store } from './store.ts';

const PLAIN = 'networks:\n  lab:\n    mode: user-v2\n    subnet: 10.77.0.0/24\n';
const NAMED = `networks:
  lab:
    mode: user-v2
    subnet: 10.77.0.0/24
    forwards: [{ host: 127.0.0.1:18080, guest: api:80 }]
    dhcp: { reservations: [{ guest: db, ip: 10.77.0.9 }] }
`;

async function running(config: string): Promise<TestDaemon> {
  const daemon = await TestDaemon.start(config);
  await daemon.client.call('startNetwork', { params: { name: 'lab' } });
  return daemon;
}

const rename = (daemon: TestDaemon, before: string, name: string): Promise<unknown> =>
  daemon.client.call('updateGuest', { params: { name: before }, body: { name } });

describe('a guest that is renamed', () => {
  test('keeps NIC, address and link; its forward and its shape follow', async () => {
    await using daemon = await running(PLAIN);
    const { client, driver } = daemon;
    const before = await client.call('createGuest', { body: { name: 'web', network: 'lab' } });
    await client.call('createGuest', { body: { name: 'db', network: 'lab' } });
    await driver.guestArrives('lab', 'web/0');
    const forward = await client.call('createForward', { body: { host: '127.0.0.1:18090', guest: 'web:80' } });
    await client.call('setShape', { body: { guest: 'web', delayMs: 10 } });
    await client.call('setShape', { body: { guest: 'db', peer: 'web', partition: true } });
    await rename(daemon, 'web', 'www');
    for (const when of ['now', 'after a restart']) {
      const guest = await client.call('getGuest', { params: { name: 'www' } });
      assert.partialDeepStrictEqual(guest.nics[0], {
        key: 'web/0',
        mac: before.nics[0]!.mac,
        address4: ['10.77.0.2'],
        state: 'connected',
      });
      assert.deepEqual(guest.names, ['www.lab.internal', 'www.vmlan.internal', 'lima-www.internal']);
      assert.equal((await client.call('getForward', { params: { id: forward.id } })).guest, 'www:80');
      const shapes = await client.call('listShapes', {});
      assert.deepEqual(shapes.map((shape) => `${shape.guest} ${shape.peer}`).sort(), ['db www', 'www null']);
      const leases = await client.call('listLeases', { params: { name: 'lab' } });
      assert.deepEqual(
        leases.filter(({ nic }) => nic === 'web/0').map((lease) => lease.guest),
        ['www'],
      );
      await assert.rejects(
        client.call('getGuest', { params: { name: 'web' } }),
        problem('not-found', /no guest "web"/),
        when,
      );
      await daemon.restart();
    }
  });

  test('leaves its name to others, who are somebody else', async () => {
    await using daemon = await running(PLAIN);
    const { client } = daemon;
    const first = await client.call('createGuest', { body: { name: 'web', network: 'lab' } });
    await rename(daemon, 'web', 'www');
    const second = await client.call('createGuest', { body: { name: 'web', network: 'lab' } });
    assert.equal(second.nics[0]!.key, 'web+2/0');
    assert.notEqual(second.nics[0]!.mac, first.nics[0]!.mac);
    const { socket } = await client.call('attachGuest', { params: { name: 'web' }, body: {} });
    assert.match(JSON.stringify(socket), /web\+2\.sock/);
    await client.call('detachGuest', { params: { name: 'web' }, body: {} });
    await rename(daemon, 'www', 'old');
    await client.call('deleteGuest', { params: { name: 'web' } });
    await rename(daemon, 'old', 'web');
    assert.equal((await client.call('getGuest', { params: { name: 'web' } })).nics[0]!.key, 'web/0');
    await rename(daemon, 'web', 'web');
  });

  test('is refused where that would break something, with what to do', async () => {
    await using daemon = await running(NAMED);
    for (const name of ['web', 'db', 'api'])
      await daemon.client.call('createGuest', { body: { name, network: 'lab' } });
    const refused = [
      ['web', 'db', 'conflict', /"db" is registered already/, /another name/],
      ['web', 'host', 'invalid', /means the host/, /another name/],
      ['web', 'No!', 'invalid', /guest name/, undefined],
      ['nobody', 'x', 'not-found', /no guest "nobody"/, undefined],
      ['db', 'store', 'conflict', /the reservation of 10\.77\.0\.9 names guest "db"/, /vmlan network edit lab/],
      ['api', 'rest', 'conflict', /a forward names guest "api"/, /vmlan network edit lab/],
    ] as const;
    for (const [before, name, code, text, hint] of refused)
      await assert.rejects(rename(daemon, before, name), problem(code, text, hint), `${before} to ${name}`);
    const names = (await daemon.client.call('listGuests')).map((guest) => guest.name);
    assert.deepEqual(names, ['api', 'db', 'web']);
  });

  test('is one guest also when the daemon died in between', async () => {
    const directory = mkdtempSync('/tmp/vmlan-renames-');
    const store = await Store.open(directory);
    const nic = { index: 0, network: 'lab', mac: '52:54:00:00:00:01', ip: null, connected: true, attachment: null };
    await store.change({ guests: { put: [{ name: 'web', nics: [nic] }] } });
    await store.change({ guests: { put: [{ name: 'www', id: 'web', renames: 1, nics: [nic] }] } });
    assert.deepEqual([...(await Store.open(directory)).guests.keys()], ['www']);
    assert.deepEqual([...(await Store.open(directory)).guests.keys()], ['www']);
    rmSync(directory, { recursive: true });
  });
});
