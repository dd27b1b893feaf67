/**
 * The network simulation: transfers over grids of loss, reordering, duplication and delay, both directions.  Every byte is
 * compared; the table at the end is throughput in virtual time, to see what a change does.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { pattern, sink, source, speaksFirst } from '../../src/sys/fake/services.ts';
import { TcpBench } from '../../src/engine/tcp-bench.fixture.ts';
import { SeededRandom } from '../fuzz/random.ts';
import { PacedStation } from './paced-station.ts';
import { type Direction, type Plan, assertNothingLeft, megabits, simulate } from './simulation.ts';

const BYTES = 1 << 20;
const DIRECTIONS: readonly Direction[] = ['to guest', 'from guest'];

describe('a megabyte over a gigabit cable', () => {
  const rows: string[] = [];
  for (const delayMs of [0, 20]) {
    for (const lossPercent of [0, 1, 5]) {
      for (const [reorderPercent, duplicatePercent] of [
        [0, 0],
        [5, 0],
        [0, 2],
        [5, 2],
      ] as const) {
        const name = `delay ${delayMs} ms, loss ${lossPercent} %, reordering ${reorderPercent} %, duplication ${duplicatePercent} %`;
        test(name, () => {
          const faults = { lossPercent, reorderPercent, duplicatePercent, delayMs };
          const [down, up] = DIRECTIONS.map((direction) => simulate({ seed: 7, direction, bytes: BYTES, faults }));
          const cell = ({ ms, resent }: { ms: number; resent: number }): string =>
            `${megabits(BYTES, ms).toFixed(1).padStart(8)} ${String(resent).padStart(6)}`;
          const what = [delayMs, lossPercent, reorderPercent, duplicatePercent].map((n) => String(n).padStart(5));
          rows.push(`${what.join(' ')} |${cell(down!)} |${cell(up!)}`);
          if (lossPercent === 0) assert.equal(up!.timeouts, 0, 'a whole link needs no timer');
        });
      }
    }
  }

  test('throughput', (t) => {
    t.diagnostic('delay  loss reord  dupl |to guest         |from guest');
    t.diagnostic('   ms     %     %     % |  Mbit/s resent |  Mbit/s resent');
    for (const row of rows) t.diagnostic(row);
  });
});

describe('other guests and networks', () => {
  const faults = { lossPercent: 3, reorderPercent: 3, duplicatePercent: 1, delayMs: 2 };
  const variants: readonly (readonly [string, Partial<Plan>])[] = [
    ['IPv6', { family: 6 }],
    ['no SACK', { tcp: { sack: false } }],
    ['no window scale', { tcp: { scale: -1 } }],
    ['neither, and small segments', { tcp: { sack: false, scale: -1, mss: 536 }, bytes: 200_000 }],
    ['a small receive buffer', { tcp: { receiveBuffer: 8_000 } }],
    ['sequence numbers that wrap', { tcp: { isn: 0x7fff_f000 } }],
    ['sequence numbers that pass zero', { tcp: { isn: -2_000 } }],
    ['jumbo frames', { config: { mtu: 9000 }, tcp: { mss: 8960 } }],
    ['the largest frames', { config: { mtu: 65_520 }, tcp: { mss: 65_480 } }],
    ['bits that turn over', { faults: { corruptPercent: 2, delayMs: 1 } }],
    ['jitter', { faults: { jitterMs: 30, delayMs: 10, lossPercent: 1 } }],
    ['a tenth of the speed', { bytesPerMs: 12_500 }],
    ['a host without peek offset', { peekOffset: false }],
    ['the same over IPv6', { peekOffset: false, family: 6 }],
  ];
  for (const [name, more] of variants) {
    for (const direction of DIRECTIONS) {
      test(`${name}, ${direction}`, () => {
        simulate({ seed: 11, direction, bytes: 400_000, faults, ...more });
      });
    }
  }
});

test('any plan comes through', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = new SeededRandom(seed);
    const tcp = {
      sack: random.chance(70),
      scale: random.chance(80) ? random.below(10) : -1,
      mss: random.pick([300, 536, 1200, 1440]),
      receiveBuffer: random.pick([4_000, 30_000, 256 * 1024]),
      isn: random.next(),
    };
    const faults = {
      lossPercent: random.pick([0, 1, 10, 20]),
      reorderPercent: random.pick([0, 10]),
      duplicatePercent: random.pick([0, 10]),
      corruptPercent: random.pick([0, 2]),
      delayMs: random.pick([0, 1, 15]),
      jitterMs: random.pick([0, 0, 10]),
    };
    const plan: Plan = {
      seed,
      direction: random.pick(DIRECTIONS),
      bytes: 1 + random.below(80_000),
      faults,
      family: random.pick([4, 6]),
      tcp,
      peekOffset: random.chance(60),
    };
    assert.doesNotThrow(() => simulate(plan), `seed ${seed}: ${JSON.stringify(plan)}`);
  }
});

test('one seed is one run', () => {
  const faults = { lossPercent: 5, reorderPercent: 5, duplicatePercent: 5, corruptPercent: 1, delayMs: 5, jitterMs: 5 };
  for (const direction of DIRECTIONS) {
    const plan: Plan = { seed: 99, direction, bytes: 300_000, faults };
    assert.deepEqual(simulate(plan), simulate(plan));
    assert.notDeepEqual(simulate({ ...plan, seed: 100 }), simulate(plan));
  }
});

describe('many at once', () => {
  test('thirty conversations share a lossy cable', () => {
    const lab = new TcpBench();
    const bytes = 40_000;
    const station = lab.add(new PacedStation(lab.bench.guest('web'), 12_500));
    station.guest.suffers({ lossPercent: 2, delayMs: 3, seed: 1 }, { lossPercent: 2, delayMs: 3, seed: 2 });
    const host = lab.bench.kernel.host('198.51.100.7');
    // The server says what the client said, after a greeting.
    host.listenTcp(
      7,
      speaksFirst('hello ', (connection) => {
        let pending: Uint8Array | undefined;
        return () => {
          for (;;) {
            pending ??= connection.read();
            if (pending === undefined) break;
            pending = pending.subarray(connection.write(pending));
            if (pending.length > 0) return;
            pending = undefined;
          }
          if (connection.ended) connection.close();
        };
      }),
    );
    const connections = Array.from({ length: 30 }, () => lab.connect('198.51.100.7', 7));
    for (const connection of connections) {
      connection.write(pattern(bytes));
      connection.end();
    }
    lab.run(() => connections.every(({ ended }) => ended));
    const [first] = connections;
    for (const connection of connections) {
      assert.equal(connection.received, bytes + 6);
      assert.equal(connection.sha256(), first!.sha256());
    }
    assertNothingLeft(lab);
  });

  test('guests do not slow each other down', () => {
    const alone = race([125_000]);
    const together = race([125_000, 1_000, 125_000]);
    assert.ok(together[0]! <= 2 * alone[0]! && together[2]! <= 2 * alone[0]!, `${together.join(', ')}; ${alone[0]}`);
  });
});

describe('forwards', () => {
  for (const family of [4, 6] as const) {
    test(`clients of the host reach a guest’s server over a lossy cable, IPv${family}`, () => {
      const lab = new TcpBench();
      const station = lab.add(new PacedStation(lab.bench.guest('web'), 125_000));
      station.guest.suffers(
        { lossPercent: 5, reorderPercent: 3, seed: 3 },
        { lossPercent: 5, reorderPercent: 3, seed: 4 },
      );
      // The guest's server sends back what it gets, and ends when its client does.
      station.tcp.listen(80, (connection) => {
        connection.onData = (bytes) => connection.write(bytes);
        connection.onEnd = () => connection.end();
      });
      const host = family === 4 ? station.guest.address4 : station.guest.address6;
      const listen = { host: '127.0.0.1', port: 8080 };
      const forward = { id: 'f', protocol: 'tcp', direction: 'host', listen, target: { host, port: 80 } } as const;
      lab.bench.request({ type: 'add-forward', forward });
      const bytes = 100_000;
      const clients = Array.from({ length: 5 }, () =>
        lab.bench.kernel.connectTcp({ from: '127.0.0.1', to: '127.0.0.1', port: 8080 }, (connection) => {
          const send = source(bytes)(connection);
          return () => send();
        }),
      );
      lab.run(() => clients.every(({ closed }) => closed));
      for (const client of clients) {
        assert.equal(client.received, bytes);
        assert.equal(client.sha256(), createHash('sha256').update(pattern(bytes)).digest('hex'));
        assert.equal(client.error, 0);
      }
      lab.bench.request({ type: 'remove-forward', forwardId: 'f' });
      assertNothingLeft(lab);
    });
  }
});

test('a cable that is pulled and plugged in again costs time, no bytes', () => {
  for (const direction of DIRECTIONS) {
    const bytes = 2 << 20;
    const lab = new TcpBench();
    const host = lab.bench.kernel.host('198.51.100.7');
    const listener = host.listenTcp(80, direction === 'to guest' ? source(bytes) : sink());
    const station = lab.add(new PacedStation(lab.bench.guest('web'), 12_500));
    const connection = lab.connect('198.51.100.7', 80);
    if (direction === 'from guest') connection.write(pattern(bytes));
    connection.end();
    for (let i = 0; i < 3; i++) {
      lab.passes(30);
      station.guest.unplug();
      lab.passes(2_000);
      station.guest.plug();
    }
    lab.run(() => connection.state === 'closed');
    const heard = direction === 'to guest' ? connection.sha256() : listener.connections[0]!.sha256();
    assert.equal(heard, createHash('sha256').update(pattern(bytes)).digest('hex'));
    assertNothingLeft(lab);
  }
});

/** How long guests on cables of these speeds take for a download each, all at the same time. */
function race(speeds: readonly number[]): number[] {
  const bytes = 600_000;
  const lab = new TcpBench();
  lab.bench.kernel.host('198.51.100.7').listenTcp(80, source(bytes));
  const connections = speeds.map((speed, i) => {
    const station = lab.add(new PacedStation(lab.bench.guest(`g${i}`), speed));
    return station.tcp.connect('198.51.100.7', 80, lab.now);
  });
  const times = speeds.map(() => 0);
  lab.run(() => {
    for (const [i, { ended }] of connections.entries()) if (ended && times[i] === 0) times[i] = lab.now - 1000;
    return times.every((time) => time > 0);
  });
  return times;
}
