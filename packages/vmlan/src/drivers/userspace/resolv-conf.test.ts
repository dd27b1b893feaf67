import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { MAX_SERVERS, parseNsswitch, parseResolvConf } from './resolv-conf.ts';

test('a full resolv.conf', () => {
  const text = `# comment
; another
domain old.example
search corp.example lan
nameserver 10.0.0.1 # trailing
nameserver fd00::1
  nameserver\tfe80::1%eth0
nameserver 10.0.0.1
nameserver not-an-address
nameserver
options timeout:3 attempts:4 rotate edns0 ndots:2
options trust-ad`;
  assert.deepEqual(parseResolvConf(text), {
    servers: ['10.0.0.1', 'fd00::1', 'fe80::1%eth0'],
    search: ['corp.example', 'lan'],
    timeoutMs: 3000,
    attempts: 4,
    rotate: true,
  });
});

test('defaults and bounds', () => {
  assert.deepEqual(parseResolvConf(''), { servers: [], search: [], timeoutMs: undefined, attempts: 2, rotate: false });
  const table: [string, number | undefined, number][] = [
    ['options timeout:99 attempts:99', 30_000, 5],
    ['options timeout:0 attempts:0', 1000, 1],
    ['options timeout:x attempts', undefined, 2],
    ['options timeout:-1 attempts:1e3', undefined, 2],
  ];
  for (const [text, timeoutMs, attempts] of table) {
    const conf = parseResolvConf(text);
    assert.deepEqual([conf.timeoutMs, conf.attempts], [timeoutMs, attempts], text);
  }
  const many = Array.from({ length: 20 }, (_, i) => `nameserver 10.0.0.${i}`).join('\n');
  assert.equal(parseResolvConf(many).servers.length, MAX_SERVERS);
});

test('sources of names', () => {
  const table: [string, { local: boolean; others: boolean }][] = [
    ['hosts: files dns', { local: false, others: false }],
    ['passwd: files\nhosts:\t files mdns4_minimal [NOTFOUND=return] dns # libvirt', { local: true, others: false }],
    ['hosts: files resolve [!UNAVAIL=return] dns', { local: true, others: true }],
    ['hosts: files libvirt_guest dns myhostname', { local: true, others: true }],
    ['# hosts: files resolve', { local: false, others: false }],
    ['hosts: db files', { local: false, others: false }],
    ['', { local: false, others: false }],
  ];
  for (const [text, want] of table) assert.deepEqual(parseNsswitch(text), want, text);
});

test('no text makes the parsers throw', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      parseResolvConf(`options ${text}\nnameserver ${text}\n${text}`);
      parseNsswitch(`hosts: ${text}`);
    }),
  );
});
