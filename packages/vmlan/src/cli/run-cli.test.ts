import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { VmlanError } from '../client/errors.ts';
import { vmlan } from './capture-io.fixture.ts';
import { StubDaemon, guestView, networkView } from './stub-daemon.fixture.ts';
import { stubbedCli } from './stubbed-cli.fixture.ts';

const cli = stubbedCli();
const { ask, ok } = cli;

describe('usage', () => {
  const table: { line: string; code: number; text: RegExp; hint: RegExp }[] = [
    { line: 'lsit', code: 2, text: /unknown command 'lsit'/, hint: /did you mean list\?/ },
    { line: 'network strat lab', code: 2, text: /unknown command 'strat'/, hint: /did you mean start\?/ },
    { line: 'list --netwrok lab', code: 2, text: /unknown option '--netwrok'/, hint: /did you mean --network\?/ },
    { line: 'help lsit', code: 2, text: /unknown command 'lsit'/, hint: /did you mean list\?/ },
    { line: 'help network strat', code: 2, text: /unknown command 'strat'/, hint: /did you mean start\?/ },
    {
      line: 'help list all',
      code: 2,
      text: /vmlan list has no command 'all'/,
      hint: /see: vmlan list --help|vmlan help/,
    },
    { line: 'list -x', code: 2, text: /unknown option '-x'/, hint: /see: vmlan list --help/ },
    { line: 'list extra', code: 2, text: /too many arguments for 'vmlan list'/, hint: /see: vmlan list --help/ },
    { line: 'shape web db', code: 2, text: /too many arguments for 'vmlan shape'/, hint: /see: vmlan shape --help/ },
    { line: 'show', code: 2, text: /missing required argument 'guest'/, hint: /see: vmlan show --help/ },
    { line: '-o text list', code: 2, text: /Allowed choices are table, json, yaml/, hint: /see/ },
    { line: '--host tcp://x list', code: 2, text: /is not an address of a daemon/, hint: /unix:\/\// },
    { line: 'attach web --kind tap', code: 2, text: /Allowed choices are qemu-stream/, hint: /see/ },
    { line: 'attach web --exec', code: 2, text: /belong together/, hint: /--exec -- COMMAND/ },
    { line: 'attach web -- true', code: 2, text: /belong together/, hint: /--exec/ },
    { line: 'attach web --qemu-version new', code: 2, text: /not a version of QEMU/, hint: /--qemu-version 9\.2/ },
    { line: 'run web --network lab,mtu=5', code: 2, text: /Write NETWORK/, hint: /see: vmlan run --help/ },
    { line: 'run web --memory lots', code: 2, text: /Write a size/, hint: /see/ },
    { line: 'run web --cpus 0', code: 2, text: /whole number/, hint: /see/ },
    { line: 'run web --wait', code: 2, text: /--wait belongs to --netns/, hint: /vmlan run c1 --netns 4711 --wait/ },
    {
      line: 'run web --config-net',
      code: 2,
      text: /--config-net belongs to --netns/,
      hint: /--netns 4711 --config-net/,
    },
    {
      line: 'run web --netns 1 --kernel k',
      code: 2,
      text: /--kernel and --netns exclude/,
      hint: /see: vmlan run --help/,
    },
    { line: 'run web --netns 1 -- -vga std', code: 2, text: /no arguments for QEMU/, hint: /leave out --/ },
    { line: 'run web --arch pdp11', code: 2, text: /no machine is known/, hint: /--arch/ },
    { line: 'dns add a.b A 1.2.3.4 --ttl soon', code: 2, text: /number of seconds/, hint: /see: vmlan dns add --help/ },
    {
      line: 'show web nonsense',
      code: 2,
      text: /no field "nonsense"/,
      hint: /one of: name, state, network, nics, ip/,
    },
    { line: 'show web network speed', code: 2, text: /no field "speed"/, hint: /mode, controller, ip, mac, network/ },
    { line: 'show web port speed', code: 2, text: /no field "speed"/, hint: /name, protocol, guest_port, host_port/ },
    { line: 'show web ip more', code: 2, text: /no field "ip"/, hint: /network, port/ },
    { line: 'events --since soon', code: 2, text: /must be a duration/, hint: /see: vmlan events --help/ },
    { line: 'events --last few', code: 2, text: /must be a number of events/, hint: /see: vmlan events --help/ },
    { line: 'completion tcsh', code: 2, text: /Allowed choices are bash, zsh, fish/, hint: /see/ },
    { line: 'show none', code: 3, text: /there is no guest "none"/, hint: /see: vmlan list/ },
    { line: 'show web network ip --network dev', code: 3, text: /is not on network "dev"/, hint: /on: lab$/ },
    { line: 'network show none', code: 3, text: /there is no network "none"/, hint: /network list/ },
    { line: 'dns remove none', code: 3, text: /no DNS record/, hint: /dns list/ },
    { line: 'run c1 --netns 2147483647', code: 3, text: /there is no process/, hint: /lsns --type net/ },
    { line: 'run c1 --netns vml-none', code: 3, text: /no network namespace vml-none/, hint: /ip netns list/ },
    { line: 'run c1 --netns ..', code: 2, text: /is no namespace/, hint: /ip netns list/ },
    {
      line: 'run web --image /nowhere/disk',
      code: 3,
      text: /disk image \/nowhere\/disk cannot be read: there is no such file/,
      hint: /ls \/nowhere$/,
    },
    { line: '--host http://127.0.0.1:1 up', code: 2, text: /cannot be started at http/, hint: /unix socket/ },
    { line: '--host http://127.0.0.1:1 list', code: 6, text: /no vmlan daemon answers/, hint: /vmlan up/ },
  ];
  for (const { line, code, text, hint } of table) {
    test(line, async () => {
      const ran = await ask(line, { env: { PATH: process.env['PATH'] } });
      assert.equal(ran.code, code, ran.stderr);
      assert.equal(ran.stdout, '');
      assert.match(ran.stderr, /^vmlan: .+\nhint: .+\n$/);
      assert.match(ran.stderr, text);
      assert.match(/^hint: (.*)$/m.exec(ran.stderr)?.[1] ?? '', hint);
    });
  }

  test('a noun without a verb prints its page on stderr', async () => {
    const { code, stdout, stderr } = await ask('network');
    assert.deepEqual([code, stdout], [2, '']);
    assert.match(stderr, /^Usage: vmlan network/);
  });

  test('nothing at all prints the page', async () => {
    const { code, stdout } = await vmlan([]);
    assert.equal(code, 0);
    assert.match(stdout, /^Usage: vmlan COMMAND/);
  });
});

describe('exit codes', () => {
  const codes = {
    internal: 1,
    invalid: 2,
    'not-found': 3,
    conflict: 4,
    'not-permitted': 5,
    timeout: 1,
    exhausted: 1,
  } as const;
  for (const [code, want] of Object.entries(codes) as [keyof typeof codes, number][]) {
    test(`${code} is ${want}`, async () => {
      cli.daemon.failure = { route: 'listGuests', error: new VmlanError(code, 'it is so', { hint: 'do this' }) };
      assert.deepEqual(await ask('list'), { code: want, stdout: '', stderr: 'vmlan: it is so\nhint: do this\n' });
    });
  }

  test('an absent daemon is 6', async () => {
    const env = { VMLAN_HOST: 'unix:///nowhere/vmlan.sock' };
    assert.deepEqual(await ask('list', { env }), {
      code: 6,
      stdout: '',
      stderr: 'vmlan: no vmlan daemon answers at /nowhere/vmlan.sock\nhint: start it with: vmlan up\n',
    });
  });

  test('what the daemon says cannot move the cursor', async () => {
    cli.daemon.failure = { route: 'listGuests', error: new VmlanError('internal', 'a\u001B[2Jb', { hint: '\u0007' }) };
    assert.equal((await ask('list')).stderr, 'vmlan: a\uFFFD[2Jb\nhint: \uFFFD\n');
  });
});

describe('list', () => {
  test('for people', async () => {
    cli.daemon.guests.push(
      { ...guestView('日本'), nics: [] },
      guestView('db', { address4: [], address6: ['fe80::1'], state: 'waiting' }),
    );
    assert.equal(
      await ok('list'),
      [
        'NAME  IP             IPV6         MAC                NETWORK  STATE',
        'web   192.168.105.5  fd00:105::5  52:54:00:12:34:56  lab      connected',
        'db    -              fe80::1      52:54:00:12:34:56  lab      waiting',
        '',
      ].join('\n'),
    );
  });

  test('for scripts', async () => {
    assert.equal(await ok('list -q'), 'web\n');
    assert.deepEqual(JSON.parse(await ok('list --output json')), cli.daemon.guests);
    assert.match(await ok('ls -o yaml'), /^- name: web\n {2}registered: true\n/);
    assert.deepEqual(JSON.parse(await ok('-o json list --network dev')), []);
  });

  test('colours only where they are wanted', async () => {
    const green = '\u001B[32mconnected\u001B[0m';
    assert.ok((await ok('list', { terminal: true })).includes(green));
    for (const env of [{ NO_COLOR: '1' }, { TERM: 'dumb' }, { CLICOLOR: '0' }, { NO_COLOR: '1', CLICOLOR_FORCE: '1' }])
      assert.ok(!(await ok('list', { terminal: true, env })).includes(green));
    assert.ok((await ok('list', { env: { CLICOLOR_FORCE: '1' } })).includes(green));
    assert.ok(!(await ok('list', { env: { CLICOLOR_FORCE: '0' } })).includes(green));
    assert.ok(!(await ok('--no-color list', { terminal: true })).includes(green));
    assert.ok(!(await ok('list')).includes(green));
  });
});

describe('status and version', () => {
  test('status', async () => {
    cli.daemon.warnings = ['leases cannot be stored'];
    const { code, stdout, stderr } = await ask('status');
    cli.daemon.warnings = [];
    assert.deepEqual([code, stderr], [0, 'vmlan: warning: leases cannot be stored\n']);
    assert.match(stdout, /^daemon +vmlan 9\.9\.9, pid \d+, up \d+d$/m);
    assert.match(stdout, /^guests +1 of 1 connected$/m);
    assert.match(stdout, /^lab +user-v2 +userspace +192\.168\.105\.0\/24 +fd00:105::\/64 +1 +running$/m);
    assert.equal(await ok('status -q'), 'lab\n');
  });

  test('status of what is broken', async () => {
    cli.daemon.problems = [
      {
        network: 'lab',
        part: 'add forward f1',
        code: 'address-in-use',
        detail: '8080 is in use',
        hint: 'choose another',
      },
      { network: 'dev', part: null, code: 'unavailable', detail: 'network "dev" ended' },
    ];
    const { code, stderr } = await ask('status -q');
    cli.daemon.problems = [];
    assert.equal(code, 1);
    assert.equal(
      stderr,
      'vmlan: warning: broken: network "lab", add forward f1: 8080 is in use; choose another\n' +
        'vmlan: warning: broken: network "dev": network "dev" ended\n',
    );
  });

  test('version, with and without a daemon', async () => {
    assert.match(await ok('version'), /^client +1\.2\.3\ndaemon +9\.9\.9\n/);
    assert.match(await ok('version', { env: { VMLAN_HOST: 'unix:///nowhere' } }), /^daemon +not running$/m);
    assert.equal(await ok('--version'), '1.2.3\n');
    assert.equal(await ok('version -q'), '1.2.3\n');
    cli.daemon.failure = { route: 'health', error: new VmlanError('internal', 'broken') };
    assert.equal((await ask('version')).code, 1);
  });

  test('up says that it runs already', async () => {
    const { code, stdout, stderr } = await ask('up');
    assert.match(stdout, /^vmlan 9\.9\.9 runs already, pid \d+\n\nNAME/);
    assert.doesNotMatch(stdout, /^dev /m);
    assert.equal(code, 0);
    assert.match(
      stderr,
      /the daemon is vmlan 9\.9\.9, this command line 1\.2\.3: `vmlan up --upgrade` replaces the daemon/,
    );
    assert.equal((await ask('up -q')).stdout, 'lab\n');
  });
});

describe('changes', () => {
  const table: { line: string; stdout: RegExp; changes: string[] }[] = [
    {
      line: 'network start lab dev',
      stdout: /^network "lab" runs, 192\.168\.105\.0\/24\nnetwork "dev" runs/,
      changes: ['startNetwork {"name":"lab"} {}', 'startNetwork {"name":"dev"} {}'],
    },
    { line: 'network stop lab', stdout: /^network "lab" stopped\n$/, changes: ['stopNetwork {"name":"lab"} {}'] },
    { line: 'network stop lab -q', stdout: /^$/, changes: ['stopNetwork {"name":"lab"} {}'] },
    {
      line: 'forward add 8080 web:80',
      stdout: /^f9 +tcp +8080 +-> +web:80 /m,
      changes: ['createForward {} {"protocol":"tcp","direction":"host","host":"8080","guest":"web:80"}'],
    },
    {
      line: 'forward add --udp --reverse 53 5353 --network lab -q',
      stdout: /^f9\n$/,
      changes: ['createForward {} {"network":"lab","protocol":"udp","direction":"reverse","host":"53","guest":"5353"}'],
    },
    {
      line: 'dns add mail.lab.internal mx 10 a.lab.internal --ttl 60',
      stdout: /^r9 +mail\.lab\.internal +60 +MX +10 a\.lab\.internal /m,
      changes: ['createRecord {} {"name":"mail.lab.internal","type":"MX","value":"10 a.lab.internal","ttl":60}'],
    },
    {
      line: 'shape web --delay 50ms --jitter 10ms --loss 1% --rate 10mbit --limit 64kb',
      stdout: /^s9 +web +<-> +all +lab +delay 50ms jitter 10ms, loss 1%, rate 10mbit limit 64kb$/m,
      changes: [
        'setShape {} {"guest":"web","direction":"both","delayMs":50,"jitterMs":10,"lossPercent":1,"rateBps":10000000,"limitBytes":65536}',
      ],
    },
    {
      line: 'shape set list --peer db --from --partition -q',
      stdout: /^s9\n$/,
      changes: ['setShape {} {"guest":"list","peer":"db","direction":"from","partition":true}'],
    },
    {
      line: 'shape --to web --loss 0.5% --loss-burst 3 --seed 7',
      stdout: /^s9 +web +<- +all +lab +loss 0\.5% in bursts of 3, seed 7$/m,
      changes: ['setShape {} {"guest":"web","direction":"to","lossPercent":0.5,"lossBurst":3,"seed":7}'],
    },
    { line: 'detach web', stdout: /^guest "web" detached\n$/, changes: ['detachGuest {"name":"web"} {}'] },
    {
      line: 'detach web --network lab --forget',
      stdout: /^guest "web" detached and forgotten\n$/,
      changes: ['detachGuest {"name":"web"} {"network":"lab"}', 'deleteGuest {"name":"web"} {}'],
    },
  ];
  for (const { line, stdout, changes } of table) {
    test(line, async () => {
      assert.match(await ok(line), stdout);
      assert.deepEqual(cli.daemon.changes, changes);
    });
  }

  test('a network that cannot start is an error', async () => {
    const problem = { type: 'x', title: 'x', status: 409, code: 'conflict', detail: 'the subnet is taken' };
    cli.daemon.networks = [networkView('lab', { state: 'failed', problem }), cli.daemon.networks[1]!];
    assert.deepEqual(await ask('network start lab'), {
      code: 4,
      stdout: '',
      stderr: 'vmlan: the subnet is taken\nhint: see what there is: vmlan status\n',
    });
    cli.daemon.networks = [networkView('lab'), cli.daemon.networks[1]!];
  });

  test('progress is for those who watch', async () => {
    assert.match((await ask('network start lab', { terminal: true })).stderr, /^starting network "lab" …\n$/);
    assert.equal((await ask('network start lab -q', { terminal: true })).stderr, '');
  });
});

describe('networks', () => {
  test('list and show', async () => {
    assert.equal(await ok('network list -q'), 'lab\ndev\n');
    assert.match(await ok('network show lab'), /^why +the daemon is an ordinary user$/m);
    assert.match(await ok('network show lab'), /^flows +3 TCP, 2 UDP, 0 ICMP$/m);
    assert.equal(await ok('network show lab socket'), '/run/v/qemu.sock\n');
    assert.deepEqual(JSON.parse(await ok('network show dev -o json')), cli.daemon.networks[1]);
    assert.equal((await ask('network show dev socket')).code, 3);
  });

  test('leases of one network or of all', async () => {
    const lease = {
      network: 'lab',
      family: 4,
      guest: 'web',
      nic: 'web/0',
      mac: null,
      hostname: 'web',
      state: 'active',
    } as const;
    cli.daemon.leases = [
      { ...lease, address: '192.168.105.5', expiresMs: Date.now() + 3_599_000 },
      { ...lease, address: '192.168.105.6', expiresMs: Date.now() - 120_000, state: 'expired' },
      { ...lease, address: '192.168.105.7', expiresMs: null, network: 'dev', state: 'reserved' },
    ];
    assert.match(await ok('network leases lab'), /^192\.168\.105\.5 +web +- +web +lab +in 59m +active$/m);
    assert.match(await ok('network leases lab'), /2m ago +expired$/m);
    assert.equal(await ok('network leases -q'), '192.168.105.5\n192.168.105.6\n192.168.105.7\n');
    assert.match(await ok('network leases dev'), /never +reserved$/m);
  });
});

test('down waits until nobody answers', async () => {
  await using other = await StubDaemon.start();
  const env = { VMLAN_HOST: `unix://${other.socket}` };
  assert.deepEqual(await vmlan(['down', '--keep-networks'], { env }), {
    code: 0,
    stdout: 'vmlan stopped; its networks run on\n',
    stderr: '',
  });
  assert.deepEqual(other.changes, ['shutdown {} {"networks":false}']);
  assert.equal((await vmlan(['down'], { env })).code, 6);
});
