import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setUpLines } from './netns-setup.ts';

const REQUEST = {
  socket: '/s',
  interface: 'eth0',
  mac: '52:54:00:00:00:42',
  mtuBytes: 9000,
  addresses: [],
  gateways: [],
  loopback: false,
  routerAdverts: true,
};

test('the lines for ip, from least to most', () => {
  assert.deepEqual(setUpLines(REQUEST), ['link set dev eth0 mtu 9000', 'link set dev eth0 up']);
  const most = {
    ...REQUEST,
    addresses: ['10.0.0.5/24', 'fd00::5/64'],
    gateways: ['10.0.0.1', 'fe80::1'],
    loopback: true,
  };
  assert.deepEqual(setUpLines(most), [
    'link set dev lo up',
    'link set dev eth0 mtu 9000',
    'address add 10.0.0.5/24 dev eth0',
    'address add fd00::5/64 dev eth0 nodad',
    'link set dev eth0 up',
    'route replace 0.0.0.0/0 via 10.0.0.1 dev eth0',
    'route replace ::/0 via fe80::1 dev eth0',
  ]);
});
