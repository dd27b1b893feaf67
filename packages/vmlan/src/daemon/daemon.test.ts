import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { get } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { VmlanError } from '../core/errors.ts';
import type { EventView } from '../model/api.ts';
import { FakeDriver } from '../drivers/fake/driver.ts';
import { CONFIG, TestDaemon, problem } from './daemon.fixture.ts';

describe('the socket', () => {
  test('is for its owner alone', async () => {
    await using daemon = await TestDaemon.start();
    assert.equal(statSync(daemon.paths.socket).mode & 0o777, 0o600);
    assert.deepEqual(await daemon.client.call('health'), {
      status: 'ok',
      version: '0.0.0-test',
      pid: process.pid,
      problems: [],
    });
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

describe('a network that dies', () => {
  test('comes back with all that it had', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    const { client, driver } = daemon;
    await client.call('attachGuest', { params: { name: 'web' }, body: { network: 'lab' } });
    await client.call('createForward', { body: { host: '9000', guest: 'web:90' } });
    const before = (await driver.observe('lab')).applied;
    const events = await openEvents(daemon);
    driver.crash('lab');
    assert.equal((await client.call('getNetwork', { params: { name: 'lab' } })).state, 'failed');
    assert.match((await events.take(2)).at(-1)!.message, /started again/);
    assert.deepEqual((await driver.observe('lab')).applied, before);
    assert.partialDeepStrictEqual(await client.call('getNetwork', { params: { name: 'lab' } }), {
      state: 'running',
      restarts: 1,
      problem: null,
    });
  });

  test('and cannot start again is tried until it can', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    await daemon.client.call('startNetwork', { params: { name: 'lab' } });
    daemon.driver.refuse('start', new VmlanError('unavailable', 'no memory'));
    const events = await openEvents(daemon);
    daemon.driver.crash('lab');
    assert.deepEqual(
      (await events.take(3)).map(({ type, message }) => [type, message]),
      [
        ['network-failed', 'network "lab" ended: crashed'],
        ['network-failed', 'no memory'],
        ['network-started', 'network "lab" was started again'],
      ],
    );
    assert.equal((await daemon.client.call('getNetwork', { params: { name: 'lab' } })).restarts, 2);
  });

  test('comes back without the port that somebody took meanwhile, and says so', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    const { client, driver } = daemon;
    await client.call('startNetwork', { params: { name: 'lab' } });
    driver.refuse('add-forward', new VmlanError('address-in-use', 'port 8080 is in use, held by nginx (pid 7)'));
    const events = await openEvents(daemon);
    driver.crash('lab');
    await events.take(2);
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

describe('what a driver tells', () => {
  test('becomes events and warnings', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    const { client, driver } = daemon;
    await client.call('attachGuest', { params: { name: 'web' }, body: { network: 'lab' } });
    const events = await openEvents(daemon);
    await driver.guestArrives('lab', 'web/0');
    driver.emit('lab', { kind: 'ipv6-reachable', reachable: true });
    driver.emit('lab', { kind: 'ipv6-reachable', reachable: false });
    driver.emit('lab', { kind: 'warnings', warnings: ['leases are not stored'] });
    assert.deepEqual(
      (await events.take(4)).map(({ type, guest, message }) => [type, guest, message]),
      [
        ['guest-up', 'web', 'web: connected, 10.77.0.2'],
        ['network-changed', null, 'the host has IPv6'],
        ['network-changed', null, 'the host lost IPv6'],
        ['warning', null, 'leases are not stored'],
      ],
    );
    assert.deepEqual((await client.call('getNetwork', { params: { name: 'lab' } })).warnings, [
      'leases are not stored',
    ]);
    await assert.rejects(
      client.call('getGuest', { params: { name: 'wbe' } }),
      problem('not-found', /no guest "wbe"/, /did you mean "web"/),
    );
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

  test('of other settings keeps all else changeable, without a restart', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    const { client, driver } = daemon;
    await client.call('startNetwork', { params: { name: 'lab' } });
    const { startedMs } = await driver.observe('lab');
    await daemon.stop(false);
    daemon.configure(CONFIG.replace('mode: shared', 'mode: shared\n    mtu: 9000'));
    await daemon.start();
    await client.call('createForward', { body: { host: '9000', guest: 'web:1', network: 'lab' } });
    const observed = await driver.observe('lab');
    assert.deepEqual([observed.startedMs, observed.applied?.forwards.length], [startedMs, 2]);
    await client.call('stopNetwork', { params: { name: 'lab' } });
    const { warnings, mtu } = await client.call('startNetwork', { params: { name: 'lab' } });
    assert.deepEqual([warnings, mtu], [[], 9000]);
  });

  test('without the network of a guest still shows the guest', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    await daemon.client.call('createGuest', { body: { name: 'web', network: 'lab' } });
    await daemon.stop(true);
    daemon.configure('networks: { other: { mode: shared } }');
    await daemon.start();
    const [guest] = await daemon.client.call('listGuests');
    assert.deepEqual([guest?.name, guest?.nics[0]?.state], ['web', 'stopped']);
    await daemon.client.call('deleteGuest', { params: { name: 'web' } });
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

test('/metrics tells of the networks, as text', async () => {
  await using daemon = await TestDaemon.start();
  await daemon.client.call('startNetwork', { params: { name: 'user-v2' } });
  const asked = get({ socketPath: daemon.paths.socket, path: '/metrics' });
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += String(chunk);
  assert.equal(response.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
  assert.match(text, /^vmlan_network_running\{network="user-v2"\} 1$/m);
  assert.match(text, /^process_resident_memory_bytes \d+$/m);
});

test('events that are remembered come without waiting for more', async () => {
  await using daemon = new TestDaemon(new FakeDriver());
  await daemon.start();
  await daemon.client.call('startNetwork', { params: { name: 'user-v2' } });
  const seen: EventView[] = [];
  const query = { network: 'user-v2', after: '0', follow: 'false' } as const;
  for await (const event of daemon.client.events(query)) seen.push(event);
  assert.deepEqual(
    seen.map(({ type }) => type),
    ['network-started'],
  );
  await assert.rejects(
    daemon.client.events({ after: 'yesterday' }).next(),
    /after: "yesterday": not the id of an event/,
  );
});

const MARKER = 'the stream is open';

/** Resolves once the stream of events is open, as a notice shows that always is told; `take` gives the next ones. */
async function openEvents(daemon: TestDaemon): Promise<{ take(count: number): Promise<readonly EventView[]> }> {
  const controller = new AbortController();
  const stream = daemon.client.events({}, controller.signal);
  const marking = setInterval(() => daemon.driver.emit('cut', { kind: 'notice', message: MARKER }), 5);
  await stream.next();
  clearInterval(marking);
  return {
    take: async (count) => {
      const seen: EventView[] = [];
      for await (const event of stream) {
        if (event.message !== MARKER) seen.push(event);
        if (seen.length === count) controller.abort();
      }
      return seen;
    },
  };
}
