import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { VmlanError } from '../client/errors.ts';
import { vmlan } from './capture-io.fixture.ts';
import type { CaptureOptions, Ran } from './capture-io.fixture.ts';
import { StubDaemon } from './stub-daemon.fixture.ts';

let daemon: StubDaemon;
const directory = mkdtempSync('/tmp/vmlan-edit-test-');
before(async () => {
  daemon = await StubDaemon.start();
});
after(async () => {
  await daemon[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});
beforeEach(() => {
  daemon.changes.length = 0;
  daemon.failure = null;
  daemon.restartNeeded = [];
  daemon.reservations = [];
});

const ask = (words: readonly string[], options: CaptureOptions = {}): Promise<Ran> =>
  vmlan(['network', ...words], { ...options, env: { VMLAN_HOST: `unix://${daemon.socket}`, ...options.env } });

describe('create', () => {
  const table: readonly (readonly [line: string, body: object])[] = [
    ['new', { mode: 'shared' }],
    [
      'new --mode isolated --subnet 10.1.0.0/24 --subnet6 off --mtu 9000',
      { mode: 'isolated', subnet: '10.1.0.0/24', subnet6: 'off', mtu: 9000 },
    ],
    [
      'new --dns-domain a.test --set dns.upstream=none',
      { mode: 'shared', dns: { domain: 'a.test', upstream: 'none' } },
    ],
    [
      'new --dhcp-range 10.1.0.5-10.1.0.9 --lease-time 2h',
      { mode: 'shared', dhcp: { range: ['10.1.0.5', '10.1.0.9'], leaseTime: '2h' } },
    ],
    [
      'new --forward 8080=web:80 --forward [::1]:53=dns:53/udp --forward 5000=6000/udp/reverse',
      {
        mode: 'shared',
        forwards: [
          { host: '8080', guest: 'web:80' },
          { host: '[::1]:53', guest: 'dns:53', protocol: 'udp' },
          { host: '5000', guest: '6000', protocol: 'udp', direction: 'reverse' },
        ],
      },
    ],
    [
      'new --reserve db=10.1.0.5 --reserve 52-54-00-00-00-0A=10.1.0.6',
      {
        mode: 'shared',
        dhcp: {
          reservations: [
            { guest: 'db', ip: '10.1.0.5' },
            { mac: '52:54:00:00:00:0a', ip: '10.1.0.6' },
          ],
        },
      },
    ],
    [
      'new --isolation all --host-access none',
      { mode: 'shared', hostAccess: 'none', isolation: { guests: true, host: true } },
    ],
    ['new --host-access 80,443 --set hostAccess=[22]', { mode: 'shared', hostAccess: [22] }],
  ];
  for (const [line, config] of table) {
    test(line, async () => {
      const { code, stdout, stderr } = await ask(['create', ...line.split(' ')]);
      assert.deepEqual([code, stdout, stderr], [0, 'network "new" created\n', '']);
      const [, body = ''] = /^createNetwork \{\} (.*)$/.exec(daemon.changes.join()) ?? [];
      assert.deepEqual(JSON.parse(body), { name: 'new', config });
    });
  }

  test('with --autostart starts it', async () => {
    const { stdout } = await ask(['create', 'lab', '--autostart']);
    assert.equal(stdout, 'network "lab" created\nnetwork "lab" runs, 192.168.105.0/24\n');
    assert.match(daemon.changes.join('\n'), /"autostart":true[^]*startNetwork/);
  });

  test('as a dry run shows the difference and starts nothing', async () => {
    const { stdout } = await ask(['create', 'lab', '--autostart', '--dry-run']);
    assert.match(
      stdout,
      /^--- a\n\+\+\+ a\n@@ -1,1 \+1,2 @@\n networks:\n\+ {2}new: [^]*\nlab: open forward fwd-1\nnothing was changed: --dry-run\n$/,
    );
    assert.equal(daemon.changes.length, 1);
  });

  const wrong: readonly (readonly [words: readonly string[], message: RegExp, hint: RegExp])[] = [
    [['--forward', '8080'], /--forward 8080: not HOST=GUEST:PORT/, /8080=web:80/],
    [['--reserve', 'db'], /--reserve db: not GUEST=ADDRESS/, /db=192/],
    [['--host-access', 'some'], /not all, none or ports/, /5432,6379/],
    [['--set', 'mtu'], /not KEY=VALUE/, /mtu=9000/],
    [['--set', 'a=['], /the value is not YAML/, /quote it/],
    [['--set', 'a..b=1'], /"a..b" is no key/, /schema/],
    [['--mode', 'shard'], /Allowed choices are user/, /see/],
    [['--mtu', 'big'], /not a number of bytes/, /--mtu 9000/],
  ];
  for (const [words, message, hint] of wrong) {
    test(`${words.join(' ')} is wrong`, async () => {
      const { code, stderr } = await ask(['create', 'new', ...words]);
      assert.equal(code, 2, stderr);
      const [first = '', second = ''] = stderr.split('\n');
      assert.match(first, message);
      assert.match(second.replace('hint: ', ''), hint);
    });
  }
});

describe('delete, autostart', () => {
  test('name what they did', async () => {
    assert.equal((await ask(['delete', 'lab'])).stdout, 'network "lab" deleted\n');
    assert.equal((await ask(['autostart', 'lab', 'on'])).stdout, 'network "lab" starts by itself\n');
    assert.equal((await ask(['autostart', 'lab', 'off'])).stdout, 'network "lab" does not start by itself\n');
    assert.deepEqual(daemon.changes, [
      'deleteNetwork {"name":"lab"} {}',
      'updateNetwork {"name":"lab"} {"autostart":true}',
      'updateNetwork {"name":"lab"} {"autostart":null}',
    ]);
    assert.equal((await ask(['delete', 'nowhere'])).code, 3);
    assert.match((await ask(['autostart', 'lab', 'perhaps'])).stderr, /Allowed choices are on, off/);
  });
});

/** An editor that appends these lines, one of them at each call. */
function editor(...lines: readonly string[]): NodeJS.ProcessEnv {
  const script = join(directory, 'editor');
  const seen = join(directory, 'seen');
  rmSync(seen, { force: true });
  writeFileSync(join(directory, 'lines'), lines.map((line) => `${line}\n`).join(''));
  writeFileSync(
    script,
    `#!/bin/sh\ncat "$2" >>${seen}\nn=$(cat ${seen} | grep -c '^#| network\\|^#| hint')\nsed -n "$n"p ${join(directory, 'lines')} >>"$2"\n`,
  );
  chmodSync(script, 0o755);
  return { EDITOR: `${script} --wait`, TMPDIR: directory };
}

describe('edit', () => {
  test('by keys', async () => {
    const { stdout } = await ask([
      'edit',
      'lab',
      '--set',
      'mtu=9000',
      '--set',
      'dns.domain=a.test',
      '--unset',
      'dhcp.range',
    ]);
    assert.equal(stdout, 'network "lab" changed\n');
    assert.deepEqual(daemon.changes, [
      'updateNetwork {"name":"lab"} {"mtu":9000,"dns":{"domain":"a.test"},"dhcp":{"range":null}}',
    ]);
  });

  test('says what still needs a restart', async () => {
    daemon.restartNeeded = ['lab'];
    const { stderr } = await ask(['edit', 'lab', '--set', 'mtu=9000']);
    assert.match(stderr, /^vmlan: warning: network "lab" runs on with its older settings .* --restart does it/);
    assert.equal((await ask(['edit', 'lab', '--set', 'mtu=9000', '--restart'])).stderr, '');
  });

  test('in an editor sends the text without our notes', async () => {
    const { code, stdout, stderr } = await ask(['edit', 'lab'], { env: editor('mtu: 9000') });
    assert.deepEqual([code, stdout, stderr], [0, 'network "lab" changed\n', '']);
    assert.match(
      readFileSync(join(directory, 'seen'), 'utf8'),
      /^#\| network "lab", from \/etc\/vmlan\/networks.yaml:3\n/,
    );
    assert.deepEqual(daemon.changes, [
      'replaceNetworkConfig {"name":"lab"} {"yaml":"# the lab\\nmode: shared\\nmtu: 9000\\n"}',
    ]);
  });

  test('without a change does nothing', async () => {
    const { stdout } = await ask(['edit', 'lab'], { env: editor() });
    assert.equal(stdout, 'network "lab" stays as it is\n');
    assert.deepEqual(daemon.changes, []);
  });

  test('that is refused keeps the text', async () => {
    daemon.failure = {
      route: 'replaceNetworkConfig',
      error: new VmlanError('invalid-config', 'a.yaml:3:1: no', { hint: 'yes' }),
    };
    const { code, stderr } = await ask(['edit', 'lab'], { env: editor('mtu: x') });
    assert.equal(code, 2);
    const file = /hint: yes; your text is kept: .*vmlan network edit lab --file (.*)\n$/.exec(stderr)?.[1] ?? '';
    assert.match(readFileSync(file, 'utf8'), /^#\| [^]*mode: shared\nmtu: x\n$/);
    daemon.failure = null;
    await ask(['edit', 'lab', '--file', file]);
    assert.match(daemon.changes.at(-1)!, /"yaml":"# the lab\\nmode: shared\\nmtu: x\\n"/, 'without our notes');
  });

  test('says what to do when the editor fails, is none, or leaves nothing', async () => {
    const script = join(directory, 'bad-editor');
    const by = async (text: string): Promise<string> => {
      writeFileSync(script, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
      const { code, stderr } = await ask(['edit', 'lab'], { env: { EDITOR: script, TMPDIR: directory } });
      assert.notEqual(code, 0);
      return stderr;
    };
    assert.match(await by('exit 3'), /ended with code 3; nothing was changed\nhint: .*--file \S+\/lab\.yaml\n$/);
    assert.match(await by('rm "$1"'), /left no file .*; nothing was changed\nhint: again: vmlan network edit lab\n$/);
    const { code, stderr } = await ask(['edit', 'lab'], { env: { EDITOR: '/nope/editor', TMPDIR: directory } });
    assert.equal(code, 3);
    assert.match(
      stderr,
      /there is no program "\/nope\/editor"\nhint: name another: EDITOR=nano vmlan network edit lab/,
    );
    assert.deepEqual(daemon.changes, []);
  });

  test('in a terminal opens the editor again, with the reason, until it is right', async () => {
    daemon.failure = {
      route: 'replaceNetworkConfig',
      error: new VmlanError('invalid-config', 'a.yaml:3:1: no', { hint: 'yes' }),
    };
    daemon.failures = 1;
    const { code, stdout } = await ask(['edit', 'lab'], { env: editor('mtu: x', '# better'), stdinIsTerminal: true });
    assert.deepEqual([code, stdout], [0, 'network "lab" changed\n']);
    assert.match(readFileSync(join(directory, 'seen'), 'utf8'), /#\| a.yaml:3:1: no\n#\| hint: yes\n#\| Mend it/);
    assert.match(daemon.changes.at(-1)!, /mtu: x\\n# better\\n"/);
  });

  test('from a file', async () => {
    const file = join(directory, 'lab.yaml');
    writeFileSync(file, 'mode: host\n');
    await ask(['edit', 'lab', '--file', file]);
    assert.deepEqual(daemon.changes, ['replaceNetworkConfig {"name":"lab"} {"yaml":"mode: host\\n"}']);
    assert.equal((await ask(['edit', 'lab', '--file', '/none'])).code, 3);
    assert.match((await ask(['edit', 'lab', '--file', file, '--set', 'a=1'])).stderr, /exclude each other/);
  });

  test('with an editor that fails changes nothing', async () => {
    const { code, stderr } = await ask(['edit', 'lab'], { env: { EDITOR: 'false', TMPDIR: directory } });
    assert.equal(code, 1);
    assert.match(stderr, /the editor "false" ended with code 1; nothing was changed/);
  });
});

describe('reservation', () => {
  test('is added by guest or MAC address, also with the address that is leased', async () => {
    daemon.leases = [
      {
        network: 'lab',
        address: '10.1.0.7',
        family: 4,
        guest: 'web',
        nic: 'web/0',
        mac: null,
        hostname: null,
        expiresMs: null,
        state: 'active',
      },
    ];
    const add = (...words: readonly string[]): Promise<Ran> => ask(['reservation', 'add', 'lab', ...words]);
    assert.equal((await add('db', '10.1.0.5')).stdout, '10.1.0.5 is kept for db on network "lab"\n');
    await add('52:54:00:00:00:0A', '10.1.0.6');
    await add('web');
    assert.deepEqual(daemon.changes, [
      'createReservation {"name":"lab"} {"guest":"db","ip":"10.1.0.5"}',
      'createReservation {"name":"lab"} {"mac":"52:54:00:00:00:0a","ip":"10.1.0.6"}',
      'createReservation {"name":"lab"} {"guest":"web","ip":"10.1.0.7"}',
    ]);
    const { code, stderr } = await add('nobody');
    assert.equal(code, 3);
    assert.match(stderr, /nobody has no address on network "lab"\nhint: give it one: vmlan network reservation add/);
  });

  test('is listed and removed by what it is for', async () => {
    daemon.reservations = [
      { network: 'lab', ip: '10.1.0.5', guest: 'db', mac: null, origin: 'config' },
      { network: 'lab', ip: '10.1.0.6', guest: 'own', mac: '52:54:00:00:00:01', origin: 'guest' },
    ];
    assert.match(
      (await ask(['reservation', 'list'])).stdout,
      /^IP +GUEST +MAC +NETWORK +ORIGIN\n10\.1\.0\.5 +db +- +lab +config\n/,
    );
    assert.equal((await ask(['reservation', 'list', 'lab', '-q'])).stdout, '10.1.0.5\n10.1.0.6\n');
    const { stdout } = await ask(['reservation', 'remove', 'lab', 'db']);
    assert.equal(stdout, '10.1.0.5 is no longer reserved on network "lab"\n');
    assert.deepEqual(daemon.changes, ['deleteReservation {"name":"lab","ip":"10.1.0.5"} {}']);
    assert.match((await ask(['reservation', 'remove', 'lab', 'own'])).stderr, /belongs to guest "own" itself/);
    assert.match((await ask(['reservation', 'remove', 'lab', 'x'])).stderr, /nothing is reserved for x/);
  });
});
