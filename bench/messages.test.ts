import assert from 'node:assert/strict';
import { test } from 'node:test';
import { messageOf, withoutFolders } from './messages.ts';

test('absolute paths become their last names', () => {
  const cases: [string, string][] = [
    ['ip netns exec g /opt/node/bin/node /srv/a-b/test/peer.ts client', 'ip netns exec g node peer.ts client'],
    ['connect ENOENT /tmp/vmlan-bench-x1/control', 'connect ENOENT control'],
    ['at file:///srv/bench/load/agent.ts:12:3', 'at agent.ts:12:3'],
    ['unix:///run/x/vmlan.sock refuses', 'vmlan.sock refuses'],
    ['"/tmp/a/b","/tmp/a/c"', '"b","c"'],
    ['(/usr/lib/x.so)', '(x.so)'],
  ];
  for (const [text, want] of cases) assert.equal(withoutFolders(text), want);
});

test('what is no path stays', () => {
  const texts = [
    'vmlan/1500 : pasta/1500',
    '10.144.0.2/16',
    'http://web.test/a/b',
    '5 frames/s',
    'a/b/c.ts',
    '/tmp',
    '',
  ];
  for (const text of texts) assert.equal(withoutFolders(text), text);
});

test('an error is its message', () => {
  assert.equal(messageOf(new Error(' no /tmp/x/program \n')), 'no program');
  assert.equal(messageOf('text'), 'text');
});
