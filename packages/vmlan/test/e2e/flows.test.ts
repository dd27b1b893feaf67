/**
 * `vmlan flows` and `vmlan top` with a transfer under way: whose it is, through what, and how fast.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { TopRow } from '../../src/cli/views/top.ts';
import type { FlowView } from '../../src/model/api.ts';
import { until } from '../support/deadline.ts';
import { missing } from '../support/needs.ts';
import type { Namespace } from '../support/netns.ts';
import { serve } from '../support/peers.ts';
import { World } from './world.ts';

const CONFIG = 'networks:\n  lab: { mode: user-v2, subnet: 192.168.77.0/24 }\n';
const PATIENCE_MS = 15_000;

describe('flows', { skip: missing('ip', 'bash') }, () => {
  const stack = new AsyncDisposableStack();
  let world: World;
  let web: Namespace;
  let address: string;
  let gateway: string;

  before(async () => {
    world = stack.use(await World.create({ config: CONFIG }));
    web = await world.namespaceGuest('web', { network: 'lab', configure: true });
    address = await web.waitForAddress('eth0', 4);
    gateway = (await world.network('lab')).gateway!;
    stack.use(await serve(world.lab.host, [{ kind: 'source', bytes: 1e12, host: '127.0.0.1', port: 8001 }]));
    stack.use(await serve(web, [{ kind: 'tcp-echo', host: address, port: 80 }]));
  });
  after(() => stack.disposeAsync());

  const flows = (...args: readonly string[]): Promise<FlowView[]> => world.vmlan.json<FlowView[]>('flows', ...args);

  test('a transfer that runs, and a forward that is used', async () => {
    // As slow as its reader: 64 KiB each tenth of a second.
    const reader = `exec 3<>/dev/tcp/${gateway}/8001; while head -c 65536 <&3 >/dev/null; do sleep 0.1; done`;
    await using _download = web.start(['bash', '-c', reader]);
    await world.vmlan.ok('forward', 'add', '8080', 'web:80');
    const client = world.lab.host.start([
      'bash',
      '-c',
      'exec 3<>/dev/tcp/127.0.0.1/8080; echo hi >&3; head -c 3 <&3; read',
    ]);
    await using _client = client;
    await until('both to be seen', PATIENCE_MS, async () => (await flows()).length >= 2);

    const [down] = await flows('--guest', 'web', '--protocol', 'tcp', '--limit', '1');
    assert.partialDeepStrictEqual(down, {
      ...{ network: 'lab', guest: 'web', nic: 'web/0', protocol: 'tcp', state: 'ESTABLISHED' },
      ...{ guestAddress: address, remoteAddress: gateway, remotePort: 8001, forward: null },
    });
    assert.match(down!.hostAddress ?? '', /^127\.0\.0\.1:\d+$/);
    const before = down!.bytesToGuest;
    await until('it to go on', PATIENCE_MS, async () => (await flows('--limit', '1'))[0]!.bytesToGuest > before);

    const forwarded = (await flows()).find(({ guestPort }) => guestPort === 80);
    assert.match(forwarded?.forward ?? '', /^fwd-/);
    assert.match(forwarded?.peerAddress ?? '', /^127\.0\.0\.1:\d+$/);

    const table = await world.vmlan.ok('flows', '--sort', 'rate', '--delay', '1s');
    const [heading = '', fastest = ''] = table.split('\n');
    assert.match(heading, /^GUEST +PROTO +STATE +FROM +TO +VIA +SENT +RECEIVED +BIT\/S +AGE +IDLE +RTT +RESENT$/);
    assert.match(
      fastest,
      new RegExp(`^web +tcp +ESTABLISHED +${address}:\\d+ +${gateway}:8001 +outbound .* [\\d.]+[kM] `),
    );
  });

  test('watched by a program: a document a look', async () => {
    await using watching = world.vmlan.start('flows', '--watch', '--delay', '1s', '--output', 'json');
    await until('two looks', PATIENCE_MS, () => watching.stdout.trim().split('\n').length >= 2);
    for (const line of watching.stdout.trim().split('\n').slice(0, 2)) assert.ok(Array.isArray(JSON.parse(line)));
  });

  test('top: what happens in a second, once and again', async () => {
    await using _ping = web.start(['ping', '-i', '0.05', gateway]);
    const rows = await world.vmlan.json<TopRow[]>('top', '--once', '--delay', '1s');
    const row = rows.find(({ guest }) => guest === 'web');
    assert.partialDeepStrictEqual(row, { nic: 'web/0', network: 'lab', state: 'connected' });
    assert.ok(row!.framesFromGuest > 5 && row!.bytesToGuest > 500, JSON.stringify(row));
    const text = await world.vmlan.ok('top', '--count', '2', '--delay', '1s', '--network', 'lab');
    assert.equal(text.match(/^GUEST +NETWORK/gm)?.length, 2);
    assert.match(text, /^web +lab +connected +[\d.]+k/m);
    const wrong = await world.vmlan.run(['top', '--sort', 'colour']);
    assert.equal(wrong.code, 2);
  });

  test('mistakes', async () => {
    const table: [readonly string[], number, RegExp][] = [
      [['--guest', 'nobody'], 3, /no guest "nobody"|there is no guest/],
      [['--network', 'nowhere'], 3, /no network "nowhere"/],
      [['--protocol', 'gre'], 2, /tcp, udp, icmp/],
      [['--limit', '0'], 2, /whole number/],
      [['--delay', 'soon'], 2, /duration/],
    ];
    for (const [args, code, text] of table) {
      const ran = await world.vmlan.run(['flows', ...args]);
      assert.equal(ran.code, code, ran.stderr);
      assert.match(ran.stderr, text);
    }
  });
});
