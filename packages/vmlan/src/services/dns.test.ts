import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseIpv4, parseIpv6 } from '../wire/address.ts';
import { RCODE, TYPE, rcodeOf } from '../wire/dns.ts';
import type { QueryOptions } from '../wire/dns.fixture.ts';
import { makeQuery, makeReply, showReply } from '../wire/dns.fixture.ts';
import { parseMessage } from '../wire/dns-message.ts';
import { parseName } from '../wire/dns-name.ts';
import type { DnsServiceOptions } from './dns.ts';
import { DnsService } from './dns.ts';
import type { ClientKey } from './dns-pending.ts';
import { Zone } from './zone.ts';

class Bench {
  readonly zone: Zone;
  readonly service: DnsService;
  /** What upstream was asked. */
  readonly asked: { id: number; query: Uint8Array }[] = [];

  constructor(options: Partial<DnsServiceOptions> = {}) {
    this.zone = new Zone({
      domain: 'lab.internal',
      subnet4: { network: parseIpv4('192.168.105.0')!, prefix: 24 },
      gateway4: parseIpv4('192.168.105.1')!,
    });
    this.zone.setGuest('web', [parseIpv4('192.168.105.10')!], [parseIpv6('fd00::10')!]);
    this.service = new DnsService(this.zone, {
      upstream: 'host',
      askUpstream: (id, query) => this.asked.push({ id, query }),
      ...options,
    });
  }

  /** Sends a query and returns the replies so far, which grow when upstream answers. */
  send(query: Uint8Array, options: { client?: ClientKey; now?: number; transport?: 'udp' | 'tcp' } = {}): Uint8Array[] {
    const replies: Uint8Array[] = [];
    this.service.onQuery(query, options.transport ?? 'udp', options.client ?? 1, options.now ?? 0, (reply) =>
      replies.push(reply.slice()),
    );
    return replies;
  }

  /** The reply in one line. */
  ask(name: string, type: number = TYPE.A, options: QueryOptions = {}): string {
    return showReply(this.send(makeQuery(name, type, options))[0]);
  }

  /** Answers the last question to upstream. */
  answer(records: string[], now = 0, rcode = 0, opt = false): void {
    const { id, query } = this.asked.at(-1)!;
    this.service.onUpstreamReply(id, makeReply(query, records, { rcode, edns: opt }), now);
  }
}

test('local names are answered at once, with authority', () => {
  const bench = new Bench();
  assert.equal(bench.ask('WEB.lab.internal'), 'NOERROR | aa ra | WEB.lab.internal. A 5 192.168.105.10');
  assert.equal(bench.ask('web', TYPE.AAAA), 'NOERROR | aa ra | web. AAAA 5 fd00::10');
  assert.equal(bench.ask('web.lab.internal', TYPE.TXT), 'NOERROR | aa ra | lab.internal. SOA 2');
  assert.equal(bench.ask('x.lab.internal'), 'NXDOMAIN | aa ra | lab.internal. SOA 2');
  assert.equal(
    bench.ask('10.105.168.192.in-addr.arpa', TYPE.PTR),
    'NOERROR | aa ra | 10.105.168.192.in-addr.arpa. PTR 5 web.lab.internal.',
  );
  assert.equal(
    bench.ask('web.lab.internal', TYPE.A, { edns: true }),
    'NOERROR | aa ra | web.lab.internal. A 5 192.168.105.10 | OPT',
  );
  assert.equal(bench.asked.length, 0);
  assert.equal(bench.service.stats.local, 6);
});

test('golden reply: question echoed in its own case, DO and flags too', () => {
  const bench = new Bench();
  const query = makeQuery('wEb', TYPE.A, { dnssecOk: true, flags: 0x0110, id: 0xbeef });
  const [reply] = bench.send(query);
  const want = `beef 8590 0001 0001 0000 0001
    03 774562 00 0001 0001
    c00c 0001 0001 00000005 0004 c0a8690a
    00 0029 04d0 0000 8000 0000`;
  assert.equal(Buffer.from(reply!).toString('hex'), want.replaceAll(/\s/g, ''));
});

