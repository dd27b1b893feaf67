/**
 * Shapes of NICs and of pairs in a whole engine: who is hit and who is not, ports that come and go, conversations under
 * way, and what hostile frames do to lines.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { pattern, sink, source } from '../sys/fake/services.ts';
import { arpFrame, etherFrame, ipv4Frame, udpOf } from '../wire/packets.fixture.ts';
import { EngineBench } from './bench.fixture.ts';
import type { LineShape } from './control-messages.ts';
import type { BenchGuest } from './guest.fixture.ts';
import { TcpBench } from './tcp-bench.fixture.ts';

const CUT: LineShape = { partition: true };
const HOST = '198.51.100.7';
const GATEWAY = '192.168.104.1';

function shape(
  bench: EngineBench,
  nic: string,
  peer: string | null,
  fromGuest: LineShape | null,
  toGuest: LineShape | null = fromGuest,
): void {
  bench.request({ type: 'set-shape', shape: { id: `${nic} ${peer}`, nic, peer, fromGuest, toGuest } });
}

const clear = (bench: EngineBench, nic: string, peer: string | null = null): void =>
  void bench.request({ type: 'remove-shape', shapeId: `${nic} ${peer}` });

interface Three {
  readonly bench: EngineBench;
  readonly web: BenchGuest;
  readonly db: BenchGuest;
  readonly other: BenchGuest;
}

function three(): Three {
  const bench = new EngineBench();
  bench.kernel.host(HOST).listenUdp(7, (datagram) => datagram.reply(datagram.payload));
  const [web, db, other] = ['web', 'db', 'other'].map((name) => bench.guest(name)) as [
    BenchGuest,
    BenchGuest,
    BenchGuest,
  ];
  for (const guest of [web, db, other]) guest.hears();
  return { bench, web, db, other };
}

const says = (from: BenchGuest, to: BenchGuest, text: string): void =>
  from.says(
    ipv4Frame(
      { from: from.mac, to: to.mac, src: from.address4, dst: to.address4 },
      udpOf(1000, 4000, new TextEncoder().encode(text)),
    ),
  );

/** Who hears whom: a letter each. */
function matrix({ web, db, other }: Three): string {
  const guests = { w: web, d: db, o: other };
  const pairs = Object.entries(guests).flatMap(([a, from]) =>
    Object.entries(guests).flatMap(([b, to]) => (from === to ? [] : [[a, b, from, to] as const])),
  );
  return pairs
    .filter(([, , from, to]) => {
      to.hears();
      says(from, to, 'x');
      return to.texts().length === 1;
    })
    .map(([a, b]) => a + b)
    .join(' ');
}

const ALL = 'wd wo dw do ow od';
const reachesGateway = (guest: BenchGuest): boolean => {
  guest.hears();
  guest.says(guest.echo(GATEWAY));
  return guest.hears().length > 0;
};

describe('who is hit', () => {
  test('a NIC: everything of it, and of nobody else', () => {
    const net = three();
    assert.equal(matrix(net), ALL);
    shape(net.bench, 'web/0', null, CUT);
    assert.equal(matrix(net), 'do od');
    assert.equal(reachesGateway(net.web), false);
    assert.equal(reachesGateway(net.db), true);
    clear(net.bench, 'web/0');
    assert.equal(matrix(net), ALL);
    assert.equal(reachesGateway(net.web), true);
  });

  test('one direction', () => {
    const net = three();
    shape(net.bench, 'web/0', null, CUT, null);
    assert.equal(matrix(net), 'dw do ow od');
    shape(net.bench, 'web/0', null, null, CUT);
    assert.equal(matrix(net), 'wd wo do od');
    clear(net.bench, 'web/0');
  });

  test('a pair: what passes between the two, broadcasts included', () => {
    const net = three();
    const { bench, web, db, other } = net;
    shape(bench, 'web/0', 'db/0', CUT);
    assert.equal(matrix(net), 'wo do ow od');
    for (const guest of [web, db]) assert.equal(reachesGateway(guest), true);
    for (const guest of [db, other]) guest.hears();
    web.says(arpFrame({ from: web.mac, sender: web.address4, target: db.address4 }));
    assert.deepEqual([db.hears().length, other.hears().length], [0, 1]);
    shape(bench, 'web/0', 'db/0', CUT, null);
    assert.equal(matrix(net), 'wo dw do ow od');
    clear(bench, 'web/0', 'db/0');
    assert.equal(matrix(net), ALL);
  });

  test('the gateway: no service and nothing beyond, but other guests', () => {
    const net = three();
    const { bench, web, db } = net;
    web.says(web.udp(HOST, 7, 'before'));
    bench.passes(5);
    assert.deepEqual(web.texts(), ['before']);
    shape(bench, 'web/0', 'gateway', CUT);
    assert.equal(matrix(net), ALL);
    assert.equal(reachesGateway(web), false);
    assert.equal(reachesGateway(db), true);
    web.says(web.udp(HOST, 7, 'lost'));
    bench.passes(100);
    assert.deepEqual(web.texts(), []);
    shape(bench, 'web/0', 'gateway', null, CUT);
    web.says(web.udp(HOST, 7, 'answered in vain'));
    bench.passes(100);
    assert.deepEqual(web.texts(), []);
    clear(bench, 'web/0', 'gateway');
    assert.equal(reachesGateway(web), true);
  });

  test('NIC and pair add up', () => {
    const { bench, web, db } = three();
    shape(bench, 'web/0', null, { delayMs: 10 }, null);
    shape(bench, 'web/0', 'db/0', { delayMs: 20 }, null);
    shape(bench, 'db/0', null, null, { delayMs: 30 });
    says(web, db, 'late');
    bench.passes(59);
    assert.deepEqual(db.texts(), []);
    bench.passes(4);
    assert.deepEqual(db.texts(), ['late']);
  });
});

