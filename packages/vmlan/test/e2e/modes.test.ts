/**
 * What a guest reaches in each mode, and what it does not: every cell of the userspace driver, from namespaces. Nothing is
 * believed closed because nothing answers there: the host itself reaches every target.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { NetworkView } from '../../src/model/api.ts';
import { missing } from '../support/needs.ts';
import { HOST, INTERNET, type Namespace } from '../support/netns.ts';
import { serve } from '../support/peers.ts';
import { dns, http, ping, reach, tcp, udp, type Probe } from '../support/reach.ts';
import { World } from './world.ts';

const CONFIG = `
networks:
  user: { mode: user }
  v2: { mode: user-v2, subnet: 192.168.61.0/24 }
  v2-none: { mode: user-v2, subnet: 192.168.62.0/24, hostAccess: none }
  v2-ports: { mode: user-v2, subnet: 192.168.63.0/24, hostAccess: [8001, 8005] }
  v2-apart: { mode: user-v2, subnet: 192.168.64.0/24, isolation: { guests: true } }
  v2-no-host: { mode: user-v2, subnet: 192.168.65.0/24, isolation: { host: true } }
  shared: { mode: shared, subnet: 192.168.66.0/24 }
  shared-none: { mode: shared, subnet: 192.168.67.0/24, hostAccess: none }
  shared-port: { mode: shared, subnet: 192.168.68.0/24, hostAccess: [8001, 8005] }
  nat: { mode: nat, subnet: 192.168.69.0/24 }
  host: { mode: host, subnet: 192.168.70.0/24 }
  isolated: { mode: isolated, subnet: 192.168.71.0/24, subnet6: fd71:1:2:3::/64 }
`;
const METADATA = '169.254.169.254';
/** Guests are led there by the host's own interface on the segment, as if it were a router. */
const BY_THE_HOST = '203.0.113.11';
const GUEST_PORT = 7000;
const FORWARD_PORT = 20_000;

/** What is there to be reached, by what it is to a guest. */
const SERVICES = ['gateway', 'gateway6', 'names'];
const NAMED = ['host-named', 'host-named6', 'host-named-udp', 'host-any-named', 'host-address-named'];
const HOST_BY_GATEWAY = [
  'host-named',
  'host-named6',
  'host-named-udp',
  'host-any-named',
  'host-six',
  'host-other',
  'host-any',
];
const HOST_BY_ADDRESS = ['host-address', 'host-address6', 'host-address-named'];
const OUTSIDE = ['internet', 'internet6', 'internet-udp', 'internet-ping'];
const PEER = ['peer', 'peer6', 'peer-ping', 'peer-link'];
const NEIGHBOR = ['host-neighbor', 'host-neighbor6', 'host-neighbor-named', 'host-neighbor-ping'];

interface Mode {
  /** What a guest reaches; everything else it must not reach. */
  readonly opens: readonly string[];
  /** Whether the host, as root, is a neighbor of its guests. */
  readonly direct: boolean;
  /** How many guests tell it apart from others. */
  readonly guests: 1 | 2;
}

const OPEN = [...SERVICES, ...HOST_BY_GATEWAY, ...HOST_BY_ADDRESS, ...OUTSIDE];
const MODES: Readonly<Record<string, Mode>> = {
  user: { opens: OPEN, direct: false, guests: 2 },
  v2: { opens: [...OPEN, ...PEER], direct: false, guests: 2 },
  'v2-none': { opens: [...SERVICES, ...OUTSIDE], direct: false, guests: 1 },
  'v2-ports': { opens: [...SERVICES, ...NAMED, ...OUTSIDE], direct: false, guests: 1 },
  'v2-apart': { opens: OPEN, direct: false, guests: 2 },
  'v2-no-host': { opens: [...SERVICES, ...OUTSIDE], direct: false, guests: 1 },
  shared: { opens: [...OPEN, ...PEER, ...NEIGHBOR], direct: true, guests: 2 },
  'shared-none': { opens: [...SERVICES, ...OUTSIDE], direct: true, guests: 1 },
  'shared-port': { opens: [...SERVICES, ...NAMED, ...OUTSIDE, 'host-neighbor-named'], direct: true, guests: 1 },
  nat: { opens: [...OPEN, ...PEER, ...NEIGHBOR], direct: true, guests: 2 },
  host: { opens: [...SERVICES, ...HOST_BY_GATEWAY, ...PEER, ...NEIGHBOR], direct: true, guests: 2 },
  isolated: { opens: PEER, direct: false, guests: 2 },
};

