import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERROR_CODES, VmlanError, fromErrorData, toErrorData, type ErrorCode } from './errors.ts';

test('every code has a title, an HTTP error status and an exit code that the command line documents', () => {
  for (const [code, { status, exitCode, title, meaning, remedy }] of Object.entries(ERROR_CODES)) {
    assert.match(code, /^[a-z]+(-[a-z]+)*$/);
    assert.ok(status >= 400 && status < 600, code);
    assert.ok(exitCode >= 1 && exitCode <= 6, code);
    assert.match(title, /^[A-Z]/);
    for (const sentence of [meaning, remedy]) assert.match(sentence, /^[A-Za-z`].*\.$/, code);
  }
});

test('an error has its code, message, hint and cause', () => {
  const cause = new Error('EACCES');
  const error = new VmlanError('not-permitted', 'cannot open "lab"', { hint: 'ask the owner', cause });
  assert.ok(error instanceof Error);
  assert.equal(error.name, 'VmlanError');
  assert.equal(error.message, 'cannot open "lab"');
  assert.equal(error.hint, 'ask the owner');
  assert.equal(error.cause, cause);
  assert.partialDeepStrictEqual(error.info, { status: 403, exitCode: 5, title: 'Not permitted' });
  assert.equal('cause' in new VmlanError('internal', 'x'), false);
});

test('errors cross a border as data', () => {
  for (const code of Object.keys(ERROR_CODES) as ErrorCode[]) {
    for (const hint of [undefined, 'try this']) {
      const data = toErrorData(new VmlanError(code, `about ${code}`, { hint }));
      assert.deepEqual(data, structuredClone(data));
      assert.equal('hint' in data, hint !== undefined);
      const back = fromErrorData(data);
      assert.ok(back instanceof VmlanError);
      assert.deepEqual([back.code, back.message, back.hint], [code, `about ${code}`, hint]);
    }
  }
});

test('anything else that was thrown is an internal error', () => {
  assert.deepEqual(toErrorData(new TypeError('x is not a function')), {
    code: 'internal',
    message: 'x is not a function',
  });
  assert.deepEqual(toErrorData('just text'), { code: 'internal', message: 'just text' });
  assert.deepEqual(toErrorData(undefined), { code: 'internal', message: 'undefined' });
});
