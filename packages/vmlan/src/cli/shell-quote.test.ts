import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { shellQuote } from './shell-quote.ts';

test('plain words stay plain', () => {
  assert.equal(
    shellQuote(['-netdev', 'stream,id=n0,addr.path=/run/vmlan/web.sock', '']),
    "-netdev stream,id=n0,addr.path=/run/vmlan/web.sock ''",
  );
});

test('a shell reads back the same words', () => {
  const words = ['', ' ', "it's", '$HOME', '`id`', 'a\nb', '\\', '"x"', '*', '~', ';', '日本', "''", '-n', '!!', '#x'];
  const output = execFileSync('sh', ['-c', `printf '%s\\0' ${shellQuote(words)}`]).toString();
  assert.deepEqual(output.split('\0').slice(0, -1), words);
});
