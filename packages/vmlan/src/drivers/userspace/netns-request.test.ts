import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { VmlanError } from '../../core/errors.ts';
import { fromArguments, toArguments } from './netns-request.ts';
import type { TapRequest } from './netns-request.ts';

const REQUEST: TapRequest = {
  socket: '/run/vmlan/tap.sock',
  interface: 'eth0',
  mac: '52:54:00:00:00:42',
  mtuBytes: 1500,
  addresses: [],
  gateways: [],
  loopback: false,
  routerAdverts: true,
};

test('the argument vector, from least to most', () => {
  const least = [
    '--socket',
    '/run/vmlan/tap.sock',
    '--interface',
    'eth0',
    '--mac',
    '52:54:00:00:00:42',
    '--mtu',
    '1500',
  ];
  assert.deepEqual(toArguments(REQUEST, null), least);
  const most = {
    ...REQUEST,
    addresses: ['10.0.0.5/24', 'fd00::5/64'],
    gateways: ['10.0.0.1'],
    loopback: true,
    routerAdverts: false,
  };
  const more = ['--address', '10.0.0.5/24', '--address', 'fd00::5/64', '--gateway', '10.0.0.1', '--loopback'];
  assert.deepEqual(toArguments(most, '/run/netns/a'), [
    ...least,
    ...more,
    '--no-router-adverts',
    '--namespace',
    '/run/netns/a',
  ]);
});

test('what is written is read back', () => {
  const address = fc.constantFrom('10.0.0.5/24', 'fd00::5/64', '192.168.0.1/32');
  const request: fc.Arbitrary<TapRequest> = fc.record(
    {
      socket: fc.string({ minLength: 1 }).map((text) => `/${text}`),
      interface: fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$/),
      mac: fc.constant('52:54:00:00:00:42'),
      mtuBytes: fc.integer({ min: 576, max: 65_520 }),
      addresses: fc.array(address, { maxLength: 3 }),
      gateways: fc.array(fc.constantFrom('10.0.0.1', 'fe80::1'), { maxLength: 2 }),
      loopback: fc.boolean(),
      routerAdverts: fc.boolean(),
    },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(request, fc.option(fc.constant('/proc/7/ns/net')), (value, namespace) => {
      assert.deepEqual(fromArguments(toArguments(value, namespace)), { request: value, namespace });
    }),
  );
});

test('anything else is a usage error', () => {
  const base = toArguments(REQUEST, null);
  const replaced = (from: string, to: string): string[] => base.map((word) => (word === from ? to : word));
  const table: string[][] = [
    [],
    [...base, 'extra'],
    [...base, '--unknown'],
    replaced('eth0', 'eth0; rm'),
    replaced('eth0', 'a/b'),
    replaced('eth0', 'x'.repeat(16)),
    replaced('1500', '15x'),
    [...base, '--address', '10.0.0.5'],
    [...base, '--address', '10.0.0.5/24\nlink del eth0'],
    [...base, '--gateway', 'host'],
  ];
  for (const argv of table) {
    assert.throws(
      () => fromArguments(argv),
      (error) => error instanceof VmlanError && error.code === 'usage',
      argv.join(' '),
    );
  }
});
