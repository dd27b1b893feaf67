import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { AF_INET, AF_INET6, AF_UNIX } from '../constants.ts';
import {
  formatEndpoint,
  ipv4,
  ipv6,
  isAny,
  isLoopback,
  parseIp,
  readName,
  writeEndpoint,
  writePath,
} from './address.ts';

const word = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff_ffff }), fc.integer({ min: 0, max: 3 }));

describe('addresses of the fake network', () => {
  test('IPv6 text is canonical and read back', () => {
    fc.assert(
      fc.property(word, word, word, word, (...words) => {
        const ip = ipv6(...words);
        assert.deepEqual(parseIp(ip.text), ip);
        if (ip.family === AF_INET6) assert.equal(new URL(`http://[${ip.text}]/`).hostname, `[${ip.text}]`);
      }),
    );
  });

  test('IPv4 text is read back', () => {
    fc.assert(
      fc.property(word, (value) => {
        assert.deepEqual(parseIp(ipv4(value).text), ipv4(value));
      }),
    );
  });

  for (const text of ['', '1.2.3', '1.2.3.256', 'a.b.c.d', '1:2', '1:2:3:4:5:6:7:8:9', '::12345', '1::2::x']) {
    test(`not an address: ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseIp(text), /no address/);
    });
  }

  test('a mapped address is the IPv4 address', () => {
    assert.deepEqual(parseIp('::ffff:c000:201'), parseIp('192.0.2.1'));
  });

  test('kinds and text', () => {
    assert.ok(isAny(parseIp('::')) && isAny(parseIp('0.0.0.0')) && !isAny(parseIp('::1')));
    assert.ok(isLoopback(parseIp('127.9.9.9')) && isLoopback(parseIp('::1')) && !isLoopback(parseIp('128.0.0.1')));
    assert.equal(formatEndpoint({ ip: parseIp('192.0.2.1'), port: 53 }), '192.0.2.1:53');
    assert.equal(formatEndpoint({ ip: parseIp('fd00::1'), port: 53 }), '[fd00::1]:53');
    assert.equal(formatEndpoint(undefined), '*');
  });

  test('in memory: written for a domain, read back as the same endpoint', () => {
    const view = new DataView(new ArrayBuffer(256));
    for (const [text, domain, len] of [
      ['192.0.2.1', AF_INET, 16],
      ['192.0.2.1', AF_INET6, 28],
      ['0.0.0.0', AF_INET, 16],
      ['2001:db8::5', AF_INET6, 28],
      ['::', AF_INET6, 28],
    ] as const) {
      const endpoint = { ip: parseIp(text), port: 4242 };
      assert.equal(writeEndpoint(view, 16, domain, endpoint), len);
      assert.deepEqual(readName(view, 16, len), { kind: 'inet', family: domain, ...endpoint });
      assert.deepEqual(readName(view, 16, len - 1), { kind: 'short' });
    }
    for (const path of ['/run/x.sock', '\0abstract', '']) {
      const len = writePath(view, 16, path);
      assert.deepEqual(readName(view, 16, len), { kind: 'unix', path });
    }
    assert.equal(view.getUint16(16, true), AF_UNIX);
    assert.deepEqual(readName(view, 16, 1), { kind: 'short' });
    view.setUint16(16, 0, true);
    assert.deepEqual(readName(view, 16, 16), { kind: 'unspec' });
  });
});