test('replies to what is no proper question', () => {
  const bench = new Bench();
  const good = makeQuery('web');
  const patched = (offset: number, ...values: number[]): Uint8Array => {
    const copy = good.slice();
    copy.set(values, offset);
    return copy;
  };
  const table = [
    { name: 'response', query: patched(2, 0x81), want: 'nothing' },
    { name: 'short', query: good.subarray(0, 11), want: 'nothing' },
    { name: 'UPDATE', query: patched(2, 0x29), want: 'NOTIMP | ra' },
    { name: 'no question', query: patched(5, 0), want: 'FORMERR | ra' },
    { name: 'two questions', query: patched(5, 2), want: 'FORMERR | ra' },
    { name: 'cut', query: good.subarray(0, -1), want: 'FORMERR | ra' },
    { name: 'pointer loop', query: patched(12, 0xc0, 0x0c), want: 'FORMERR | ra' },
    { name: 'CHAOS', query: makeQuery('version.bind', TYPE.TXT, { class: 3 }), want: 'REFUSED | ra' },
    { name: 'AXFR', query: makeQuery('lab.internal', TYPE.AXFR), want: 'REFUSED | ra' },
    { name: 'IXFR', query: makeQuery('lab.internal', TYPE.IXFR), want: 'REFUSED | ra' },
  ];
  for (const { name, query, want } of table) assert.equal(showReply(bench.send(query)[0]), want, name);
  const { dropped, malformed, refused } = bench.service.stats;
  assert.deepEqual([dropped, malformed, refused], [2, 5, 3]);
});

test('an unknown EDNS version is BADVERS', () => {
  const bench = new Bench();
  const query = makeQuery('web', TYPE.A, { edns: true });
  query[query.length - 5] = 1;
  const { flags, additional } = parseMessage(bench.send(query)[0]!)!;
  assert.equal(rcodeOf(flags), 0);
  assert.equal(additional[0]!.ttl >>> 24, 1); // with the four header bits: 16
  assert.equal((additional[0]!.ttl >>> 16) & 0xff, 0); // the version that we know
});

test('other names go upstream, and the reply comes back unchanged', () => {
  const bench = new Bench();
  const replies = bench.send(makeQuery('Example.COM', TYPE.HTTPS, { id: 7 }));
  assert.equal(bench.service.pendingCount, 1);
  const { query } = bench.asked[0]!;
  assert.deepEqual(parseMessage(query)?.questions, [{ name: parseName('Example.COM'), type: TYPE.HTTPS, class: 1 }]);
  const odd = makeReply(query, ['example.com HTTPS 60 1 . alpn=h2', 'example.com CAA 60 0 issue "x"'], {
    flags: 0xa5b0,
  });
  bench.service.onUpstreamReply(bench.asked[0]!.id, odd, 5);
  odd.set([0, 7]);
  assert.deepEqual(replies, [odd]);
  assert.equal(bench.service.pendingCount, 0);
  bench.service.onUpstreamReply(bench.asked[0]!.id, odd, 5); // once only
  assert.equal(replies.length, 1);
});

test('names of the network never go upstream, other .internal names do', () => {
  const bench = new Bench();
  for (const name of [
    'x.lab.internal',
    'y.vmlan.internal',
    'lima-z.internal',
    'host.lima.internal',
    'a.invalid',
    'b.onion',
    'localhost',
  ]) {
    for (const type of [TYPE.A, TYPE.AAAA, TYPE.MX, TYPE.SOA, TYPE.ANY, 4711]) bench.ask(name, type);
  }
  bench.ask('77.105.168.192.in-addr.arpa', TYPE.PTR);
  assert.equal(bench.asked.length, 0);
  bench.ask('db.corp.internal');
  bench.ask('printer.local');
  assert.equal(bench.asked.length, 2);
});

