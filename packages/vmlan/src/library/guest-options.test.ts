/** What a program may ask of a network, and what it is told when it asks for something else. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Network } from './network.ts';

/** As a program in plain JavaScript would write it. */
const any = (value: unknown): never => value as never;

describe('options', () => {
  let net: Network;
  before(async () => {
    net = await Network.create({ subnet: '10.9.0.0/24' });
    await net.addGuest('web');
  });
  after(() => net.close());

  const table: [name: string, ask: () => Promise<unknown>, message: RegExp, hint?: RegExp][] = [
    [
      'of a guest',
      () => net.addGuest('a', any({ adress: '1.2.3.4' })),
      /^guest "a": unknown option "adress"$/,
      /mac, ip/,
    ],
    [
      'of an address',
      () => net.addGuest('a', { configure: any({ address: '10.9.0.9/24', dns: 'x' }) }),
      /option "dns"/,
    ],
    ['that are no address', () => net.addGuest('a', { configure: any('static') }), /configure: "static" is/, /'dhcp'/],
    ['of a machine', () => net.attachQemu('a', any({ memory: 1 })), /unknown option "memory"/],
    ['of a namespace', () => net.attachNamespace('a', any({ netns: 'x' })), /unknown option "netns"/, /pid, path/],
    ['of a forward', () => net.forward(any({ host: 0, to: 'web:80' })), /^forward: unknown option "to"$/],
    ['of a record', () => net.records.add(any({ name: 'a.example', ip: '1.2.3.4' })), /^record: unknown option "ip"$/],
    ['a record of nothing', () => net.records.add(any({})), /^record: name is no text: undefined$/],
    ['of a shape', () => net.shape('web', any({ latency: 1 })), /^shape of "web": unknown option "latency"$/],
    ['a shape of another type', () => net.shape('web', any({ delayMs: '1' })), /"web": delayMs: not of type number$/],
    ['a shape of nothing', () => net.shape('web', {}), /^shape of "web": nothing to shape/],
  ];
  for (const [name, ask, message, hint = /^/] of table) {
    test(`${name} are refused`, async () => {
      await assert.rejects(ask(), { name: 'VmlanError', code: 'invalid', message });
      await assert.rejects(ask(), (error: { hint?: string }) => hint.test(error.hint ?? ''));
      assert.deepEqual(
        net.guests.map((guest) => guest.name),
        ['web'],
        'nothing is left of it',
      );
    });
  }
});

test('a guest with an address set by hand asks the name server of the network', async () => {
  await using net = await Network.create({ subnet: '10.9.0.0/24' });
  const web = await net.addGuest('web');
  const fixed = await net.addGuest('fixed', { configure: { address: '10.9.0.200/24', gateway: '10.9.0.1' } });
  assert.deepEqual(await fixed.dns.resolve('web'), [web.address]);
  assert.ok((await fixed.ping('web')) < 1000);
});

describe('a guest that was removed', () => {
  test('begins nothing any more', async () => {
    await using net = await Network.create();
    const web = await net.addGuest('web');
    await web.remove();
    const start = performance.now();
    for (const attempt of [
      web.ping(net.gateway!),
      web.fetch(`http://${net.gateway}/`),
      web.dns.resolve('web'),
      web.udp.bind().send('x', net.gateway!, 9),
    ])
      await assert.rejects(attempt, { name: 'GuestError', code: 'ENETDOWN' });
    assert.ok(performance.now() - start < 500, 'nothing is waited for');
  });

  test('does not take the next one of its name along', async () => {
    await using net = await Network.create();
    const first = await net.addGuest('web');
    await first.remove();
    const second = await net.addGuest('web');
    await first.remove();
    assert.deepEqual(net.guests, [second]);
    assert.ok((await second.ping(net.gateway!)) < 1000);
  });
});
