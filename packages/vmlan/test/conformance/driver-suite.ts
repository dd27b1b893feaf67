/**
 * What every driver does, whatever moves its frames: the contract of drivers/driver.ts as tests.
 *
 * Zone: control.  A driver's own test hands over how it is made; `lose` takes the running network away without the
 * driver's doing, as a crash does.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import type { Driver, DriverEvent, WantedNetwork } from '../../src/drivers/driver.ts';
import { NOTHING, describeStep } from '../../src/drivers/plan.ts';
import type { ForwardSpec, NicConfig, ShapeSpec } from '../../src/engine/control-messages.ts';
import { resolveNetwork } from '../../src/model/resolve.ts';
import type { NetworkInput } from '../../src/model/schema.ts';

export interface DriverUnderTest extends AsyncDisposable {
  readonly driver: Driver;
  /** A folder that the driver's networks can make sockets in. */
  readonly sockets: string;
  lose(network: string): Promise<void>;
  /** Somebody else listens at this port of 127.0.0.1 until disposed. */
  occupy(port: number): Promise<AsyncDisposable>;
  /** Another driver object over the same running networks, as a new daemon has. */
  again(): Driver;
}

const INPUT: NetworkInput = { mode: 'user-v2', subnet: '10.66.0.0/24', subnet6: 'fd66::/64' };
const identify = (text: string): Uint8Array => createHash('sha256').update(text).digest();

export function wantedNetwork(name = 'lab', parts: Partial<WantedNetwork> = {}): WantedNetwork {
  const network = resolveNetwork(name, INPUT, { identify, pickSubnet: () => null });
  return { network, ...NOTHING, ...parts };
}

const nic = (guest: string, more: Partial<NicConfig> = {}): NicConfig => ({
  key: `${guest}/0`,
  guest,
  mac: '52:54:00:00:00:01',
  connected: true,
  ip: null,
  ...more,
});

const forward = (id: string, port: number): ForwardSpec => ({
  id,
  protocol: 'tcp',
  direction: 'host',
  listen: { host: '127.0.0.1', port },
  target: { host: 'web', port: 80 },
});

async function make(driver: Driver, wanted: WantedNetwork | null, name = 'lab'): Promise<readonly string[]> {
  const plan = driver.plan(name, wanted, await driver.observe(name));
  await driver.apply(plan);
  return plan.steps.map(describeStep);
}