test('no answer from upstream is SERVFAIL', () => {
  const bench = new Bench({ timeoutMs: 100 });
  const refused = bench.send(makeQuery('a.example'));
  bench.service.onUpstreamReply(bench.asked[0]!.id, null, 10);
  assert.deepEqual(refused.map(showReply), ['SERVFAIL | ra']);
  const wrong = bench.send(makeQuery('b.example'));
  bench.service.onUpstreamReply(bench.asked[1]!.id, makeReply(makeQuery('c.example'), []), 10);
  assert.deepEqual(wrong.map(showReply), ['SERVFAIL | ra']);
  const first = bench.send(makeQuery('d.example', TYPE.A, { edns: true }), { now: 50 });
  const second = bench.send(makeQuery('e.example'), { now: 80 });
  assert.equal(bench.service.pollAt(), 150);
  bench.service.poll(149);
  assert.equal(first.length, 0);
  bench.service.poll(150);
  assert.deepEqual(first.map(showReply), ['SERVFAIL | ra | OPT']);
  assert.equal(bench.service.pollAt(), 180);
  bench.service.poll(1000);
  assert.deepEqual(second.map(showReply), ['SERVFAIL | ra']);
  assert.equal(bench.service.pollAt(), Number.POSITIVE_INFINITY);
  bench.service.onUpstreamReply(bench.asked[2]!.id, makeReply(makeQuery('d.example'), []), 2000); // too late
  assert.equal(first.length, 1);
  assert.equal(bench.service.stats.failed, 4);
});

test('without upstream other names are refused, local ones answered', () => {
  const bench = new Bench({ upstream: 'none' });
  bench.zone.setRecords([{ name: 'cdn.lab.internal', type: 'CNAME', value: 'cdn.example.net' }]);
  assert.equal(bench.ask('example.com'), 'REFUSED | ');
  assert.equal(bench.ask('cdn.lab.internal'), 'REFUSED | ');
  assert.equal(bench.ask('web'), 'NOERROR | aa | web. A 5 192.168.105.10');
  assert.equal(bench.asked.length, 0);
});

test('the same question is asked once for all who wait', () => {
  const bench = new Bench();
  const one = bench.send(makeQuery('example.com', TYPE.A, { id: 1, edns: true }), { client: 1 });
  const two = bench.send(makeQuery('EXAMPLE.com', TYPE.A, { id: 2, edns: true }), { client: 2 });
  const other = bench.send(makeQuery('example.com', TYPE.A, { id: 3, dnssecOk: true }), { client: 3 });
  const plain = bench.send(makeQuery('example.com', TYPE.A, { id: 4 }), { client: 4 });
  const checked = bench.send(makeQuery('example.com', TYPE.A, { id: 5, edns: true, flags: 0x0110 }), { client: 5 });
  assert.deepEqual([bench.asked.length, bench.service.stats.joined, bench.service.pendingCount], [4, 1, 5]);
  bench.service.onUpstreamReply(
    bench.asked[0]!.id,
    makeReply(bench.asked[0]!.query, ['example.com A 60 10.0.0.1'], { edns: true }),
    0,
  );
  assert.deepEqual(one.map(showReply), ['NOERROR | ra | example.com. A 60 10.0.0.1 | OPT']);
  assert.deepEqual(two.map(showReply), ['NOERROR | ra | EXAMPLE.com. A 60 10.0.0.1 | OPT']);
  assert.equal(parseMessage(two[0]!)!.id, 2);
  assert.deepEqual([other.length, plain.length, checked.length], [0, 0, 0]);
});

