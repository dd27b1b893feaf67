import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseIpv6 } from '../../wire/address.ts';
import { reverseKey6 } from '../../wire/dns-reverse.ts';
import { parseHosts } from './hosts-file.ts';

test('names, aliases, both families, comments and nonsense', () => {
  const { addresses, names } = parseHosts(`
127.0.0.1\tlocalhost
10.0.0.5   DB.corp.example. db  # the old one
10.0.0.6   db.corp.example
FD00::5    db.corp.example
10.0.0.5   later
10.0.0.7
300.1.1.1  bad.address
10.0.0.8   bad..name -bad ok_name
fe80::1%eth0 scoped
# 10.0.0.9 commented
`);
  assert.deepEqual(addresses.get('db.corp.example'), ['10.0.0.5', '10.0.0.6', 'fd00::5']);
  assert.deepEqual(addresses.get('db'), ['10.0.0.5']);
  assert.deepEqual(addresses.get('ok_name'), ['10.0.0.8']);
  assert.equal(names.get('5.0.0.10.in-addr.arpa'), 'db.corp.example');
  assert.equal(names.get('8.0.0.10.in-addr.arpa'), 'ok_name');
  assert.equal(names.get(reverseKey6(parseIpv6('fd00::5')!)), 'db.corp.example');
  for (const key of ['bad.address', 'bad..name', '-bad', 'scoped', 'commented', ''])
    assert.equal(addresses.get(key), undefined, key);
});

test('no text makes the parser throw', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => void parseHosts(`10.0.0.1 ${text}\n${text} a`)));
});

test('a block list of 100 000 lines takes no long time', () => {
  const text = Array.from({ length: 100_000 }, (_, i) => `0.0.0.0 ads${i}.example.com`).join('\n');
  const started = performance.now();
  assert.equal(parseHosts(text).addresses.size, 100_000);
  assert.ok(performance.now() - started < 5000);
});
