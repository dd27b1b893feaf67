import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { checkConfig } from './config-check.ts';

const directory = mkdtempSync('/tmp/vmlan-config-check-');
after(() => rmSync(directory, { recursive: true }));

/** Everything that is wrong, as `LINE:COLUMN MESSAGE`. */
function problems(text: string | Buffer): readonly string[] {
  const file = join(directory, 'networks.yaml');
  writeFileSync(file, text);
  const verdict = checkConfig(file, new Set(), []);
  assert.equal(verdict.error?.message, verdict.problems[0]?.message);
  return verdict.problems.map(({ line, column, message }) => {
    const place = `${file}:${line}:${column}: `;
    assert.ok(message.startsWith(place), message);
    return `${line}:${column} ${message.slice(place.length)}`;
  });
}

describe('all mistakes of a file are told at once', () => {
  test('of its shape', () => {
    const found = problems(
      'networks:\n  a:\n    mode: shraed\n    mtu: 9\n    foo: 1\n    bar: 2\n  b:\n    subnet: nope\n  c: {mode: host, hostAccess: some}\n',
    );
    assert.deepEqual(
      found.map((each) => each.replace(/(is none of) .*/, '$1 …')),
      [
        '3:11 network "a": mode: "shraed" is none of …',
        '4:10 network "a": mtu: 9 is less than 1280',
        '5:5 unknown key `foo` in network "a"',
        '6:5 unknown key `bar` in network "a"',
        '8:13 network "b": subnet: "nope" is not a subnet such as 192.168.105.0/24',
        '9:31 network "c": hostAccess: "some" is not all, none, or ports such as [5432, 6379]',
        '7:3 network "b" has no `mode`',
      ],
    );
  });

  test('of what it means, in each network and between them', () => {
    const found = problems(`networks:
  a:
    mode: shared
    subnet: 10.3.0.0/24
    dhcp:
      reservations:
        - { guest: a, ip: 10.3.0.9 }
        - { guest: b, ip: 10.3.0.9 }
        - { guest: a, ip: 10.3.1.1 }
    forwards:
      - { host: 8080, guest: "web:80" }
      - { host: 8080, guest: "db:80" }
      - { host: 80808, guest: "db:81" }
  b:
    mode: host
    subnet: 10.3.0.128/25
    isolation: { host: true }
    hostAccess: all
  c: { mode: shared, subnet: 10.9.0.1/24 }
  d: { mode: user-v2, subnet: 10.4.0.0/24, forwards: [{ host: 8080, guest: "x:80" }] }
`);
    assert.deepEqual(found, [
      '8:27 ip 10.3.0.9 is reserved twice',
      '9:20 guest a is reserved twice',
      '9:27 address 10.3.1.1 lies outside the subnet 10.3.0.0/24',
      '12:17 127.0.0.1:8080 is forwarded twice',
      '13:17 "80808": a port is 1 to 65535',
      '18:17 `hostAccess` opens what `isolation.host` closes',
      '19:30 network "c": subnet 10.9.0.1/24 has bits behind its prefix',
    ]);
  });

  test('of several networks together', () => {
    const net = (name: string, subnet: string): string => `  ${name}: { mode: shared, subnet: ${subnet} }\n`;
    const text = `networks:\n${net('a', '10.3.0.0/16')}${net('b', '10.3.4.0/24')}${net('c', '10.3.5.0/24')}`;
    assert.deepEqual(problems(text), [
      '3:30 network "b": 10.3.4.0/24 overlaps network "a" (10.3.0.0/16)',
      '4:30 network "c": 10.3.5.0/24 overlaps network "a" (10.3.0.0/16)',
    ]);
  });

  test('of its YAML, with the line that is meant', () => {
    assert.deepEqual(problems('networks:\n  a: { mode: shared }\n  a: { mode: host }\n  b: {}\n  b: {}\n'), [
      '3:3 not YAML: Map keys must be unique: a: { mode: host }',
      '5:3 not YAML: Map keys must be unique: b: {}',
    ]);
    assert.deepEqual(problems('networks: {}\n---\nnetworks: {}\n'), ['2:1 not one YAML document, but several']);
  });

  test('but not more than anybody reads', () => {
    const keys = Array.from({ length: 5000 }, (_, i) => `    k${i}: 1\n`).join('');
    assert.equal(problems(`networks:\n  a:\n    mode: shared\n${keys}`).length, 100);
  });
});

test('a name that no object can have is refused, not passed over', () => {
  assert.deepEqual(problems('networks:\n  a: { mode: shared }\n  __proto__: { mode: shared }\n'), [
    '3:3 __proto__ is no name',
  ]);
});

test('a file that is not UTF-8 is refused, also in a comment: a change would damage it', () => {
  const latin1 = Buffer.from('networks:\n  # für\n  a: { mode: shared }\n', 'latin1');
  assert.deepEqual(problems(latin1), ['2:1 this line is not UTF-8']);
  assert.deepEqual(problems(Buffer.from('networks: {}\n# \xff', 'latin1')), ['2:1 this line is not UTF-8']);
  assert.deepEqual(problems('\ufeffnetworks:\r\n  # für\r\n  a: { mode: shared }\r\n'), []);
});
