/**
 * Ports of guests, tried by the gateway: what is open, closed, silent and not there, and that nothing is left of it.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VmlanError } from '../core/errors.ts';
import { MAX_PROBES, TCP_PATIENCE_MS, UDP_PATIENCE_MS } from '../nat/probes.ts';
import { icmp6Of, icmpOf, ipv4Frame, ipv6Frame, udpOf } from '../wire/packets.fixture.ts';
import { EngineBench } from './bench.fixture.ts';
import type { ProbeOutcome } from './control-messages.ts';
import type { TcpConnection } from './tcp-guest.fixture.ts';
import { TcpBench } from './tcp-bench.fixture.ts';

const GATEWAY = '192.168.104.1';

const post = (bench: EngineBench, protocol: 'tcp' | 'udp', port: number, guest = 'web'): number =>
  bench.post({ type: 'probe', guest, protocol, port });

function probe(lab: TcpBench, protocol: 'tcp' | 'udp', port: number, guest = 'web'): ProbeOutcome {
  const id = post(lab.bench, protocol, port, guest);
  lab.run(() => lab.bench.hasAnswered(id), 5_000);
  return lab.bench.answer(id) as ProbeOutcome;
}

test('TCP: an open port is opened and closed again, and no data is sent', () => {
  const lab = new TcpBench();
  const station = lab.station();
  let connection: TcpConnection | null = null;
  station.tcp.listen(22, (one) => {
    connection = one;
    one.onEnd = () => one.end();
  });
  const before = lab.bench.openFds();
  assert.deepEqual(probe(lab, 'tcp', 22), { address: station.guest.address4, state: 'open' });
  lab.passes(20_000);
  assert.ok(connection !== null);
  assert.equal(lab.bench.snapshot().flows.tcp, 0);
  assert.deepEqual(lab.bench.openFds(), before);
});

test('TCP: a server that speaks first does no harm', () => {
  const lab = new TcpBench();
  const station = lab.station();
  station.tcp.listen(22, (one) => one.write(new TextEncoder().encode('SSH-2.0\r\n')));
  const before = lab.bench.openFds();
  assert.equal(probe(lab, 'tcp', 22).state, 'open');
  lab.passes(20_000);
  assert.deepEqual(lab.bench.openFds(), before);
});

test('TCP: a closed port, a guest that says nothing, one that is not there', () => {
  const lab = new TcpBench();
  const station = lab.station();
  const before = lab.bench.openFds();
  assert.equal(probe(lab, 'tcp', 23).state, 'closed');
  station.guest.onFrame = () => {};
  const start = lab.now;
  assert.equal(probe(lab, 'tcp', 22).state, 'silent');
  assert.ok(lab.now - start >= TCP_PATIENCE_MS && lab.now - start < TCP_PATIENCE_MS + 100);
  station.guest.unplug();
  assert.deepEqual(probe(lab, 'tcp', 22), { address: null, state: 'absent' });
  assert.deepEqual(probe(lab, 'tcp', 22, 'nobody'), { address: null, state: 'absent' });
  lab.passes(20_000);
  assert.deepEqual(lab.bench.openFds(), before);
});

test('UDP: an answer, a refusal, silence', () => {
  const bench = new EngineBench();
  const web = bench.guest('web');
  const answer = (id: number): ProbeOutcome => bench.answer(id) as ProbeOutcome;

  const open = post(bench, 'udp', 53);
  const [asked = ''] = web.hears();
  const [, remotePort = ''] = /192\.168\.104\.1\.(\d+) > [\d.]+\.53 udp length 0/.exec(asked) ?? [];
  web.says(ipv4Frame({ from: web.mac, src: web.address4, dst: GATEWAY }, udpOf(53, Number(remotePort))));
  bench.turn();
  assert.deepEqual(answer(open), { address: web.address4, state: 'open' });

  const closed = post(bench, 'udp', 54);
  const datagram = web.frames.splice(0)[0]!.subarray(14);
  web.says(ipv4Frame({ from: web.mac, src: web.address4, dst: GATEWAY }, icmpOf(3, 3, 0, datagram)));
  bench.turn();
  assert.equal(answer(closed).state, 'closed');

  const silent = post(bench, 'udp', 55);
  // What quotes something else, or nothing, is about nobody.
  web.says(ipv4Frame({ from: web.mac, src: web.address4, dst: GATEWAY }, icmpOf(3, 3, 0, datagram)));
  web.says(ipv4Frame({ from: web.mac, src: web.address4, dst: GATEWAY }, icmpOf(3, 3, 0, datagram.subarray(0, 19))));
  bench.passes(UDP_PATIENCE_MS - 10);
  assert.equal(bench.hasAnswered(silent), false);
  bench.passes(20);
  assert.equal(answer(silent).state, 'silent');
  assert.equal(bench.snapshot().flows.udp, 0);
});

test('UDP over IPv6', () => {
  const bench = new EngineBench({ config: { ipv4: null } });
  const web = bench.guest('web');
  const id = post(bench, 'udp', 54);
  const datagram = web.frames.splice(0).at(-1)!.subarray(14);
  const ends = { from: web.mac, src: web.address6, dst: 'fd00:1:2:3::1' };
  web.says(ipv6Frame(ends, icmp6Of(1, 4, 0, datagram)));
  bench.turn();
  assert.deepEqual(bench.answer(id), { address: web.address6, state: 'closed' });
});

test('there are so many at a time', () => {
  const bench = new EngineBench();
  bench.guest('web');
  for (let i = 0; i < MAX_PROBES; i++) post(bench, 'udp', 1000 + i);
  assert.throws(
    () => bench.answer(post(bench, 'udp', 9)),
    (error) => error instanceof VmlanError && error.code === 'exhausted',
  );
  bench.passes(UDP_PATIENCE_MS + 10);
  assert.equal(bench.hasAnswered(post(bench, 'udp', 9)), false);
});
