import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Serial } from './serial.ts';

test('one after the other for a name, side by side for others', async () => {
  const serial = new Serial();
  const log: string[] = [];
  const gate = Promise.withResolvers<void>();
  const first = serial.run('a', async () => {
    log.push('a1 begins');
    await gate.promise;
    log.push('a1 ends');
  });
  const second = serial.run('a', () => Promise.resolve(log.push('a2')));
  await serial.run('b', () => Promise.resolve(log.push('b')));
  gate.resolve();
  await Promise.all([first, second]);
  assert.deepEqual(log, ['a1 begins', 'b', 'a1 ends', 'a2']);
});

test('a failure is the affair of its own caller', async () => {
  const serial = new Serial();
  const failed = serial.run('a', () => Promise.reject(new Error('boom')));
  const next = serial.run('a', () => Promise.resolve('fine'));
  await assert.rejects(failed, /boom/);
  assert.equal(await next, 'fine');
});
