/**
 * The lab itself: what end-to-end tests take for granted holds without vmlan.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { needsRoot } from './needs.ts';
import { HOST, INTERNET, Lab, NOBODY } from './netns.ts';
import { knownDigest } from './peer-stream.ts';
import { client, serve } from './peers.ts';
import { run } from './process.ts';

test('host and internet reach each other over IPv4 and IPv6', async (t) => {
  if (!needsRoot(t)) return;
  await using lab = await Lab.create();
  await using web = await serve(lab.internet, [{ kind: 'http', port: 80, name: 'internet' }]);
  assert.deepEqual(web.ports, [80]);
  for (const host of [INTERNET.server4, `[${INTERNET.server6}]`]) {
    const tally = await client(lab.host, 'http', { url: `http://${host}/`, count: 3, parallel: 1, keepAlive: false });
    assert.equal(tally.ok, 3);
  }
  assert.equal((await lab.host.run(['ping', '-c1', '-W2', INTERNET.server6])).code, 0);
  assert.deepEqual(await lab.host.addresses('eth0', 4), [HOST.address4]);
  assert.deepEqual(await lab.host.addresses('eth0', 6), [HOST.address6]);
});

test('the internet answers in every bad way', async (t) => {
  if (!needsRoot(t)) return;
  await using lab = await Lab.create();
  await using reset = await serve(lab.internet, [{ kind: 'reset', port: 0 }]);
  const errno = async (host: string, port: number): Promise<string | null> =>
    (await client(lab.host, 'connect', { host, port })).errno;
  assert.equal(await errno(INTERNET.server4, 9), 'ECONNREFUSED');
  assert.equal(await errno(INTERNET.server6, 9), 'ECONNREFUSED');
  assert.equal(await errno(INTERNET.unreachable4, 80), 'EHOSTUNREACH');
  assert.equal(await errno(INTERNET.unreachable6, 80), 'ENETUNREACH');
  assert.equal(await errno(INTERNET.prohibited4, 80), 'EHOSTUNREACH');
  assert.equal(await errno(INTERNET.prohibited6, 80), 'EACCES');
  assert.equal(await errno(INTERNET.server4, reset.port), 'ECONNRESET');
  const refused = await client(lab.host, 'datagram', { host: INTERNET.server4, port: 9, text: 'x' });
  assert.equal(refused.errno, 'ECONNREFUSED');
  assert.equal((await lab.host.run(['ping', '-c1', '-W1', INTERNET.silent4])).code, 1);
});

test('transfers both ways are checked by digest, and half-close works', async (t) => {
  if (!needsRoot(t)) return;
  await using lab = await Lab.create();
  const bytes = 5_000_001;
  const known = knownDigest(bytes);
  await using peers = await serve(lab.internet, [
    { kind: 'source', port: 0, bytes },
    { kind: 'sink', port: 0 },
    { kind: 'stalled', port: 0 },
    { kind: 'greeter', port: 0, banner: 'hello ' },
  ]);
  const [source = 0, sink = 0, stalled = 0, greeter = 0] = peers.ports;
  const host = INTERNET.server4;
  assert.equal((await client(lab.host, 'download', { host, port: source })).sha256, known.sha256);
  assert.equal((await client(lab.host, 'upload', { host, port: sink, bytes })).sha256, known.sha256);
  assert.equal(await client(lab.host, 'converse', { host, port: greeter, text: 'again' }), 'hello again');
  const patient = client(lab.host, 'upload', { host, port: stalled, bytes });
  const first = await Promise.race([patient, client(lab.host, 'connect', { host, port: 9 })]);
  assert.ok('errno' in first, 'the stalled server reads nothing before it is told to');
  peers.resume();
  assert.equal((await patient).sha256, known.sha256);
});

test('crowds, echoes and datagrams are counted', async (t) => {
  if (!needsRoot(t)) return;
  await using lab = await Lab.create();
  await using peers = await serve(lab.internet, [
    { kind: 'tcp-echo', port: 0 },
    { kind: 'udp-echo', port: 0 },
    { kind: 'udp-mirror', port: 0 },
  ]);
  const [tcp = 0, udp = 0, mirror = 0] = peers.ports;
  const host = INTERNET.server4;
  assert.equal((await client(lab.host, 'crowd', { host, port: tcp, count: 200 })).ok, 200);
  assert.equal((await client(lab.host, 'echoes', { host, port: tcp, count: 50, parallel: 4 })).ok, 50);
  assert.equal((await client(lab.host, 'udp', { host, port: udp, flows: 10, count: 3, size: 60_000 })).ok, 10);
  assert.equal(
    (await client(lab.host, 'udp', { host: INTERNET.server6, port: udp, flows: 2, count: 3, size: 100 })).ok,
    2,
  );
  const { answer } = await client(lab.host, 'datagram', { host, port: mirror, text: '?' });
  assert.match(answer, new RegExp(HOST.address4.replaceAll('.', '\\.')));
  const none = await client(lab.host, 'echoes', { host, port: 9, count: 3, parallel: 1 });
  assert.deepEqual(none.errors, { ECONNREFUSED: 3 });
});

test('a namespace has its own resolver file, and a change is seen by what runs there', async (t) => {
  if (!needsRoot(t)) return;
  await using lab = await Lab.create();
  const guest = await lab.guest('alice');
  await guest.setResolver(['192.0.2.53'], ['search example.test']);
  await using reader = guest.start(['sh', '-c', 'while read -r go; do cat /etc/resolv.conf; done']);
  reader.write('\n');
  await reader.waitFor(/nameserver 192\.0\.2\.53\nsearch example\.test/);
  await guest.setResolver(['192.0.2.54']);
  reader.write('\n');
  await reader.waitFor(/nameserver 192\.0\.2\.54/);
});

test('a program can run without any privilege', async (t) => {
  if (!needsRoot(t)) return;
  await using lab = await Lab.create();
  const status = await lab.host.output(['grep', '-E', 'Uid|CapEff|CapBnd|NoNewPrivs', '/proc/self/status'], {
    user: NOBODY,
  });
  assert.match(status, /Uid:\s+65534/);
  assert.match(status, /CapEff:\s+0{16}/);
  assert.match(status, /CapBnd:\s+0{16}/);
  assert.match(status, /NoNewPrivs:\s+1/);
});

test('without IPv6 the host has no route and no address', async (t) => {
  if (!needsRoot(t)) return;
  await using lab = await Lab.create({ ipv6: false });
  const { errno } = await client(lab.host, 'connect', { host: INTERNET.server6, port: 80 });
  assert.equal(errno, 'ENETUNREACH');
});

test('nothing is left of a lab, not even a process that ignores the wish to end', async (t) => {
  if (!needsRoot(t)) return;
  const lab = await Lab.create();
  const stubborn = lab.host.start(['sh', '-c', 'trap "" TERM; echo ready; while :; do sleep 1000; done']);
  await stubborn.waitFor(/ready/);
  const { name } = lab.host;
  await lab.close();
  assert.equal(stubborn.running, false);
  assert.doesNotMatch((await run(['ip', 'netns', 'list'])).stdout, new RegExp(name));
});

test('a process that ends early is told with its output, not waited for', async (t) => {
  if (!needsRoot(t)) return;
  await using lab = await Lab.create();
  const child = lab.host.start(['sh', '-c', 'echo cannot start >&2; exit 3']);
  await assert.rejects(child.waitFor(/listening/), /cannot start/);
  assert.equal((await child.exited).code, 3);
});
