import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { VmlanError } from '../core/errors.ts';
import { etagOf, evaluate, isConditional } from './preconditions.ts';

test('a tag is strong, and the same for the same content', () => {
  assert.match(etagOf({ a: 1 }), /^"[\w-]{22}"$/);
  assert.equal(etagOf({ a: 1, b: { c: [1, 2], d: undefined } }), etagOf({ b: { c: [1, 2] }, a: 1 }));
  assert.notEqual(etagOf({ a: [1, 2] }), etagOf({ a: [2, 1] }));
  assert.notEqual(etagOf({ a: null }), etagOf({}));
  assert.match(etagOf(undefined), /^"/);
});

test('conditions of RFC 9110', () => {
  const etag = '"now"';
  const table: { method: string; match?: string; none?: string; want: string }[] = [
    { method: 'GET', want: 'proceed' },
    { method: 'GET', none: '"now"', want: 'not-modified' },
    { method: 'HEAD', none: 'W/"now"', want: 'not-modified' },
    { method: 'GET', none: '"old", "now"', want: 'not-modified' },
    { method: 'GET', none: '*', want: 'not-modified' },
    { method: 'GET', none: '"old"', want: 'proceed' },
    { method: 'GET', match: '"old"', want: 'failed' },
    { method: 'PATCH', match: '"now"', want: 'proceed' },
    { method: 'PATCH', match: '"old" , "now"', want: 'proceed' },
    { method: 'PATCH', match: '*', want: 'proceed' },
    { method: 'PATCH', match: '"old"', want: 'failed' },
    { method: 'PATCH', match: 'W/"now"', want: 'failed' },
    { method: 'DELETE', match: '""', want: 'failed' },
    { method: 'PUT', none: '*', want: 'failed' },
    { method: 'PUT', none: '"old"', want: 'proceed' },
    { method: 'PUT', match: '"now"', none: '"now"', want: 'failed' },
  ];
  for (const { method, match, none, want } of table) {
    const headers = {
      ...(match === undefined ? {} : { 'if-match': match }),
      ...(none === undefined ? {} : { 'if-none-match': none }),
    };
    assert.equal(evaluate(method, headers, etag), want, `${method} ${JSON.stringify(headers)}`);
    assert.equal(isConditional(headers), match !== undefined || none !== undefined);
  }
});

test('what is no tag is refused, and nothing else is thrown', () => {
  for (const text of ['now', '"a" "b"', '', '"a",', "'now'"]) {
    assert.throws(() => evaluate('PUT', { 'if-match': text }, '"now"'), VmlanError, text);
  }
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        evaluate('PUT', { 'if-match': text, 'if-none-match': text }, '"now"');
      } catch (error) {
        assert.ok(error instanceof VmlanError && error.code === 'invalid');
      }
    }),
  );
});