test('hop-by-hop options stay here, questions with other options are asked alone and as they came', () => {
  const bench = new Bench();
  const withOption = (code: number): Uint8Array => {
    const query = makeQuery('example.com', TYPE.A, { edns: true });
    query.set([0, 12], query.length - 2);
    return Uint8Array.from([...query, 0, code, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]);
  };
  bench.send(withOption(10)); // cookie
  bench.send(makeQuery('example.com', TYPE.A, { edns: true }));
  assert.equal(bench.asked.length, 1);
  assert.equal(parseMessage(bench.asked[0]!.query)!.additional[0]!.rdata.length, 0);
  const subnet = withOption(8);
  const [first, second] = [bench.send(subnet), bench.send(subnet)];
  assert.equal(bench.asked.length, 3);
  assert.deepEqual(bench.asked[2]!.query, subnet);
  bench.answer(['example.com A 60 10.0.0.1']);
  assert.deepEqual([first.length, second.length], [0, 1]);
  bench.send(subnet);
  assert.equal(bench.asked.length, 4); // nor was it cached
});

test('answers are kept, their TTLs run down, until they expire or the resolver changes', () => {
  const bench = new Bench();
  bench.send(makeQuery('example.com'));
  bench.answer(['example.com A 10 10.0.0.1'], 1000);
  const cached = (now: number, name = 'Example.com'): string => showReply(bench.send(makeQuery(name), { now })[0]);
  assert.equal(cached(1000), 'NOERROR | ra | Example.com. A 10 10.0.0.1');
  assert.equal(cached(4999), 'NOERROR | ra | Example.com. A 7 10.0.0.1');
  assert.equal(showReply(bench.send(makeQuery('example.com', TYPE.A, { flags: 0 }), { now: 4999 })[0]), 'nothing'); // RD is part of the question
  assert.deepEqual([bench.service.cachedCount, bench.service.stats.cacheHits], [1, 2]);
  assert.equal(cached(11_000), 'nothing');
  bench.answer(['example.com A 10 10.0.0.2'], 11_000);
  assert.equal(cached(11_001), 'NOERROR | ra | Example.com. A 10 10.0.0.2');
  bench.service.flushCache();
  assert.equal(cached(11_002), 'nothing');
});

test('negative answers are kept by their SOA', () => {
  const bench = new Bench();
  const soa = 'example SOA 3600 ns.example root.example 1 2 3 4 4';
  bench.send(makeQuery('no.example'));
  bench.answer([soa], 0, RCODE.NXDOMAIN);
  assert.equal(bench.ask('no.example'), 'NXDOMAIN | ra | example. SOA 3600');
  assert.equal(showReply(bench.send(makeQuery('no.example'), { now: 4000 })[0]), 'nothing');
  bench.send(makeQuery('bare.example'));
  bench.answer([], 0, RCODE.NXDOMAIN);
  assert.equal(bench.ask('bare.example'), 'nothing');
  bench.answer([], 0, RCODE.SERVFAIL);
  assert.equal(bench.ask('bare.example'), 'nothing');
});

test('a cached answer has EDNS if and only if the client has', () => {
  const bench = new Bench();
  const query = makeQuery('example.com', TYPE.A, { dnssecOk: true });
  bench.send(query);
  bench.service.onUpstreamReply(
    bench.asked[0]!.id,
    makeReply(query, ['example.com A 60 10.0.0.1'], { flags: 0x85a0, edns: true }),
    0,
  );
  const [reply] = bench.send(query);
  assert.equal(showReply(reply), 'NOERROR | ra | example.com. A 60 10.0.0.1 | OPT');
  assert.equal(parseMessage(reply!)!.additional[0]!.ttl, 0x8000);
});

