import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { RingReader, RingWriter, newRing } from './record-ring.ts';

function pair(size = 256): { writer: RingWriter; reader: RingReader } {
  const ring = newRing(size);
  return { writer: new RingWriter(ring), reader: new RingReader(ring) };
}

function put(writer: RingWriter, len: number, value: number): boolean {
  const o = writer.reserve(len);
  if (o < 0) return false;
  writer.u8.fill(value, o, o + len);
  return true;
}

function take(reader: RingReader, len: number): number | null {
  const o = reader.next();
  if (o < 0) return null;
  const bytes = new Set(reader.u8.subarray(o, o + len));
  assert.equal(bytes.size, 1, 'a record is whole');
  reader.release();
  return [...bytes][0]!;
}

test('a record is seen when it is published, and its room is free when it is released', () => {
  const { writer, reader } = pair(64);
  assert.ok(put(writer, 50, 1));
  assert.equal(reader.next(), -1);
  assert.equal(writer.publish(), false);
  assert.ok(reader.next() > 0);
  assert.equal(put(writer, 50, 2), false, 'no room');
  assert.equal(take(reader, 50), 1);
  assert.ok(put(writer, 50, 2));
});

test('the reader is told once, when it has asked', () => {
  const { writer, reader } = pair();
  assert.equal(reader.rest(), true);
  assert.equal(writer.publish(), false, 'there is nothing to tell');
  put(writer, 8, 1);
  assert.equal(writer.publish(), true);
  put(writer, 8, 2);
  assert.equal(writer.publish(), false);
  assert.equal(reader.rest(), false, 'something is there already');
});

test('the last record can be taken back, an earlier one cannot', () => {
  const { writer, reader } = pair();
  const first = writer.reserve(8);
  const second = writer.reserve(8);
  assert.equal(writer.takeBack(first), false);
  assert.equal(writer.takeBack(second), true);
  assert.equal(writer.takeBack(first), true);
  assert.equal(writer.unpublished, 0);
  put(writer, 8, 7);
  writer.publish();
  assert.equal(take(reader, 8), 7);
  assert.equal(take(reader, 8), null);
});

test('whatever is written and read in whatever order, records come whole and in order', () => {
  const steps = fc.array(
    fc.oneof(
      fc.record({ put: fc.integer({ min: 1, max: 120 }) }),
      fc.constant({ publish: true }),
      fc.constant({ take: true }),
      fc.constant({ back: true }),
    ),
    { maxLength: 300 },
  );
  fc.assert(
    fc.property(steps, (script) => {
      const { writer, reader } = pair();
      const reserved: { len: number; value: number; o: number }[] = [];
      const published: { len: number; value: number }[] = [];
      let value = 0;
      for (const step of script) {
        if ('put' in step) {
          value = (value + 1) & 0xff;
          const o = writer.reserve(step.put);
          if (o < 0) continue;
          writer.u8.fill(value, o, o + step.put);
          reserved.push({ len: step.put, value, o });
        } else if ('publish' in step) {
          writer.publish();
          published.push(...reserved.splice(0));
        } else if ('back' in step) {
          const last = reserved.pop();
          if (last !== undefined) assert.equal(writer.takeBack(last.o), true);
        } else {
          const want = published.shift();
          assert.equal(take(reader, want?.len ?? 1), want?.value ?? null);
        }
      }
      writer.publish();
      for (const want of [...published, ...reserved]) assert.equal(take(reader, want.len), want.value);
      assert.equal(reader.next(), -1);
    }),
  );
});
