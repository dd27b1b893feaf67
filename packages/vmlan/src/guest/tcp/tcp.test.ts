import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import * as ethernet from '../../wire/ethernet.ts';
import * as ipv4 from '../../wire/ipv4.ts';
import * as tcpWire from '../../wire/tcp.ts';
import { Wire, pattern } from '../simulation.fixture.ts';
import type { Faults } from '../simulation.fixture.ts';
import type { Stack } from '../stack.ts';
import { MAX_RETRIES, RECEIVE_BUFFER_BYTES, SEND_BUFFER_BYTES } from './limits.ts';
import type { TcpSocket } from './socket.ts';

interface Pair {
  readonly wire: Wire;
  readonly a: Stack;
  readonly b: Stack;
}

function pair(seed = 1, faults: Faults = {}): Pair {
  const wire = new Wire(seed);
  wire.faults = faults;
  return { wire, a: wire.add('a'), b: wire.add('b') };
}

async function readAll(socket: TcpSocket): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of socket) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Both ends of a connection from a to port 80 of b. */
async function connected({ wire, a, b }: Pair, host = '10.0.0.2'): Promise<[TcpSocket, TcpSocket]> {
  const listener = b.tcp.listen(80);
  const accepted = listener[Symbol.asyncIterator]().next();
  const client = await wire.clock.run(a.tcp.connect(host, 80));
  const { value } = await wire.clock.run(accepted);
  listener.close();
  return [client, value as TcpSocket];
}

const flagsOf = (frame: Uint8Array): number | null => {
  const v = new DataView(frame.buffer, frame.byteOffset, frame.length);
  if (ethernet.etherType(v, 0) !== ethernet.TYPE_IPV4 || ipv4.protocol(v, 14) !== ipv4.PROTO_TCP) return null;
  return tcpWire.flags(v, ipv4.payload(v, 14));
};
const payloadBytes = (frame: Uint8Array): number => {
  const v = new DataView(frame.buffer, frame.byteOffset, frame.length);
  return flagsOf(frame) === null ? 0 : ipv4.payloadLen(v, 14) - tcpWire.dataOffset(v, ipv4.payload(v, 14));
};

describe('a connection', () => {
  for (const host of ['10.0.0.2', 'fd00::2']) {
    test(`to ${host} carries bytes both ways and ends on both sides`, async () => {
      const both = pair();
      const [client, server] = await connected(both, host);
      assert.equal(client.remoteAddress, host);
      assert.equal(server.localPort, 80);
      const echo = (async () => {
        for await (const bytes of server) await server.write(bytes);
        await server.end();
      })();
      await client.write('hello, ');
      await client.write('world');
      await client.end();
      assert.equal(await both.wire.clock.run(client.text()), 'hello, world');
      await both.wire.clock.run(echo);
      assert.equal(await both.wire.clock.run(server.closed), null);
      assert.equal(await both.wire.clock.run(client.closed), null);
      assert.deepEqual([client.state, server.state], ['closed', 'closed']);
    });
  }

  test('is half closed: what the other side says afterwards is read', async () => {
    const both = pair();
    const [client, server] = await connected(both);
    await client.end();
    assert.equal(await both.wire.clock.run(server.text()), '');
    assert.equal(server.state, 'close-wait');
    await server.write('late');
    assert.equal(Buffer.from((await both.wire.clock.run(client.read()))!).toString(), 'late');
    assert.equal(client.state, 'fin-wait-2');
    await server.write('later');
    await server.end();
    assert.equal(await both.wire.clock.run(client.text()), 'later');
    await assert.rejects(client.write('more'), { code: 'EPIPE' });
  });

  test('speaks web streams', async () => {
    const both = pair();
    const [client, server] = await connected(both);
    const written = new Blob(['streams']).stream().pipeTo(client.writable);
    const read = new Response(server.readable).text();
    assert.equal(await both.wire.clock.run(read), 'streams');
    await both.wire.clock.run(written);
  });

  test('both sides may end at once', async () => {
    const both = pair();
    const [client, server] = await connected(both);
    const ends = Promise.all([client.close(), server.close()]);
    await both.wire.clock.run(ends);
    assert.deepEqual(await both.wire.clock.run(Promise.all([client.closed, server.closed])), [null, null]);
  });

  test('that is aborted breaks for the other side', async () => {
    const both = pair();
    const [client, server] = await connected(both);
    client.abort();
    await assert.rejects(both.wire.clock.run(server.read()), { code: 'ECONNRESET' });
    assert.equal((await server.closed)?.code, 'ECONNRESET');
    await assert.rejects(server.write('x'), { code: 'ECONNRESET' });
  });

  test('that is closed with bytes unread, or gets some afterwards, breaks', async () => {
    for (const early of [true, false]) {
      const both = pair();
      const [client, server] = await connected(both);
      if (early) {
        await server.write('unread');
        await both.wire.clock.run(new Promise<void>((resolve) => both.wire.clock.after(10, resolve)));
      }
      const closed = client.close();
      if (!early) await server.write('too late');
      assert.equal((await both.wire.clock.run(server.closed))?.code, 'ECONNRESET');
      await both.wire.clock.run(closed);
    }
  });
});

