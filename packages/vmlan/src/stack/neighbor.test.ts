import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Counters } from '../core/counters.ts';
import { MAX_ENTRIES, MAX_WAITING, type Neighbor, NeighborTable } from './neighbor.ts';
import { MAPPED, type GuestPort } from './path.ts';

const portOf = (id: number): GuestPort => ({ id, nicKey: '', guest: '', room: () => 0 });
const web = portOf(1);
const db = portOf(2);
const TRY_MS = 250;

const words = (last: number): Int32Array => Int32Array.of(0, 0, MAPPED, last);

function setup(): {
  table: NeighborTable;
  counters: Counters;
  asked: number[];
  answers: (Neighbor | null)[];
  ask: (last: number, nowMs?: number) => void;
  learn: (last: number, port?: GuestPort, mac?: number) => void;
} {
  const counters = new Counters();
  const asked: number[] = [];
  const answers: (Neighbor | null)[] = [];
  const table = new NeighborTable((target) => void asked.push(target[3]!), counters);
  return {
    table,
    counters,
    asked,
    answers,
    ask: (last, nowMs = 0) => table.resolve(words(last), nowMs, (neighbor) => void answers.push(neighbor)),
    learn: (last, port = web, mac = 0xa) => table.learn(0, 0, MAPPED, last, port, 0x5254, mac, 0),
  };
}

describe('what guests say', () => {
  test('is remembered, and the last word counts', () => {
    const { table, learn } = setup();
    assert.equal(table.lookup(0, 0, MAPPED, 5), null);
    learn(5);
    assert.deepEqual(table.lookup(0, 0, MAPPED, 5), { port: web, macHi: 0x5254, macLo: 0xa });
    learn(5);
    assert.equal(table.size, 1);
    learn(5, db, 0xb);
    assert.deepEqual(table.lookup(0, 0, MAPPED, 5), { port: db, macHi: 0x5254, macLo: 0xb });
    assert.equal(table.size, 1);
  });

  test('signed and unsigned words are one address', () => {
    const { table } = setup();
    table.learn(0xfe80_0000, 0, 0xffff_ffff, 0x8000_0001, web, 1, 2, 0);
    assert.notEqual(table.lookup(0xfe80_0000 | 0, 0, -1, 0x8000_0001 | 0), null);
  });

  test('is bounded: the oldest goes', () => {
    const { table, learn } = setup();
    for (let i = 0; i <= MAX_ENTRIES; i++) learn(i);
    assert.equal(table.size, MAX_ENTRIES);
    assert.equal(table.lookup(0, 0, MAPPED, 0), null);
    assert.notEqual(table.lookup(0, 0, MAPPED, 1), null);
    assert.notEqual(table.lookup(0, 0, MAPPED, MAX_ENTRIES), null);
  });

  test('goes with the port', () => {
    const { table, learn } = setup();
    learn(1);
    learn(-2, db);
    learn(3);
    assert.deepEqual(
      [...table.addressesOf(web)].map((found) => found[3]),
      [1, 3],
    );
    table.forget(web);
    assert.deepEqual([...table.addressesOf(web)], []);
    assert.deepEqual([...table.addressesOf(db)], [words(-2)]);
  });
});

describe('asking', () => {
  test('what is known is answered at once, without asking', () => {
    const { asked, answers, ask, learn } = setup();
    learn(5);
    ask(5);
    assert.equal(answers[0]!.port, web);
    assert.deepEqual(asked, []);
  });

  test('one question serves all who wait; all get the answer', () => {
    const { asked, answers, ask, learn, table } = setup();
    ask(5);
    ask(5);
    ask(6);
    assert.deepEqual(asked, [5, 6]);
    learn(5, db);
    assert.deepEqual(
      answers.map((found) => found?.port.id),
      [2, 2],
    );
    learn(5, db);
    assert.equal(answers.length, 2);
    assert.equal(table.pollAt(), TRY_MS, '6 is still asked for');
  });

  test('four times, then nobody is there', () => {
    const { asked, answers, ask, table, counters } = setup();
    ask(5, 1000);
    assert.equal(table.pollAt(), 1000 + TRY_MS);
    table.poll(1000 + TRY_MS - 1);
    assert.equal(asked.length, 1);
    for (let i = 1; i <= 4; i++) table.poll(1000 + i * TRY_MS);
    assert.equal(asked.length, 4);
    assert.deepEqual(answers, [null]);
    assert.equal(counters.get('drop_neighbor_unresolved'), 1);
    assert.equal(table.pollAt(), Infinity);
    ask(5, 5000);
    assert.equal(asked.length, 5, 'a new question may be asked');
  });

  test('one who gives up may ask again from within the answer', () => {
    const { table, asked } = setup();
    let rounds = 0;
    const again = (neighbor: Neighbor | null, nowMs: number): void => {
      rounds++;
      if (neighbor === null && rounds < 3) table.resolve(words(5), nowMs, again);
    };
    table.resolve(words(5), 0, again);
    for (let ms = 0; ms <= 4000; ms += TRY_MS) table.poll(ms);
    assert.equal(rounds, 3);
    assert.equal(asked.length, 12);
  });

  test('the words are copied: the caller may use them again', () => {
    const { table, asked } = setup();
    const scratch = words(5);
    table.resolve(scratch, 0, () => {});
    scratch[3] = 9;
    table.poll(TRY_MS);
    assert.deepEqual(asked, [5, 5]);
  });

  test('too many questions at a time: refused at once', () => {
    const { answers, ask, asked, counters } = setup();
    for (let i = 0; i < MAX_WAITING + 3; i++) ask(i);
    assert.equal(asked.length, MAX_WAITING);
    assert.deepEqual(answers, [null, null, null]);
    assert.equal(counters.get('drop_neighbor_queue_full'), 3);
  });

  test('too many who wait for one answer: refused at once', () => {
    const { answers, ask, learn } = setup();
    for (let i = 0; i < 1030; i++) ask(5);
    assert.equal(answers.length, 6);
    learn(5);
    assert.equal(answers.length, 1030);
  });
});

describe('asking again for what is known', () => {
  test('who answers keeps its address', () => {
    const { table, asked, answers, learn } = setup();
    learn(5);
    table.verify(words(5), 0, (neighbor) => void answers.push(neighbor));
    assert.deepEqual(asked, [5]);
    assert.equal(table.lookup(0, 0, MAPPED, 5), null);
    learn(5);
    assert.equal(answers[0]?.port, web);
    assert.notEqual(table.lookup(0, 0, MAPPED, 5), null);
  });

  test('who does not is forgotten', () => {
    const { table, answers, learn } = setup();
    learn(5);
    table.verify(words(5), 0, (neighbor) => void answers.push(neighbor));
    for (let ms = TRY_MS; ms <= 4 * TRY_MS; ms += TRY_MS) table.poll(ms);
    assert.deepEqual(answers, [null]);
    assert.equal(table.lookup(0, 0, MAPPED, 5), null);
  });

  test('while too many others are asked for, nothing is forgotten', () => {
    const { table, answers, ask, learn } = setup();
    learn(5);
    for (let i = 0; i < MAX_WAITING; i++) ask(1000 + i);
    table.verify(words(5), 0, (neighbor) => void answers.push(neighbor));
    assert.deepEqual(answers, []);
    assert.notEqual(table.lookup(0, 0, MAPPED, 5), null);
  });
});
