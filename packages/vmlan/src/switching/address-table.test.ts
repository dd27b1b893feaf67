import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { AddressTable, CLAIM_MS, PORT_LIMIT } from './address-table.ts';
import { Port } from './port.ts';

function livePort(id: number): Port {
  const port = new Port(id);
  port.link = { kind: 'loopback', send: () => true, room: () => 0 };
  return port;
}

const mayUse = (table: AddressTable, port: Port, last: number, nowMs = 0): boolean =>
  table.mayUse(port, 0, 0, 0xffff, last, nowMs);
const bind = (table: AddressTable, port: Port, last: number, nowMs = 0): void =>
  table.bind(port, 0, 0, 0xffff, last, nowMs);
const ownerOf = (table: AddressTable, last: number): Port | null => table.owner(0, 0, 0xffff, last);

describe('claims', () => {
  test('belong to whom used the address first', () => {
    const table = new AddressTable(16, 1);
    const [a, b] = [livePort(1), livePort(2)];
    assert.equal(ownerOf(table, 5), null);
    assert.equal(mayUse(table, a, 5), true);
    assert.equal(ownerOf(table, 5), a);
    assert.equal(mayUse(table, b, 5), false);
    assert.equal(mayUse(table, a, 5), true);
    assert.deepEqual([a.claimed, b.claimed], [1, 0]);
  });

  test('each of the four words counts', () => {
    const table = new AddressTable(16, 1);
    const [a, b] = [livePort(1), livePort(2)];
    assert.equal(table.mayUse(a, 0xfd00_0001, 2, 3, 4, 0), true);
    for (const [w0, w1, w2, w3] of [
      [1, 2, 3, 4],
      [0xfd00_0001, 9, 3, 4],
      [0xfd00_0001, 2, 9, 4],
      [0xfd00_0001, 2, 3, 9],
    ] as const) {
      assert.equal(table.mayUse(b, w0, w1, w2, w3, 0), true);
    }
    assert.equal(table.mayUse(b, 0xfd00_0001 | 0, 2, 3, 4, 0), false);
  });

  test('are given up by silence, or with the link', () => {
    const table = new AddressTable(16, 1);
    const [a, b] = [livePort(1), livePort(2)];
    mayUse(table, a, 5, 1000);
    assert.equal(mayUse(table, b, 5, 1000 + CLAIM_MS), false);
    assert.equal(mayUse(table, b, 5, 1001 + CLAIM_MS), true);
    assert.equal(mayUse(table, a, 5, 1001 + CLAIM_MS), false);
    b.connected = false;
    assert.equal(mayUse(table, a, 5, 1002 + CLAIM_MS), true);
    assert.deepEqual([a.claimed, b.claimed], [1, 0]);
  });

  test('are kept up by use', () => {
    const table = new AddressTable(16, 1);
    const [a, b] = [livePort(1), livePort(2)];
    for (let at = 0; at < 10 * CLAIM_MS; at += CLAIM_MS) mayUse(table, a, 5, at);
    assert.equal(mayUse(table, b, 5, 10 * CLAIM_MS), false);
  });

  test('of a port that is forgotten are free', () => {
    const table = new AddressTable(16, 1);
    const [a, b] = [livePort(1), livePort(2)];
    mayUse(table, a, 5);
    bind(table, a, 6);
    table.forget(a);
    assert.equal(a.claimed, 0);
    assert.equal(mayUse(table, b, 5), true);
    assert.equal(mayUse(table, b, 6), true);
  });
});

describe('leases', () => {
  test('take the address from whoever used it, and are not given up by silence', () => {
    const table = new AddressTable(16, 1);
    const [a, b] = [livePort(1), livePort(2)];
    mayUse(table, b, 5);
    bind(table, a, 5);
    assert.equal(ownerOf(table, 5), a);
    assert.equal(mayUse(table, b, 5, 100 * CLAIM_MS), false);
    assert.equal(mayUse(table, a, 5, 100 * CLAIM_MS), true);
    assert.equal(mayUse(table, b, 5, 300 * CLAIM_MS), false, 'use by the owner does not make it a mere claim');
  });

  test('go to the next guest when they are leased anew', () => {
    const table = new AddressTable(16, 1);
    const [a, b] = [livePort(1), livePort(2)];
    bind(table, a, 5);
    bind(table, b, 5);
    assert.equal(ownerOf(table, 5), b);
    assert.deepEqual([a.claimed, b.claimed], [0, 1]);
  });

  test('find a place where others only claim', () => {
    const table = new AddressTable(1, 1);
    const [a, b] = [livePort(1), livePort(2)];
    for (let i = 0; i < 4; i++) mayUse(table, b, i, i);
    bind(table, a, 9, 10);
    assert.equal(ownerOf(table, 9), a);
    assert.equal(ownerOf(table, 0), null, 'the claim that was silent for longest went');
    assert.deepEqual([a.claimed, b.claimed], [1, 3]);
  });

  test('find a place also for a guest that claims too much', () => {
    const table = new AddressTable(256, 1);
    const greedy = livePort(1);
    for (let i = 0; i < 1000; i++) mayUse(table, greedy, i);
    assert.equal(greedy.claimed, PORT_LIMIT);
    for (let i = 5000; i < 5020; i++) {
      bind(table, greedy, i);
      assert.equal(ownerOf(table, i), greedy);
    }
  });

  test('push out no other lease', () => {
    const table = new AddressTable(1, 1);
    const ports = [1, 2, 3, 4, 5].map(livePort);
    for (const [i, port] of ports.entries()) bind(table, port, i);
    assert.deepEqual(
      [0, 1, 2, 3].map((i) => ownerOf(table, i)),
      ports.slice(0, 4),
    );
    assert.equal(ownerOf(table, 4), null);
  });
});

describe('limits', () => {
  test('who claims more than its share is not cut off, and takes no more places', () => {
    const table = new AddressTable(256, 1);
    const [greedy, other] = [livePort(1), livePort(2)];
    mayUse(table, other, 0x7000);
    for (let i = 0; i < 10_000; i++) assert.equal(mayUse(table, greedy, i), true);
    assert.ok(greedy.claimed <= PORT_LIMIT);
    assert.equal(mayUse(table, greedy, 0x7000), false);
    assert.equal(ownerOf(table, 0x7000), other);
  });

  test('what it has not used for long no longer counts', () => {
    const table = new AddressTable(256, 1);
    const port = livePort(1);
    for (let i = 0; i < PORT_LIMIT; i++) mayUse(table, port, i, 0);
    const late = CLAIM_MS + 1;
    for (let i = 1000; i < 1000 + PORT_LIMIT; i++) mayUse(table, port, i, late);
    for (let i = 1000; i < 1000 + PORT_LIMIT; i++) assert.equal(ownerOf(table, i), port);
    assert.equal(port.claimed, PORT_LIMIT);
  });

  test('counts always agree with the table', () => {
    const step = fc.tuple(fc.nat(2), fc.nat(30), fc.nat(CLAIM_MS / 2), fc.nat(9));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const table = new AddressTable(2, 3);
        const ports = [1, 2, 3].map(livePort);
        let nowMs = 0;
        for (const [p, last, wait, what] of steps) {
          nowMs += wait;
          if (what === 0) table.forget(ports[p]!);
          else if (what === 1) bind(table, ports[p]!, last, nowMs);
          else mayUse(table, ports[p]!, last, nowMs);
          const owners = Array.from({ length: 31 }, (_, i) => ownerOf(table, i));
          for (const port of ports) assert.equal(port.claimed, owners.filter((owner) => owner === port).length);
        }
      }),
    );
  });
});
