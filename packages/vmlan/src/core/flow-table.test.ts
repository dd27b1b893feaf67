import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { FlowTable, KEY_WORDS } from './flow-table.ts';

const key = (...words: number[]): Int32Array => Int32Array.from({ length: KEY_WORDS }, (_, i) => words[i] ?? 0);

test('each of the ten words tells keys apart', () => {
  const table = new FlowTable(32, 7);
  const base = key(1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
  const id = table.insert(base);
  for (let i = 0; i < KEY_WORDS; i++) {
    const other = base.slice();
    other[i]! ^= 0x8000_0000;
    assert.equal(table.find(other), -1, `word ${i}`);
    assert.notEqual(table.insert(other), id);
  }
  assert.equal(table.find(base), id);
  assert.equal(table.size, 1 + KEY_WORDS);
});

test('a full table refuses, and takes again after a deletion', () => {
  const table = new FlowTable(3, 1);
  const ids = [1, 2, 3].map((n) => table.insert(key(n)));
  assert.deepEqual(
    ids.toSorted((a, b) => a - b),
    [0, 1, 2],
  );
  assert.equal(table.insert(key(4)), -1);
  assert.equal(table.find(key(4)), -1);
  assert.equal(table.size, 3);
  table.delete(ids[1]!);
  assert.equal(table.insert(key(4)), ids[1]);
  assert.equal(table.find(key(4)), ids[1]);
  assert.equal(table.find(key(2)), -1);
});

test('the table keeps its own copy of a key', () => {
  const table = new FlowTable(4, 1);
  const mine = key(1, 2, 3);
  const id = table.insert(mine);
  mine.fill(9);
  assert.equal(table.find(key(1, 2, 3)), id);
  assert.deepEqual(table.keys.slice(id * KEY_WORDS, (id + 1) * KEY_WORDS), key(1, 2, 3));
});

test('capacity one has room for one', () => {
  const table = new FlowTable(1, 0);
  assert.equal(table.insert(key(1)), 0);
  assert.equal(table.insert(key(2)), -1);
  table.delete(0);
  assert.equal(table.size, 0);
  assert.equal(table.find(key(1)), -1);
});

test('the seed moves buckets: what probes long under one seed does not under another', () => {
  // Ids come from the same free list; only bucket order may differ, never the answers.
  for (const seed of [0, -1, 0x7fff_ffff, 0xdead_beef]) {
    const table = new FlowTable(512, seed);
    const ids = Array.from({ length: 512 }, (_, n) => table.insert(key(0, 0, 0xffff, n, 0, 0, 0xffff, n * 3, n << 16)));
    assert.equal(new Set(ids).size, 512);
    for (const [n, id] of ids.entries()) {
      assert.equal(table.find(key(0, 0, 0xffff, n, 0, 0, 0xffff, n * 3, n << 16)), id);
    }
  }
});

// ---- against a Map

type Model = Map<string, number>;
type TableCommand = fc.Command<Model, FlowTable>;
const CAPACITY = 24; // 64 buckets: runs of several entries, wrapping included

const insert = (n: number): TableCommand => ({
  check: (model) => !model.has(`${n}`),
  run(model, table) {
    const id = table.insert(key(n, 0, n >>> 3));
    if (model.size === CAPACITY) {
      assert.equal(id, -1);
      return;
    }
    assert.ok(id >= 0 && id < CAPACITY && ![...model.values()].includes(id));
    model.set(`${n}`, id);
  },
  toString: () => `insert ${n}`,
});

const remove = (n: number): TableCommand => ({
  check: (model) => model.has(`${n}`),
  run(model, table) {
    table.delete(model.get(`${n}`)!);
    model.delete(`${n}`);
  },
  toString: () => `delete ${n}`,
});

/** Deletes every second entry in one run. */
const removeHalf: TableCommand = {
  check: (model) => model.size > 1,
  run(model, table) {
    for (const [i, [name, id]] of [...model].entries()) {
      if (i % 2 === 1) continue;
      table.delete(id);
      model.delete(name);
    }
  },
  toString: () => 'delete every second',
};

const findAll: TableCommand = {
  check: () => true,
  run(model, table) {
    assert.equal(table.size, model.size);
    for (let n = 0; n < 60; n++) assert.equal(table.find(key(n, 0, n >>> 3)), model.get(`${n}`) ?? -1, `key ${n}`);
  },
  toString: () => 'find all',
};

test('any sequence of operations answers as a Map would', () => {
  const n = fc.nat(59);
  const commands = fc.commands(
    [n.map(insert), n.map(insert), n.map(remove), fc.constant(removeHalf), fc.constant(findAll)],
    { maxCommands: 150 },
  );
  fc.assert(
    fc.property(fc.integer(), commands, (seed, run) => {
      fc.modelRun(() => ({ model: new Map<string, number>(), real: new FlowTable(CAPACITY, seed) }), [...run, findAll]);
    }),
    { numRuns: 200 },
  );
});

test('ten thousand random insertions and deletions leave nothing lost', () => {
  const table = new FlowTable(256, 42);
  const live = new Map<number, number>();
  let state = 1;
  const random = (below: number): number => {
    state = Math.imul(state, 1_103_515_245) + 12_345;
    return (state >>> 8) % below;
  };
  for (let i = 0; i < 10_000; i++) {
    const n = random(400);
    const id = live.get(n);
    if (id !== undefined) {
      table.delete(id);
      live.delete(n);
    } else {
      const made = table.insert(key(n));
      if (live.size < 256) live.set(n, made);
      else assert.equal(made, -1);
    }
  }
  for (let n = 0; n < 400; n++) assert.equal(table.find(key(n)), live.get(n) ?? -1);
});
