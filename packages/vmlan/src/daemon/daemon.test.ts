import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { VmlanError } from '../core/errors.ts';
import type { EventView } from '../model/api.ts';
import { FakeDriver } from '../drivers/fake/driver.ts';
import { TestDaemon, problem } from './daemon.fixture.ts';

const CONFIG = `
networks:
  lab:
    mode: shared
    subnet: 10.77.0.0/24
    dhcp: { reservations: [{ guest: db, ip: 10.77.0.10 }] }
    dns: { hosts: { registry.lab.internal: 10.77.0.10 } }
    forwards: [{ host: 8080, guest: web:80 }]
  cut: { mode: isolated }
  lan: { mode: bridged, interface: eth0 }
`;

describe('the socket', () => {
  test('is for its owner alone', async () => {
    await using daemon = await TestDaemon.start();
    assert.equal(statSync(daemon.paths.socket).mode & 0o777, 0o600);
    assert.deepEqual(await daemon.client.call('health'), { status: 'ok', version: '0.0.0-test', pid: process.pid });
  });

  test('is gone after the end', async () => {
    await using daemon = await TestDaemon.start();
    await daemon.stop(true);
    assert.deepEqual(readdirSync(daemon.paths.runtime), []);
  });

  test('of a second daemon is refused, with the pid of the first', async () => {
    await using daemon = await TestDaemon.start();
    const second = new TestDaemon(daemon.driver, daemon.directory);
    await assert.rejects(second.start(), problem('already-running', new RegExp(`pid ${process.pid}`), /vmlan down/));
    assert.equal((await daemon.client.call('health')).status, 'ok');
  });

  test('that a dead daemon left is replaced', async () => {
    await using daemon = new TestDaemon(new FakeDriver());
    await daemon.start();
    await daemon.stop(false);
    writeFileSync(join(daemon.paths.runtime, 'daemon.pid'), '{"pid":4194304,"startTime":"1"}');
    await daemon.start();
    assert.equal((await daemon.client.call('health')).status, 'ok');
  });

  test('path with a regular file is left alone', async () => {
    await using daemon = new TestDaemon(new FakeDriver());
    await daemon.start();
    await daemon.stop(false);
    writeFileSync(daemon.paths.socket, 'precious');
    await assert.rejects(daemon.start(), problem('address-in-use', /is no socket/));
    assert.equal(readFileSync(daemon.paths.socket, 'utf8'), 'precious');
    assert.ok(!existsSync(join(daemon.paths.runtime, 'daemon.pid')), 'the lock is released');
  });

  test('refuses what is no request of the API', async () => {
    await using daemon = await TestDaemon.start();
    const answers: [string, string, number][] = [
      ['GET /v2/nothing', '', 404],
      ['POST /v1/guests', '{"name":"a","colour":"red"}', 400],
      ['POST /v1/guests', '{"name":', 400],
      ['POST /v1/guests', `{"name":"${'x'.repeat(70_000)}"}`, 413],
      ['POST /v1/guests', '{"name":"Web"}', 400],
      ['POST /v1/guests', '{"name":5}', 400],
      ['GET /v1/guests?colour=red', '', 400],
      ['POST /v1/forwards', '{"host":"80","guest":"web:80","protocol":"sctp"}', 400],
    ];
    for (const [line, body, status] of answers) {
      const answer = await raw(daemon.paths.socket, line, body);
      assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `), `${line} ${body.slice(0, 50)}`);
      assert.match(answer, /content-type: application\/problem\+json/);
    }
  });
});

function raw(path: string, line: string, body: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    let answer = '';
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
    socket.on('close', () => resolve(answer));
    socket.on('error', reject);
    const headers = [
      'host: x',
      'connection: close',
      'content-type: application/json',
      `content-length: ${body.length}`,
    ];
    socket.write(`${line} HTTP/1.1\r\n${headers.slice(0, body === '' ? 2 : 4).join('\r\n')}\r\n\r\n${body}`);
  });
}

describe('networks', () => {
  test('start, stop, and show', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    const { client } = daemon;
    assert.equal((await client.call('getNetwork', { params: { name: 'lab' } })).state, 'stopped');
    const started = await client.call('startNetwork', { params: { name: 'lab' } });
    assert.partialDeepStrictEqual(started, { state: 'running', subnet: '10.77.0.0/24', gateway: '10.77.0.1' });
    assert.match(started.sockets?.qemu ?? '', /networks\/lab\/qemu\.sock$/);
    assert.equal((await client.call('startNetwork', { params: { name: 'lab' } })).state, 'running');
    assert.equal((await client.call('stopNetwork', { params: { name: 'lab' } })).state, 'stopped');
    assert.deepEqual(await daemon.driver.list(), []);
  });

  test('that nobody configured are not found, with a proposal', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    const call = daemon.client.call('startNetwork', { params: { name: 'lap' } });
    await assert.rejects(call, problem('not-found', /no network "lap"/, /did you mean "la[bn]"/));
  });

  test('that no driver carries say what is missing', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    const call = daemon.client.call('startNetwork', { params: { name: 'lan' } });
    await assert.rejects(call, problem('unsupported', /mode bridged needs a driver that joins the LAN/));
    const view = await daemon.client.call('getNetwork', { params: { name: 'lan' } });
    assert.partialDeepStrictEqual(view, { state: 'failed', driver: 'none', problem: { code: 'unsupported' } });
  });

  test('for which the host has no room are refused', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    daemon.hostRoutes = [{ subnet: '10.0.0.0/8', interface: 'tun0' }];
    const call = daemon.client.call('startNetwork', { params: { name: 'lab' } });
    await assert.rejects(call, problem('conflict', /overlaps the host's route 10.0.0.0\/8 on tun0/));
  });

  test('start by themselves when so configured', async () => {
    await using daemon = await TestDaemon.start('networks: { lab: { mode: shared, autostart: true } }');
    assert.deepEqual(await daemon.driver.list(), ['lab']);
  });

  test('that fail to start leave nothing behind', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    daemon.driver.refuse('add-forward', new VmlanError('address-in-use', '127.0.0.1:8080 is in use'));
    const call = daemon.client.call('startNetwork', { params: { name: 'lab' } });
    await assert.rejects(call, problem('address-in-use', /8080 is in use/));
    assert.deepEqual(await daemon.driver.list(), []);
    const view = await daemon.client.call('getNetwork', { params: { name: 'lab' } });
    assert.partialDeepStrictEqual(view, { state: 'failed', problem: { code: 'address-in-use' } });
    assert.equal((await daemon.client.call('startNetwork', { params: { name: 'lab' } })).problem, null);
  });

  test('of a path that is too long are refused', async () => {
    await using daemon = await TestDaemon.start(`networks: { ${'x'.repeat(76)}: { mode: shared } }`);
    const call = daemon.client.call('startNetwork', { params: { name: 'x'.repeat(76) } });
    await assert.rejects(call, problem('invalid', /socket path has \d+ bytes/, /VMLAN_RUNTIME_DIR/));
  });
});

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

describe('a network that dies', () => {
  test('comes back with all that it had', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    const { client, driver } = daemon;
    await client.call('attachGuest', { params: { name: 'web' }, body: { network: 'lab' } });
    await client.call('createForward', { body: { host: '9000', guest: 'web:90' } });
    const before = (await driver.observe('lab')).applied;
    const started = nextEvent(daemon, 'network-started');
    driver.crash('lab');
    assert.equal((await client.call('getNetwork', { params: { name: 'lab' } })).state, 'failed');
    assert.match((await started).message, /started again/);
    assert.deepEqual((await driver.observe('lab')).applied, before);
    assert.partialDeepStrictEqual(await client.call('getNetwork', { params: { name: 'lab' } }), {
      state: 'running',
      restarts: 1,
      problem: null,
    });
  });

  test('comes back without the port that somebody took meanwhile, and says so', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    const { client, driver } = daemon;
    await client.call('startNetwork', { params: { name: 'lab' } });
    driver.refuse('add-forward', new VmlanError('address-in-use', 'port 8080 is in use, held by nginx (pid 7)'));
    const started = nextEvent(daemon, 'network-started');
    driver.crash('lab');
    await started;
    const [forward] = await client.call('listForwards', { query: { network: 'lab' } });
    assert.partialDeepStrictEqual(forward, { state: 'failed', problem: { code: 'address-in-use' } });
    const { warnings } = await client.call('getNetwork', { params: { name: 'lab' } });
    assert.match(warnings.join(), /held by nginx/);
    await client.call('createGuest', { body: { name: 'web', network: 'lab' } });
    assert.equal(
      (await driver.observe('lab')).applied?.forwards.length,
      0,
      'the lost port does not block other changes',
    );
  });

  test('while no daemon looks is started by the next one', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    await daemon.client.call('startNetwork', { params: { name: 'lab' } });
    await daemon.restart();
    assert.equal((await daemon.client.call('getNetwork', { params: { name: 'lab' } })).state, 'running');
  });
});

describe('a new configuration', () => {
  test('stops networks that it no longer has', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    await daemon.client.call('startNetwork', { params: { name: 'lab' } });
    await daemon.stop(false);
    daemon.configure('networks: { other: { mode: shared } }');
    await daemon.start();
    assert.deepEqual(await daemon.driver.list(), []);
  });

  test('does not interrupt a running network, and says what to do', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    const { client } = daemon;
    await client.call('startNetwork', { params: { name: 'lab' } });
    await daemon.stop(false);
    daemon.configure(CONFIG.replace('mode: shared', 'mode: shared\n    mtu: 9000'));
    await daemon.start();
    const view = await client.call('getNetwork', { params: { name: 'lab' } });
    assert.equal(view.state, 'running');
    assert.match(view.warnings.join(), /older settings.*vmlan network stop lab/);
  });

  test('changes the forwards of a running network', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    await daemon.client.call('startNetwork', { params: { name: 'lab' } });
    await daemon.stop(false);
    daemon.configure(CONFIG.replace('host: 8080', 'host: 8081'));
    await daemon.start();
    assert.deepEqual(
      (await daemon.driver.snapshot('lab')).forwards.map(({ listen }) => listen),
      [{ host: '127.0.0.1', port: 8081 }],
    );
  });

  test('that is wrong stops the start, and nothing else', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    await daemon.client.call('startNetwork', { params: { name: 'lab' } });
    await daemon.stop(false);
    daemon.configure('networks: { lab: { mode: shard } }');
    await assert.rejects(daemon.start(), problem('invalid-config', /networks\.yaml:1:26: network "lab": mode/));
    assert.deepEqual(await daemon.driver.list(), ['lab']);
    daemon.configure(CONFIG);
    await daemon.start();
  });
});

describe('damaged state', () => {
  test('is set aside and reported, and the rest loads', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    await daemon.client.call('createGuest', { body: { name: 'web', network: 'lab' } });
    await daemon.client.call('createGuest', { body: { name: 'db', network: 'lab' } });
    await daemon.stop(true);
    const file = join(daemon.paths.state, 'guests', 'web.json');
    writeFileSync(file, readFileSync(file, 'utf8').slice(0, 40));
    await daemon.start();
    const { guests, warnings } = await daemon.client.call('status');
    assert.deepEqual(
      guests.map(({ name }) => name),
      ['db'],
    );
    assert.match(warnings.join(), /web\.json was damaged and is kept as .*web\.json\.damaged-\d{8}T\d{6}Z/);
    assert.ok(readdirSync(join(daemon.paths.state, 'guests')).some((name) => name.startsWith('web.json.damaged-')));
  });
});

describe('the end', () => {
  test('by request stops daemon and networks', async () => {
    await using daemon = new TestDaemon(new FakeDriver());
    const running = await daemon.start();
    await daemon.client.call('startNetwork', { params: { name: 'user-v2' } });
    await daemon.client.call('shutdown', { body: {} });
    await running.ended;
    assert.deepEqual(await daemon.driver.list(), []);
    assert.ok(!existsSync(daemon.paths.socket));
  });

  test('by request may leave the networks', async () => {
    await using daemon = new TestDaemon(new FakeDriver());
    const running = await daemon.start();
    await daemon.client.call('startNetwork', { params: { name: 'user-v2' } });
    await daemon.client.call('shutdown', { body: { networks: false } });
    await running.ended;
    assert.deepEqual(await daemon.driver.list(), ['user-v2']);
  });
});

async function nextEvent(daemon: TestDaemon, type: string): Promise<EventView> {
  const controller = new AbortController();
  for await (const event of daemon.client.events(controller.signal)) {
    if (event.type === type) {
      controller.abort();
      return event;
    }
  }
  throw new Error(`no event ${type}`);
}
