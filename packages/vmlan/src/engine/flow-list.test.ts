/**
 * The list of conversations: whose they are, how far they are, what they carried; page by page.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as F from '../stack/tcp/flow.ts';
import { TcpFlow } from '../stack/tcp/flow.ts';
import { echo, speaksFirst, udpEcho } from '../sys/fake/services.ts';
import { EngineBench } from './bench.fixture.ts';
import type { FlowPage, FlowSnapshot } from './control-messages.ts';
import { PAGE_PLACES, tcpState } from './flow-list.ts';
import { TcpBench } from './tcp-bench.fixture.ts';

const SERVER = '198.51.100.7';

function all(
  bench: EngineBench,
  protocol: 'tcp' | 'udp' | 'icmp' | null = null,
  guest: string | null = null,
): FlowSnapshot[] {
  const found: FlowSnapshot[] = [];
  for (let cursor: number | null = 0; cursor !== null;) {
    const page = bench.request({ type: 'flows', cursor, guest, protocol }) as FlowPage;
    found.push(...page.flows);
    cursor = page.next;
  }
  return found;
}

describe('TCP', () => {
  test('the guest’s own way out, with what it carried', () => {
    const lab = new TcpBench();
    lab.bench.kernel.host(SERVER).listenTcp(80, echo());
    const station = lab.station();
    const connection = lab.connect(SERVER, 80);
    let heard = 0;
    connection.onData = (bytes) => void (heard += bytes.length);
    connection.write(new Uint8Array(5000));
    lab.run(() => heard === 5000);
    lab.passes(100);
    const [flow, ...more] = all(lab.bench);
    assert.equal(more.length, 0);
    assert.partialDeepStrictEqual(flow, {
      ...{ protocol: 'tcp', state: 'ESTABLISHED', guest: 'web', nic: 'web/0', forward: null, peerAddress: null },
      ...{ guestAddress: station.guest.address4, guestPort: 40_000, remoteAddress: SERVER, remotePort: 80 },
      ...{ bytesFromGuest: 5000, bytesToGuest: 5000, retransmissions: 0 },
    });
    assert.ok(flow!.packetsFromGuest >= 5 && flow!.packetsToGuest >= 2);
    assert.match(flow!.hostAddress ?? '', /^[\d.]+:\d+$/);
    assert.ok(flow!.ageMs >= 100 && flow!.idleMs >= 0 && flow!.idleMs <= flow!.ageMs);
    assert.equal(lab.bench.guestOf('web')?.flows, 1);
  });

  test('through a forward, with its client', () => {
    const lab = new TcpBench();
    const station = lab.station();
    station.tcp.listen(80, (one) => (one.onData = (bytes) => one.write(bytes)));
    const listen = { host: '0.0.0.0', port: 8080 };
    const target = { host: 'web', port: 80 };
    const forward = { id: 'fwd-1', protocol: 'tcp', direction: 'host', listen, target } as const;
    lab.bench.request({ type: 'add-forward', forward });
    const ends = { from: '192.0.2.77', to: '192.0.2.10', port: 8080 };
    const client = lab.bench.kernel.connectTcp(ends, speaksFirst('hello'));
    lab.run(() => client.received === 5);
    assert.partialDeepStrictEqual(all(lab.bench), [
      { forward: 'fwd-1', guestPort: 80, remoteAddress: '192.168.104.1', bytesFromGuest: 5, bytesToGuest: 5 },
    ]);
    assert.match(all(lab.bench)[0]!.peerAddress ?? '', /^192\.0\.2\.77:\d+$/);
  });

  test('states by the names of RFC 9293', () => {
    const table: [state: number, bits: number, name: string][] = [
      [F.CONNECTING, 0, 'SYN-RECEIVED'],
      [F.SYN_RECEIVED, 0, 'SYN-RECEIVED'],
      [F.RESOLVING, 0, 'SYN-SENT'],
      [F.SYN_SENT, 0, 'SYN-SENT'],
      [F.ESTABLISHED, 0, 'ESTABLISHED'],
      [F.ESTABLISHED, F.FIN_FROM_GUEST, 'CLOSE-WAIT'],
      [F.ESTABLISHED, F.FIN_TO_GUEST, 'FIN-WAIT-1'],
      [F.ESTABLISHED, F.FIN_TO_GUEST | F.FIN_TO_GUEST_ACKED, 'FIN-WAIT-2'],
      [F.ESTABLISHED, F.FIN_FROM_GUEST | F.FIN_TO_GUEST, 'CLOSING'],
      [F.ESTABLISHED, F.FIN_FROM_GUEST | F.FIN_TO_GUEST | F.GUEST_CLOSED_FIRST, 'LAST-ACK'],
      [F.ESTABLISHED, F.FIN_FROM_GUEST | F.FIN_TO_GUEST | F.FIN_TO_GUEST_ACKED, 'TIME-WAIT'],
      [F.TIME_WAIT, 0, 'TIME-WAIT'],
    ];
    for (const [state, bits, name] of table) {
      const flow = new TcpFlow();
      flow.state = state;
      flow.bits = bits;
      assert.equal(tcpState(flow), name);
    }
  });
});

test('UDP and ping, and the filters', () => {
  const bench = new EngineBench();
  const web = bench.guest('web');
  const db = bench.guest('db');
  bench.kernel.host(SERVER).listenUdp(53, udpEcho());
  web.says(web.udp(SERVER, 53, 'hello'), web.udp(SERVER, 99, 'hello'));
  db.says(db.echo(SERVER));
  bench.passes(50);
  const lines = all(bench).map(
    ({ guest, protocol, state, remotePort, bytesFromGuest, bytesToGuest }) =>
      `${guest} ${protocol} ${state} ${remotePort} ${bytesFromGuest} ${bytesToGuest}`,
  );
  assert.deepEqual(lines.slice(0, 2), ['web udp ASSURED 53 5 5', 'web udp UNREPLIED 99 5 0']);
  assert.match(lines[2]!, /^db icmp (ASSURED|UNREPLIED) 0 12 \d+$/);
  assert.equal(all(bench, 'udp').length, 2);
  assert.equal(all(bench, 'tcp').length, 0);
  assert.equal(all(bench, null, 'db').length, 1);
});

test('a reverse forward is known by its port', () => {
  const bench = new EngineBench();
  const web = bench.guest('web');
  const listen = { host: '192.168.104.1', port: 5000 };
  const target = { host: '127.0.0.1', port: 5000 };
  bench.request({
    type: 'add-forward',
    forward: { id: 'rev-1', protocol: 'udp', direction: 'reverse', listen, target },
  });
  web.says(web.udp('192.168.104.1', 5000, 'hello'));
  assert.equal(all(bench)[0]?.forward, 'rev-1');
});

test('many come in pages, each flow once, and a record that is free is none', () => {
  const bench = new EngineBench();
  const web = bench.guest('web');
  const count = PAGE_PLACES + 100;
  for (let i = 0; i < count; i++) web.says(web.udp(SERVER, 1000, 'hello', 10_000 + i));
  const first = bench.request({ type: 'flows', cursor: 0, guest: null, protocol: null }) as FlowPage;
  assert.ok(first.flows.length <= PAGE_PLACES && first.next !== null);
  const ports = all(bench).map(({ guestPort }) => guestPort);
  assert.equal(ports.length, count);
  assert.equal(new Set(ports).size, count);
  bench.passes(400_000);
  assert.equal(all(bench).length, 0);
});
