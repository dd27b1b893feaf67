import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parse } from 'yaml';
import { mergePatch, removeNetwork, setBuiltInNetwork, setNetwork } from './config-edit.ts';

const TEXT = `networks:
  lab:
    mode: shared
    gateway:
    dhcp:
      # fixed
      reservations:
        - { guest: a, ip: 10.0.0.1 } # first
        - { guest: b, ip: 10.0.0.2 } # second
        - { guest: c, ip: 10.0.0.3 } # third
    forwards: [{ host: 8080, guest: web:80 }]
`;
const lab = (): Record<string, unknown> => (parse(TEXT) as { networks: { lab: Record<string, unknown> } }).networks.lab;
const reservation = (guest: string, ip: number): object => ({ guest, ip: `10.0.0.${ip}` });

describe('RFC 7396', () => {
  const table: readonly (readonly [target: unknown, patch: unknown, want: unknown])[] = [
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [undefined, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ];
  for (const [target, patch, want] of table) {
    test(`${JSON.stringify(target)} and ${JSON.stringify(patch)}`, () => {
      assert.deepEqual(mergePatch(target, patch), want);
    });
  }
});

describe('a list', () => {
  const lists: readonly (readonly [name: string, wanted: readonly object[], from: string, to: string])[] = [
    [
      'grows at its end',
      [reservation('a', 1), reservation('b', 2), reservation('c', 3), reservation('d', 4)],
      '# third\n',
      '# third\n        - { guest: d, ip: 10.0.0.4 }\n',
    ],
    ['loses one', [reservation('a', 1), reservation('c', 3)], '        - { guest: b, ip: 10.0.0.2 } # second\n', ''],
    [
      'changes one in its place',
      [reservation('a', 1), reservation('b', 9), reservation('c', 3)],
      '10.0.0.2',
      '10.0.0.9',
    ],
    ['is emptied', [], /    dhcp:\n[^]*# third\n/.exec(TEXT)![0], ''],
  ];
  for (const [name, reservations, from, to] of lists) {
    test(name, () => {
      const wanted = mergePatch(lab(), { dhcp: { reservations } }) as Record<string, unknown>;
      assert.equal(setNetwork(TEXT, 'lab', lab(), wanted), TEXT.replace(from, to));
    });
  }

  test('in another order, or of many changes, is written anew', () => {
    for (const wanted of [
      [reservation('c', 3), reservation('a', 1)],
      Array.from({ length: 60 }, (_, i) => reservation(`g${i}`, i)),
    ]) {
      const text = setNetwork(
        TEXT,
        'lab',
        lab(),
        mergePatch(lab(), { dhcp: { reservations: wanted } }) as object as never,
      );
      assert.deepEqual((parse(text) as { networks: { lab: { dhcp: unknown } } }).networks.lab.dhcp, {
        reservations: wanted,
      });
    }
  });
});

test('what is written in another way and means the same stays', () => {
  const wanted = { mode: 'shared', dhcp: lab()['dhcp'], forwards: [{ host: '8080', guest: 'web:80' }] };
  assert.equal(setNetwork(TEXT, 'lab', lab(), wanted), TEXT);
});

test('an empty list that says something is written', () => {
  const text = setNetwork(null, 'lab', undefined, { mode: 'shared', hostAccess: [], dhcp: { reservations: [] } });
  assert.match(text, /^# The networks of vmlan.*\nnetworks:\n {2}lab:\n {4}mode: shared\n {4}hostAccess: \[\]\n$/);
});

test('a network that vmlan brings is written by its mode, and removed again', () => {
  const text = setBuiltInNetwork(TEXT, 'shared');
  assert.equal(text, `${TEXT}  shared:\n    mode: shared\n`);
  assert.equal(removeNetwork(text, 'shared'), TEXT);
});
