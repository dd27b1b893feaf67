import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VmlanError } from '../core/errors.ts';
import { requestedHost } from './requested-host.ts';

const OWN = '127.0.0.1:7117';
const host = (url: string, hosts: readonly string[], httpVersion = '1.1'): string => {
  const rawHeaders = hosts.flatMap((value) => ['Host', value]);
  try {
    return requestedHost({ url, rawHeaders, httpVersion, headers: hosts[0] === undefined ? {} : { host: hosts[0] } });
  } catch (error) {
    assert.ok(error instanceof VmlanError);
    return `${error.code}: ${error.message}`;
  }
};

const TABLE: [name: string, url: string, hosts: string[], version: string, want: string][] = [
  ['the header', '/v1/status', ['LocalHost:7117'], '1.1', 'localhost:7117'],
  ['an empty header', '/', [''], '1.1', ''],
  ['none', '/', [], '1.1', 'invalid: the request has no Host header'],
  ['none in HTTP/1.0', '/', [], '1.0', ''],
  ['two', '/', [OWN, 'evil.example'], '1.1', 'invalid: 2 Host headers'],
  ['two of HTTP/1.0', '/', [OWN, OWN], '1.0', 'invalid: 2 Host headers'],
  ['an absolute target', 'http://Evil.example/v1/status', [OWN], '1.1', 'evil.example'],
  ['an absolute target that names us', `http://${OWN}`, ['evil.example'], '1.1', OWN],
  ['a user in it', `http://${OWN}@evil.example/`, [OWN], '1.1', `${OWN}@evil.example`],
  ['a path that looks like one', '//evil.example/', [OWN], '1.1', OWN],
  ['another one', '/http://evil.example/', [OWN], '1.1', OWN],
];
for (const [name, url, hosts, version, want] of TABLE) {
  test(name, () => assert.equal(host(url, hosts, version), want));
}
