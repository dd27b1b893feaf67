import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Access, MAX_FAILURES } from './access.ts';
import type { Listener } from './access.ts';

const TOKEN = 'q'.repeat(43);
const TCP: Listener = { kind: 'tcp', host: '127.0.0.1', port: 7117 };
const UNIX: Listener = { kind: 'unix' };
const OWN = { host: '127.0.0.1:7117', authorization: `Bearer ${TOKEN}` };
const make = (): Access => new Access(() => Promise.resolve(TOKEN));
type Headers = Readonly<Record<string, string>>;
const asked = (headers: Headers): { host: string; headers: Headers } => ({
  host: headers['host']?.toLowerCase() ?? '',
  headers,
});

describe('over TCP', () => {
  const table: { name: string; headers: Headers; want: string | null }[] = [
    { name: 'the token', headers: OWN, want: null },
    { name: 'by the other name', headers: { ...OWN, host: 'localhost:7117' }, want: null },
    { name: 'another case', headers: { ...OWN, host: 'LOCALHOST:7117', authorization: `bearer ${TOKEN}` }, want: null },
    { name: 'no token', headers: { host: OWN.host }, want: 'unauthorized' },
    { name: 'another token', headers: { ...OWN, authorization: `Bearer ${'r'.repeat(43)}` }, want: 'unauthorized' },
    {
      name: 'a part of the token',
      headers: { ...OWN, authorization: `Bearer ${TOKEN.slice(1)}` },
      want: 'unauthorized',
    },
    { name: 'more than the token', headers: { ...OWN, authorization: `Bearer ${TOKEN}q` }, want: 'unauthorized' },
    { name: 'another scheme', headers: { ...OWN, authorization: `Basic ${TOKEN}` }, want: 'unauthorized' },
    {
      name: 'an endless token',
      headers: { ...OWN, authorization: `Bearer ${'q'.repeat(9999)}` },
      want: 'unauthorized',
    },
    { name: 'a cookie', headers: { host: OWN.host, cookie: `token=${TOKEN}` }, want: 'unauthorized' },
    { name: 'a name that leads here', headers: { ...OWN, host: 'rebound.example:7117' }, want: 'misdirected' },
    { name: 'another port', headers: { ...OWN, host: '127.0.0.1:7118' }, want: 'misdirected' },
    { name: 'no port', headers: { ...OWN, host: '127.0.0.1' }, want: 'misdirected' },
    { name: 'a longer name', headers: { ...OWN, host: '127.0.0.1:7117.example' }, want: 'misdirected' },
    { name: 'another loopback address', headers: { ...OWN, host: '127.0.0.2:7117' }, want: 'misdirected' },
    { name: 'no host', headers: { authorization: OWN.authorization }, want: 'misdirected' },
    {
      name: 'its own origin',
      headers: { ...OWN, origin: 'http://127.0.0.1:7117', 'sec-fetch-site': 'same-origin' },
      want: null,
    },
    { name: 'the address bar', headers: { ...OWN, 'sec-fetch-site': 'none' }, want: null },
    { name: 'another origin', headers: { ...OWN, origin: 'https://evil.example' }, want: 'not-permitted' },
    { name: 'no origin to speak of', headers: { ...OWN, origin: 'null' }, want: 'not-permitted' },
    { name: 'another port as origin', headers: { ...OWN, origin: 'http://127.0.0.1:3000' }, want: 'not-permitted' },
    { name: 'the other own name', headers: { ...OWN, origin: 'http://localhost:7117' }, want: 'not-permitted' },
    { name: 'TLS as origin', headers: { ...OWN, origin: 'https://127.0.0.1:7117' }, want: 'not-permitted' },
    { name: 'a cross-site load', headers: { ...OWN, 'sec-fetch-site': 'cross-site' }, want: 'not-permitted' },
    { name: 'a page of another port', headers: { ...OWN, 'sec-fetch-site': 'same-site' }, want: 'not-permitted' },
  ];
  for (const { name, headers, want } of table) {
    test(name, async () => assert.equal((await make().check(TCP, asked(headers), 0))?.error.code ?? null, want));
  }

  test('at port 80 the port need not be written', async () => {
    const listener: Listener = { kind: 'tcp', host: '::1', port: 80 };
    for (const host of ['[::1]', '[::1]:80', 'localhost'])
      assert.equal(await make().check(listener, asked({ ...OWN, host }), 0), null, host);
  });

  test('many wrong tokens are refused for a while, the right one never', async () => {
    const access = make();
    const wrong = { ...OWN, authorization: 'Bearer x' };
    const codes: (string | undefined)[] = [];
    for (let i = 0; i < MAX_FAILURES + 2; i++)
      codes.push((await access.check(TCP, asked(wrong), 1000 + i))?.error.code);
    assert.deepEqual(codes.slice(-3), ['unauthorized', 'too-many-requests', 'too-many-requests']);
    assert.equal((await access.check(TCP, asked(wrong), 31_000))?.headers['retry-after'], '30');
    assert.equal(await access.check(TCP, asked(OWN), 31_000), null);
    assert.equal((await access.check(TCP, asked(wrong), 61_000))?.error.code, 'unauthorized');
    assert.deepEqual(access.refused, { host: 0, origin: 0, token: MAX_FAILURES + 1, rate: 3 });
  });

  test('a page costs the owner no attempts', async () => {
    const access = make();
    for (let i = 0; i < 100; i++) await access.check(TCP, asked({ ...OWN, origin: 'https://evil.example' }), 0);
    assert.equal((await access.check(TCP, asked({ host: OWN.host }), 0))?.error.code, 'unauthorized');
    assert.equal(access.refused.origin, 100);
  });
});

describe('on the unix socket', () => {
  test('no token is asked for, and the host does not matter', async () => {
    for (const headers of [{}, { host: 'x' }, { host: 'vmlan', cookie: 'a=b' }])
      assert.equal(await make().check(UNIX, asked(headers), 0), null);
  });

  test('a page is refused', async () => {
    const pages: Headers[] = [{ origin: 'http://vmlan' }, { origin: 'null' }, { 'sec-fetch-site': 'none' }];
    for (const headers of pages)
      assert.equal((await make().check(UNIX, asked(headers), 0))?.error.code, 'not-permitted', JSON.stringify(headers));
  });
});
