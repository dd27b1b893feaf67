import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { VmlanError } from '../core/errors.ts';
import { seal, unseal } from './sealed-text.ts';
import type { StateFormat } from './sealed-text.ts';

const PLAIN: StateFormat<unknown> = { version: 2, migrations: { 1: (data) => data }, parse: (data) => data };

test('what is sealed is read back', () => {
  const property = fc.property(fc.jsonValue(), (value) => {
    const text = seal(2, JSON.stringify(value));
    assert.deepEqual(unseal('x', text, PLAIN), JSON.parse(JSON.stringify(value)));
    // As `jq .` or an editor may have laid it out.
    assert.deepEqual(unseal('x', JSON.stringify(JSON.parse(text), null, 2), PLAIN), JSON.parse(JSON.stringify(value)));
  });
  fc.assert(property);
});

test('a single bit that changed is noticed, wherever', () => {
  const data = JSON.stringify({ name: 'web', nics: [{ mac: '52:54:00:12:34:56', ip: '10.0.0.1', connected: true }] });
  const bytes = Buffer.from(seal(2, data));
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const changed = Buffer.from(bytes);
    changed[bit >> 3]! ^= 1 << (bit & 7);
    assert.throws(() => unseal('x', changed.toString('utf8'), PLAIN), isDamage, `bit ${bit}`);
  }
});

test('a file that was cut off is noticed, wherever', () => {
  const text = seal(2, '{"a":1}');
  for (let length = 0; length < text.length - 1; length++) {
    assert.throws(() => unseal('x', text.slice(0, length), PLAIN), isDamage);
  }
});

test('garbage is never anything else than damage', () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => assert.throws(() => unseal('x', text, PLAIN))));
});

describe('versions', () => {
  const format: StateFormat<string> = {
    version: 4,
    migrations: {
      1: (data) => `${data as string} one`,
      2: (data) => `${data as string} two`,
      3: (data) => `${data as string} three`,
    },
    parse: (data) => `${data as string} parsed`,
  };

  test('older ones go through each migration from theirs on', () => {
    assert.equal(unseal('x', '{"version":1,"data":"data"}', format), 'data one two three parsed');
    assert.equal(unseal('x', seal(3, '"data"'), format), 'data three parsed');
    assert.equal(unseal('x', seal(4, '"data"'), format), 'data parsed');
  });

  test('the first one may have had its fields beside the version', () => {
    assert.deepEqual(unseal('x', '{"version":1,"a":1}', PLAIN), { a: 1 });
  });

  test('one without a way to the present is unknown', () => {
    assert.throws(() => unseal('x', seal(1, '"data"'), { ...format, migrations: { 2: (data) => data } }), isDamage);
  });

  test('newer ones are refused by name, if they are whole', () => {
    const text = seal(5, '{"nobody":"knows"}');
    assert.throws(() => unseal('/state/x.json', text, format), {
      code: 'unsupported',
      message: '/state/x.json was written by a newer vmlan: its format has version 5, and this vmlan knows 4',
    });
    assert.throws(() => unseal('x', text.replace('nobody', 'nobodi'), format), isDamage);
  });
});

const isDamage = (error: unknown): boolean => error instanceof Error && !(error instanceof VmlanError);