test('aliases into the outside are joined with what upstream says', () => {
  const bench = new Bench();
  bench.zone.setRecords([{ name: 'cdn.lab.internal', type: 'CNAME', value: 'cdn.example.net' }]);
  const replies = bench.send(makeQuery('CDN.lab.internal', TYPE.AAAA, { edns: true }));
  assert.deepEqual(parseMessage(bench.asked[0]!.query)!.questions, [
    { name: parseName('cdn.example.net'), type: TYPE.AAAA, class: 1 },
  ]);
  bench.answer(['cdn.example.net CNAME 60 e.example.net', 'e.example.net AAAA 60 fd00::5'], 0, 0, true);
  const want =
    'NOERROR | ra | CDN.lab.internal. CNAME 5 cdn.example.net. | cdn.example.net. CNAME 60 e.example.net. | e.example.net. AAAA 60 fd00::5 | OPT';
  assert.deepEqual(replies.map(showReply), [want]);
  const [cached] = bench.send(makeQuery('cdn.lab.internal', TYPE.AAAA, { edns: true }), { now: 2000 });
  assert.equal(showReply(cached), want.replace('CDN', 'cdn').replaceAll('60', '58'));
  const [gone] = [bench.send(makeQuery('cdn.lab.internal', TYPE.A))];
  bench.answer(['example.net SOA 60 ns.example.net root.example.net 1 2 3 4 4'], 0, RCODE.NXDOMAIN);
  assert.deepEqual(gone.map(showReply), [
    'NXDOMAIN | ra | cdn.lab.internal. CNAME 5 cdn.example.net. | example.net. SOA 60',
  ]);
});

test('an alias and a direct question share one upstream answer', () => {
  const bench = new Bench();
  bench.zone.setRecords([{ name: 'cdn.lab.internal', type: 'CNAME', value: 'cdn.example.net' }]);
  const direct = bench.send(makeQuery('cdn.example.net'));
  const alias = bench.send(makeQuery('cdn.lab.internal'));
  assert.equal(bench.asked.length, 1);
  bench.answer(['cdn.example.net A 60 10.0.0.1']);
  assert.deepEqual(direct.map(showReply), ['NOERROR | ra | cdn.example.net. A 60 10.0.0.1']);
  assert.deepEqual(alias.map(showReply), [
    'NOERROR | ra | cdn.lab.internal. CNAME 5 cdn.example.net. | cdn.example.net. A 60 10.0.0.1',
  ]);
});

test('a malformed answer to an alias is SERVFAIL', () => {
  const bench = new Bench();
  bench.zone.setRecords([{ name: 'cdn.lab.internal', type: 'CNAME', value: 'cdn.example.net' }]);
  const replies = bench.send(makeQuery('cdn.lab.internal'));
  const { id, query } = bench.asked[0]!;
  const broken = makeReply(query, ['cdn.example.net A 60 10.0.0.1']).subarray(0, -2);
  bench.service.onUpstreamReply(id, broken, 0);
  assert.deepEqual(replies.map(showReply), ['SERVFAIL | ra']);
});

test('alias circles are SERVFAIL', () => {
  const bench = new Bench();
  bench.zone.setRecords([{ name: 'a.lab.internal', type: 'CNAME', value: 'a.lab.internal' }]);
  assert.equal(bench.ask('a.lab.internal'), 'SERVFAIL | ra');
});

test('replies fit what the client takes', () => {
  const bench = new Bench();
  const long = Array.from({ length: 100 }, (_, i) => ({
    name: 'many.lab.internal',
    type: 'TXT',
    value: `${i} ${'x'.repeat(50)}`,
  }));
  bench.zone.setRecords(long);
  const size = (udp: number | undefined, transport: 'udp' | 'tcp'): [number, boolean] => {
    const options = udp === undefined ? {} : { udp };
    const [reply] = bench.send(makeQuery('many.lab.internal', TYPE.TXT, options), { transport });
    return [reply!.length, (reply![2]! & 2) !== 0];
  };
  const plain = size(undefined, 'udp');
  assert.ok(plain[0] <= 512 && plain[0] > 400 && plain[1]);
  const edns = size(1232, 'udp');
  assert.ok(edns[0] <= 1232 && edns[0] > 1100 && edns[1]);
  const bounded = size(65535, 'udp');
  assert.ok(bounded[0] <= 4096 && bounded[0] > 3900 && bounded[1]);
  const tcp = size(undefined, 'tcp');
  assert.ok(tcp[0] > 6000 && !tcp[1]);
});