describe('ports that come and go', () => {
  test('a shape waits for its NIC, and holds for the next link', () => {
    const bench = new EngineBench();
    shape(bench, 'web/0', 'db/0', CUT);
    shape(bench, 'web/0', null, { delayMs: 5 });
    const net = { bench, web: bench.guest('web'), db: bench.guest('db'), other: bench.guest('other') };
    says(net.web, net.db, 'x');
    bench.passes(10);
    assert.deepEqual(net.db.texts(), []);
    for (const guest of [net.web, net.db]) {
      guest.unplug();
      guest.plug();
      guest.announces();
      bench.passes(10);
    }
    net.db.hears();
    says(net.web, net.db, 'x');
    bench.passes(10);
    assert.deepEqual(net.db.texts(), []);
    assert.ok(bench.counter('drop_shape_partition') > 0);
    clear(bench, 'web/0', 'db/0');
    says(net.web, net.db, 'y');
    bench.passes(10);
    assert.deepEqual(net.db.texts(), ['y']);
  });

  test('what is under way to or from a link that goes is dropped and counted', () => {
    const { bench, web, db, other } = three();
    shape(bench, 'web/0', 'db/0', { delayMs: 100 });
    shape(bench, 'other/0', null, null, { delayMs: 100 });
    says(web, db, '1');
    says(db, web, '2');
    says(web, other, '3');
    web.unplug();
    assert.equal(bench.counter('drop_shape_link_gone'), 2);
    db.unplug();
    other.unplug();
    assert.equal(bench.counter('drop_shape_link_gone'), 3);
    bench.passes(200);
    assert.deepEqual([db.texts(), other.texts()], [[], []]);
  });

  test('without shapes a port is as it was: its own link, and nothing before it', () => {
    const { bench, web, db } = three();
    const { link } = web.port!;
    shape(bench, 'web/0', null, { delayMs: 50 });
    shape(bench, 'db/0', 'web/0', { lossPercent: 1 });
    assert.notEqual(web.port!.link, link);
    assert.notEqual(db.port!.shaper, null);
    says(web, db, 'under way');
    clear(bench, 'web/0');
    clear(bench, 'db/0', 'web/0');
    clear(bench, 'nobody/0');
    bench.turn();
    assert.deepEqual(db.texts(), ['under way']);
    assert.deepEqual([web.port!.link, web.port!.shaper, db.port!.shaper], [link, null, null]);
  });

  test('a port whose queue is full keeps what waits until there is room', () => {
    const { bench, web, db } = three();
    shape(bench, 'db/0', null, null, { delayMs: 50 });
    for (const text of ['a', 'b', 'c']) says(web, db, text);
    db.link!.window = 0;
    clear(bench, 'db/0');
    says(web, db, 'd');
    bench.passes(5);
    assert.deepEqual(db.texts(), []);
    assert.notEqual(db.port!.shaper, null);
    db.link!.window = 1 << 20;
    bench.passes(5);
    assert.deepEqual(db.texts(), ['a', 'b', 'c', 'd']);
    assert.equal(db.port!.shaper, null);
  });

  test('a shape that is set again under another pair lets go of the first', () => {
    const net = three();
    const set = (nic: string, peer: string): void =>
      void net.bench.request({ type: 'set-shape', shape: { id: 'one', nic, peer, fromGuest: CUT, toGuest: CUT } });
    set('web/0', 'db/0');
    set('web/0', 'other/0');
    assert.equal(matrix(net), 'wd dw do od');
  });

  test('a pulled cable stays pulled for what is under way', () => {
    const { bench, web, db } = three();
    shape(bench, 'db/0', null, null, { delayMs: 50 });
    says(web, db, 'x');
    bench.setNic('db/0', null, false);
    bench.passes(100);
    assert.deepEqual(db.texts(), []);
  });
});

