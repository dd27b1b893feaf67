import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VmlanError } from '../../core/errors.ts';
import { tapCommand } from './netns-attach.ts';
import { nameOfNamespace, wayInto } from './netns-target.ts';

const ROOT = 0;
const USER = 1000;

test('root enters a path through a namespace of its own', () => {
  assert.deepEqual(wayInto({ pid: null, path: '/proc/self/ns/net' }, ROOT), {
    path: '/proc/self/ns/net',
    prefix: ['unshare', '--net', '--'],
  });
});

test('what cannot work is refused before anything starts', () => {
  const own = process.pid;
  const table: { target: { pid: number | null; path: string | null }; uid: number; code: string; text: RegExp }[] = [
    { target: { pid: null, path: '/nowhere' }, uid: ROOT, code: 'not-found', text: /no network namespace \/nowhere/ },
    { target: { pid: null, path: '/proc/self/ns/net' }, uid: USER, code: 'not-permitted', text: /only root/ },
    { target: { pid: own, path: null }, uid: ROOT, code: 'invalid', text: /no network namespace of its own/ },
    { target: { pid: null, path: `/proc/${own}/ns/net` }, uid: USER, code: 'invalid', text: /of its own/ },
    { target: { pid: 0x7fffffff, path: null }, uid: USER, code: 'not-found', text: /no process 2147483647/ },
  ];
  for (const { target, uid, code, text } of table) {
    assert.throws(
      () => wayInto(target, uid),
      (error) => error instanceof VmlanError && error.code === code && text.test(error.message),
      JSON.stringify(target),
    );
  }
});

test('the name of a namespace is known by its place', () => {
  assert.equal(nameOfNamespace({ pid: null, path: '/run/netns/a' }), 'a');
  assert.equal(nameOfNamespace({ pid: null, path: '/var/run/netns/a' }), 'a');
  assert.equal(nameOfNamespace({ pid: null, path: '/run/netns/a/b' }), null);
  assert.equal(nameOfNamespace({ pid: null, path: '/proc/1/ns/net' }), null);
  assert.equal(nameOfNamespace({ pid: 7, path: null }), null);
});

test('the helper runs on our own Node.js, without a shell', () => {
  const request = {
    socket: '/s',
    interface: 'vmlan0',
    mac: '52:54:00:00:00:42',
    mtuBytes: 1500,
    addresses: [],
    gateways: [],
    loopback: false,
    routerAdverts: false,
  };
  const [node, flag, program, ...rest] = tapCommand(request, null, USER);
  assert.deepEqual([node, flag], [process.execPath, '--disable-warning=ExperimentalWarning']);
  assert.match(program ?? '', /\/netns-tap\.ts$/);
  assert.deepEqual(rest.slice(0, 4), ['--socket', '/s', '--interface', 'vmlan0']);
});
