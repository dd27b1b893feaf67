import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import {
  GATEWAY_4,
  GATEWAY_6,
  GUEST_4,
  GUEST_6,
  NatBench,
  REMOTE_4,
  REMOTE_6,
  newPort,
  quoteOf,
  quotedTransport,
} from './bench.fixture.ts';
import { MAX_ECHO_FLOWS, MAX_ECHO_FLOWS_PER_PORT } from './echo-nat.ts';

const EAGAIN = -11;
const EMFILE = -24;
const EHOSTUNREACH = -113;
const ENETUNREACH = -101;

/** An echo reply as a ping socket gives it: with the kernel's identifier, and a checksum for that. */
const reply = (family: 4 | 6, kernelId: number, sequence: number, data: string): Uint8Array =>
  Uint8Array.from([
    family === 4 ? 0 : 129,
    ...[0, 0xab, 0xcd],
    ...[kernelId >> 8, kernelId & 0xff],
    ...[sequence >> 8, sequence & 0xff],
    ...new TextEncoder().encode(data),
  ]);

/** The echo request that the kernel sent, as its error queue gives it back. */
const request = (family: 4 | 6, kernelId: number, sequence: number): Uint8Array => {
  const message = reply(family, kernelId, sequence, 'ping');
  message[0] = family === 4 ? 8 : 128;
  return message;
};

describe('an echo', () => {
  test('leaves whole; its reply has the guest’s identifier and a right checksum', () => {
    const bench = new NatBench();
    bench.hears(bench.echo4({ srcPort: 77, dstPort: 5 }, 'ping'));
    assert.deepEqual(bench.sockets.open, [`echo :33000 > ${REMOTE_4}`]);
    // type 8, code 0, checksum, identifier 77, sequence 5, data
    assert.match(Buffer.from(bench.sockets.last.sent[0]!, 'latin1').toString('hex'), /^0800....004d000570696e67$/);
    bench.sockets.receives(reply(4, 33_000, 5, 'pong'));
    // printFrame names a wrong checksum in brackets.
    assert.deepEqual(bench.says(), [`${REMOTE_4} > ${GUEST_4} icmp echo reply id 77 seq 5 length 12`]);
    assert.equal(bench.counters.get('echo_requests_from_guest'), 1);
    assert.equal(bench.counters.get('echo_replies_to_guest'), 1);
    bench.dropped();
  });

  test('over IPv6', () => {
    const bench = new NatBench();
    bench.hears(bench.echo6({ srcPort: 0xfffe, dstPort: 0xffff }));
    assert.deepEqual(bench.sockets.open, [`echo :33000 > ${REMOTE_6}`]);
    bench.sockets.receives(reply(6, 33_000, 0xffff, 'pong'));
    assert.deepEqual(bench.says(), [`${REMOTE_6} > ${GUEST_6} icmp6 echo reply id 65534 seq 65535 length 12`]);
  });

  test('whatever identifier the kernel chose and whatever was sent, the checksum fits', () => {
    const bench = new NatBench();
    bench.hears(bench.echo4({ srcPort: 77 }));
    bench.hears(bench.echo6({ srcPort: 77 }));
    const [four, six] = bench.sockets.all;
    fc.assert(
      fc.property(fc.nat(0xffff), fc.nat(0xffff), fc.string({ maxLength: 60 }), (id, sequence, data) => {
        bench.sockets.receives(reply(4, id, sequence, data), four);
        bench.sockets.receives(reply(6, id, sequence, data), six);
        for (const line of bench.says()) assert.match(line, new RegExp(` icmp6? echo reply id 77 seq ${sequence} `));
      }),
    );
  });

  test('the gateway answers for itself', () => {
    const bench = new NatBench();
    bench.hears(bench.echo4({ dst: GATEWAY_4 }));
    bench.hears(bench.echo6({ dst: GATEWAY_6 }));
    assert.equal(bench.sockets.opens, 0);
    assert.equal(bench.says().length, 2);
  });

  test('one socket for each identifier and target', () => {
    const bench = new NatBench();
    for (const dstPort of [1, 2, 3]) bench.hears(bench.echo4({ dstPort }));
    bench.hears(bench.echo4({ srcPort: 78 }));
    bench.hears(bench.echo4({ dst: '203.0.113.9' }));
    assert.equal(bench.sockets.open.length, 3);
    bench.sockets.receives(reply(4, 1, 9, ''), bench.sockets.all[1]);
    assert.deepEqual(bench.says(), [`${REMOTE_4} > ${GUEST_4} icmp echo reply id 78 seq 9 length 8`]);
  });

  test('follows its guest to another port', () => {
    const bench = new NatBench();
    bench.hears(bench.echo4());
    bench.hears(bench.echo4(), newPort(2));
    bench.sockets.receives(reply(4, 1, 1, ''));
    assert.match(bench.says()[0]!, /^port 2: /);
  });

  test('large pings come back in fragments', () => {
    const bench = new NatBench();
    bench.hears(bench.echo4());
    bench.sockets.receives(reply(4, 1, 1, 'x'.repeat(3000)));
    assert.equal(bench.says().length, 3);
  });

  test('what is too short to be an echo is passed over', () => {
    const bench = new NatBench();
    bench.hears(bench.echo4());
    bench.sockets.last.inbox.push(new Uint8Array(7));
    bench.sockets.receives(reply(4, 1, 1, ''));
    assert.equal(bench.says().length, 1);
  });

  test('small hop limits are passed on, one less, and taken back', () => {
    const bench = new NatBench();
    for (const hops of [2, 2, 32, 33, 64, 7]) bench.hears(bench.echo4({ hops }));
    assert.deepEqual(bench.sockets.last.hops, [1, 31, -1, 6]);
    bench.hears(bench.echo6({ hops: 4 }));
    assert.deepEqual(bench.sockets.last.hops, [3]);
  });
});

