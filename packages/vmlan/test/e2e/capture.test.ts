/**
 * Captures of real guests by the command line: what a file holds by the word of other programs, lines for people, files in
 * a ring, and the ways in which a capture ends.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { CapturedLine } from '../../src/model/api.ts';
import { icmpOf, ipv4Frame } from '../../src/wire/packets.fixture.ts';
import { until } from '../support/deadline.ts';
import { missing } from '../support/needs.ts';
import type { Namespace } from '../support/netns.ts';
import { serve } from '../support/peers.ts';
import { output, Process, type RunResult } from '../support/process.ts';
import { Station } from '../support/station.ts';
import { World } from './world.ts';

const CONFIG = `
networks:
  lab: { mode: user-v2, subnet: 192.168.77.0/24, subnet6: fd77:1:2:3::/64 }
  dev: { mode: user-v2, subnet: 192.168.78.0/24 }
`;
const LIAR = '52:54:00:66:00:01';
const PATIENCE_MS = 15_000;
/** Of one network (docs/limits.md). */
const MAX_CAPTURES = 8;

describe('capture', { skip: missing('ip', 'ping', 'tcpdump', 'dhcpcd', 'curl') }, () => {
  const stack = new AsyncDisposableStack();
  let world: World;
  let web: Namespace;
  let gateway: string;

  before(async () => {
    world = stack.use(await World.create({ config: CONFIG }));
    web = await world.namespaceGuest('web', { network: 'lab', configure: true });
    gateway = (await world.network('lab')).gateway!;
    stack.use(
      await serve(world.lab.host, [
        { kind: 'tcp-echo', host: '127.0.0.1', port: 8001 },
        { kind: 'sink', host: '127.0.0.1', port: 8002 },
      ]),
    );
  });
  after(() => stack.disposeAsync());

  const path = (name: string): string => join(world.vmlan.folder, name);

  /** A capture into a file, that sees frames already: its file has begun. */
  const startFile = async (who: string, file: string, ...more: readonly string[]): Promise<Process> => {
    const capture = world.vmlan.start('capture', who, '-w', file, ...more);
    const first = more.includes('--ring') ? file.replace('.pcapng', '.1.pcapng') : file;
    await until('the capture to run', PATIENCE_MS, () => existsSync(first) && statSync(first).size > 0);
    return capture;
  };

  /** Does something until a capture that waits for it has ended. */
  const untilEnded = async (capture: Process, stimulus: () => Promise<unknown> | void): Promise<RunResult> => {
    await until('the capture to have seen enough', PATIENCE_MS, async () => {
      await stimulus();
      return !capture.running;
    });
    return capture.exited;
  };

  const end = async (capture: Process): Promise<string> => {
    capture.signal('SIGINT');
    const { code, stderr } = await capture.exited;
    assert.equal(code, 0, stderr);
    return stderr;
  };

  const ping = (from: Namespace): Promise<string> => from.output(['ping', '-c', '1', '-W', '5', gateway]);

  const dump = async (file: string, ...more: readonly string[]): Promise<string[]> =>
    (await output(['tcpdump', '-nn', '-r', file, ...more]))
      .trim()
      .split('\n')
      .filter((line) => line !== '');

  test('a file holds DHCP, ARP and TCP in both directions, and ends in order', async () => {
    const { socket } = await world.api.call('attachGuest', {
      params: { name: 'liar' },
      body: { network: 'lab', mac: LIAR },
    });
    assert.ok(socket !== null && 'unix' in socket);
    const file = path('lab.pcapng');
    await using capture = await startFile('lab', file);
    await using liar = await Station.connect(socket.unix, LIAR);
    await liar.obtainLease();
    await web.output(['bash', '-c', `exec 3<>/dev/tcp/${gateway}/8001; echo hello >&3; head -c 6 <&3`]);
    assert.match(await end(capture), /^\d+ frames captured$/m);

    assert.equal(statSync(file).mode & 0o777, 0o600);
    const dhcp = await dump(file, 'udp', 'port', '67');
    assert.ok(
      dhcp.some((line) => /\.68 > 255\.255\.255\.255\.67/.test(line)),
      dhcp.join('\n'),
    );
    const arp = await dump(file, 'arp');
    assert.ok(
      arp.some((line) => line.includes(`who-has ${gateway} tell`)),
      arp.join('\n'),
    );
    const tcp = await dump(file, 'tcp', 'port', '8001');
    assert.ok(tcp.some((line) => line.includes('Flags [S]')) && tcp.some((line) => line.includes('Flags [S.]')));
  });

  test('a frame with a lie in it is shown with the reason of its end', async () => {
    await using capture = world.vmlan.start('capture', 'liar', '--drops', '--output', 'json', '--count', '1');
    const { socket } = await world.api.call('attachGuest', { params: { name: 'liar' }, body: { network: 'lab' } });
    assert.ok(socket !== null && 'unix' in socket);
    await using liar = await Station.connect(socket.unix, LIAR);
    const lie = ipv4Frame({ from: LIAR, src: '10.9.8.7', dst: gateway }, icmpOf(8, 0, 0));
    const { code, stdout } = await untilEnded(capture, () => liar.send(lie));
    assert.equal(code, 0);
    const line = JSON.parse(stdout) as CapturedLine;
    assert.equal(line.dropped, 'drop_spoofed_ipv4_source');
    assert.deepEqual([line.guest, line.nic, line.direction], ['liar', 'liar/0', 'inbound']);
  });

  test('lines for people', async () => {
    await using capture = world.vmlan.start('capture', 'web', '--filter', 'icmp', '--peer', gateway, '--count', '2');
    const { code, stdout, stderr } = await untilEnded(capture, () => ping(web));
    assert.equal(code, 0, stderr);
    const [request = '', reply = ''] = stdout.split('\n');
    assert.match(request, /^\d\d:\d\d:\d\d\.\d{3} {2}web\/0 +> IPv4 [\d.]+ > [\d.]+ icmp echo request id/);
    assert.match(reply, /web\/0 +< IPv4 .* icmp echo reply/);
    assert.match(stderr, /^2 frames captured$/m);
  });

  test('live into another program, which may have enough', async () => {
    const command = [...world.vmlan.argv('capture', 'web', '-w', '-')].map((word) => `'${word}'`).join(' ');
    const pipe = ['bash', '-c', `${command} | tcpdump -nn -c 2 -r - icmp`];
    await using shell = Process.start(pipe, { env: world.vmlan.env });
    // What comes after tcpdump has ended tells the capture so.
    const { code, stdout } = await untilEnded(shell, () => ping(web));
    assert.equal(code, 0);
    assert.match(stdout, /ICMP echo request[^]*ICMP echo reply/);
  });

  test('a ring of files, each of them whole', async () => {
    const file = path('ring.pcapng');
    await using capture = await startFile('web', file, '--ring', '2,64K');
    const big = ['ping', '-f', '-c', '120', '-s', '1400', '-W', '5', gateway];
    await web.output(big);
    await end(capture);
    const files = readdirSync(world.vmlan.folder).filter((name) => name.startsWith('ring.'));
    assert.deepEqual(files.sort(), ['ring.1.pcapng', 'ring.2.pcapng']);
    for (const name of files) {
      assert.ok(statSync(path(name)).size <= 65_536 + 2000, `${statSync(path(name)).size} bytes`);
      assert.ok((await dump(path(name))).length > 1);
    }
  });

  test('of a guest with cards on two networks', async () => {
    const both = await world.lab.guest('both');
    for (const [network, nic] of [
      ['lab', 'eth0'],
      ['dev', 'eth1'],
    ] as const) {
      const netns = { path: both.path, interface: nic, configure: true };
      await world.api.call('attachGuest', { params: { name: 'both' }, body: { network, kind: 'netns', netns } });
      await both.waitForAddress(nic, 4);
    }
    const file = path('both.pcapng');
    await using capture = await startFile('both', file);
    const dev = (await world.network('dev')).gateway!;
    await both.output(['ping', '-c', '1', '-W', '5', '-I', 'eth0', gateway]);
    await both.output(['ping', '-c', '1', '-W', '5', '-I', 'eth1', dev]);
    const said = await end(capture);
    const lines = await dump(file, 'icmp');
    for (const each of [gateway, dev])
      assert.ok(
        lines.some((line) => line.includes(`> ${each}: ICMP echo request`)),
        `${each} in:\n${(await dump(file, '-e')).join('\n')}\n${said}`,
      );
    if (missing('tshark') === false) {
      const fields = ['-T', 'fields', '-e', 'frame.interface_name', '-e', 'frame.interface_description'];
      const seen = new Set((await output(['tshark', '-r', file, ...fields])).trim().split('\n'));
      assert.deepEqual([...seen].sort(), ['both/0\tboth on network lab', 'both/1\tboth on network dev']);
    }
  });

  test('a drop has its reason as a comment in a file', { skip: missing('tshark') }, async () => {
    const file = path('drops.pcapng');
    await using capture = world.vmlan.start('capture', 'liar', '--drops', '--count', '1', '-w', file);
    const { socket } = await world.api.call('attachGuest', { params: { name: 'liar' }, body: { network: 'lab' } });
    assert.ok(socket !== null && 'unix' in socket);
    await using liar = await Station.connect(socket.unix, LIAR);
    const lie = ipv4Frame({ from: LIAR, src: '10.9.8.7', dst: gateway }, icmpOf(8, 0, 0));
    assert.equal((await untilEnded(capture, () => liar.send(lie))).code, 0);
    const comment = await output(['tshark', '-r', file, '-T', 'fields', '-e', 'frame.comment']);
    assert.equal(comment.trim(), 'dropped: drop_spoofed_ipv4_source');
  });

  test('a reader that is stopped slows nobody down, and what it misses is counted', async () => {
    const lost = async (): Promise<number> => (await world.network('lab')).counters!['capture_frames_lost'] ?? 0;
    const before = await lost();
    const command = world.vmlan.argv('capture', 'web', '-w', '-').join(' ');
    // Nobody reads the other end; the shell tells when both have begun.
    await using shell = Process.start(['bash', '-c', `${command} | sleep 60`], { env: world.vmlan.env });
    const send = ['bash', '-c', `head -c 24M /dev/zero > /dev/tcp/${gateway}/8002`];
    await until('frames to be lost', PATIENCE_MS, async () => {
      await web.output(send);
      return (await lost()) > before;
    });
    await ping(web);
    assert.ok(shell.running);
  });

  test('ends after a time, with the network, and with its daemon', async () => {
    const timed = path('timed.pcapng');
    await using short = await startFile('lab', timed, '--duration', '1s');
    assert.equal((await short.exited).code, 0);
    await using capture = await startFile('dev', path('dev.pcapng'));
    await world.vmlan.ok('network', 'stop', 'dev');
    assert.equal((await capture.exited).code, 0);
    assert.ok(existsSync(path('dev.pcapng')) && readFileSync(path('dev.pcapng')).length > 0);
    const stopped = await world.vmlan.run(['capture', 'dev']);
    assert.equal(stopped.code, 1);
    assert.match(stopped.stderr, /network "dev" does not run\nhint: start it with: vmlan network start dev/);
  });

  test('mistakes are told before anything runs', async () => {
    const table: [readonly string[], number, RegExp][] = [
      [['nobody'], 3, /no guest and no network "nobody"\nhint: see: vmlan list/],
      [['web', '--filter', 'tcp and prt 80'], 2, /filter, column 9: "prt" is no address/],
      [['web', '--network', 'dev'], 3, /guest "web" has no card on network "dev"\nhint: it has one on: lab/],
      [
        ['web', '-w', '/nowhere/a.pcapng'],
        3,
        /\/nowhere\/a\.pcapng cannot be written: .*\nhint: make it first: mkdir -p \/nowhere/,
      ],
      [['web', '--ring', '2,1M'], 2, /--ring needs a file/],
      [['web', '--ring', '1,1M', '-w', 'x'], 2, /FILES,SIZE/],
      [['web', '--count', '0'], 2, /whole number above 0/],
    ];
    for (const [args, code, text] of table) {
      const ran = await world.vmlan.run(['capture', ...args]);
      assert.equal(ran.code, code, `${args.join(' ')}: ${ran.stderr}`);
      assert.match(ran.stderr, text);
    }
    // None of them is left: as many as may run, and one more.
    for (let i = 0; i <= MAX_CAPTURES; i++) await world.vmlan.run(['capture', 'web', '-w', '/nowhere/a.pcapng']);
    assert.match((await world.vmlan.run(['capture', 'web', '-w', '/nowhere/a.pcapng'])).stderr, /cannot be written/);
  });
});