describe('conversations', () => {
  test('a partition cuts one silently, and it goes on afterwards', () => {
    const lab = new TcpBench();
    const bytes = 2_000_000;
    lab.bench.kernel.host(HOST).listenTcp(80, source(bytes));
    const listener = lab.bench.kernel.host(HOST).listenTcp(81, sink());
    shapeSlow(lab.bench);
    const down = lab.connect(HOST, 80);
    const up = lab.connect(HOST, 81);
    up.write(pattern(400_000));
    up.end();
    lab.passes(300);
    assert.ok(down.state === 'open' && up.state === 'open');
    shape(lab.bench, 'web/0', 'gateway', CUT);
    lab.passes(3000);
    assert.ok(down.state === 'open' && !down.ended, 'nobody is told');
    clear(lab.bench, 'web/0', 'gateway');
    down.end();
    lab.run(() => down.state === 'closed' && up.state === 'closed');
    assert.equal(down.received, bytes);
    assert.equal(listener.connections[0]?.ended, true);
  });

  const shapeSlow = (bench: EngineBench): void => shape(bench, 'web/0', null, { rateBps: 8e6 });

  test('a slow line carries all, and most of it once', () => {
    const lab = new TcpBench();
    lab.bench.kernel.host(HOST).listenTcp(80, source(125_000));
    lab.station();
    shape(lab.bench, 'web/0', null, null, { rateBps: 200e3 });
    const down = lab.connect(HOST, 80);
    down.end();
    const ms = lab.run(() => down.ended);
    assert.ok(ms >= 5000 && ms < 9000, `${ms} ms`);
  });

  test('at MTU 65520, too: a queue holds three frames', () => {
    const lab = new TcpBench({ config: { mtu: 65_520 } });
    lab.bench.kernel.host(HOST).listenTcp(80, source(1_000_000));
    lab.station();
    shape(lab.bench, 'web/0', null, null, { rateBps: 8e6 });
    const down = lab.connect(HOST, 80, { mss: 65_480 });
    down.end();
    const ms = lab.run(() => down.ended);
    assert.ok(ms >= 1000 && ms < 1250, `${ms} ms`);
  });

  for (const rateBps of [1e6, 20e6, 300e6]) {
    test(`a transfer at ${rateBps / 1e6} Mbit/s is as fast as that, and loses nothing on its way to the guest`, () => {
      const lab = new TcpBench();
      const bytes = rateBps / 8;
      lab.bench.kernel.host(HOST).listenTcp(80, source(bytes));
      lab.station();
      shape(lab.bench, 'web/0', null, null, { rateBps });
      const down = lab.connect(HOST, 80);
      down.end();
      const ms = lab.run(() => down.ended);
      assert.ok(ms >= 1000 && ms < 1250, `${ms} ms`); // headers are 3 %
      assert.equal(lab.bench.counter('drop_shape_rate_queue_full'), 0);
      assert.equal(lab.bench.counter('tcp_segments_retransmitted'), 0);
    });
  }
});

test('frames that are no frames pass lines, or are dropped, and harm nobody', () => {
  const { bench, web, db } = three();
  shape(bench, 'web/0', null, { delayMs: 1, duplicatePercent: 100, corruptPercent: 100, reorderPercent: 50 });
  shape(bench, 'web/0', 'db/0', { delayMs: 1 });
  shape(bench, 'web/0', 'gateway', { delayMs: 1 });
  for (let len = 0; len < 70; len++) web.says(new Uint8Array(len).fill(len));
  web.says(etherFrame(web.mac, db.mac, 0x0800, new Uint8Array(65_000)));
  bench.passes(50);
  assert.ok(bench.counter('drop_short_frame') > 0);
  clear(bench, 'web/0');
  clear(bench, 'web/0', 'db/0');
  clear(bench, 'web/0', 'gateway');
  bench.passes(5);
  assert.equal(web.port!.shaper, null);
});