test('upstream replies are cut for UDP, whole over TCP, cached or not', () => {
  const bench = new Bench();
  const records = Array.from({ length: 60 }, (_, i) => `example.com A 60 10.0.0.${i}`);
  const udp = bench.send(makeQuery('example.com'));
  const tcp = bench.send(makeQuery('example.com'), { transport: 'tcp' });
  bench.answer(records);
  const later = bench.send(makeQuery('example.com'));
  const summary = (replies: Uint8Array[]): [number, boolean] => {
    const message = parseMessage(replies[0]!)!;
    assert.ok(message.answers.length === 60 || replies[0]!.length <= 512);
    return [message.answers.length, (message.flags & 0x0200) !== 0];
  };
  assert.deepEqual(
    [summary(udp), summary(tcp), summary(later)],
    [
      [30, true],
      [60, false],
      [30, true],
    ],
  );
});

test('a truncated reply from upstream is passed on, not kept', () => {
  const bench = new Bench();
  const both = [bench.send(makeQuery('example.com')), bench.send(makeQuery('example.com'))];
  const { id, query } = bench.asked[0]!;
  bench.service.onUpstreamReply(id, makeReply(query, [], { flags: 0x8380 }), 0);
  assert.deepEqual(
    both.map((replies) => showReply(replies[0])),
    ['NOERROR | tc ra', 'NOERROR | tc ra'],
  );
  assert.equal(bench.service.cachedCount, 0);
});

test('one client cannot take the others’ places', () => {
  const bench = new Bench({ maxPending: 10, maxPendingPerClient: 6 });
  const from = (client: ClientKey, i: number): string =>
    showReply(bench.send(makeQuery(`n${i}.${client}.example`), { client })[0]);
  for (let i = 0; i < 6; i++) assert.equal(from('bad', i), 'nothing');
  assert.equal(from('bad', 6), 'SERVFAIL | ra');
  assert.equal(showReply(bench.send(makeQuery('n0.bad.example'), { client: 'bad' })[0]), 'SERVFAIL | ra'); // nor by joining
  for (let i = 0; i < 4; i++) assert.equal(from('good', i), 'nothing');
  assert.equal(from('good', 4), 'SERVFAIL | ra');
  assert.equal(bench.ask('web'), 'NOERROR | aa ra | web. A 5 192.168.105.10');
  assert.equal(bench.service.stats.overLimit, 3);
  for (const { id } of bench.asked) bench.service.onUpstreamReply(id, null, 0);
  assert.equal(bench.service.pendingCount, 0);
  assert.equal(from('bad', 7), 'nothing');
});

test('upstream may answer at once, from inside the question', () => {
  const service: DnsService = new DnsService(new Zone({ domain: 'lab.internal' }), {
    upstream: 'host',
    cacheEntries: 0,
    askUpstream: (id, query) => service.onUpstreamReply(id, makeReply(query, ['example.com A 60 10.0.0.1']), 0),
  });
  const replies: string[] = [];
  for (let i = 0; i < 2; i++)
    service.onQuery(makeQuery('example.com'), 'udp', 1, 0, (reply) => replies.push(showReply(reply)));
  assert.deepEqual(new Set(replies), new Set(['NOERROR | ra | example.com. A 60 10.0.0.1']));
  assert.equal(service.stats.asked, 2);
});

test('what is borrowed is not kept, not even of a Buffer', () => {
  const bench = new Bench();
  const query = Buffer.from(makeQuery('example.com', TYPE.A, { edns: true }));
  const raw = Buffer.from([...query.subarray(0, -2), 0, 4, 0, 3, 0, 0]); // with NSID, which goes as it came
  const [first, second] = [bench.send(query), bench.send(raw)];
  query.fill(0xff);
  raw.fill(0xff);
  assert.deepEqual(
    bench.asked.map((asked) => parseMessage(asked.query)?.questions.length),
    [1, 1],
  );
  for (const { id, query: sent } of bench.asked) {
    const reply = Buffer.from(makeReply(sent, ['example.com A 60 10.0.0.1']));
    bench.service.onUpstreamReply(id, reply, 0);
    reply.fill(0xff);
  }
  assert.deepEqual(
    [first, second].flat().map(showReply),
    Array.from({ length: 2 }, () => 'NOERROR | ra | example.com. A 60 10.0.0.1'),
  );
  assert.equal(bench.ask('example.com', TYPE.A, { edns: true }), 'NOERROR | ra | example.com. A 60 10.0.0.1 | OPT');
});

