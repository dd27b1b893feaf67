import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { hostname4, hostname6 } from './dhcp-hostname.ts';

const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'));
const longest = 'a'.repeat(63);

/** Option 12, option 81 and the name that they give. */
const cases: { name: string; host?: string; fqdn?: string; want: string | null }[] = [
  { name: 'neither', want: null },
  { name: 'option 12', host: 'Web-1', want: 'web-1' },
  { name: 'option 12 with domain', host: 'web.lab.internal', want: 'web' },
  { name: 'option 12 ended by zero', host: 'web\0', want: 'web' },
  { name: 'option 81 in ASCII', fqdn: '\x01\0\0db.lab', want: 'db' },
  { name: 'option 81 in wire format', fqdn: '\x05\0\0\x02db\x03lab\0', want: 'db' },
  { name: 'both', host: 'a', fqdn: '\0\0\0b', want: 'b' },
  { name: 'option 81 cut short, option 12 good', host: 'a', fqdn: '\x04\0\0\x3fb', want: 'a' },
  { name: 'option 81 empty', fqdn: '', want: null },
  { name: 'option 81 of flags alone', fqdn: '\x04\0\0', want: null },
  { name: 'shell text', host: '$(reboot)', want: null },
  { name: 'path', host: '../../etc', want: null },
  { name: 'markup', host: '<script>', want: null },
  { name: 'leading dash', host: '-rf', want: null },
  { name: 'escape', host: '\x1b[2J', want: null },
  { name: 'line end', host: 'web\n', want: null },
  { name: 'high bytes', host: '\xc3\xa4', want: null },
  { name: 'too long', host: `${longest}a`, want: null },
  { name: 'longest', host: longest, want: longest },
];
for (const { name, host, fqdn, want } of cases) {
  test(`DHCP: ${name}`, () => {
    const got = hostname4(host === undefined ? undefined : bytes(host), fqdn === undefined ? undefined : bytes(fqdn));
    assert.equal(got, want);
  });
}

const cases6: { name: string; in: string | null; want: string | null }[] = [
  { name: 'absent', in: null, want: null },
  { name: 'empty', in: '', want: null },
  { name: 'complete', in: '\x01\x03Web\x03lab\0', want: 'web' },
  { name: 'partial', in: '\x01\x03web', want: 'web' },
  { name: 'cut short', in: '\x01\x3fweb', want: null },
  { name: 'hostile', in: '\x01\x03$()', want: null },
];
for (const { name, in: option, want } of cases6) {
  test(`DHCPv6: ${name}`, () => assert.equal(hostname6(option === null ? null : bytes(option)), want));
}

test('property: only a host label ever comes out', () => {
  const option = fc.uint8Array({ maxLength: 100 });
  fc.assert(
    fc.property(option, option, (host, fqdn) => {
      for (const name of [hostname4(host, fqdn), hostname4(host, undefined), hostname6(fqdn)]) {
        if (name !== null) assert.match(name, /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
      }
    }),
  );
});
