import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { VmlanError } from '../core/errors.ts';
import { CONFIG, TestDaemon, problem } from './daemon.fixture.ts';

describe('forwards', () => {
  test('are added, kept and removed', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    const { client, driver } = daemon;
    await client.call('attachGuest', { params: { name: 'db' }, body: { network: 'lab' } });
    const added = await client.call('createForward', { body: { host: '9000-9002', guest: 'db:9000-9002' } });
    assert.partialDeepStrictEqual(added, {
      network: 'lab',
      host: '127.0.0.1:9000-9002',
      origin: 'api',
      state: 'listening',
    });
    assert.equal((await driver.snapshot('lab')).forwards.length, 4);
    await daemon.restart();
    const list = await client.call('listForwards', { query: { network: 'lab' } });
    assert.deepEqual(
      list.map(({ origin, guest }) => [origin, guest]),
      [
        ['config', 'web:80'],
        ['api', 'db:9000-9002'],
      ],
    );
    await client.call('deleteForward', { params: { id: added.id } });
    assert.equal((await driver.snapshot('lab')).forwards.length, 1);
  });

  test('to an address are of the network whose subnet has it', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    const { client } = daemon;
    const add = (guest: string): Promise<{ readonly network: string }> =>
      client.call('createForward', { body: { host: 'auto', guest } });
    assert.equal((await add('10.77.0.44:80')).network, 'lab');
    assert.equal((await add('nobody-yet:80')).network, (await client.call('status')).defaultNetwork);
    await assert.rejects(add('10.66.0.1:80'), problem('invalid', /10\.66\.0\.1 lies outside/, /vmlan network list/));
  });

  test('at port `auto` get one that is free, and keep it', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    const { client } = daemon;
    const add = (host: string, protocol?: 'udp'): Promise<{ readonly host: string }> =>
      client.call('createForward', { body: { host, guest: 'db:1', network: 'lab', protocol } });
    const ports = new Set<string>();
    for (const [host, protocol, want] of [
      ['auto', undefined, /^127\.0\.0\.1:\d+$/],
      ['127.0.0.1:auto', undefined, /^127\.0\.0\.1:\d+$/],
      ['*:auto', 'udp', /^0\.0\.0\.0:\d+$/],
      ['[::1]:auto', undefined, /^\[::1\]:\d+$/],
    ] as const) {
      const added = await add(host, protocol);
      assert.match(added.host, want);
      ports.add(added.host);
    }
    assert.equal(ports.size, 4);
    await daemon.restart();
    const list = await client.call('listForwards', { query: { network: 'lab' } });
    assert.deepEqual(new Set(list.flatMap(({ host, origin }) => (origin === 'api' ? [host] : []))), ports);
    await assert.rejects(add('192.0.2.1:auto'), problem('invalid', /host: 192\.0\.2\.1: .*EADDRNOTAVAIL/));
  });

  test('that cannot be are refused', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    const { client, driver } = daemon;
    await client.call('startNetwork', { params: { name: 'lab' } });
    const add = (body: object): Promise<unknown> =>
      client.call('createForward', { body: { host: '9000', guest: 'db:1', network: 'lab', ...body } });
    await assert.rejects(
      add({ host: '8080' }),
      problem('conflict', /forwarded to web:80 on network "lab" already/, /networks.yaml/),
    );
    await assert.rejects(add({ host: 'x' }), problem('invalid', /host: "x" is no address/));
    await assert.rejects(add({ guest: '10.9.9.9:1' }), problem('invalid', /outside the network/));
    await assert.rejects(add({ network: 'cut' }), problem('invalid', /isolated/));
    driver.refuse('add-forward', new VmlanError('address-in-use', 'port 9000 is in use'));
    await assert.rejects(add({}), problem('address-in-use', /9000/));
    assert.equal((await client.call('listForwards', { query: { network: 'lab' } })).length, 1);
    await add({});
    await assert.rejects(add({ guest: 'web:1' }), problem('conflict', /already/, /vmlan forward remove fwd-/));
    await assert.rejects(
      client.call('deleteForward', { params: { id: 'fwd-none' } }),
      problem('not-found', /no forward/),
    );
    const [configured] = await client.call('listForwards', { query: { network: 'lab' } });
    await assert.rejects(
      client.call('deleteForward', { params: { id: configured!.id } }),
      problem('conflict', /stands in the configuration/),
    );
  });
});

