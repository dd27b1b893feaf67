/**
 * UDP from guests to the outside: many flows, datagrams that must be cut and joined again, errors that come back, mappings,
 * and flows that end by themselves.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { until } from '../support/deadline.ts';
import { dnsmasq } from '../support/dns-tools.ts';
import { INTERNET } from '../support/netns.ts';
import { client, type Peers, serve } from '../support/peers.ts';
import type { Process } from '../support/process.ts';
import { type BedGuest, EngineBed, GATEWAY, ready, root } from './engine-bed.ts';

const ECHO = 7;
const MIRROR = 8000;
const CLOSED = 9999;
const RUNS = 8001;
const FORWARD = 8300;
/** Sizes around what is joined, cut and fragmented: the MTU less headers, and beyond it. */
const RUNS_OF_ALL_SIZES = [
  ...[1, 64, 1000, 1400, 1452].flatMap((size) => [
    { size, bytes: size * 2 },
    { size, bytes: Math.min(size * 45, 63_000) - (size >> 1) },
    { size, bytes: size * 30 - (size >> 1), apart: true },
  ]),
  { size: 1, bytes: 64 },
  { size: 3000, bytes: 8000, apart: true },
];
const AT_ONCE_MS = 1000;
const QUERY_LIFE_MS = 10_000;

describe('UDP', () => {
  let bed: EngineBed;
  let peers: Peers;
  let resolver: Process;
  const guests = new Map<string, BedGuest>();

  before(async () => {
    if (!root) return;
    bed = await EngineBed.create();
    await Promise.all((['tap', 'stream'] as const).map(async (kind) => guests.set(kind, await bed.guest(kind, kind))));
    resolver = await dnsmasq(bed.lab.internet, ['--address=/test/192.0.2.1']);
    peers = await serve(bed.lab.internet, [
      { kind: 'udp-echo', port: ECHO },
      { kind: 'udp-mirror', port: MIRROR },
      { kind: 'udp-runs', host: INTERNET.server4, port: RUNS },
      { kind: 'udp-runs', host: INTERNET.server6, port: RUNS },
    ]);
  });
  after(async () => {
    await resolver?.stop();
    await peers?.[Symbol.asyncDispose]();
    await bed?.[Symbol.asyncDispose]();
  });

  // First, so that the life of these flows passes while the other tests run.
  test('short questions to many', async (t) => {
    if (!ready(t, 'dig', 'dnsmasq')) return;
    const { namespace } = guests.get('tap')!;
    // Two may come from one port by chance, and are one flow then: ten more each than the flows that are counted on.
    const questions = Array.from({ length: 60 }, (_, i) => [`n${i}.test`, 'A']).flat();
    for (const server of [INTERNET.resolver4, INTERNET.resolver6]) {
      const answers = await namespace.output(['dig', `@${server}`, '+short', '+time=2', '+tries=1', ...questions]);
      assert.equal(answers.match(/^192\.0\.2\.1$/gm)?.length, 60, answers);
    }
    assert.ok((await bed.snapshot()).flows.udp >= 100);
  });

  for (const kind of ['tap', 'stream'])
    for (const host of [INTERNET.server4, INTERNET.server6]) {
      test(`100 flows at once, over ${kind} with ${host}`, async (t) => {
        if (!ready(t)) return;
        const argument = { host, port: ECHO, flows: 100, count: 20, size: 200 };
        const { ok, errors } = await client(guests.get(kind)!.namespace, 'udp', argument);
        assert.deepEqual({ ok, errors }, { ok: 100, errors: {} });
      });

      test(`60 000 bytes both ways, over ${kind} with ${host}`, async (t) => {
        if (!ready(t)) return;
        const argument = { host, port: ECHO, flows: 4, count: 10, size: 60_000 };
        const { ok, errors } = await client(guests.get(kind)!.namespace, 'udp', argument);
        assert.deepEqual({ ok, errors }, { ok: 4, errors: {} });
      });
    }

  for (const kind of ['tap', 'stream'])
    for (const host of [INTERNET.server4, INTERNET.server6]) {
      test(`runs of datagrams keep borders, order and bytes both ways, over ${kind} with ${host}`, async (t) => {
        if (!ready(t)) return;
        const { namespace } = guests.get(kind)!;
        assert.equal(await client(namespace, 'datagramRuns', { host, port: RUNS, runs: RUNS_OF_ALL_SIZES }), null);
      });
    }

  test('runs of datagrams through a forward', async (t) => {
    if (!ready(t)) return;
    const { namespace, address4: host } = guests.get('tap')!;
    await using _server = await serve(namespace, [{ kind: 'udp-runs', host, port: RUNS }]);
    const listen = { host: '127.0.0.1', port: FORWARD };
    const ends = { listen, target: { host: 'tap', port: RUNS } };
    await bed.request({ type: 'add-forward', forward: { id: 'runs', protocol: 'udp', direction: 'host', ...ends } });
    const argument = { host: listen.host, port: FORWARD, runs: RUNS_OF_ALL_SIZES };
    assert.equal(await client(bed.lab.host, 'datagramRuns', argument), null);
  });

  test('every size around what must be cut, both ways', async (t) => {
    if (!ready(t)) return;
    // The MTU less IP and UDP headers; multiples of eight; the longest there is (RFC 768 over IPv4).
    for (const size of [0, 1, 1452, 1453, 1472, 1473, 1480, 2952, 65_507]) {
      const argument = { host: INTERNET.server4, port: ECHO, flows: 1, count: 2, size };
      const { errors } = await client(guests.get('stream')!.namespace, 'udp', argument);
      assert.deepEqual(errors, {}, `${size} bytes`);
    }
  });

  for (const { name, host } of [
    { name: 'outside', host: INTERNET.server4 },
    { name: 'outside, IPv6', host: INTERNET.server6 },
    { name: "of the host's loopback", host: GATEWAY.address4 },
    { name: "of the host's loopback, IPv6", host: GATEWAY.address6 },
  ]) {
    test(`a closed port ${name} refuses at once`, async (t) => {
      if (!ready(t)) return;
      for (const { namespace } of guests.values()) {
        const { errno, ms } = await client(namespace, 'datagram', { host, port: CLOSED, text: 'anybody?' });
        assert.equal(errno, 'ECONNREFUSED');
        assert.ok(ms < AT_ONCE_MS, `after ${ms} ms`);
      }
    });
  }

  for (const hosts of [
    [INTERNET.server4, INTERNET.resolver4],
    [INTERNET.server6, INTERNET.resolver6],
  ]) {
    test(`one port of the host for all that a socket talks to: ${hosts.join(', ')}`, async (t) => {
      if (!ready(t)) return;
      const targets = hosts.map((host) => ({ host, port: MIRROR }));
      const seen = await client(guests.get('tap')!.namespace, 'askAll', { targets, text: 'who am I?' });
      assert.equal(new Set(seen).size, 1, seen.join('; '));
    });
  }

  test('flows of questions end by themselves', async (t) => {
    if (!ready(t, 'dig', 'dnsmasq')) return;
    await until('the end of 100 flows', QUERY_LIFE_MS + 5000, async () => {
      return (await bed.counter('udp_flows_expired')) >= 100;
    });
    await bed.assertAlive();
  });
});