describe('connecting', () => {
  test('is refused where nobody listens', async () => {
    const { wire, a } = pair();
    const refused = a.tcp.connect('10.0.0.2', 81);
    await assert.rejects(wire.clock.run(refused), { code: 'ECONNREFUSED', message: /10\.0\.0\.2 port 81: / });
  });

  test('fails where nobody is, and where no route leads', async () => {
    const { wire, a } = pair();
    await assert.rejects(wire.clock.run(a.tcp.connect('10.0.0.9', 80)), { code: 'EHOSTUNREACH' });
    await assert.rejects(wire.clock.run(a.tcp.connect('fd00::9', 80)), { code: 'EHOSTUNREACH' });
    await assert.rejects(wire.clock.run(a.tcp.connect('10.1.0.9', 80)), { code: 'ENETUNREACH' });
    await assert.rejects(wire.clock.run(a.tcp.connect('fd01::9', 80)), { code: 'ENETUNREACH' });
  });

  test('gives up in time, by time-out and by signal', async () => {
    const both = pair();
    const { wire, a, b } = both;
    b.tcp.listen(80);
    wire.filter = (frame) => flagsOf(frame) === null;
    await assert.rejects(wire.clock.run(a.tcp.connect('10.0.0.2', 80, { timeoutMs: 500 })), { code: 'ETIMEDOUT' });
    assert.ok(wire.clock.now() < 1000);
    const abort = new AbortController();
    const connecting = a.tcp.connect('10.0.0.2', 80, { signal: abort.signal });
    wire.clock.after(100, () => abort.abort());
    await assert.rejects(wire.clock.run(connecting), { code: 'ECANCELED' });
    await assert.rejects(wire.clock.run(a.tcp.connect('10.0.0.2', 80)), { code: 'ETIMEDOUT' });
    await assert.rejects(a.tcp.connect('10.0.0.2', 80, { signal: abort.signal }), { name: 'AbortError' });
  });

  test('succeeds when each of its segments is lost once', async () => {
    for (let lost = 1; lost <= 3; lost++) {
      const both = pair();
      let count = 0;
      both.wire.filter = (frame) => flagsOf(frame) === null || ++count !== lost;
      const [client, server] = await connected(both);
      await client.write('x');
      assert.equal(Buffer.from((await both.wire.clock.run(server.read()))!).toString(), 'x');
    }
  });

  test('two that open to each other at once have one connection', async () => {
    const { wire, a, b } = pair();
    const syns: Uint8Array[] = [];
    // b's program asks from the port that a asks for, before a's SYN is there.
    wire.filter = (frame) => {
      if (flagsOf(frame) === tcpWire.SYN) syns.push(frame);
      return true;
    };
    b.tcp.listen(80);
    const [one, two] = await wire.clock.run(
      Promise.all([a.tcp.connect('10.0.0.2', 80), a.tcp.connect('10.0.0.2', 80)]),
    );
    assert.notEqual(one.localPort, two.localPort);
    assert.equal(syns.length, 2);
  });
});

describe('a listener', () => {
  test('has its port alone, and gives it back', () => {
    const { b } = pair();
    const listener = b.tcp.listen(80);
    assert.throws(() => b.tcp.listen(80), { code: 'EADDRINUSE', message: 'TCP port 80 is in use' });
    assert.throws(() => b.tcp.listen(70_000), { code: 'EINVAL' });
    listener.close();
    b.tcp.listen(80);
    assert.ok(b.tcp.listen(0).port >= 49_152);
  });

  test('hands connections to its handler, and resets those whose handler fails', async () => {
    const { wire, a, b } = pair();
    b.tcp.listen(80, async (socket) => {
      const text = await socket.text();
      if (text === 'bad') throw new Error('no');
      await socket.write(text.toUpperCase());
    });
    for (const [said, heard] of [
      ['good', 'GOOD'],
      ['bad', null],
    ] as const) {
      const socket = await wire.clock.run(a.tcp.connect('10.0.0.2', 80));
      await socket.write(said);
      await socket.end();
      if (heard === null) await assert.rejects(wire.clock.run(socket.text()), { code: 'ECONNRESET' });
      else assert.equal(await wire.clock.run(socket.text()), heard);
    }
  });
});

