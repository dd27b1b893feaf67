import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileError } from './file-error.ts';

test('what the system says of a file, in words, with a step to type', () => {
  const table: [code: string, what: 'read' | 'written', want: string, message: string, hint: RegExp][] = [
    ['ENOENT', 'read', 'not-found', '/a b/c cannot be read: there is no such file', /ls '\/a b'$/],
    ['ENOENT', 'written', 'not-found', '/a b/c cannot be written: its folder does not exist', /mkdir -p '\/a b'$/],
    ['EACCES', 'read', 'not-permitted', '/a b/c cannot be read: permission denied', /ls -ld '\/a b' '\/a b\/c'$/],
    ['EROFS', 'written', 'not-permitted', '/a b/c cannot be written: the file system is read-only', /elsewhere/],
    ['EISDIR', 'written', 'invalid', '/a b/c cannot be written: it is a directory', /'\/a b\/c'\/NAME$/],
    ['ENOSPC', 'written', 'unavailable', '/a b/c cannot be written: the disk is full', /df -h '\/a b'$/],
    ['EIO', 'read', 'unavailable', '/a b/c cannot be read: i/o error', /ls -ld/],
  ];
  for (const [code, what, want, message, hint] of table) {
    const error = fileError('/a b/c', what, Object.assign(new Error('i/o error'), { code }));
    assert.deepEqual([error.code, error.message], [want, message]);
    assert.match(error.hint ?? '', hint);
  }
  assert.match(fileError('/d', 'read', { code: 'ENOENT' }, 'disk image').message, /^disk image \/d cannot be read/);
});