describe('errors about an echo', () => {
  test('are passed on with the guest’s identifier and its sequence number', () => {
    const bench = new NatBench();
    bench.hears(bench.echo4({ srcPort: 77, dstPort: 5, hops: 2 }));
    bench.sockets.fails({ from: '203.0.113.1', type: 11, code: 0, payload: request(4, 33_000, 5) });
    const [{ frame } = { frame: new Uint8Array() }] = bench.frames;
    assert.deepEqual(bench.says(), [`203.0.113.1 > ${GUEST_4} icmp type 11 code 0 rest 0 length 36`]);
    assert.equal(quotedTransport(frame), '08000000004d0005'); // echo request, checksum left out, 77, 5
    assert.match(quoteOf(frame), new RegExp(`^${GUEST_4} > ${REMOTE_4} icmp.* id 77 seq 5 length 8$`));
  });

  test('over IPv6', () => {
    const bench = new NatBench();
    bench.hears(bench.echo6({ srcPort: 0x8001, dstPort: 0x8002 }));
    bench.sockets.fails({ from: '2001:db8:1::1', type: 3, code: 0, payload: request(6, 33_000, 0x8002) });
    const [{ frame } = { frame: new Uint8Array() }] = bench.frames;
    assert.deepEqual(bench.says(), [`2001:db8:1::1 > ${GUEST_6} icmp6 type 3 code 0 rest 0 length 56`]);
    assert.equal(quotedTransport(frame), '8000000080018002');
  });

  test('without what was sent: sequence number 0', () => {
    const bench = new NatBench();
    bench.hears(bench.echo4());
    bench.sockets.fails({ from: '203.0.113.1', type: 3, code: 1, payload: new Uint8Array(4) });
    const [{ frame } = { frame: new Uint8Array() }] = bench.frames;
    assert.equal(quotedTransport(frame), '08000000004d0000');
  });

  test('the host’s own refusals are no ICMP errors; a segment that is gone hears nothing', () => {
    const bench = new NatBench();
    bench.hears(bench.echo4());
    bench.sockets.fails(null);
    bench.gatewayGone = true;
    bench.sockets.fails({ from: '203.0.113.1', type: 3, code: 1 });
    assert.deepEqual(bench.says(), []);
    assert.equal(bench.sockets.last.errors.length, 0);
  });

  test('an error that waits is taken first, then the echo leaves', () => {
    const bench = new NatBench();
    bench.hears(bench.echo4({ dstPort: 1 }));
    bench.sockets.last.failSend.push(EHOSTUNREACH);
    bench.sockets.last.errors.push({ from: '203.0.113.1', type: 11, code: 0, payload: request(4, 33_000, 1) });
    bench.hears(bench.echo4({ dstPort: 2 }));
    assert.equal(bench.says().length, 1);
    assert.equal(bench.sockets.last.sent.length, 2);
  });

  test('reading carries an error: it is taken', () => {
    const bench = new NatBench();
    bench.hears(bench.echo4());
    bench.sockets.last.failRecv.push(EHOSTUNREACH);
    bench.sockets.last.errors.push({ from: '203.0.113.1', type: 3, code: 1 });
    bench.sockets.last.listener!.onReadable(bench.nowMs);
    assert.equal(bench.says().length, 1);
  });
});

