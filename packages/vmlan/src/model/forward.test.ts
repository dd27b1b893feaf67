import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { clashingListen, isForwardProblem, parseForward } from './forward.ts';
import type { Forward, ForwardText } from './forward.ts';

function parsed(text: ForwardText): Forward {
  const forward = parseForward(text);
  assert.ok(!isForwardProblem(forward), isForwardProblem(forward) ? forward.message : '');
  return forward;
}

describe('forwards', () => {
  const good: { name: string; text: ForwardText; host: string; guest: string; pairs?: number; guestName?: string }[] = [
    {
      name: 'port alone',
      text: { host: '8080', guest: 'web:80' },
      host: '127.0.0.1:8080',
      guest: 'web:80',
      guestName: 'web',
    },
    { name: 'any address', text: { host: '*:8080', guest: 'web:80' }, host: '0.0.0.0:8080', guest: 'web:80' },
    { name: 'empty host', text: { host: ':8080', guest: 'web:80' }, host: '127.0.0.1:8080', guest: 'web:80' },
    {
      name: 'localhost',
      text: { host: 'localhost:1', guest: 'Web:80' },
      host: '127.0.0.1:1',
      guest: 'web:80',
      guestName: 'web',
    },
    { name: 'IPv6', text: { host: '[::1]:53', guest: '[FD00::5]:53' }, host: '[::1]:53', guest: '[fd00::5]:53' },
    {
      name: 'by address',
      text: { host: '1.2.3.4:1', guest: '192.168.104.5:80' },
      host: '1.2.3.4:1',
      guest: '192.168.104.5:80',
    },
    {
      name: 'range',
      text: { host: '8000-8002', guest: 'web:9000-9002' },
      host: '127.0.0.1:8000-8002',
      guest: 'web:9000-9002',
      pairs: 3,
    },
    { name: 'socket', text: { host: '/run/app.sock', guest: 'web:80' }, host: '/run/app.sock', guest: 'web:80' },
    { name: 'unix:', text: { host: 'unix:/run/app.sock', guest: 'web:80' }, host: '/run/app.sock', guest: 'web:80' },
    {
      name: 'reverse',
      text: { direction: 'reverse', host: '5432', guest: '5432' },
      host: '127.0.0.1:5432',
      guest: 'gateway:5432',
    },
    {
      name: 'reverse to a socket',
      text: { direction: 'reverse', host: '/run/x', guest: 'gateway:80' },
      host: '/run/x',
      guest: 'gateway:80',
    },
  ];
  for (const { name, text, host, guest, pairs = 1, guestName } of good) {
    test(name, () => {
      const forward = parsed(text);
      assert.deepEqual([forward.host, forward.guest, forward.pairs.length], [host, guest, pairs]);
      if (guestName !== undefined) assert.equal(forward.guestName, guestName);
    });
  }

  test('reverse listens at the gateway and ends at the host', () => {
    const { pairs } = parsed({ direction: 'reverse', host: '/run/x', guest: '80' });
    assert.deepEqual(pairs, [{ listen: { host: 'gateway', port: 80 }, target: { unix: '/run/x' } }]);
  });

  const bad: { name: string; text: ForwardText; field: string; message: RegExp }[] = [
    { name: 'no port', text: { host: '127.0.0.1', guest: 'web:80' }, field: 'host', message: /no address with a port/ },
    {
      name: 'a name on the host side',
      text: { host: 'example.org:80', guest: 'web:80' },
      field: 'host',
      message: /host side is/,
    },
    { name: 'port 0', text: { host: '0', guest: 'web:80' }, field: 'host', message: /1 to 65535/ },
    { name: 'port 70000', text: { host: '70000', guest: 'web:80' }, field: 'host', message: /1 to 65535/ },
    {
      name: 'guest without name',
      text: { host: '80', guest: '80' },
      field: 'guest',
      message: /no address with a port/,
    },
    { name: 'guest with a bad name', text: { host: '80', guest: 'we_b:80' }, field: 'guest', message: /GUEST:PORT/ },
    { name: 'any guest', text: { host: '80', guest: '*:80' }, field: 'guest', message: /GUEST:PORT/ },
    { name: 'backward range', text: { host: '9-8', guest: 'web:9-8' }, field: 'host', message: /ends before/ },
    { name: 'ranges that differ', text: { host: '1-3', guest: 'web:1-2' }, field: 'guest', message: /same number/ },
    {
      name: 'too many ports',
      text: { host: '1000-5000', guest: 'web:1000-5000' },
      field: 'host',
      message: /at most 1024/,
    },
    {
      name: 'udp over a socket',
      text: { protocol: 'udp', host: '/run/x', guest: 'web:80' },
      field: 'host',
      message: /tcp, not udp/,
    },
    {
      name: 'a long path',
      text: { host: `/${'x'.repeat(107)}`, guest: 'web:80' },
      field: 'host',
      message: /108 bytes/,
    },
    { name: 'a zero byte', text: { host: '/run/\0', guest: 'web:80' }, field: 'host', message: /zero byte/ },
    {
      name: 'reverse to a guest',
      text: { direction: 'reverse', host: '80', guest: 'web:80' },
      field: 'guest',
      message: /is a port/,
    },
  ];
  for (const { name, text, field, message } of bad) {
    test(`refuse ${name}`, () => {
      const problem = parseForward(text);
      assert.ok(isForwardProblem(problem));
      assert.equal(problem.field, field);
      assert.match(problem.message, message);
    });
  }

  test('never throw, and are read back as written', () => {
    const texts = fc.record({ host: fc.string(), guest: fc.string() });
    fc.assert(
      fc.property(texts, (text) => {
        const forward = parseForward(text);
        if (!isForwardProblem(forward)) assert.deepEqual(parseForward(forward), forward);
      }),
    );
  });
});

describe('listening sockets clash', () => {
  const cases: [string, string, string | null][] = [
    ['8080', '127.0.0.1:8080', '127.0.0.1:8080'],
    ['*:8080', '127.0.0.1:8080', '0.0.0.0:8080'],
    ['10.0.0.1:80', '*:80', '10.0.0.1:80'],
    ['10.0.0.1:80', '10.0.0.2:80', null],
    ['[::]:80', '*:80', '[::]:80'],
    ['[::1]:80', '*:80', null],
    ['[::]:80', '[::1]:80', '[::]:80'],
    ['80-90', '85', '127.0.0.1:85'],
    ['/run/a', '/run/a', '/run/a'],
    ['/run/a', '80', null],
  ];
  const withGuest = (host: string): ForwardText => {
    const ports = host === '80-90' ? 'web:80-90' : 'web:80';
    return { host, guest: ports };
  };
  for (const [a, b, clash] of cases) {
    test(`${a} and ${b}`, () => assert.equal(clashingListen(parsed(withGuest(a)), parsed(withGuest(b))), clash));
  }

  test('only in one protocol, and not when reverse', () => {
    const tcp = parsed({ host: '80', guest: 'web:80' });
    assert.equal(clashingListen(tcp, parsed({ host: '80', guest: 'web:80', protocol: 'udp' })), null);
    assert.equal(clashingListen(tcp, parsed({ host: '80', guest: '80', direction: 'reverse' })), null);
  });
});
