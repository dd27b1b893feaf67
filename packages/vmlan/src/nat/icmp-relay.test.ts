import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { icmpOf, ipv4Frame } from '../wire/packets.fixture.ts';
import {
  GATEWAY_4,
  GATEWAY_6,
  GUEST_4,
  GUEST_6,
  NatBench,
  REMOTE_4,
  quoteOf,
  quotedTransport,
} from './bench.fixture.ts';

const EHOSTUNREACH = -113;

describe('ICMP errors about what a guest sent', () => {
  const QUOTE_4 = 'c0a86902c6336407'; // the addresses, only to find them in the quote
  const about4 = `${GUEST_4}.4000 > ${REMOTE_4}.9000 udp length 0`;

  const cases = [
    { name: 'port unreachable', type: 3, code: 3, rest: 0 },
    { name: 'host unreachable', type: 3, code: 1, rest: 0 },
    { name: 'fragmentation needed', type: 3, code: 4, info: 1400, rest: 1400 },
    { name: 'time exceeded', type: 11, code: 0, rest: 0 },
  ];
  for (const { name, type, code, info = 0, rest } of cases) {
    test(`${name}: from who sent it, about the guest’s own packet`, () => {
      const bench = new NatBench();
      bench.hears(bench.udp4());
      bench.sockets.fails({ from: '203.0.113.1', type, code, info });
      const [{ frame } = { frame: new Uint8Array() }] = bench.frames;
      assert.deepEqual(bench.says(), [
        `203.0.113.1 > ${GUEST_4} icmp type ${type} code ${code} rest ${rest} length 36`,
      ]);
      assert.equal(quoteOf(frame), about4);
      assert.equal(quotedTransport(frame), '0fa0232800080000');
      assert.ok(Buffer.from(frame).toString('hex').includes(QUOTE_4));
      assert.equal(bench.udp.size, 1, 'the flow goes on');
    });
  }

  test('over IPv6', () => {
    const bench = new NatBench();
    bench.hears(bench.udp6());
    bench.sockets.fails({ from: '2001:db8:ffff::1', type: 2, code: 0, info: 1280 });
    const [{ frame } = { frame: new Uint8Array() }] = bench.frames;
    assert.deepEqual(bench.says(), [`2001:db8:ffff::1 > ${GUEST_6} icmp6 type 2 code 0 rest 1280 length 56`]);
    assert.equal(quotedTransport(frame), '0fa0232800080000');
  });

  for (const from of ['127.0.0.1', '127.1.2.3', '::1', undefined]) {
    test(`from ${from ?? 'nobody known'}: it comes from the address the guest wrote to`, () => {
      const bench = new NatBench();
      const isV6 = from?.includes(':') === true;
      bench.hears(isV6 ? bench.udp6({ dst: GATEWAY_6 }) : bench.udp4({ dst: GATEWAY_4 }));
      bench.sockets.fails({ ...(from === undefined ? {} : { from }), type: isV6 ? 1 : 3, code: isV6 ? 4 : 3 });
      assert.deepEqual(bench.says(), [
        isV6
          ? `${GATEWAY_6} > ${GUEST_6} icmp6 type 1 code 4 rest 0 length 56`
          : `${GATEWAY_4} > ${GUEST_4} icmp type 3 code 3 rest 0 length 36`,
      ]);
    });
  }

  test('several at once, in order', () => {
    const bench = new NatBench();
    bench.hears(bench.udp4());
    bench.sockets.last.errors.push({ from: '203.0.113.1', type: 11, code: 0 });
    bench.sockets.fails({ from: REMOTE_4, type: 3, code: 3 });
    assert.deepEqual(
      bench.says().map((line) => line.split(' ')[0]),
      ['203.0.113.1', REMOTE_4],
    );
  });

  test('the host’s own refusals are no ICMP errors', () => {
    const bench = new NatBench();
    bench.hears(bench.udp4());
    bench.sockets.fails(null);
    assert.deepEqual(bench.says(), []);
  });

  test('a flood of them is limited, and the queue is emptied nevertheless', () => {
    const bench = new NatBench();
    bench.hears(bench.udp4());
    const { last } = bench.sockets;
    for (let i = 0; i < 1000; i++) last.errors.push({ from: '203.0.113.1', type: 11, code: 0 });
    while (last.errors.length > 0) last.listener!.onError(bench.nowMs);
    assert.equal(bench.says().length, 200);
    bench.dropped('drop_icmp_error_rate');
  });

  test('a segment that is gone: nobody is told', () => {
    const bench = new NatBench();
    bench.hears(bench.udp4());
    bench.gatewayGone = true;
    bench.sockets.fails({ from: REMOTE_4, type: 3, code: 3 });
    assert.deepEqual(bench.says(), []);
    bench.sockets.failOpen.push(EHOSTUNREACH);
    bench.hears(bench.udp4({ dstPort: 1 }));
    assert.deepEqual(bench.says(), []);
  });

  test('errors about errors are never sent', () => {
    const bench = new NatBench();
    const frame = ipv4Frame({ src: GUEST_4, dst: REMOTE_4 }, icmpOf(3, 3, 0, new Uint8Array(28)));
    bench.hears(frame);
    assert.deepEqual(bench.says(), []);
  });
});
