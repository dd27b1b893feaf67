import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { freeSubnet, routeInTheWay, subnetsOverlap, ulaPrefix } from './subnet.ts';

describe('overlap', () => {
  const cases: [string, string, boolean][] = [
    ['10.0.0.0/8', '10.5.0.0/24', true],
    ['10.5.0.0/24', '10.0.0.0/8', true],
    ['192.168.1.0/24', '192.168.2.0/24', false],
    ['192.168.1.0/24', '192.168.1.0/24', true],
    ['fd00::/48', 'fd00:0:0:5::/64', true],
    ['fd00:0:0:5::/64', 'fd00::/48', true],
    ['fd00::/64', 'fd01::/64', false],
    ['10.0.0.0/8', 'fd00::/64', false],
  ];
  for (const [a, b, want] of cases) test(`${a} and ${b}: ${want}`, () => assert.equal(subnetsOverlap(a, b), want));
});

describe('a free subnet', () => {
  test('is the first that nobody has', () => {
    assert.equal(freeSubnet([]), '192.168.107.0/24');
    assert.equal(freeSubnet(['192.168.107.0/25', '192.168.108.0/23']), '192.168.110.0/24');
  });
  test('does not mind ways out', () => assert.equal(freeSubnet(['0.0.0.0/0', '128.0.0.0/1']), '192.168.107.0/24'));
  test('is found in 10/8 when 192.168/16 is taken', () =>
    assert.equal(freeSubnet(['192.168.0.0/16']), '10.107.0.0/24'));
  test('is none when all is taken', () => assert.equal(freeSubnet(['192.168.0.0/16', '10.0.0.0/8']), null));
});

describe('a route in the way', () => {
  const routes = [
    { subnet: '0.0.0.0/0', interface: 'eth0' },
    { subnet: '128.0.0.0/1', interface: 'tun0' },
    { subnet: '10.0.0.0/8', interface: 'tun0' },
    { subnet: 'fe80::/64', interface: 'eth0' },
    { subnet: 'fd00::/48', interface: 'wg0' },
  ];
  test('is one to a place', () => assert.equal(routeInTheWay('10.1.2.0/24', routes)?.interface, 'tun0'));
  test('is one of either family', () => assert.equal(routeInTheWay('fd00::/64', routes)?.interface, 'wg0'));
  test('is no default route', () => assert.equal(routeInTheWay('192.168.105.0/24', routes), null));
  test('is no link-local route', () => assert.equal(routeInTheWay('fe80::/64', routes), null));
});

test('a ULA has the shape of RFC 4193', () => {
  assert.equal(ulaPrefix(Uint8Array.of(0x12, 0x34, 0x56, 0x78, 0x9a, 0xff)), 'fd12:3456:789a::/64');
  assert.equal(ulaPrefix(Uint8Array.of(0, 0, 0, 0, 0)), 'fd00::/64');
});