interface Guest {
  readonly name: string;
  readonly namespace: Namespace;
  readonly ip4: string;
  readonly ip6: string;
  readonly linkLocal: string;
}

interface Populated {
  readonly view: NetworkView;
  /** The host's own IPv6 address on the segment. */
  readonly host6: string | undefined;
  readonly a: Guest;
  readonly b: Guest | undefined;
}

const isAnswer = (text: string): boolean => /^(?:pong|hello|host-|internet|guest |\d+\.\d+)/.test(text);
const answered = (answers: Readonly<Record<string, string>>): string[] =>
  Object.keys(answers)
    .filter((name) => isAnswer(answers[name] ?? ''))
    .toSorted();

describe('modes', { skip: missing('dnsmasq', 'busybox', 'ip', 'ping') }, () => {
  let world: World;
  const stack = new AsyncDisposableStack();
  const networks = new Map<string, Populated>();

  before(async () => {
    world = stack.use(await World.create({ config: CONFIG }));
    await prepareHost();
    const all = Object.entries(MODES).map(async ([name, mode]) => [name, await populate(name, mode)] as const);
    for (const [name, populated] of await Promise.all(all)) networks.set(name, populated);
  });
  after(() => stack.disposeAsync());

  const prepareHost = async (): Promise<void> => {
    const { host, internet } = world.lab;
    for (const address of [METADATA, BY_THE_HOST]) await internet.ip('addr', 'add', `${address}/32`, 'dev', 'lo');
    // As a cloud's host has it: the metadata service is there, for the host.
    await host.ip('route', 'add', METADATA, 'via', '198.51.100.1');
    // As a host of containers has it: it would route, and answers would find back.
    await host.sysctl('net.ipv4.ip_forward', 1);
    await internet.ip('route', 'add', '192.168.0.0/16', 'via', HOST.address4);
    const onHost = await serve(host, [
      { kind: 'greeter', banner: 'host-named', host: '127.0.0.1', port: 8001 },
      { kind: 'udp-echo', host: '127.0.0.1', port: 8001 },
      { kind: 'greeter', banner: 'host-address-named', host: HOST.address4, port: 8001 },
      { kind: 'greeter', banner: 'host-other', host: '127.0.0.1', port: 8002 },
      { kind: 'greeter', banner: 'host-any', port: 8003 },
      { kind: 'greeter', banner: 'host-six', host: '::1', port: 8004 },
      { kind: 'greeter', banner: 'host-any-named', port: 8005 },
    ]);
    stack.use(onHost);
    const outside = await serve(internet, [
      { kind: 'greeter', banner: 'internet', port: 80 },
      { kind: 'udp-echo', host: INTERNET.server4, port: 80 },
    ]);
    stack.use(outside);
  };

  const attach = async (network: string, name: string): Promise<Guest> => {
    const namespace = await world.lab.guest(name);
    const netns = { path: namespace.path, interface: 'eth0', configure: true };
    await world.api.call('attachGuest', { params: { name }, body: { network, kind: 'netns', netns } });
    // Isolated guests have no router that tells them a prefix; they use what they agree on.
    if (network === 'isolated')
      await namespace.ip('addr', 'add', `fd71:1:2:3::${name.at(-1)}/64`, 'dev', 'eth0', 'nodad');
    const page = join(world.vmlan.folder, name);
    await mkdir(page);
    await writeFile(join(page, 'index.html'), `guest ${name}\n`);
    namespace.start(['busybox', 'httpd', '-f', '-p', `[::]:${GUEST_PORT}`, '-h', page]);
    const ip4 = await namespace.waitForAddress('eth0', 4);
    const ip6 = await namespace.waitForAddress('eth0', 6);
    const shown = await namespace.ip('-6', 'addr', 'show', 'dev', 'eth0', 'scope', 'link');
    return { name, namespace, ip4, ip6, linkLocal: /inet6 (fe80:[0-9a-f:]+)/.exec(shown)?.[1] ?? '' };
  };

  const populate = async (network: string, mode: Mode): Promise<Populated> => {
    const [a, b] = await Promise.all([
      attach(network, `${network}-a`),
      mode.guests === 2 ? attach(network, `${network}-b`) : undefined,
    ]);
    const view = await world.network(network);
    const [host6] = mode.direct ? await world.lab.host.addresses(`vml-${network}`, 6) : [];
    await mislead(a.namespace, view);
    return { view, host6, a, b };
  };

  /** A guest that takes the gateway for a router where none was announced, and the host for another. */
  const mislead = async (guest: Namespace, { gateway, gateway6, hostAddress }: NetworkView): Promise<void> => {
    await guest.ip('route', 'replace', 'default', 'via', gateway!);
    await guest.ip('-6', 'route', 'replace', 'default', 'via', gateway6!, 'metric', '1');
    if (hostAddress !== null) await guest.ip('route', 'add', BY_THE_HOST, 'via', hostAddress);
  };

  const probesOf = (network: string, { view, host6, b }: Populated): Record<string, Probe> => {
    const gateway = view.gateway!;
    const gateway6 = view.gateway6!;
    const neighbor = view.hostAddress;
    return {
      gateway: ping(gateway),
      gateway6: ping(gateway6),
      names: dns(view.dns!, 'host.vmlan.internal'),
      'host-named': tcp(gateway, 8001),
      'host-named6': tcp(gateway6, 8001),
      'host-named-udp': udp(gateway, 8001),
      'host-any-named': tcp(gateway, 8005),
      'host-six': tcp(gateway, 8004),
      'host-other': tcp(gateway, 8002),
      'host-any': tcp(gateway, 8003),
      'host-address': tcp(HOST.address4, 8003),
      'host-address6': tcp(HOST.address6, 8003),
      'host-address-named': tcp(HOST.address4, 8001),
      internet: tcp(INTERNET.server4, 80),
      internet6: tcp(INTERNET.server6, 80),
      'internet-udp': udp(INTERNET.server4, 80),
      'internet-ping': ping(INTERNET.server4),
      metadata: tcp(METADATA, 80),
      'metadata-ping': ping(METADATA),
      // In mode user every guest has one and the same address: only the link tells them apart.
      ...(b === undefined ? {} : { 'peer-link': ping(`${b.linkLocal}%eth0`) }),
      ...(b === undefined || network === 'user'
        ? {}
        : { peer: http(b.ip4, GUEST_PORT), peer6: http(b.ip6, GUEST_PORT), 'peer-ping': ping(b.ip4) }),
      ...(neighbor === null
        ? {}
        : {
            'host-neighbor': tcp(neighbor, 8003),
            'host-neighbor6': tcp(host6!, 8003),
            'host-neighbor-named': tcp(neighbor, 8005),
            'host-neighbor-ping': ping(neighbor),
            'host-as-router': tcp(BY_THE_HOST, 80),
          }),
      ...foreignProbes(network),
    };
  };

  /** Guests and interfaces of other networks, which the host itself reaches. */
  const foreignProbes = (network: string): Record<string, Probe> => {
    const foreign = [...networks].filter(([name]) => name !== network && MODES[name]?.direct === true);
    return Object.fromEntries(
      foreign.flatMap(([name, { a, view }]): [string, Probe][] => [
        [`guest of ${name}`, http(a.ip4, GUEST_PORT)],
        [`guest of ${name} over IPv6`, http(a.ip6, GUEST_PORT)],
        [`host on ${name}`, tcp(view.hostAddress!, 8003)],
      ]),
    );
  };

  test('every target is there, for the host', async () => {
    const answers = await reach(world.lab.host, {
      metadata: tcp(METADATA, 80),
      'by-the-host': tcp(BY_THE_HOST, 80),
      ...foreignProbes(''),
    });
    assert.deepEqual(answered(answers), Object.keys(answers).toSorted(), JSON.stringify(answers));
  });

  describe('a guest reaches what its mode opens, and nothing else', { concurrency: 2 }, () => {
    for (const [network, { opens }] of Object.entries(MODES)) {
      test(network, async () => {
        const own = networks.get(network)!;
        const answers = await reach(own.a.namespace, probesOf(network, own));
        const expected = opens.filter((name) => name in answers).toSorted();
        assert.deepEqual(answered(answers), expected, JSON.stringify(answers, null, 1));
        // What policy closes says so at once; only what nobody hears may time out.
        const slow = Object.keys(answers).filter((name) => answers[name] === 'timeout');
        const silent = network === 'isolated' ? /./ : /^(?:peer|host-neighbor|host-as-router)/;
        assert.deepEqual(
          slow.filter((name) => !silent.test(name)),
          [],
          JSON.stringify(answers, null, 1),
        );
      });
    }
  });

  test('the host reaches its neighbors by their addresses, and no other guest', async () => {
    const probes = [...networks].flatMap(([name, { a }]): [string, Probe][] => [
      [name, http(a.ip4, GUEST_PORT)],
      [`${name} over IPv6`, http(a.ip6, GUEST_PORT)],
    ]);
    const answers = await reach(world.lab.host, Object.fromEntries(probes));
    const neighbors = Object.keys(MODES).filter((name) => MODES[name]?.direct === true);
    const expected = neighbors.flatMap((name) => [name, `${name} over IPv6`]).toSorted();
    assert.deepEqual(answered(answers), expected, JSON.stringify(answers, null, 1));
  });

  test('forwards lead to the guest that is meant, in every mode but isolated', async () => {
    const probes: Record<string, Probe> = {};
    let port = FORWARD_PORT;
    for (const [network, { a, b }] of networks) {
      for (const guest of b === undefined ? [a] : [a, b]) {
        const body = { network, host: `127.0.0.1:${++port}`, guest: `${guest.name}:${GUEST_PORT}` };
        if (network === 'isolated') {
          await assert.rejects(world.api.call('createForward', { body }), { code: 'invalid' });
          continue;
        }
        await world.api.call('createForward', { body });
        probes[guest.name] = http('127.0.0.1', port);
      }
    }
    const answers = await reach(world.lab.host, probes);
    for (const name of Object.keys(probes)) assert.equal(answers[name], `guest ${name}`);
  });

  test('a NIC that is disconnected reaches nothing and is reached by nobody, until it is connected again', async () => {
    const { a, b, view } = networks.get('v2')!;
    const { host } = world.lab;
    const connect = (connected: boolean): Promise<unknown> =>
      world.api.call('updateGuest', { params: { name: a.name }, body: { connected } });
    const from = { gateway: ping(view.gateway!), internet: tcp(INTERNET.server4, 80), peer: http(b!.ip4, GUEST_PORT) };
    const to = { guest: http(a.ip4, GUEST_PORT), names: dns(view.dns!, `${a.name}.vmlan.internal`) };
    const body = { network: 'v2', host: `127.0.0.1:${FORWARD_PORT + 100}`, guest: `${a.name}:${GUEST_PORT}` };
    await world.api.call('createForward', { body });
    const forward = { forward: http('127.0.0.1', FORWARD_PORT + 100) };
    const all = async (): Promise<string[]> => [
      ...answered(await reach(a.namespace, from)),
      ...answered(await reach(b!.namespace, to)),
      ...answered(await reach(host, forward)),
    ];
    const open = ['gateway', 'internet', 'peer', 'guest', 'names', 'forward'];
    assert.deepEqual(await all(), open);
    await connect(false);
    assert.deepEqual(await all(), []);
    assert.equal((await reach(host, forward)).forward, 'ECONNREFUSED');
    assert.ok((await world.counter('v2', 'drop_nic_disconnected')) > 0);
    const { nics } = await world.api.call('getGuest', { params: { name: a.name } });
    assert.equal(nics[0]?.state, 'disconnected');
    await connect(true);
    assert.deepEqual(await all(), open);
  });
});
