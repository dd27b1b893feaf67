import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { until } from '../../core/deadline.fixture.ts';
import type { EngineConfig, EngineEvent, GuestSnapshot, NicConfig } from '../../engine/control-messages.ts';
import { resolveNetwork } from '../../model/resolve.ts';
import { sendFd } from '../../sys/fdpass.ts';
import { openLibc } from '../../sys/libc.ts';
import { AF_UNIX, SOCK_DGRAM } from '../../sys/constants.ts';
import type { WantedLink } from '../driver.ts';
import { NOTHING, settingsOf } from '../plan.ts';
import type { WantedNetwork } from '../driver.ts';
import { engineConfig } from './engine-config.ts';
import { LeaseFile } from './lease-file.ts';
import { NetworkService } from './network-service.ts';
import { StandInEngine } from './stand-in-engine.fixture.ts';

const PATIENCE_MS = 10_000;
const sys = openLibc({ arenaBytes: 1 << 18 });

interface Bed {
  readonly directory: string;
  readonly engine: StandInEngine;
  readonly service: NetworkService;
  readonly events: EngineEvent[];
  readonly warnings: (readonly string[])[];
  readonly fatal: string[];
  readonly asked: Uint8Array[];
}

async function setUp(t: TestContext): Promise<Bed> {
  const directory = mkdtempSync('/tmp/vmlan-service-');
  const context = { identify: () => new Uint8Array(16), pickSubnet: () => null };
  const network = resolveNetwork('lab', { mode: 'user-v2', subnet: '10.66.0.0/24' }, context);
  const wanted: WantedNetwork = { network, ...NOTHING };
  const leases = await LeaseFile.open(join(directory, 'leases.json'), 'lab');
  const config: EngineConfig = { ...engineConfig(wanted), leases: leases.leases, duid: leases.duid };
  const engine = new StandInEngine(config);
  const [events, warnings, fatal, asked]: [EngineEvent[], (readonly string[])[], string[], Uint8Array[]] = [
    [],
    [],
    [],
    [],
  ];
  const service = new NetworkService({
    engine,
    leases,
    resolver: {
      resolve: (query) => {
        asked.push(query);
        return query.length === 0 ? Promise.reject(new Error('no query')) : Promise.resolve(Uint8Array.of(1));
      },
      close: () => undefined,
    },
    sys,
    network: 'lab',
    settings: settingsOf(wanted),
    closed: wanted.closed,
    reservations: wanted.reservations,
    notices: [],
    onEvent: (event) => events.push(event),
    onWarnings: (texts) => warnings.push(texts),
    onFatal: (reason) => fatal.push(reason),
  });
  t.after(() => rmSync(directory, { recursive: true }));
  return { directory, engine, service, events, warnings, fatal, asked };
}

const nic: NicConfig = { key: 'web/0', guest: 'web', mac: '52:54:00:00:00:01', connected: true, ip: null };

const answers = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(path, () => resolve(true));
    socket.on('error', () => resolve(false)).on('connect', () => socket.destroy());
  });

test('what was refused for want of a descriptor is told until it has been calm for a while', async (t) => {
  const { engine, service, warnings } = await setUp(t);
  await service.pulse();
  assert.deepEqual(warnings, []);
  engine.counters = { drop_tcp_no_descriptor: 1, forward_no_descriptor: 2 };
  await service.pulse();
  await service.pulse();
  assert.match(service.observe().warnings.join(), /^no descriptor is left .* may open \d+ /);
  await service.pulse();
  assert.deepEqual([warnings.length, service.observe().warnings], [2, []]);
});

test('steps reach the engine and are remembered', async (t) => {
  const { directory, service } = await setUp(t);
  const link: WantedLink = {
    id: 'qemu',
    link: { kind: 'stream-listen', address: { unix: join(directory, 'q') }, nic: null },
  };
  const listen = { unix: join(directory, 'f') };
  const forward = { id: 'f', protocol: 'tcp', direction: 'host', listen, target: { host: 'web', port: 80 } } as const;
  await service.step({ step: { action: 'set-nic', nic, before: null } });
  await service.step({ step: { action: 'add-link', link } });
  await service.step({ step: { action: 'add-forward', forward } });
  await service.step({
    step: { action: 'set-records', records: [{ name: 'a.lab', type: 'A', value: '10.0.0.1' }], before: [] },
  });
  const reservations = [{ guest: 'db', ip: '10.0.0.9' }];
  await service.step({ step: { action: 'set-reservations', reservations, before: [] } });
  await service.step({ step: { action: 'set-closed', closed: ['10.8.0.0/16'], before: [] } });
  assert.ok((await answers(join(directory, 'q'))) && (await answers(listen.unix)));
  const applied = service.observe().applied!;
  assert.deepEqual(
    [applied.nics, applied.links, applied.forwards, applied.records.length, applied.reservations, applied.closed],
    [[nic], [link], [forward], 1, reservations, ['10.8.0.0/16']],
  );
  await service.step({ step: { action: 'remove-forward', forward } });
  await service.step({ step: { action: 'remove-link', link } });
  await service.step({ step: { action: 'remove-nic', nic } });
  assert.deepEqual([existsSync(join(directory, 'q')), existsSync(listen.unix)], [false, false]);
  assert.deepEqual([service.observe().applied!.nics, service.observe().applied!.links], [[], []]);
  await service.close();
});

