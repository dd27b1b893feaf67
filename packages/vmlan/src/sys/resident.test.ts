/**
 * Which mappings may be given back, and that a process lives on without them.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { cleanFileMappings, releaseProgramPages } from './resident.ts';

const entry = (first: string, anonymous: number): string =>
  `${first}\nSize:              4 kB\nRss:               4 kB\nAnonymous:         ${anonymous} kB\nVmFlags: rd mr mw me\n`;

describe('cleanFileMappings', () => {
  const cases: { name: string; first: string; anonymous: number; want: boolean }[] = [
    {
      name: 'code',
      first: '00400000-00402000 r-xp 00000000 08:01 42                         /bin/node',
      anonymous: 0,
      want: true,
    },
    {
      name: 'constants',
      first: '00400000-00402000 r--p 00000000 08:01 42                      /bin/node',
      anonymous: 0,
      want: true,
    },
    {
      name: 'a name with a blank',
      first: '00400000-00402000 r-xp 00000000 08:01 42            /a b/node',
      anonymous: 0,
      want: true,
    },
    {
      name: 'relocated constants',
      first: '00400000-00402000 r--p 00000000 08:01 42            /bin/node',
      anonymous: 4,
      want: false,
    },
    {
      name: 'data',
      first: '00400000-00402000 rw-p 00000000 08:01 42                           /bin/node',
      anonymous: 0,
      want: false,
    },
    {
      name: 'a shared mapping',
      first: '00400000-00402000 r--s 00000000 08:01 42               /bin/node',
      anonymous: 0,
      want: false,
    },
    { name: 'memory', first: '00400000-00402000 r--p 00000000 00:00 0', anonymous: 0, want: false },
    {
      name: 'the kernel',
      first: '00400000-00402000 r-xp 00000000 00:00 0                      [vdso]',
      anonymous: 0,
      want: false,
    },
  ];
  for (const { name, first, anonymous, want } of cases) {
    test(`${name}: ${want ? 'yes' : 'no'}`, () => {
      const wanted = want ? [{ address: 0x40_0000, bytes: 0x2000 }] : [];
      assert.deepEqual(cleanFileMappings(entry(first, anonymous)), wanted);
    });
  }

  test('a mapping that says no does not lend its figures to its neighbour', () => {
    const code = entry('00400000-00402000 r-xp 00000000 08:01 42 /bin/node', 8);
    const memory = entry('00500000-00502000 rw-p 00000000 00:00 0', 0);
    assert.deepEqual(cleanFileMappings(code + memory), []);
  });
});

test('a process goes on without the pages', { skip: process.platform !== 'linux' && 'Linux only' }, () => {
  assert.notEqual(cleanFileMappings(readFileSync('/proc/self/smaps', 'utf8')).length, 0);
  for (let i = 0; i < 3; i++) releaseProgramPages();
  assert.equal(JSON.parse(JSON.stringify({ a: [1, 'b'] })).a[1], 'b');
  assert.equal(new Intl.NumberFormat('en').format(1e6), '1,000,000');
});
