import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import {
  guestNameSchema,
  hostNameSchema,
  interfaceNameSchema,
  isGuestName,
  isNetworkName,
  macSchema,
  networkNameSchema,
  portSchema,
} from './names.ts';

describe('names', () => {
  const cases: { schema: { safeParse(text: unknown): { success: boolean } }; good: unknown[]; bad: unknown[] }[] = [
    {
      schema: networkNameSchema,
      good: ['lab', 'user-v2', 'A.b_c-9', 'x'.repeat(76)],
      bad: ['', '.lab', 'lab.', 'a..b', 'a b', '../etc', 'a/b', 'lab-', 'x'.repeat(77), 'ä'],
    },
    {
      schema: guestNameSchema,
      good: ['web', 'db-1', '0', 'x'.repeat(63)],
      bad: ['', 'Web', '-web', 'web-', 'a.b', 'a_b', '..', 'x'.repeat(64)],
    },
    {
      schema: interfaceNameSchema,
      good: ['eth0', 'br-lan', 'enp3s0.12'],
      bad: ['', '.', 'eth 0', 'a/b', 'x'.repeat(16)],
    },
    {
      schema: macSchema,
      good: ['52:54:00:12:34:56', '52-54-00-AB-CD-EF'],
      bad: ['52:54:00:12:34', '01:00:5e:00:00:01', '00:00:00:00:00:00', 'ff:ff:ff:ff:ff:ff', 'x'],
    },
    {
      schema: hostNameSchema,
      good: ['a', 'registry.lab.internal', '*.lab.internal', '_sip._tcp.lab', 'Trailing.Dot.'],
      bad: ['', 'a..b', '-a.b', 'a b', 'x'.repeat(254)],
    },
    { schema: portSchema, good: [1, 65_535], bad: [0, 65_536, 1.5, '80'] },
  ];
  for (const { schema, good, bad } of cases) {
    for (const text of good) test(`take ${JSON.stringify(text)}`, () => assert.ok(schema.safeParse(text).success));
    for (const text of bad) test(`refuse ${JSON.stringify(text)}`, () => assert.ok(!schema.safeParse(text).success));
  }

  test('are written in one way', () => {
    assert.equal(macSchema.parse('52-54-00-AB-CD-EF'), '52:54:00:ab:cd:ef');
    assert.equal(hostNameSchema.parse('Web.Lab.'), 'web.lab');
  });

  test('that pass are safe in a path', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        if (isNetworkName(text) || isGuestName(text)) assert.match(text, /^[A-Za-z0-9][A-Za-z0-9._-]*$/);
      }),
    );
  });
});
