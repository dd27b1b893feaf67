import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readHostRoutes } from './host-routes.ts';

const proc = mkdtempSync('/tmp/vmlan-routes-');
after(() => rmSync(proc, { recursive: true }));
mkdirSync(join(proc, 'net'));

const ROUTE = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010000C0	0003	0	0	0	00000000	0	0	0
eth0	000000C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
tun0	0000000A	00000000	0001	0	0	0	000000FF	0	0	0
tun0	0000000A	00000000	0001	0	0	5	000000FF	0	0	0
vml-shared	0069A8C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
*	0001000A	00000000	0201	0	0	0	00FFFFFF	0	0	0
eth9	0002000A	00000000	0000	0	0	0	00FFFFFF	0	0	0
broken
`;
const ROUTE6 = `fd000000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
00000000000000000000000000000001 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000002 00000000 80200001       lo
fd990000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000201     eth0
`;

test('routes of both families, without our own, the unreachable and those that are down', () => {
  writeFileSync(join(proc, 'net', 'route'), ROUTE);
  writeFileSync(join(proc, 'net', 'ipv6_route'), ROUTE6);
  assert.deepEqual(readHostRoutes(proc), [
    { subnet: '0.0.0.0/0', interface: 'eth0' },
    { subnet: '192.0.0.0/24', interface: 'eth0' },
    { subnet: '10.0.0.0/8', interface: 'tun0' },
    { subnet: 'fd00::/64', interface: 'eth0' },
  ]);
});

test('none where the kernel tells nothing', () => assert.deepEqual(readHostRoutes(join(proc, 'none')), []));

test('those of this machine are read', () => assert.ok(Array.isArray(readHostRoutes())));
