import assert from 'node:assert/strict';
import { existsSync, lstatSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { VmlanError } from '../core/errors.ts';
import type { NetworkPatch } from '../model/api.ts';
import { TestDaemon, problem } from './daemon.fixture.ts';
import { FILE, LAB, names, textOf } from './network-configs.fixture.ts';

describe('creating', () => {
  test('the first network writes a file in which those that were there stay', async () => {
    await using daemon = await TestDaemon.start();
    assert.deepEqual(await names(daemon), ['user', 'user-v2', 'shared', 'host']);
    const change = await daemon.client.call('createNetwork', {
      body: { name: 'lab', config: { mode: 'shared', subnet: '10.80.0.0/24' } },
    });
    assert.deepEqual((await names(daemon)).sort(), ['host', 'lab', 'shared', 'user', 'user-v2']);
    assert.equal(
      textOf(daemon),
      `# The networks of vmlan. Every key: docs/config.md, or vmlan config schema.
networks:
  shared:
    mode: shared
  host:
    mode: host
  lab:
    mode: shared
    subnet: 10.80.0.0/24
`,
    );
    assert.match(change.diff, /^--- \/dev\/null\n\+\+\+ .*networks\.yaml\n@@ -0,0 \+1,9 @@\n\+# The networks/);
    assert.equal(statSync(daemon.paths.config).mode & 0o777, 0o644);
    await daemon.restart();
    assert.deepEqual((await names(daemon)).sort(), ['host', 'lab', 'shared', 'user', 'user-v2']);
  });

  test('keeps every line that was there', async () => {
    await using daemon = await TestDaemon.start(FILE);
    await daemon.client.call('createNetwork', {
      body: {
        name: 'new',
        config: {
          mode: 'shared',
          subnet: '10.80.0.0/24',
          dns: { domain: 'new.test' },
          forwards: [{ host: '127.0.0.1:9000', guest: 'a:80' }],
        },
      },
    });
    assert.equal(
      textOf(daemon),
      `${FILE}
  new:
    mode: shared
    subnet: 10.80.0.0/24
    dns:
      domain: new.test
    forwards:
      - { host: 127.0.0.1:9000, guest: a:80 }
`,
    );
    const view = await daemon.client.call('startNetwork', { params: { name: 'new' } });
    assert.partialDeepStrictEqual(view, { state: 'running', subnet: '10.80.0.0/24', domain: 'new.test' });
    assert.equal((await daemon.client.call('listForwards', { query: { network: 'new' } })).length, 1);
  });

  test('that cannot run here is kept, and that is said at once', async () => {
    await using daemon = await TestDaemon.start(FILE);
    const body = { name: 'lan', config: { mode: 'routed', subnet: '10.80.0.0/24' } } as const;
    const { warnings } = await daemon.client.call('createNetwork', { body });
    assert.deepEqual(warnings.length, 1);
    assert.match(
      warnings[0]!,
      /^it is kept, and cannot be started here: network "lan": mode routed needs .*; use mode /,
    );
  });

  test('answers where it is, and its version', async () => {
    await using daemon = await TestDaemon.start(FILE);
    const made = await daemon.client.callTagged('createNetwork', { body: { name: 'new', config: { mode: 'shared' } } });
    const read = await daemon.client.callTagged('getNetwork', { params: { name: 'new' } });
    assert.notEqual(made.etag, null);
    assert.equal(made.etag, read.etag);
    assert.match(read.result.subnet ?? '', /\/24$/, 'a free subnet was picked');
    await daemon.restart();
    assert.equal((await daemon.client.call('getNetwork', { params: { name: 'new' } })).subnet, read.result.subnet);
  });

  const refused: readonly (readonly [name: string, config: object, code: string, message: RegExp, hint?: RegExp])[] = [
    ['lab', { mode: 'shared' }, 'conflict', /network "lab" exists already/, /vmlan network edit lab/],
    [
      'new',
      { mode: 'shared', subnet: '10.77.0.0/16' },
      'invalid-config',
      /networks.yaml:\d+:\d+: .*overlaps network "lab"/,
    ],
    ['new', { mode: 'shared', subnet: '192.168.104.0/24' }, 'invalid-config', /overlaps network "user-v2"/],
    [
      'new',
      { mode: 'shared', subnet: '10.9.0.0/24' },
      'invalid-config',
      /overlaps the host's route 10.9.0.0\/16 on tun0/,
    ],
    ['new', { mode: 'isolated', hostAccess: 'all' }, 'invalid-config', /does not fit mode isolated/],
    [
      'new',
      { mode: 'shared', forwards: [{ host: '8080', guest: 'a:1' }] },
      'invalid-config',
      /forwarded by network "lab"/,
    ],
    ['..', { mode: 'shared' }, 'invalid', /name: "..": a network name is letters and digits/],
    ['new', { mode: 'shard' }, 'invalid', /config.mode: "shard": none of user/],
  ];
  for (const [name, config, code, message, hint] of refused) {
    test(`is refused, and changes nothing: ${message.source}`, async () => {
      await using daemon = new TestDaemon(new (await import('../drivers/fake/driver.ts')).FakeDriver());
      daemon.configure(FILE);
      daemon.hostRoutes = [{ subnet: '10.9.0.0/16', interface: 'tun0' }];
      await daemon.start();
      const call = daemon.client.call('createNetwork', { body: { name, config: config as { mode: 'shared' } } });
      await assert.rejects(call, problem(code, message, hint));
      assert.equal(textOf(daemon), FILE);
      assert.deepEqual(await names(daemon), ['lab', 'cut', 'user', 'user-v2']);
    });
  }

  test('as a dry run shows the lines and changes nothing', async () => {
    await using daemon = await TestDaemon.start(FILE);
    const change = await daemon.client.call('createNetwork', {
      body: { name: 'new', config: { mode: 'isolated' } },
      query: { dryRun: 'true' },
    });
    assert.equal(change.dryRun, true);
    assert.match(change.diff, /^ {3}cut: \{ mode: isolated \}\n\+\n\+ {2}new:\n\+ {4}mode: isolated\n/m);
    assert.equal(textOf(daemon), FILE);
    assert.ok(!(await names(daemon)).includes('new'));
  });
});

describe('changing', () => {
  const patches: readonly (readonly [patch: NetworkPatch, from: string, to: string])[] = [
    [{ autostart: true }, 'guest: web:80 }]\n', 'guest: web:80 }]\n    autostart: true\n'],
    [{ subnet: '10.78.0.0/24', dhcp: null }, '10.77.0.0/24   # not', '10.78.0.0/24   # not'],
    [{ mtu: 9000 }, 'guest: web:80 }]\n', 'guest: web:80 }]\n    mtu: 9000\n'],
    [{ dhcp: { leaseTime: '2h' } }, '10.77.0.10 }] }', '10.77.0.10 }], leaseTime: 2h }'],
    [{ forwards: null }, '    forwards: [{ host: 8080, guest: web:80 }]\n', ''],
    [{ forwards: [{ host: '8081', guest: 'web:80' }] }, 'host: 8080', 'host: 8081'],
    [{ mode: 'nat' }, 'mode: shared', 'mode: nat'],
  ];
  for (const [patch, from, to] of patches) {
    test(`cuts ${JSON.stringify(patch)} into the file`, async () => {
      await using daemon = await TestDaemon.start(FILE);
      await daemon.client.call('updateNetwork', { ...LAB, body: patch });
      const wanted = FILE.replace(from, to);
      const expected =
        patch['dhcp'] === null
          ? wanted.replace('    dhcp: { reservations: [{ guest: db, ip: 10.77.0.10 }] }\n', '')
          : wanted;
      assert.equal(textOf(daemon), expected);
      await daemon.restart();
    });
  }

  test('of what can change live holds at once, and breaks no link', async () => {
    await using daemon = await TestDaemon.start(FILE);
    const { pid } = await daemon.client.call('startNetwork', LAB);
    const change = await daemon.client.call('updateNetwork', {
      ...LAB,
      body: { forwards: [{ host: '8081', guest: 'web:80' }], dns: { hosts: { 'a.lab.internal': '10.77.0.9' } } },
    });
    assert.deepEqual(change.restartNeeded, []);
    assert.match(
      change.steps.join('\n'),
      /^lab: close forward .* 127.0.0.1:8080.*\nlab: serve 1 DNS records\nlab: open forward/,
    );
    const forwards = await daemon.client.call('listForwards', { query: { network: 'lab' } });
    assert.deepEqual(
      forwards.map(({ host, state }) => [host, state]),
      [['127.0.0.1:8081', 'listening']],
    );
    assert.equal((await daemon.client.call('getNetwork', LAB)).pid, pid);
  });

  test('of what needs a restart says so, and does it when asked', async () => {
    await using daemon = await TestDaemon.start(FILE);
    await daemon.client.call('startNetwork', LAB);
    const change = await daemon.client.call('updateNetwork', { ...LAB, body: { mtu: 9000 } });
    assert.deepEqual(change.restartNeeded, ['lab']);
    const { warnings } = await daemon.client.call('getNetwork', LAB);
    assert.match(warnings.join(), /runs with older settings; `vmlan network stop lab` and `start`/);
    const again = await daemon.client.call('updateNetwork', {
      ...LAB,
      body: { mtu: 8000 },
      query: { restart: 'true' },
    });
    assert.deepEqual(again.restartNeeded, []);
    assert.deepEqual(again.steps.slice(0, 2), ['lab: stop network', 'lab: start network lab']);
    assert.deepEqual((await daemon.client.call('getNetwork', LAB)).warnings, []);
  });

  test('that the running network refuses is taken back, in the file too', async () => {
    await using daemon = await TestDaemon.start(FILE);
    await daemon.client.call('startNetwork', LAB);
    using _ = daemon.driver.occupy(8099);
    const body = { forwards: [{ host: '8099', guest: 'web:80' }] };
    await assert.rejects(daemon.client.call('updateNetwork', { ...LAB, body }), problem('address-in-use', /8099/));
    assert.equal(textOf(daemon), FILE);
    const forwards = await daemon.client.call('listForwards', { query: { network: 'lab' } });
    assert.deepEqual(
      forwards.map(({ host, state }) => [host, state]),
      [['127.0.0.1:8080', 'listening']],
    );
  });

  test('to a restart that fails goes back to what ran', async () => {
    await using daemon = await TestDaemon.start(FILE);
    await daemon.client.call('startNetwork', LAB);
    daemon.driver.refuse('start', new VmlanError('unavailable', 'no memory'));
    const call = daemon.client.call('updateNetwork', { ...LAB, body: { mtu: 9000 }, query: { restart: 'true' } });
    await assert.rejects(call, problem('unavailable', /no memory/));
    assert.equal(textOf(daemon), FILE);
    assert.partialDeepStrictEqual(await daemon.client.call('getNetwork', LAB), { state: 'running', mtu: 1500 });
  });

  test('that does not fit the guests and forwards that are there is refused', async () => {
    await using daemon = await TestDaemon.start(FILE);
    const { client } = daemon;
    await client.call('createGuest', { body: { name: 'web', network: 'lab', ip: '10.77.0.20' } });
    const forward = await client.call('createForward', {
      body: { host: '9000', guest: '10.77.0.30:80', network: 'lab' },
    });
    const refused: readonly (readonly [NetworkPatch, RegExp, RegExp])[] = [
      [{ subnet: '10.78.0.0/24', dhcp: null }, /guest "web" keeps 10.77.0.20, but .* lies outside/, /another address/],
      [{ dhcp: { reservations: [{ guest: 'x', ip: '10.77.0.20' }] } }, /10.77.0.20 is kept for guest "web"/, /for x/],
      [
        { forwards: [{ host: '9000', guest: 'a:1' }] },
        /127.0.0.1:9000 is forwarded to 10.77.0.30:80 already/,
        /remove/,
      ],
    ];
    for (const [body, message, hint] of refused) {
      await assert.rejects(client.call('updateNetwork', { ...LAB, body }), problem('conflict', message, hint));
    }
    await client.call('updateGuest', { params: { name: 'web' }, body: { ip: null } });
    const call = client.call('updateNetwork', { ...LAB, body: { subnet: '10.78.0.0/24', dhcp: null } });
    await assert.rejects(
      call,
      problem('conflict', new RegExp(`forward ${forward.id}: .*outside`), /vmlan forward remove/),
    );
    assert.equal(textOf(daemon), FILE);
  });

  test('a wrong key is named, and what was meant', async () => {
    await using daemon = await TestDaemon.start(FILE);
    const patch = (body: NetworkPatch): Promise<unknown> => daemon.client.call('updateNetwork', { ...LAB, body });
    await assert.rejects(patch({ mtv: 9000 }), problem('invalid', /unknown key "mtv"; keys are mode, .*mtu/));
    const place = /networks\.yaml:9:7: unknown key `domian` in network "lab": dns/;
    await assert.rejects(patch({ dns: { domian: 'a.b' } }), problem('invalid-config', place, /`domain`/));
    assert.equal(textOf(daemon), FILE);
  });

  test('a network that vmlan brings writes it down', async () => {
    await using daemon = await TestDaemon.start(FILE);
    await daemon.client.call('updateNetwork', { params: { name: 'user-v2' }, body: { autostart: true } });
    assert.equal(textOf(daemon), `${FILE}\n  user-v2:\n    mode: user-v2\n    autostart: true\n`);
    assert.equal((await daemon.client.call('getNetwork', { params: { name: 'user-v2' } })).subnet, '192.168.104.0/24');
  });

  test('nothing writes nothing', async () => {
    await using daemon = await TestDaemon.start(FILE);
    const { mtimeNs } = statSync(daemon.paths.config, { bigint: true });
    const change = await daemon.client.call('updateNetwork', { ...LAB, body: { mode: 'shared' } });
    assert.equal(change.diff, '');
    assert.equal(statSync(daemon.paths.config, { bigint: true }).mtimeNs, mtimeNs);
  });

  test('through a link keeps the link, and the mode of the file', async () => {
    await using daemon = new TestDaemon(new (await import('../drivers/fake/driver.ts')).FakeDriver());
    const real = join(daemon.directory, 'dotfiles', 'nets.yaml');
    mkdirSync(join(daemon.directory, 'dotfiles'));
    writeFileSync(real, FILE, { mode: 0o640 });
    symlinkSync(real, daemon.paths.config);
    await daemon.start();
    await daemon.client.call('updateNetwork', { ...LAB, body: { mtu: 9000 } });
    assert.ok(lstatSync(daemon.paths.config).isSymbolicLink());
    assert.match(readFileSync(real, 'utf8'), /mtu: 9000/);
    assert.equal(statSync(real).mode & 0o777, 0o640);
  });
});

describe('replacing', () => {
  test('gives the lines to an editor, and takes them with comments', async () => {
    await using daemon = await TestDaemon.start(FILE);
    const { result, etag } = await daemon.client.callTagged('getNetworkConfig', LAB);
    assert.partialDeepStrictEqual(result, { origin: 'file', place: `${daemon.paths.config}:3` });
    const yaml = `${result.yaml}# a word more\nmtu: 9000\n`;
    await daemon.client.call('replaceNetworkConfig', { ...LAB, body: { yaml } }, { ifMatch: etag! });
    assert.equal(
      textOf(daemon),
      FILE.replace('web:80 }]\n', 'web:80 }]\n    # a word more\n    mtu: 9000\n').replace(
        'lab:            #',
        'lab: #',
      ),
    );
    const late = daemon.client.call('replaceNetworkConfig', { ...LAB, body: { yaml } }, { ifMatch: etag! });
    await assert.rejects(late, problem('precondition-failed', /network "lab"/));
  });

  test('by a document changes what differs', async () => {
    await using daemon = await TestDaemon.start(FILE);
    const { config } = await daemon.client.call('getNetworkConfig', LAB);
    await daemon.client.call('replaceNetworkConfig', { ...LAB, body: { config: { ...config, mtu: 1400 } } });
    assert.equal(textOf(daemon), FILE.replace('web:80 }]\n', 'web:80 }]\n    mtu: 1400\n'));
  });

  test('with a wrong text names its place in the file', async () => {
    await using daemon = await TestDaemon.start(FILE);
    const put = (yaml: string): Promise<unknown> =>
      daemon.client.call('replaceNetworkConfig', { ...LAB, body: { yaml } });
    await assert.rejects(put('mode: shard\n'), problem('invalid-config', /networks\.yaml:4:11: .*"shard"/, /`shared`/));
    await assert.rejects(put('mode: [\n'), problem('invalid-config', /not YAML/));
    await assert.rejects(put('- a\n'), problem('invalid-config', /map/));
    assert.equal(textOf(daemon), FILE);
  });
});

describe('deleting', () => {
  test('leaves nothing of it, and gives the subnet back', async () => {
    await using daemon = await TestDaemon.start(FILE);
    const { client } = daemon;
    await client.call('startNetwork', LAB);
    await client.call('createForward', { body: { host: '9000', guest: 'web:80', network: 'lab' } });
    await client.call('createRecord', { body: { name: 'x.test', type: 'A', value: '10.77.0.3', network: 'lab' } });
    mkdirSync(join(daemon.paths.state, 'networks', 'lab'), { recursive: true });
    await client.call('deleteNetwork', LAB);
    assert.equal(textOf(daemon), '# my networks\nnetworks:\n  cut: { mode: isolated }\n');
    assert.deepEqual(await daemon.driver.list(), []);
    assert.deepEqual(await client.call('listForwards'), []);
    assert.deepEqual(await client.call('listRecords'), []);
    assert.ok(!existsSync(join(daemon.paths.state, 'networks', 'lab')));
    await assert.rejects(client.call('getNetwork', LAB), problem('not-found', /no network "lab"/));
  });

  test('is refused while guests are registered, unless forced', async () => {
    await using daemon = await TestDaemon.start(FILE);
    const { client } = daemon;
    await client.call('attachGuest', { params: { name: 'web' }, body: { network: 'lab' } });
    await client.call('attachGuest', { params: { name: 'db' }, body: { network: 'lab' } });
    await client.call('attachGuest', { params: { name: 'db' }, body: { network: 'cut' } });
    await assert.rejects(client.call('deleteNetwork', LAB), problem('conflict', /has guests: db, web/, /--force/));
    assert.equal(textOf(daemon), FILE);
    await client.call('deleteNetwork', { ...LAB, query: { force: 'true' } });
    const guests = await client.call('listGuests');
    assert.deepEqual(
      guests.map(({ name, nics }) => [name, nics.map(({ network }) => network)]),
      [['db', ['cut']]],
    );
  });

  test('the last of a file leaves the file', async () => {
    await using daemon = await TestDaemon.start('networks:\n  lab: { mode: shared, subnet: 10.1.0.0/24 }\n');
    await daemon.client.call('deleteNetwork', LAB);
    assert.deepEqual(await names(daemon), ['user', 'user-v2']);
    await daemon.restart();
  });

  test('one that vmlan brings: the others stay', async () => {
    await using daemon = await TestDaemon.start();
    const remove = (name: string): Promise<unknown> => daemon.client.call('deleteNetwork', { params: { name } });
    await assert.rejects(remove('user-v2'), problem('conflict', /comes with vmlan/, /vmlan network stop user-v2/));
    await remove('shared');
    assert.deepEqual((await names(daemon)).sort(), ['host', 'user', 'user-v2']);
    await remove('host');
    assert.deepEqual((await names(daemon)).sort(), ['user', 'user-v2']);
  });

  test('a file network under a name of ours says that the other is there again', async () => {
    await using daemon = await TestDaemon.start('networks:\n  user-v2: { mode: user-v2, subnet: 10.1.0.0/24 }\n');
    const change = await daemon.client.call('deleteNetwork', { params: { name: 'user-v2' } });
    assert.match(textOf(daemon), /^networks:/);
    assert.equal((await daemon.client.call('getNetwork', { params: { name: 'user-v2' } })).subnet, '192.168.104.0/24');
    assert.match(change.warnings.join(), /network "user-v2" is there again: it comes with vmlan/);
  });
});

describe('reservations', () => {
  test('are added, listed and removed', async () => {
    await using daemon = await TestDaemon.start(FILE);
    const { client } = daemon;
    await client.call('createGuest', { body: { name: 'web', network: 'lab', ip: '10.77.0.20' } });
    await client.call('createReservation', { ...LAB, body: { mac: '52:54:00:00:00:01', ip: '10.77.0.11' } });
    assert.match(textOf(daemon), /ip: 10\.77\.0\.10 \}, \{ mac: 52:54:00:00:00:01, ip: 10\.77\.0\.11 \}\] \}/);
    const all = await client.call('listReservations', LAB);
    assert.deepEqual(
      all.map(({ ip, guest, origin }) => [ip, guest, origin]),
      [
        ['10.77.0.10', 'db', 'config'],
        ['10.77.0.11', null, 'config'],
        ['10.77.0.20', 'web', 'guest'],
      ],
    );
    await client.call('deleteReservation', { params: { name: 'lab', ip: '10.77.0.11' } });
    assert.equal(textOf(daemon), FILE);
    await client.call('deleteReservation', { params: { name: 'lab', ip: '10.77.0.10' } });
    assert.equal(textOf(daemon), FILE.replace(/ {4}dhcp:.*\n/, ''));
    const gone = client.call('deleteReservation', { params: { name: 'lab', ip: '10.77.0.10' } });
    await assert.rejects(gone, problem('not-found', /no reservation of 10.77.0.10/, /reservation list lab/));
  });

  const refused: readonly (readonly [body: { guest: string; ip: string }, code: string, message: RegExp])[] = [
    [{ guest: 'x', ip: '10.77.0.10' }, 'conflict', /10.77.0.10 is reserved for db already/],
    [{ guest: 'db', ip: '10.77.0.11' }, 'invalid-config', /guest db is reserved twice/],
    [{ guest: 'x', ip: '10.9.0.11' }, 'invalid-config', /lies outside the subnet/],
    [{ guest: 'x', ip: '10.77.0.1' }, 'invalid-config', /gateway/],
    [{ guest: 'x', ip: 'ten' }, 'invalid', /an IPv4 address looks like/],
  ];
  for (const [body, code, message] of refused) {
    test(`of ${body.ip} for ${body.guest} is refused: ${code}`, async () => {
      await using daemon = await TestDaemon.start(FILE);
      await assert.rejects(daemon.client.call('createReservation', { ...LAB, body }), problem(code, message));
      assert.equal(textOf(daemon), FILE);
    });
  }
});
