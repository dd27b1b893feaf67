import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { VmlanError } from '../core/errors.ts';
import { CONFIG, TestDaemon, problem } from './daemon.fixture.ts';

describe('guests', () => {
  test('are registered with an address that is always the same', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    const guest = await daemon.client.call('createGuest', { body: { name: 'web', network: 'lab' } });
    const nic = guest.nics[0]!;
    assert.partialDeepStrictEqual(nic, { key: 'web/0', network: 'lab', state: 'stopped', connected: true });
    assert.match(nic.mac ?? '', /^52:54:00:/);
    assert.deepEqual(guest.names, ['web.lab.internal', 'web.vmlan.internal', 'lima-web.internal']);
    await daemon.client.call('deleteGuest', { params: { name: 'web' } });
    const again = await daemon.client.call('createGuest', { body: { name: 'web', network: 'lab' } });
    assert.equal(again.nics[0]?.mac, nic.mac);
  });

  test('live in the running network, and outlive the daemon', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    const { client, driver } = daemon;
    await client.call('startNetwork', { params: { name: 'lab' } });
    await client.call('createGuest', { body: { name: 'web', network: 'lab' } });
    await driver.guestArrives('lab', 'web/0');
    const [seen] = await client.call('listGuests');
    assert.partialDeepStrictEqual(seen?.nics[0], { state: 'connected', address4: ['10.77.0.2'], link: 'stream' });
    await daemon.restart();
    assert.deepEqual((await client.call('getGuest', { params: { name: 'web' } })).nics[0]?.address4, ['10.77.0.2']);
    const records = await client.call('listRecords', { query: { network: 'lab' } });
    assert.ok(
      records.some(
        ({ name, value, origin }) => name === 'web.lab.internal' && value === '10.77.0.2' && origin === 'guest',
      ),
    );
  });

  const refused: { name: string; body: object; code: string; message: RegExp }[] = [
    { name: 'a name twice', body: { name: 'web' }, code: 'conflict', message: /registered already/ },
    { name: 'a reserved name', body: { name: 'host' }, code: 'invalid', message: /means the host or the gateway/ },
    {
      name: 'an unknown network',
      body: { name: 'a', network: 'nope' },
      code: 'not-found',
      message: /no network "nope"/,
    },
    {
      name: 'an address outside',
      body: { name: 'a', network: 'lab', ip: '10.9.9.9' },
      code: 'invalid',
      message: /outside the subnet/,
    },
    {
      name: "the gateway's address",
      body: { name: 'a', network: 'lab', ip: '10.77.0.1' },
      code: 'invalid',
      message: /gateway's own/,
    },
    {
      name: "another's address",
      body: { name: 'a', network: 'lab', ip: '10.77.0.20' },
      code: 'conflict',
      message: /kept for guest "web"/,
    },
    {
      name: 'a reserved address',
      body: { name: 'a', network: 'lab', ip: '10.77.0.10' },
      code: 'conflict',
      message: /reserved for db/,
    },
    {
      name: 'an address where there are none',
      body: { name: 'a', network: 'cut', ip: '10.77.0.9' },
      code: 'invalid',
      message: /leases no IPv4/,
    },
    {
      name: 'an address in mode user',
      body: { name: 'a', network: 'user', ip: '192.168.5.9' },
      code: 'invalid',
      message: /every guest has/,
    },
    { name: 'a multicast MAC', body: { name: 'a', mac: '01:00:00:00:00:01' }, code: 'invalid', message: /unicast/ },
  ];
  test('are refused', async (t) => {
    await using daemon = await TestDaemon.start(CONFIG);
    await daemon.client.call('createGuest', { body: { name: 'web', network: 'lab', ip: '10.77.0.20' } });
    for (const { name, body, code, message } of refused) {
      await t.test(name, () =>
        assert.rejects(daemon.client.call('createGuest', { body: body as { name: string } }), problem(code, message)),
      );
    }
  });

  test('may have the address that the configuration reserves for them', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    const guest = await daemon.client.call('createGuest', { body: { name: 'db', network: 'lab', ip: '10.77.0.10' } });
    assert.equal(guest.nics[0]?.ip, '10.77.0.10');
  });

  test('change their link, MAC and address', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    const { client, driver } = daemon;
    await client.call('attachGuest', { params: { name: 'web' }, body: { network: 'lab' } });
    const change = { mac: '52:54:00:00:00:09', ip: '10.77.0.33', connected: false };
    const { nics } = await client.call('updateGuest', { params: { name: 'web' }, body: change });
    assert.partialDeepStrictEqual(nics[0], { ...change, state: 'disconnected' });
    const { applied } = await driver.observe('lab');
    assert.deepEqual(applied?.nics, [{ key: 'web/0', guest: 'web', ...change }]);
    const freed = await client.call('updateGuest', { params: { name: 'web' }, body: { ip: null } });
    assert.equal(freed.nics[0]?.ip, null);
    const elsewhere = client.call('updateGuest', { params: { name: 'web' }, body: { network: 'cut' } });
    await assert.rejects(elsewhere, problem('not-found', /no NIC on network "cut"/, /lab/));
  });

  test('stay as they were when the network refuses the change', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    const { client, driver } = daemon;
    await client.call('attachGuest', { params: { name: 'web' }, body: { network: 'lab' } });
    driver.refuse('set-nic', new VmlanError('exhausted', 'the table is full'));
    await assert.rejects(
      client.call('updateGuest', { params: { name: 'web' }, body: { connected: false } }),
      problem('exhausted', /full/),
    );
    assert.equal((await client.call('getGuest', { params: { name: 'web' } })).nics[0]?.connected, true);
    driver.refuse('set-nic', new VmlanError('exhausted', 'the table is full'));
    await assert.rejects(
      client.call('createGuest', { body: { name: 'b', network: 'lab' } }),
      problem('exhausted', /full/),
    );
    await assert.rejects(client.call('getGuest', { params: { name: 'b' } }), problem('not-found', /no guest "b"/));
    driver.refuse('remove-nic', new VmlanError('internal', 'no'));
    await assert.rejects(client.call('deleteGuest', { params: { name: 'web' } }), problem('internal', /no/));
    assert.equal((await client.call('listGuests')).length, 1);
  });
});

