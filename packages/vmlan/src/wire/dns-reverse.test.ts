import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseIpv4, parseIpv6 } from './address.ts';
import { parseReverseKey, reverseKey4, reverseKey6 } from './dns-reverse.ts';

test('addresses become reverse names', () => {
  assert.equal(reverseKey4(parseIpv4('192.168.105.10')!), '10.105.168.192.in-addr.arpa');
  assert.equal(reverseKey4(parseIpv4('192.168.105.0')!, 24), '105.168.192.in-addr.arpa');
  assert.equal(reverseKey4(parseIpv4('192.168.105.0')!, 28), '105.168.192.in-addr.arpa');
  assert.equal(reverseKey4(0, 0), 'in-addr.arpa');
  assert.equal(reverseKey6(parseIpv6('fd00:1:2:3::')!, 64), '3.0.0.0.2.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa');
  assert.equal(reverseKey6(parseIpv6('::1')!), `1.${'0.'.repeat(31)}ip6.arpa`);
});

test('reverse names become addresses and prefixes', () => {
  assert.deepEqual(parseReverseKey('10.105.168.192.in-addr.arpa'), {
    family: 4,
    words: Uint32Array.of(0xc0a8690a),
    prefix: 32,
  });
  assert.deepEqual(parseReverseKey('168.192.in-addr.arpa'), {
    family: 4,
    words: Uint32Array.of(0xc0a80000),
    prefix: 16,
  });
  assert.deepEqual(parseReverseKey('0.d.f.ip6.arpa'), {
    family: 6,
    words: Uint32Array.of(0xfd000000, 0, 0, 0),
    prefix: 12,
  });
});

test('other names are no reverse names', () => {
  const names = [
    'in-addr.arpa',
    'ip6.arpa',
    'x.in-addr.arpa',
    '256.in-addr.arpa',
    '01.in-addr.arpa',
    '1.2.3.4.5.in-addr.arpa',
  ];
  for (const key of [
    ...names,
    '10.ip6.arpa',
    'g.ip6.arpa',
    `${'0.'.repeat(33)}ip6.arpa`,
    '.in-addr.arpa',
    'lab.internal',
    '',
  ]) {
    assert.equal(parseReverseKey(key), null, key);
  }
});

test('whole addresses round-trip', () => {
  const word = fc.integer({ min: 0, max: 0xffffffff });
  fc.assert(fc.property(word, (ip) => assert.deepEqual(parseReverseKey(reverseKey4(ip))?.words[0], ip)));
  fc.assert(
    fc.property(fc.tuple(word, word, word, word), (words) =>
      assert.deepEqual([...parseReverseKey(reverseKey6(words))!.words], words),
    ),
  );
});
