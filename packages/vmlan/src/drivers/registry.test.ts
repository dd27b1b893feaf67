import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resolveNetwork } from '../model/resolve.ts';
import type { NetworkInput } from '../model/schema.ts';
import { chooseDriver } from './registry.ts';

const choose = (input: NetworkInput): unknown =>
  chooseDriver(resolveNetwork('lab', input, { identify: () => new Uint8Array(16), pickSubnet: () => '10.0.0.0/24' }));

for (const mode of ['user', 'user-v2', 'shared', 'nat', 'host', 'isolated'] as const) {
  test(`mode ${mode} is carried`, () => assert.partialDeepStrictEqual(choose({ mode }), { type: 'userspace' }));
}

const refused: [string, NetworkInput, RegExp][] = [
  ['bridged', { mode: 'bridged', interface: 'eth0' }, /mode bridged needs a driver that joins the LAN/],
  ['routed', { mode: 'routed' }, /mode routed needs a driver that forwards in the kernel/],
  ['unmanaged', { mode: 'unmanaged', socket: '/run/x' }, /mode unmanaged needs a driver that joins a foreign socket/],
  ['driver linux', { mode: 'shared', driver: 'linux' }, /driver linux is not there yet/],
  ['a filter', { mode: 'shared', filter: 'x' }, /filters are not there yet/],
  ['a way out', { mode: 'shared', interface: 'eth0' }, /`interface` needs a driver/],
];
for (const [name, input, message] of refused) {
  test(`${name} says what is missing`, () => assert.throws(() => choose(input), { code: 'unsupported', message }));
}