describe('attaching', () => {
  test('starts the network, registers the guest, and says where to connect', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    const { client } = daemon;
    const attached = await client.call('attachGuest', {
      params: { name: 'web' },
      body: { network: 'lab', ip: '10.77.0.9' },
    });
    assert.partialDeepStrictEqual(attached, {
      kind: 'qemu-stream',
      nic: 'web/0',
      mtu: 1500,
      address4: '10.77.0.9',
      prefix4: 24,
      gateway4: '10.77.0.1',
      searchDomains: ['lab.internal'],
    });
    assert.ok(
      attached.socket !== null && 'unix' in attached.socket && attached.socket.unix.endsWith('/lab/guests/web.sock'),
    );
    assert.equal((await client.call('attachGuest', { params: { name: 'web' }, body: {} })).network, 'lab');
  });

  test('by datagrams gives both paths', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    for (const kind of ['qemu-dgram', 'vfkit'] as const) {
      const attached = await daemon.client.call('attachGuest', { params: { name: 'web' }, body: { kind } });
      assert.ok(attached.socket !== null && 'unix' in attached.socket && attached.socket.unix.endsWith('/web.dgram'));
      assert.ok(attached.localSocket?.endsWith('/web.peer'));
    }
  });

  test('by TCP gives a port that stays', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    const attach = async (): Promise<unknown> =>
      (await daemon.client.call('attachGuest', { params: { name: 'web' }, body: { kind: 'qemu-socket-tcp' } })).socket;
    const first = await attach();
    assert.partialDeepStrictEqual(first, { host: '127.0.0.1' });
    await daemon.restart();
    assert.deepEqual(await attach(), first);
  });

  test('to a second network adds a NIC', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    const { client } = daemon;
    await client.call('attachGuest', { params: { name: 'web' }, body: { network: 'lab' } });
    const second = await client.call('attachGuest', { params: { name: 'web' }, body: { network: 'user-v2' } });
    assert.equal(second.nic, 'web/1');
    assert.ok(second.socket !== null && 'unix' in second.socket && second.socket.unix.endsWith('/web.1.sock'));
    const { nics, names } = await client.call('getGuest', { params: { name: 'web' } });
    assert.deepEqual(
      nics.map((nic) => nic.network),
      ['lab', 'user-v2'],
    );
    assert.deepEqual(names.slice(0, 2), ['web.user-v2.internal', 'web.lab.internal'].sort());
  });

  test('otherwise than registered is a conflict', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    await daemon.client.call('createGuest', { body: { name: 'web', network: 'lab' } });
    const attach = daemon.client.call('attachGuest', { params: { name: 'web' }, body: { mac: '52:54:00:00:00:01' } });
    await assert.rejects(attach, problem('conflict', /registered with 52:54:00/));
  });

  test('to a namespace that is not there, or is our own, is refused', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    const attach = (netns: object): Promise<unknown> =>
      daemon.client.call('attachGuest', { params: { name: 'box' }, body: { kind: 'netns', netns } });
    await assert.rejects(attach({ path: '/run/netns/absent' }), problem('not-found', /no network namespace/));
    await assert.rejects(attach({ pid: process.pid }), problem('invalid', /of vmlan itself/));
    await assert.rejects(attach({}), problem('invalid', /a pid or a path/));
    const noNamespace = daemon.client.call('attachGuest', { params: { name: 'box' }, body: { kind: 'netns' } });
    await assert.rejects(noNamespace, problem('invalid', /netns/));
  });

  test('ends by detaching', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    const { client, driver } = daemon;
    await client.call('attachGuest', { params: { name: 'web' }, body: { network: 'lab', kind: 'qemu-socket-tcp' } });
    await client.call('detachGuest', { params: { name: 'web' }, body: {} });
    const links = (await driver.observe('lab')).applied?.links.map((link) => link.id);
    assert.ok(links?.includes('nic web/0') && !links.includes('attach web/0'));
    assert.equal((await client.call('getGuest', { params: { name: 'web' } })).nics[0]?.attachment, null);
  });
});
