/** How bodies may be declared, and what is said about those that cannot be read, through the daemon's socket. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Problem } from '../model/api.ts';
import { CONFIG, TestDaemon } from './daemon.fixture.ts';
import { rawRequest } from './raw-request.fixture.ts';
import type { RawRequest } from './raw-request.fixture.ts';

const NETWORK = '/v1/networks/lab?dryRun=true';
const GUEST = '{"name":"web","network":"lab"}';
const MERGE_PATCH = 'application/merge-patch+json';

interface Row {
  readonly name: string;
  readonly request: RawRequest;
  readonly status: number;
  readonly detail?: RegExp;
  readonly hint?: RegExp;
}

const post = (body: string, headers: Readonly<Record<string, string>> = {}): RawRequest => ({
  method: 'POST',
  path: '/v1/guests',
  body,
  headers,
});

const TABLE: readonly Row[] = [
  {
    name: 'a merge patch by its own type (RFC 7396)',
    request: { method: 'PATCH', path: NETWORK, body: '{"mtu":1400}', headers: { 'content-type': MERGE_PATCH } },
    status: 200,
  },
  {
    name: 'a merge patch where nothing is patched',
    request: post(GUEST, { 'content-type': MERGE_PATCH }),
    status: 415,
    detail: /merge-patch\+json is for PATCH alone/,
    hint: /Content-Type: application\/json/,
  },
  {
    name: 'a type, and nothing of it',
    request: { method: 'POST', path: '/v1/networks/lab/start', body: '' },
    status: 200,
  },
  { name: 'UTF-8 by name', request: post(GUEST, { 'content-type': 'application/json; charset=UTF-8' }), status: 201 },
  {
    name: 'another character set',
    request: post(GUEST, { 'content-type': 'application/json; charset=iso-8859-1' }),
    status: 415,
    detail: /declared as "iso-8859-1"/,
  },
  {
    name: 'compressed',
    request: post(GUEST, { 'content-encoding': 'gzip' }),
    status: 415,
    detail: /encoding "gzip"/,
    hint: /uncompressed/,
  },
  {
    name: 'a form',
    request: post('name=web', { 'content-type': 'application/x-www-form-urlencoded' }),
    status: 415,
    detail: /of type "application\/x-www-form-urlencoded"/,
    hint: /Content-Type: application\/json/,
  },
  {
    name: 'a key that stands twice',
    request: post('{"name":"a","name":"b","network":"lab"}'),
    status: 400,
    detail: /"name" stands twice/,
    hint: /send it once/,
  },
  {
    name: 'too large',
    request: post(`{"name":"${'a'.repeat(70_000)}"}`),
    status: 413,
    detail: /more than 65536 bytes/,
    hint: /less/,
  },
  {
    name: 'a path that cannot be decoded',
    request: { path: '/v1/networks/%zz' },
    status: 400,
    detail: /"\/v1\/networks\/%zz" is not percent-encoded/,
  },
  {
    name: 'a number beyond its bound',
    request: { method: 'POST', path: '/v1/guests/web/probe', body: '{"port":70000}' },
    status: 400,
    detail: /^port: 70000: more than 65535$/,
  },
];

for (const { name, request, status, detail, hint } of TABLE) {
  test(name, async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    const answer = await rawRequest({ path: daemon.paths.socket }, request);
    assert.equal(answer.status, status, answer.body);
    if (detail === undefined) return;
    const problem = JSON.parse(answer.body) as Problem;
    assert.match(problem.detail, detail);
    assert.match(problem.hint ?? '', hint ?? /^/);
    assert.equal(answer.headers['etag'], undefined);
  });
}
