import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { VmlanError } from '../core/errors.ts';
import { parsedBody } from './json-body.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const refused = (body: Uint8Array): string => {
  try {
    parsedBody(body);
  } catch (error) {
    assert.ok(error instanceof VmlanError && error.code === 'invalid', String(error));
    return error.message;
  }
  return 'accepted';
};

describe('a body', () => {
  test('is what JSON.parse makes of it', () => {
    fc.assert(
      fc.property(fc.json({ noUnicodeString: false }), (text) => {
        fc.pre(!text.includes('__proto__'));
        assert.deepEqual(parsedBody(bytes(text)), JSON.parse(text));
      }),
    );
  });

  test('may be absent, and may begin with a byte order mark', () => {
    assert.equal(parsedBody(new Uint8Array()), undefined);
    assert.deepEqual(parsedBody(bytes('\ufeff{"a":1}')), { a: 1 });
  });

  const table: [name: string, body: string | Uint8Array, want: RegExp][] = [
    ['a key twice', '{"name":"a","name":"b"}', /^body: the key "name" stands twice in one object$/],
    ['a key twice, once escaped', '{"name":"a","\\u006eame":"b"}', /"name" stands twice/],
    ['a key twice, deep down', '[{"a":[{"b":1,"c":{},"b":2}]}]', /"b" stands twice/],
    ['the way to a prototype', '{"a":{"__proto__":{"b":1}}}', /^body: the key "__proto__" is not allowed$/],
    ['the same in escapes', '{"\\u005f_proto__":1}', /"__proto__" is not allowed/],
    ['what is no JSON', '{"a":', /^body: not JSON: /],
    ['two documents', '{}{}', /not JSON/],
    ['another encoding', Uint8Array.of(0x22, 0xff, 0x22), /^body: not UTF-8$/],
  ];
  for (const [name, body, want] of table) {
    test(`${name} is refused`, () => assert.match(refused(typeof body === 'string' ? bytes(body) : body), want));
  }

  test('the same key in two objects, and braces in strings, are nothing special', () => {
    for (const text of ['[{"a":1},{"a":2}]', '{"a":{"a":{"a":"{\\"a\\":"}},"b":"a"}', '{"a":["a","a"],"b":"}"}'])
      assert.deepEqual(parsedBody(bytes(text)), JSON.parse(text));
  });

  test('depth costs nothing', () => {
    assert.equal(refused(bytes(`${'['.repeat(32_000)}${']'.repeat(32_000)}`)), 'accepted');
    assert.match(refused(bytes('{"a":'.repeat(10_000))), /not JSON/);
  });
});