export function driverSuite(name: string, setUp: () => Promise<DriverUnderTest>): void {
  describe(`driver ${name}`, () => {
    test('observes nothing where nothing runs', async () => {
      await using under = await setUp();
      assert.partialDeepStrictEqual(await under.driver.observe('lab'), { network: 'lab', applied: null, pid: null });
      assert.deepEqual(await under.driver.list(), []);
      assert.deepEqual(await under.driver.leases('lab'), []);
    });

    test('starts a network, once', async () => {
      await using under = await setUp();
      assert.deepEqual(await make(under.driver, wantedNetwork()), ['start network lab']);
      assert.deepEqual(await make(under.driver, wantedNetwork()), []);
      assert.deepEqual(await under.driver.list(), ['lab']);
      const { pid, startedMs } = await under.driver.observe('lab');
      assert.ok(pid !== null && startedMs !== null && startedMs <= Date.now());
    });

    test('stops it, and leaves nothing', async () => {
      await using under = await setUp();
      const link = {
        id: 'qemu',
        link: { kind: 'stream-listen', address: { unix: `${under.sockets}/q` }, nic: null },
      } as const;
      await make(under.driver, wantedNetwork('lab', { links: [link] }));
      assert.deepEqual(await make(under.driver, null), ['stop network']);
      assert.deepEqual(await make(under.driver, null), []);
      assert.deepEqual(await under.driver.list(), []);
    });

    test('carries NICs, links, records and forwards, each by its own step', async () => {
      await using under = await setUp();
      const { driver, sockets } = under;
      await make(driver, wantedNetwork());
      const link = {
        id: 'nic web/0',
        link: { kind: 'stream-listen', address: { unix: `${sockets}/web` }, nic: 'web/0' },
      } as const;
      const full = wantedNetwork('lab', {
        nics: [nic('web')],
        links: [link],
        records: [{ name: 'a.lab.internal', type: 'A', value: '10.66.0.9' }],
        forwards: [forward('fwd-1', 38_471)],
      });
      assert.deepEqual(await make(driver, full), [
        'add NIC web/0',
        `open link nic web/0: QEMU stream at ${sockets}/web`,
        'serve 1 DNS records',
        'open forward fwd-1: tcp 127.0.0.1:38471 to web:80',
      ]);
      const { applied } = await driver.observe('lab');
      assert.deepEqual(
        [applied?.nics, applied?.links, applied?.forwards, applied?.records],
        [full.nics, full.links, full.forwards, full.records],
      );
      assert.deepEqual(
        (await driver.snapshot('lab')).forwards.map(({ id }) => id),
        ['fwd-1'],
      );
      const changed = wantedNetwork('lab', {
        nics: [nic('web', { connected: false })],
        forwards: [forward('fwd-1', 38_472)],
      });
      assert.deepEqual(await make(driver, changed), [
        'close forward fwd-1: tcp 127.0.0.1:38471 to web:80',
        `close link nic web/0: QEMU stream at ${sockets}/web`,
        'change NIC web/0 (link down)',
        'serve 0 DNS records',
        'open forward fwd-1: tcp 127.0.0.1:38472 to web:80',
      ]);
      assert.deepEqual(await make(driver, changed), []);
    });

    test('shapes NICs and pairs, changes a shape in place, and takes back what fails', async () => {
      await using under = await setUp();
      const { driver } = under;
      const nics = [nic('web'), nic('db', { mac: '52:54:00:00:00:02' })];
      const shape = (more: Partial<ShapeSpec> = {}): ShapeSpec => ({
        id: 'shp-1',
        nic: 'web/0',
        peer: null,
        fromGuest: { delayMs: 50, lossPercent: 1 },
        toGuest: null,
        ...more,
      });
      const pair = shape({ id: 'shp-2', peer: 'db/0', fromGuest: { partition: true }, toGuest: { rateBps: 1e6 } });
      await make(driver, wantedNetwork('lab', { nics }));
      const wanted = wantedNetwork('lab', { nics, shapes: [shape(), pair] });
      assert.deepEqual(await make(driver, wanted), [
        'shape web/0: from web/0 delay 50ms, loss 1%',
        'shape web/0 and db/0: from web/0 partition; to web/0 rate 1mbit',
      ]);
      assert.deepEqual((await driver.observe('lab')).applied?.shapes, wanted.shapes);
      const changed = wantedNetwork('lab', { nics, shapes: [shape({ toGuest: { delayMs: 5 } })] });
      await using _other = await under.occupy(38_473);
      const failing = { ...changed, forwards: [forward('b', 38_473)] };
      await assert.rejects(make(driver, failing), { code: 'address-in-use' });
      assert.deepEqual(await make(driver, wanted), []);
      assert.deepEqual(await make(driver, changed), [
        'end the shape of web/0 and db/0',
        'shape web/0: from web/0 delay 50ms, loss 1%; to web/0 delay 5ms',
      ]);
      assert.deepEqual(await make(driver, changed), []);
    });

    test('changes what is kept and closed while it runs', async () => {
      await using under = await setUp();
      const { driver } = under;
      const before = wantedNetwork('lab', {
        reservations: [{ guest: 'db', ip: '10.66.0.9' }],
        closed: ['10.8.0.0/16'],
      });
      assert.deepEqual(await make(driver, before), ['start network lab']);
      const { pid } = await driver.observe('lab');
      const after = wantedNetwork('lab', { reservations: [{ guest: 'db', ip: '10.66.0.8' }], closed: [] });
      assert.deepEqual(await make(driver, after), ['close 0 subnets to guests', 'keep 1 addresses for guests']);
      const { applied, pid: same } = await driver.observe('lab');
      assert.deepEqual([applied?.reservations, applied?.closed, same], [after.reservations, after.closed, pid]);
      assert.deepEqual(await make(driver, after), []);
    });

    test('plans without doing', async () => {
      await using under = await setUp();
      const observed = await under.driver.observe('lab');
      const plan = under.driver.plan('lab', wantedNetwork(), observed);
      assert.deepEqual(under.driver.plan('lab', wantedNetwork(), observed), plan);
      assert.deepEqual(await under.driver.list(), []);
    });

    test('undoes a start that fails', async () => {
      await using under = await setUp();
      await using _other = await under.occupy(38_473);
      const forwards = [forward('a', 38_478), forward('b', 38_473)];
      const bad = wantedNetwork('lab', { nics: [nic('web')], forwards });
      await assert.rejects(make(under.driver, bad), { code: 'address-in-use' });
      assert.deepEqual(await under.driver.list(), []);
      await make(under.driver, wantedNetwork());
    });

    test('undoes a change that fails', async () => {
      await using under = await setUp();
      const before = wantedNetwork('lab', { nics: [nic('web')], forwards: [forward('a', 38_474)] });
      await make(under.driver, before);
      await using _other = await under.occupy(38_473);
      const bad = wantedNetwork('lab', { nics: [nic('db')], forwards: [forward('a', 38_474), forward('b', 38_473)] });
      await assert.rejects(make(under.driver, bad), { code: 'address-in-use' });
      assert.deepEqual(await make(under.driver, before), []);
    });

    test('keeps what can be had, when told to', async () => {
      await using under = await setUp();
      const { driver } = under;
      await using _other = await under.occupy(38_473);
      const bad = wantedNetwork('lab', { nics: [nic('web')], forwards: [forward('a', 38_475), forward('b', 38_473)] });
      const plan = driver.plan('lab', bad, await driver.observe('lab'));
      const failed = await driver.apply(plan, { onFailure: 'keep' });
      assert.deepEqual(
        failed.map(({ step, error }) => [step.action, error.code]),
        [['add-forward', 'address-in-use']],
      );
      assert.deepEqual(
        (await driver.observe('lab')).applied?.forwards.map(({ id }) => id),
        ['a'],
      );
    });

    test('starts anew when the settings differ', async () => {
      await using under = await setUp();
      const before = wantedNetwork();
      await make(under.driver, before);
      const other = { ...before, network: { ...before.network, mtu: 9000 } };
      assert.deepEqual(await make(under.driver, other), ['stop network', 'start network lab']);
    });

    test('ends nothing when the signal aborts before', async () => {
      await using under = await setUp();
      const plan = under.driver.plan('lab', wantedNetwork(), await under.driver.observe('lab'));
      await assert.rejects(under.driver.apply(plan, { signal: AbortSignal.abort() }), { name: 'AbortError' });
      assert.deepEqual(await under.driver.list(), []);
    });

    test('leases one address per NIC, the same after a restart', async () => {
      await using under = await setUp();
      const { driver } = under;
      const wanted = wantedNetwork('lab', { nics: [nic('web'), nic('db', { mac: '52:54:00:00:00:02' })] });
      await make(driver, wanted);
      const web = await driver.allocate('lab', 'web/0', '52:54:00:00:00:01');
      const db = await driver.allocate('lab', 'db/0', '52:54:00:00:00:02');
      assert.partialDeepStrictEqual(web, { prefix4: 24, gateway4: '10.66.0.1', prefix6: 'fd66::/64', mtu: 1500 });
      assert.match(web.address4 ?? '', /^10\.66\.0\.\d+$/);
      assert.notEqual(web.address4, db.address4);
      assert.equal((await driver.allocate('lab', 'web/0', '52:54:00:00:00:01')).address4, web.address4);
      await make(driver, null);
      assert.equal((await driver.leases('lab')).length, 2);
      await make(driver, wanted);
      assert.equal((await driver.allocate('lab', 'db/0', '52:54:00:00:00:02')).address4, db.address4);
      assert.equal((await driver.allocate('lab', 'web/0', '52:54:00:00:00:01')).address4, web.address4);
    });

    test('says when a network is lost, and plans to bring back all of it', async () => {
      await using under = await setUp();
      const { driver } = under;
      const wanted = wantedNetwork('lab', { nics: [nic('web')], forwards: [forward('a', 38_476)] });
      await make(driver, wanted);
      const lost = eventOf(driver, 'exited');
      await under.lose('lab');
      assert.equal(await lost, 'lab');
      assert.equal((await driver.observe('lab')).applied, null);
      await assert.rejects(driver.snapshot('lab'), { code: 'unavailable' });
      await make(driver, wanted);
      assert.deepEqual(await make(driver, wanted), []);
    });

    test('leaves networks running when closed, for the next', async () => {
      await using under = await setUp();
      const wanted = wantedNetwork('lab', { nics: [nic('web')], forwards: [forward('a', 38_477)] });
      await make(under.driver, wanted);
      const before = await under.driver.observe('lab');
      await under.driver.close();
      const next = under.again();
      assert.deepEqual(await next.observe('lab'), before);
      assert.deepEqual(await make(next, wanted), []);
      await make(next, null);
    });

    test('keeps networks apart', async () => {
      await using under = await setUp();
      await make(under.driver, wantedNetwork('a'), 'a');
      await make(under.driver, wantedNetwork('b'), 'b');
      await make(under.driver, null, 'a');
      assert.deepEqual(await under.driver.list(), ['b']);
    });
  });
}

function eventOf(driver: Driver, kind: DriverEvent['kind']): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const subscription = driver.onEvent((network, event) => {
    if (event.kind !== kind) return;
    subscription[Symbol.dispose]();
    resolve(network);
  });
  return promise;
}
