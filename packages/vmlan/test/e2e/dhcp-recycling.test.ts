/**
 * Far more guests than addresses, one after the other on a /28: none may ever be refused. As guests of the common socket,
 * as registered guests that are forgotten, and as one TAP whose MAC address changes each time.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { LONG, missing } from '../support/needs.ts';
import { Station } from '../support/station.ts';
import { World } from './world.ts';

const CONFIG = `
networks:
  small:
    mode: user-v2
    subnet: 192.168.78.0/28
    subnet6: off
  tap:
    mode: user-v2
    subnet: 192.168.78.16/28
    subnet6: off
`;
const GUESTS = 300;
/** Addresses of a /28 without network, broadcast and gateway. */
const POOL = 13;
/** A guest with udhcpc takes a tenth of a second. */
const TAP_GUESTS = LONG ? GUESTS : 100;
const UDHCPC_TIMEOUT_MS = 120_000;

const macOf = (kind: number, index: number): string =>
  `52:54:00:${[kind, index >> 8, index & 0xff].map((byte) => byte.toString(16).padStart(2, '0')).join(':')}`;

/** udhcpc with a new MAC address each time; one line `ADDRESS` a guest, `FAILED` for one without. */
const CHANGING_GUESTS = `
i=0
while [ $i -lt ${TAP_GUESTS} ]; do
  ip link set eth0 address "$(printf '52:54:00:7b:%02x:%02x' $((i / 256)) $((i % 256)))"
  busybox udhcpc -i eth0 -f -q -n -t 4 -T 1 -s "$1" 2>/dev/null || echo FAILED
  i=$((i + 1))
done
`;

describe('300 short-lived guests on a /28', { skip: missing('dnsmasq', 'busybox', 'ip') }, () => {
  let world: World;
  let socket = '';
  before(async () => {
    world = await World.create({ config: CONFIG });
    socket = (await world.api.call('startNetwork', { params: { name: 'small' } })).sockets!.qemu;
  });
  after(() => world[Symbol.asyncDispose]());

  test('that come by the common socket', async () => {
    const seen = new Set<string>();
    for (let i = 0; i < GUESTS; i++) {
      await using station = await Station.connect(socket, macOf(0x78, i));
      seen.add((await station.obtainLease()).address);
    }
    assert.equal(seen.size, POOL);
    assert.equal(await world.counter('small', 'dhcp_exhausted'), 0);
  });

  test('that are registered and forgotten', async () => {
    for (let i = 0; i < GUESTS; i++) {
      const params = { name: `job-${i}` };
      const attached = await world.api.call('attachGuest', { params, body: { network: 'small' } });
      assert.ok(attached.socket !== null && 'unix' in attached.socket);
      await using station = await Station.connect(attached.socket.unix, attached.mac);
      await station.obtainLease({ hostname: params.name });
      await station.close();
      await world.api.call('deleteGuest', { params });
    }
    assert.equal(await world.counter('small', 'dhcp_exhausted'), 0);
  });

  test('while a guest that stays keeps its address', async () => {
    await using staying = await Station.connect(socket, macOf(0x79, 0));
    const { address } = await staying.obtainLease();
    for (let i = 0; i < 3 * POOL; i++) {
      await using station = await Station.connect(socket, macOf(0x7a, i));
      assert.notEqual((await station.obtainLease()).address, address);
    }
    assert.equal((await staying.obtainLease()).address, address);
  });

  test('that are one TAP with another MAC address each time', async () => {
    const guest = await world.namespaceGuest('changing', { network: 'tap' });
    const script = '[ "$1" = bound ] && echo "$ip" || true';
    const run = ['sh', '-c', CHANGING_GUESTS, 'sh'];
    const event = `${world.vmlan.folder}/event`;
    await guest.output(['sh', '-c', `printf '#!/bin/sh\\n%s\\n' "$1" >"$2" && chmod +x "$2"`, 'sh', script, event]);
    const lines = (await guest.output([...run, event], { timeoutMs: UDHCPC_TIMEOUT_MS })).trim().split('\n');
    assert.equal(lines.length, TAP_GUESTS);
    assert.deepEqual(
      lines.filter((line) => !/^192\.168\.78\.\d+$/.test(line)),
      [],
    );
  });
});