describe('records', () => {
  test('are added, kept and removed', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    const { client, driver } = daemon;
    await client.call('startNetwork', { params: { name: 'lab' } });
    const added = await client.call('createRecord', {
      body: { network: 'lab', name: 'Mail.Lab.Internal.', type: 'MX', value: '10 a.lab', ttl: 60 },
    });
    assert.partialDeepStrictEqual(added, { name: 'mail.lab.internal', origin: 'api', ttl: 60 });
    assert.equal((await driver.observe('lab')).applied?.records.length, 2);
    await daemon.restart();
    assert.equal((await client.call('listRecords', { query: { network: 'lab' } })).length, 2);
    await client.call('deleteRecord', { params: { id: added.id } });
    assert.equal((await driver.observe('lab')).applied?.records.length, 1);
  });

  test('are of the network whose domain has their name, else of the default one', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    const { client } = daemon;
    const add = async (name: string, network?: string): Promise<string> =>
      (await client.call('createRecord', { body: { name, network, type: 'A', value: '10.0.0.1' } })).network;
    const { defaultNetwork } = await client.call('status');
    assert.notEqual(defaultNetwork, 'lab');
    assert.equal(await add('Registry.Lab.Internal.'), 'lab');
    assert.equal(await add('lab.internal'), 'lab');
    assert.equal(await add('notlab.internal'), defaultNetwork);
    assert.equal(await add('registry.lab.internal', defaultNetwork!), defaultNetwork);
  });

  test('of guests have each an identifier of their own', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    const { client, driver } = daemon;
    await client.call('attachGuest', { params: { name: 'db' }, body: { network: 'lab' } });
    await driver.guestArrives('lab', 'db/0');
    const records = await client.call('listRecords', { query: { network: 'lab' } });
    const ids = records.filter(({ origin }) => origin === 'guest').map(({ id }) => id);
    assert.ok(ids.length > 0);
    assert.equal(new Set(ids).size, ids.length);
    for (const id of ids) {
      assert.doesNotMatch(id, /\s/);
      assert.equal((await client.call('getRecord', { params: { id } })).id, id);
    }
  });

  test('that cannot be are refused', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    const { client, driver } = daemon;
    await client.call('startNetwork', { params: { name: 'lab' } });
    const add = (value: string): Promise<unknown> =>
      client.call('createRecord', { body: { network: 'lab', name: 'a.lab', type: 'A', value } });
    await assert.rejects(add('fd00::1'), problem('invalid', /no address for a record of type A/));
    driver.refuse('set-records', new VmlanError('invalid', 'a.lab has a CNAME'));
    await assert.rejects(add('10.0.0.1'), problem('invalid', /CNAME/));
    await add('10.0.0.1');
    await assert.rejects(add('10.0.0.1'), problem('conflict', /has the record/));
    await assert.rejects(
      client.call('deleteRecord', { params: { id: 'rec-none' } }),
      problem('not-found', /no record/),
    );
    const [configured] = await client.call('listRecords', { query: { network: 'lab' } });
    await assert.rejects(
      client.call('deleteRecord', { params: { id: configured!.id } }),
      problem('conflict', /networks.yaml/),
    );
  });
});

describe('leases', () => {
  test('are shown while the network runs and after', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    const { client, driver } = daemon;
    await client.call('attachGuest', { params: { name: 'web' }, body: { network: 'lab' } });
    await driver.guestArrives('lab', 'web/0');
    const running = await client.call('listLeases', { params: { name: 'lab' } });
    assert.partialDeepStrictEqual(running[0], {
      address: '10.77.0.2',
      guest: 'web',
      nic: 'web/0',
      state: 'active',
      family: 4,
      expiresMs: null,
    });
    await client.call('stopNetwork', { params: { name: 'lab' } });
    assert.deepEqual(await client.call('listLeases', { params: { name: 'lab' } }), running);
    assert.equal((await client.call('getNetwork', { params: { name: 'lab' } })).leases, 1);
  });
});
