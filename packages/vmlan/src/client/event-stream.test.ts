import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { VmlanError } from './errors.ts';
import { readEvents } from './event-stream.ts';

async function* chunks(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (const size of sizes) yield bytes.subarray(at, (at += size));
  yield bytes.subarray(at);
}

async function collect(text: string, sizes: readonly number[] = []): Promise<string[]> {
  const events: string[] = [];
  for await (const event of readEvents(chunks(new TextEncoder().encode(text), sizes))) events.push(event);
  return events;
}

test('the fields of the specification', async () => {
  const table: { text: string; want: string[] }[] = [
    { text: 'data: a\n\n', want: ['a'] },
    { text: 'data:a\n\ndata:  b\n\n', want: ['a', ' b'] },
    { text: 'data: a\ndata: b\n\n', want: ['a\nb'] },
    { text: 'event: x\nid: 1\nretry: 5\n: comment\ndata: a\n\n', want: ['a'] },
    { text: 'data: a\r\n\r\ndata: b\r\n\r\n', want: ['a', 'b'] },
    { text: '\n\n\n', want: [] },
    { text: 'data: unfinished', want: [] },
    { text: 'data: unfinished\n', want: [] },
  ];
  for (const { text, want } of table) assert.deepEqual(await collect(text), want, JSON.stringify(text));
});

test('cuts anywhere change nothing', async () => {
  const text = 'data: größer\n\ndata: 日本\r\n\r\ndata: x\n\n';
  const want = await collect(text);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat({ max: 7 }), { maxLength: 20 }), async (sizes) => {
      assert.deepEqual(await collect(text, sizes), want);
    }),
  );
});

test('an event without an end is refused', async () => {
  await assert.rejects(collect(`data: ${'x'.repeat(1 << 20)}`), VmlanError);
});