describe('an echo that cannot leave', () => {
  test('no ping sockets: prohibited, and the reason is said once', () => {
    const bench = new NatBench({ pingAllowed: false });
    bench.hears(bench.echo4());
    bench.hears(bench.echo6());
    assert.deepEqual(bench.says(), [
      `${GATEWAY_4} > ${GUEST_4} icmp type 3 code 13 rest 0 length 40`,
      `${GATEWAY_6} > ${GUEST_6} icmp6 type 1 code 1 rest 0 length 60`,
    ]);
    assert.equal(bench.forbidden, 1);
    assert.equal(bench.sockets.opens, 0);
    assert.equal(bench.counters.get('drop_echo_not_allowed'), 2);
    bench.dropped('drop_echo_not_allowed');
  });

  test('closed: administratively prohibited', () => {
    const bench = new NatBench({ policy: { outward: false } });
    bench.hears(bench.echo4());
    bench.hears(bench.echo6());
    assert.deepEqual(bench.says(), [
      `${GATEWAY_4} > ${GUEST_4} icmp type 3 code 13 rest 0 length 40`,
      `${GATEWAY_6} > ${GUEST_6} icmp6 type 1 code 1 rest 0 length 60`,
    ]);
    assert.equal(bench.sockets.opens, 0);
  });

  test('the host has no way there', () => {
    const bench = new NatBench();
    bench.sockets.failOpen.push(ENETUNREACH, EMFILE);
    bench.hears(bench.echo4());
    assert.deepEqual(bench.says(), [`${GATEWAY_4} > ${GUEST_4} icmp type 3 code 0 rest 0 length 40`]);
    bench.hears(bench.echo4());
    assert.deepEqual(bench.says(), [], 'out of descriptors: silence');
    bench.dropped('drop_echo_no_descriptor');
    assert.equal(bench.echo.size, 0);
  });

  test('the host refuses it', () => {
    const bench = new NatBench();
    bench.hears(bench.echo4());
    bench.sockets.last.failSend.push(EHOSTUNREACH, EHOSTUNREACH, EAGAIN);
    bench.hears(bench.echo4());
    assert.deepEqual(bench.says(), [`${GATEWAY_4} > ${GUEST_4} icmp type 3 code 1 rest 0 length 40`]);
    bench.hears(bench.echo4());
    assert.deepEqual(bench.says(), [], 'a full socket drops');
  });
});

describe('the end of an echo flow', () => {
  test('comes after 30 s of silence', () => {
    const bench = new NatBench();
    bench.hears(bench.echo4());
    bench.passes(29_000);
    bench.sockets.receives(reply(4, 1, 1, ''));
    bench.passes(29_900);
    assert.equal(bench.echo.size, 1);
    bench.passes(150);
    assert.equal(bench.echo.size, 0);
    assert.deepEqual(bench.sockets.open, []);
    assert.equal(bench.echo.pollAt(), Infinity);
    bench.hears(bench.echo4());
    assert.equal(bench.echo.size, 1);
  });

  test('comes with its port', () => {
    const bench = new NatBench();
    bench.hears(bench.echo4());
    bench.hears(bench.echo4({ src: '192.168.105.3' }), newPort(2));
    bench.echo.closePort(bench.port);
    bench.echo.closePort(bench.port);
    assert.equal(bench.echo.size, 1);
  });
});

test('a guest that came back on another port is heard there, and has its share there', () => {
  const bench = new NatBench();
  const back = newPort(2);
  bench.hears(bench.echo4());
  bench.echo.movePort(bench.port, back);
  bench.sockets.receives(reply(4, 1, 1, ''));
  assert.match(bench.says()[0]!, /^port 2: /);
  bench.echo.closePort(bench.port);
  assert.equal(bench.echo.size, 1);
  for (let i = 1; i < MAX_ECHO_FLOWS_PER_PORT + 1; i++) bench.hears(bench.echo4({ srcPort: 1000 + i }), back);
  assert.equal(bench.echo.size, MAX_ECHO_FLOWS_PER_PORT);
});

describe('limits', () => {
  test('flows of one guest, then of all', () => {
    const bench = new NatBench();
    for (let i = 0; i < MAX_ECHO_FLOWS_PER_PORT; i++) bench.hears(bench.echo4({ srcPort: i }));
    bench.hears(bench.echo4({ srcPort: 5000 }));
    assert.equal(bench.echo.size, MAX_ECHO_FLOWS_PER_PORT);
    assert.equal(bench.counters.get('drop_echo_limit'), 1);

    for (let guest = 2; guest * MAX_ECHO_FLOWS_PER_PORT <= MAX_ECHO_FLOWS; guest++) {
      const src = `192.168.105.${guest + 1}`;
      for (let i = 0; i < MAX_ECHO_FLOWS_PER_PORT; i++) bench.hears(bench.echo4({ src, srcPort: i }), newPort(guest));
    }
    assert.equal(bench.echo.size, MAX_ECHO_FLOWS);
    bench.hears(bench.echo4({ src: '192.168.105.99' }), newPort(99));
    assert.equal(bench.echo.size, MAX_ECHO_FLOWS);
    assert.equal(bench.counters.get('drop_echo_limit'), 2);
    assert.equal(bench.sockets.open.length, MAX_ECHO_FLOWS);
    bench.dropped('drop_echo_limit');

    bench.passes(31_000);
    bench.hears(bench.echo4({ srcPort: 5000 }));
    assert.equal(bench.echo.size, 1, 'the shares are free again');
  });

  test('many replies at once: each wake-up takes some', () => {
    const bench = new NatBench();
    bench.hears(bench.echo4());
    for (let i = 0; i < 39; i++) bench.sockets.last.inbox.push(reply(4, 1, i, ''));
    bench.sockets.receives(reply(4, 1, 39, ''));
    assert.equal(bench.says().length, 32);
    bench.sockets.last.listener!.onReadable(bench.nowMs);
    assert.equal(bench.says().length, 8);
  });
});
