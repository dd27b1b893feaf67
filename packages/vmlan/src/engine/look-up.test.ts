/**
 * Names asked by the control plane: what guests are answered, it is answered.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeQuery, makeReply, showReply } from '../wire/dns.fixture.ts';
import { TYPE } from '../wire/dns.ts';
import { EngineBench, USER_MODE } from './bench.fixture.ts';

const post = (bench: EngineBench, name: string, type: number): number =>
  bench.post({ type: 'look-up', query: makeQuery(name, type) });

function ask(bench: EngineBench, name: string, type: number = TYPE.A): string {
  const id = post(bench, name, type);
  bench.until(() => bench.hasAnswered(id));
  return showReply(bench.answer(id) as Uint8Array | null);
}

test('guests by every name they have, the host, records, and names of the outside', () => {
  const bench = new EngineBench();
  const web = bench.guest('web');
  web.obtainsLease();
  bench.request({ type: 'set-records', records: [{ name: '*.apps.test', type: 'A', value: '10.1.1.1' }] });
  bench.resolver = (query) => makeReply(query, ['example.com A 60 192.0.2.9']);
  for (const name of ['web.lab.internal', 'web.vmlan.internal', 'lima-web.internal', 'web']) {
    assert.ok(ask(bench, name).startsWith(`NOERROR | aa ra | ${name}. A 5 192.168.104.100`), name);
  }
  assert.match(ask(bench, 'host.vmlan.internal'), /^NOERROR \| aa ra \| host\.vmlan\.internal\. A /);
  assert.match(ask(bench, '100.104.168.192.in-addr.arpa', TYPE.PTR), / PTR 5 web\.lab\.internal\./);
  assert.match(ask(bench, 'shop.apps.test'), / A 5 10\.1\.1\.1/);
  assert.equal(ask(bench, 'example.com'), 'NOERROR | ra | example.com. A 60 192.0.2.9');
  assert.match(ask(bench, 'nobody.lab.internal'), /^NXDOMAIN \| aa ra/);
});

test('a message that is no question is answered with nothing', () => {
  const bench = new EngineBench();
  assert.equal(bench.request({ type: 'look-up', query: Uint8Array.of(1, 2) }), null);
});

test('questions that upstream never answers end, and take no guest its share', () => {
  const bench = new EngineBench();
  const resolver = bench.resolver;
  bench.resolver = () => undefined;
  const ids = Array.from({ length: 400 }, (_, i) => post(bench, `n${i}.example.com`, TYPE.A));
  bench.resolver = resolver;
  bench.until(() => ids.every((id) => bench.hasAnswered(id)));
  for (const id of ids) assert.match(showReply(bench.answer(id) as Uint8Array), /^(?:SERVFAIL|REFUSED)/);
});

test('in mode user the first guest is asked for; without one there is nobody', () => {
  const bench = new EngineBench({ config: USER_MODE });
  assert.throws(() => bench.request({ type: 'look-up', query: makeQuery('web') }), /nobody answers names here/);
  bench.guest('web').obtainsLease();
  assert.match(ask(bench, 'web.lab.internal'), / A 5 192\.168\.5\.15/);
});
