import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERROR_CODES, VmlanError } from '../client/errors.ts';
import type { ErrorCode } from '../client/errors.ts';
import { nextStep } from './next-step.ts';

const stepAfter = (code: ErrorCode, called: string, hint?: string): string | undefined =>
  nextStep(new VmlanError(code, 'it is so', { hint }), called);

test("the error's own hint comes first", () => {
  assert.equal(stepAfter('conflict', 'vmlan up', 'do this'), 'do this');
});

test('wrong usage leads to the page of the command, a wrong file to its check', () => {
  assert.equal(stepAfter('usage', 'vmlan dns add'), 'see: vmlan dns add --help');
  assert.equal(stepAfter('invalid', 'vmlan dns add'), 'see: vmlan dns add --help');
  assert.equal(stepAfter('invalid-config', 'vmlan up'), 'mend the file, then: vmlan config check');
  assert.equal(stepAfter('invalid-config', 'vmlan network create'), 'see: vmlan network create --help');
});

test('what ends a command with 1, 3, 4 or 5 has a step', () => {
  for (const code of [
    'internal',
    'not-found',
    'conflict',
    'not-permitted',
    'exhausted',
    'unavailable',
    'timeout',
  ] as const) {
    assert.match(stepAfter(code, 'vmlan list') ?? '', /vmlan /, `${code} ${ERROR_CODES[code].exitCode}`);
  }
});