describe('bulk', () => {
  const cases: readonly [string, Faults, number][] = [
    ['a good wire', {}, 4 << 20],
    ['a long wire', { delayMs: 100 }, 1 << 20],
    ['loss of 1 %', { loss: 0.01 }, 1 << 20],
    ['loss of 10 %', { loss: 0.1 }, 200_000],
    ['loss of 30 %', { loss: 0.3 }, 30_000],
    ['reordering', { jitterMs: 20 }, 500_000],
    ['everything at once', { loss: 0.05, duplicate: 0.05, jitterMs: 30, delayMs: 10 }, 200_000],
  ];
  for (const [name, faults, length] of cases) {
    test(`arrives whole over ${name}`, async () => {
      const both = pair(11);
      const [client, server] = await connected(both);
      both.wire.faults = faults;
      const sent = pattern(length);
      const writing = client.write(sent).then(() => client.end());
      const received = await both.wire.clock.run(readAll(server));
      await both.wire.clock.run(writing);
      assert.ok(Buffer.compare(received, sent) === 0);
      await both.wire.clock.run(Promise.all([server.close(), client.close()]));
    });
  }

  test('waits for who does not read, with bounded memory, and goes on', async () => {
    const both = pair();
    const [client, server] = await connected(both);
    const sent = pattern(2_000_000);
    let written = 0;
    const writing = (async () => {
      for (let at = 0; at < sent.length; at += 10_000) {
        await client.write(sent.subarray(at, at + 10_000));
        written = at;
      }
      await client.end();
    })();
    // Far longer than any time-out: the window is asked about, and stays closed.
    await both.wire.clock.run(new Promise<void>((resolve) => both.wire.clock.after(600_000, resolve)));
    assert.ok(written <= SEND_BUFFER_BYTES + RECEIVE_BUFFER_BYTES);
    assert.equal(client.state, 'established');
    const received = await both.wire.clock.run(readAll(server));
    await both.wire.clock.run(writing);
    assert.ok(Buffer.compare(received, sent) === 0);
  });

  test('survives a cut of half a minute, and not one for ever', async () => {
    const both = pair();
    const [client, server] = await connected(both);
    const sent = pattern(500_000);
    const writing = client.write(sent).then(() => client.end());
    const reading = readAll(server);
    await both.wire.clock.run(new Promise<void>((resolve) => both.wire.clock.after(5, resolve)));
    both.wire.filter = () => false;
    await both.wire.clock.run(new Promise<void>((resolve) => both.wire.clock.after(30_000, resolve)));
    both.wire.filter = () => true;
    assert.ok(Buffer.compare(await both.wire.clock.run(reading), sent) === 0);
    await both.wire.clock.run(writing);

    const [other] = await connected(both);
    both.wire.filter = () => false;
    await other.write('nobody hears it');
    assert.equal((await both.wire.clock.run(other.closed))?.code, 'ETIMEDOUT');
    assert.ok(MAX_RETRIES > 8);
  });

  test('sends full segments, and one lost one again without waiting for the time-out', async () => {
    const both = pair();
    const [client, server] = await connected(both);
    const sizes: number[] = [];
    let lost = 0;
    both.wire.filter = (frame) => {
      const bytes = payloadBytes(frame);
      if (bytes > 0) sizes.push(bytes);
      return bytes === 0 || ++lost !== 3;
    };
    const before = both.wire.clock.now();
    const sent = pattern(100_000);
    const writing = client.write(sent).then(() => client.end());
    const received = await both.wire.clock.run(readAll(server));
    await both.wire.clock.run(writing);
    assert.equal(received.length, sent.length);
    assert.equal(sizes.filter((size) => size === 1460).length, Math.floor(100_000 / 1460) + 1);
    assert.ok(both.wire.clock.now() - before < 200, `${both.wire.clock.now() - before} ms`);
  });
});

describe('any traffic', () => {
  test('arrives whole over any wire', async () => {
    const run = fc.asyncProperty(
      fc.integer({ min: 1, max: 1 << 30 }),
      fc.record({
        loss: fc.double({ min: 0, max: 0.25, noNaN: true }),
        duplicate: fc.double({ min: 0, max: 0.2, noNaN: true }),
        jitterMs: fc.integer({ min: 0, max: 50 }),
      }),
      fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 6 }),
      async (seed, faults, writes) => {
        const both = pair(seed, faults);
        const [client, server] = await connected(both);
        const sent = pattern(
          writes.reduce((sum, bytes) => sum + bytes, 0),
          seed,
        );
        const writing = (async () => {
          let at = 0;
          for (const bytes of writes) await client.write(sent.subarray(at, (at += bytes)));
          await client.end();
        })();
        assert.ok(Buffer.compare(await both.wire.clock.run(readAll(server)), sent) === 0);
        await both.wire.clock.run(writing);
        await server.end();
        assert.equal(await both.wire.clock.run(client.text()), '');
      },
    );
    await fc.assert(run, { numRuns: 40 });
  });

  test('garbage breaks nothing', async () => {
    const both = pair(5);
    const [client, server] = await connected(both);
    both.wire.filter = (frame) => {
      // Every byte behind the addresses may be anything.
      for (let i = 0; i < 3; i++) {
        const wrong = frame.slice();
        const at = 14 + ((both.wire.random() >>> 0) % (frame.length - 14));
        wrong[at] = both.wire.random() & 255;
        both.b.onFrame(wrong);
        both.a.onFrame(wrong.subarray(0, (both.wire.random() >>> 0) % (wrong.length + 1)));
      }
      return true;
    };
    const sent = pattern(50_000);
    const writing = client.write(sent).then(() => client.end());
    assert.ok(Buffer.compare(await both.wire.clock.run(readAll(server)), sent) === 0);
    await both.wire.clock.run(writing);
  });
});