test('a step that fails is not remembered, and the next one goes on', async (t) => {
  const { directory, service } = await setUp(t);
  const link: WantedLink = {
    id: 'q',
    link: { kind: 'dgram', path: join(directory, 'none', 'q'), peer: null, nic: null },
  };
  await assert.rejects(service.step({ step: { action: 'add-link', link } }), { code: 'not-found' });
  const tap: WantedLink = { id: 't', link: { kind: 'host-side', interface: 'x', mac: '', mtu: 1500, addresses: [] } };
  await assert.rejects(service.step({ step: { action: 'add-link', link: tap } }), /comes by its descriptor/);
  await assert.rejects(service.receiveTap({ link, socket: join(directory, 'tap') }), /is no TAP/);
  await service.step({ step: { action: 'set-nic', nic, before: null } });
  assert.deepEqual(service.observe().applied!.links, []);
  await service.close();
});

test('a TAP comes by its descriptor, or does not come', async (t) => {
  const { directory, service } = await setUp(t);
  const target = { pid: 1, path: null, interface: 'eth0', configure: true };
  const link: WantedLink = { id: 't', link: { kind: 'netns', nic: 'web/0', mac: '', mtu: 1500, target } };
  const socket = join(directory, 'tap');
  const received = service.receiveTap({ link, socket });
  const fd = sys.socket(AF_UNIX, SOCK_DGRAM, 0);
  await sendFd(sys, socket, fd);
  sys.close(fd);
  await received;
  assert.deepEqual(service.observe().applied!.links, [link]);
  const waiting = service.receiveTap({ link: { ...link, id: 'u' }, socket });
  await service.cancelTap({ socket });
  await assert.rejects(waiting, { code: 'unavailable' });
  const open = service.receiveTap({ link: { ...link, id: 'v' }, socket });
  await Promise.all([assert.rejects(open, { code: 'unavailable' }), service.close()]);
});

test('leases are confirmed when they are on disk', async (t) => {
  const { engine, service } = await setUp(t);
  const { address4 } = await service.allocate({ nic: 'web/0', mac: nic.mac! });
  assert.equal(address4, '10.66.0.100');
  await service.close();
  assert.equal(engine.durable, 1);
  assert.equal((await service.snapshot()).leases.length, 1);
});

test('names are asked upstream, and a failure is an answer too', async (t) => {
  const { engine, asked, service } = await setUp(t);
  engine.emit({ type: 'dns-query', queryId: 1, query: Uint8Array.of(9) });
  engine.emit({ type: 'dns-query', queryId: 2, query: new Uint8Array() });
  service.onResolverChange();
  await until('two answers', PATIENCE_MS, () => engine.replies.length === 2);
  assert.deepEqual(
    asked.map((query) => query.length),
    [1, 0],
  );
  assert.deepEqual(engine.replies, [
    [1, Uint8Array.of(1)],
    [2, null],
  ]);
  await service.close();
});

test('what the engine says is passed on', async (t) => {
  const { engine, events, fatal, service } = await setUp(t);
  const event: EngineEvent = { kind: 'guest-up', guest: { guest: 'web' } as GuestSnapshot };
  engine.emit({ type: 'event', event });
  engine.emit({ type: 'log', level: 'info', message: 'hello' });
  engine.emit({ type: 'ready', capabilities: engine.capabilities });
  engine.emit({ type: 'fatal', error: { code: 'internal', message: 'assertion failed' } });
  assert.deepEqual([events, fatal], [[event], ['assertion failed']]);
  await service.close();
  assert.deepEqual(fatal.length, 1, 'stopping is no failure');
});

test('an engine thread that just ends is a failure', async (t) => {
  const { engine, fatal, service } = await setUp(t);
  engine.end(new Error('exit code 1'));
  await until('the failure', PATIENCE_MS, () => fatal.length > 0);
  assert.deepEqual(fatal, ['exit code 1']);
  await service.close();
});

test('a failing disk is a warning until it works again', async (t) => {
  const { directory, engine, service, warnings } = await setUp(t);
  mkdirSync(join(directory, 'leases.json.tmp', 'x'), { recursive: true });
  await service.allocate({ nic: 'web/0', mac: nic.mac! });
  await until('the warning', PATIENCE_MS, () => warnings.length === 1);
  assert.match(service.observe().warnings.join(), /leases are not stored/);
  assert.equal(engine.durable, 0);
  rmSync(join(directory, 'leases.json.tmp'), { recursive: true });
  await until('the warning to go', PATIENCE_MS, () => warnings.length === 2);
  assert.deepEqual([warnings.at(-1), engine.durable], [[], 1]);
  await service.close();
});