test('100 000 mutated messages: at most one reply each, in bounds, nothing left behind', () => {
  const seeds = [
    makeQuery('web.lab.internal'),
    makeQuery('cdn.lab.internal', TYPE.ANY, { dnssecOk: true }),
    makeQuery('10.105.168.192.in-addr.arpa', TYPE.PTR, { udp: 4096 }),
    makeQuery('example.com', TYPE.HTTPS, { edns: true }),
    makeReply(makeQuery('example.com'), ['example.com CNAME 60 x.example.com', 'x.example.com A 60 10.0.0.1']),
  ];
  const bench = new Bench({ timeoutMs: 50, cacheEntries: 64, maxPending: 200, maxPendingPerClient: 50 });
  bench.zone.setRecords([{ name: 'cdn.lab.internal', type: 'CNAME', value: 'cdn.example.net' }]);
  let state = 0x2545f491;
  const random = (below: number): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
  const mutate = (bytes: Uint8Array): Uint8Array => {
    const out = bytes.slice(0, random(8) === 0 ? random(bytes.length + 1) : bytes.length);
    for (let n = random(5); n > 0 && out.length > 0; n--)
      out[random(out.length)] = random(3) === 0 ? 0xc0 : random(256);
    return out;
  };
  let replies = 0;
  let promised = 0;
  for (let now = 0; now < 100_000; now++) {
    const message = mutate(seeds[random(seeds.length)]!);
    let mine = 0;
    const answered = bench.service.onQuery(message, random(4) === 0 ? 'tcp' : 'udp', random(8), now, (reply) => {
      assert.ok(reply.length >= 12 && reply.length <= 65535 && (reply[2]! & 0x80) !== 0);
      assert.equal(++mine, 1);
      replies++;
    });
    if (answered) promised++;
    const asked = bench.asked.pop();
    if (asked !== undefined && random(3) > 0) {
      const good = makeReply(asked.query.length > 20 && parseMessage(asked.query) !== null ? asked.query : seeds[0]!, [
        'x.example A 60 10.0.0.1',
      ]);
      bench.service.onUpstreamReply(asked.id, random(2) === 0 ? good : mutate(good), now);
    }
    bench.service.poll(now);
  }
  bench.service.poll(Number.MAX_SAFE_INTEGER);
  assert.equal(bench.service.pendingCount, 0);
  assert.ok(bench.service.cachedCount <= 64);
  assert.equal(replies, promised);
  assert.equal(replies + bench.service.stats.dropped, 100_000);
});

test('every query that can be parsed is answered with its own ID and question', () => {
  const label = fc.stringMatching(/^[a-zA-Z0-9-]{1,12}$/);
  const name = fc.array(label, { minLength: 0, maxLength: 4 }).map((labels) => `${labels.join('.')}.`);
  const bench = new Bench();
  fc.assert(
    fc.property(name, fc.nat(65535), fc.nat(65535), fc.boolean(), (text, type, id, edns) => {
      if (type === TYPE.AXFR || type === TYPE.IXFR) return;
      const query = makeQuery(text, type, { id, edns });
      const replies = bench.send(query);
      const asked = bench.asked.pop();
      if (asked !== undefined) bench.service.onUpstreamReply(asked.id, makeReply(asked.query, []), 0);
      const message = parseMessage(replies[0]!)!;
      assert.equal(message.id, id);
      assert.deepEqual(message.questions, parseMessage(query)!.questions);
    }),
    { numRuns: 1000 },
  );
});
