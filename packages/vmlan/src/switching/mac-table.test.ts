import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { AGEING_MS, MacTable, PORT_LIMIT } from './mac-table.ts';
import { Port } from './port.ts';

const HI = 0x5254;

function livePort(id: number): Port {
  const port = new Port(id);
  port.link = { kind: 'loopback', send: () => true, room: () => 0 };
  return port;
}

describe('learning', () => {
  test('a station is where it was seen last', () => {
    const table = new MacTable(16, 1);
    const [a, b] = [livePort(1), livePort(2)];
    assert.equal(table.lookup(HI, 5, 0), null);
    assert.equal(table.learn(HI, 5, a, 0), true);
    assert.equal(table.lookup(HI, 5, 0), a);
    assert.equal(table.lookup(HI, 6, 0), null);
    assert.equal(table.lookup(HI + 1, 5, 0), null);
    table.learn(HI, 5, b, 10);
    assert.equal(table.lookup(HI, 5, 10), b);
    assert.deepEqual([a.learned, b.learned], [0, 1]);
  });

  test('the low word may be signed or unsigned', () => {
    const table = new MacTable(16, 1);
    const port = livePort(1);
    table.learn(HI, 0xffff_fff0, port, 0);
    assert.equal(table.lookup(HI, -16, 0), port);
    table.learn(HI, -16, port, 0);
    assert.equal(port.learned, 1);
  });

  test('a port that is forgotten has nobody behind it', () => {
    const table = new MacTable(16, 1);
    const [a, b] = [livePort(1), livePort(2)];
    for (let i = 0; i < 10; i++) table.learn(HI, i, i % 2 === 0 ? a : b, 0);
    table.forget(a);
    for (let i = 0; i < 10; i++) assert.equal(table.lookup(HI, i, 0), i % 2 === 0 ? null : b);
    assert.deepEqual([a.learned, b.learned], [0, 5]);
  });
});

describe('ageing', () => {
  test('a station that is silent too long is forgotten', () => {
    const table = new MacTable(16, 1);
    const port = livePort(1);
    table.learn(HI, 5, port, 1000);
    assert.equal(table.lookup(HI, 5, 1000 + AGEING_MS), port);
    assert.equal(table.lookup(HI, 5, 1001 + AGEING_MS), null);
    table.learn(HI, 5, port, 1001 + AGEING_MS);
    assert.equal(table.lookup(HI, 5, 1001 + AGEING_MS), port);
    assert.equal(port.learned, 1);
  });

  test('but not the NIC of a port whose link is up', () => {
    const table = new MacTable(1, 1);
    const [a, b] = [livePort(1), livePort(2)];
    a.macHi = HI;
    a.macLo = 0xffff_0005;
    table.learn(HI, 0xffff_0005, a, 0);
    const late = 10 * AGEING_MS;
    for (let i = 0; i < 50; i++) table.learn(HI, i, b, late);
    assert.equal(table.lookup(HI, 0xffff_0005, late), a);
    a.link = null;
    assert.equal(table.lookup(HI, 0xffff_0005, late), null);
  });

  test('aged stations no longer count against their port', () => {
    const table = new MacTable(256, 1);
    const port = livePort(1);
    for (let i = 0; i < PORT_LIMIT; i++) table.learn(HI, i, port, 0);
    assert.equal(port.learned, PORT_LIMIT);
    const late = AGEING_MS + 1;
    for (let i = 1000; i < 1000 + PORT_LIMIT; i++) assert.equal(table.learn(HI, i, port, late), true);
    assert.equal(port.learned, PORT_LIMIT);
    for (let i = 1000; i < 1000 + PORT_LIMIT; i++) assert.equal(table.lookup(HI, i, late), port);
  });

  test('an aged place is used by whoever comes', () => {
    const table = new MacTable(1, 1);
    const [a, b] = [livePort(1), livePort(2)];
    for (let i = 0; i < 4; i++) table.learn(HI, i, a, i);
    assert.equal(table.learn(HI, 9, b, AGEING_MS), false, 'all of them are still fresh');
    assert.equal(table.learn(HI, 9, b, AGEING_MS + 2), true);
    assert.deepEqual([a.learned, b.learned], [3, 1]);
    assert.equal(table.lookup(HI, 3, AGEING_MS + 2), a);
  });
});

describe('hostile floods', () => {
  test('made-up sources push out nobody but the guest itself', () => {
    const table = new MacTable(64, 77);
    const victims = Array.from({ length: 20 }, (_, i) => livePort(10 + i));
    for (const [i, port] of victims.entries()) table.learn(0x0200, i, port, 0);
    const attacker = livePort(1);
    let refused = 0;
    for (let i = 0; i < 100_000; i++)
      if (!table.learn(0x0600, Math.imul(i, 0x9e37_79b1), attacker, i >>> 10)) refused++;
    assert.ok(attacker.learned <= PORT_LIMIT);
    assert.ok(refused > 0, 'some find no place, and are flooded');
    for (const [i, port] of victims.entries()) assert.equal(table.lookup(0x0200, i, 100), port);
  });

  test('a full set serves a newcomer when one of its entries has aged', () => {
    const table = new MacTable(1, 1);
    const [a, b] = [livePort(1), livePort(2)];
    for (let i = 0; i < 4; i++) assert.equal(table.learn(HI, i, a, 0), true);
    assert.equal(table.learn(HI, 4, a, 1), true, 'its own oldest goes');
    assert.equal(a.learned, 4);
    assert.equal(table.learn(HI, 50, b, 1), false);
    assert.equal(b.learned, 0);
  });
});

test('counts always agree with the table', () => {
  const step = fc.tuple(fc.nat(3), fc.nat(40), fc.nat(AGEING_MS / 2), fc.nat(20));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 150 }), fc.integer(), (steps, seed) => {
      const table = new MacTable(4, seed);
      const ports = [1, 2, 3, 4].map(livePort);
      const seen = new Map<number, number>();
      let nowMs = 0;
      for (const [p, lo, wait, what] of steps) {
        nowMs += wait;
        if (what === 0) table.forget(ports[p]!);
        else if (table.learn(HI, lo, ports[p]!, nowMs)) {
          assert.equal(table.lookup(HI, lo, nowMs), ports[p]);
          seen.set(lo, nowMs);
        }
        const found = new Map<Port, number>();
        for (let i = 0; i <= 40; i++) {
          const port = table.lookup(HI, i, nowMs);
          if (port === null) continue;
          assert.ok(nowMs - seen.get(i)! <= AGEING_MS);
          found.set(port, (found.get(port) ?? 0) + 1);
        }
        for (const port of ports) assert.ok(port.learned >= (found.get(port) ?? 0) && port.learned <= 16);
        assert.ok(ports.reduce((sum, port) => sum + port.learned, 0) <= 16);
      }
    }),
  );
});
