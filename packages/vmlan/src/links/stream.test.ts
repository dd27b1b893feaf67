import assert from 'node:assert/strict';
import { after, beforeEach, describe, test } from 'node:test';
import { udpOf, ipv4Frame } from '../wire/packets.fixture.ts';
import * as C from '../sys/constants.ts';
import { LinkBench, STREAM, framed, some } from './bench.fixture.ts';
import { MAX_FRAME_LEN } from './link.ts';
import { StreamLink } from './stream.ts';
import { QUEUE_LEN } from './stream-framing.ts';

const bench = new LinkBench();
const { sys, poller, counters, shared } = bench;
after(() => bench.cleanUp());
beforeEach(() => {
  counters.values.fill(0);
  bench.frames.length = 0;
  bench.events.length = 0;
  bench.react = () => {};
});

/** A link and the guest's end of its socket. */
function linked(): { link: StreamLink; guest: number } {
  const [ours, guest] = bench.pair(STREAM);
  return { link: new StreamLink(sys, poller, ours, bench, shared, counters), guest };
}

describe('from the guest', () => {
  test('frames arrive as they were sent, however the bytes come', () => {
    const { link, guest } = linked();
    const frames = [some(60), some(1514), some(61), some(0)];
    const bytes = framed(...frames);
    for (let at = 0; at < bytes.length; at += 700) {
      bench.write(guest, bytes.subarray(at, at + 700));
      poller.settle();
    }
    assert.deepEqual(bench.frames, frames);
    assert.deepEqual(bench.events, ['stream up']);
    link.close();
    sys.close(guest);
  });

  test('more than a turn reads is read in the next ones', () => {
    const { link, guest } = linked();
    const frame = some(60_000);
    sys.setsockopt(guest, C.SOL_SOCKET, C.SO_SNDBUF, 4 << 20);
    let sent = 0;
    while (sent < 30 && bench.write(guest, framed(frame)) === frame.length + 4) sent++;
    poller.until(() => bench.frames.length >= sent);
    assert.ok(bench.frames.every((got) => Buffer.from(got).equals(frame)));
    link.close();
    sys.close(guest);
  });

  test('a guest that sends without end leaves the others their turn', () => {
    const { link, guest } = linked();
    bench.react = () => void bench.write(guest, framed(some(1000)));
    bench.write(guest, framed(some(1000)));
    poller.turn(0);
    assert.ok(bench.frames.length <= 8, 'one budget of reads, and another at the end of the turn');
    bench.react = () => {};
    poller.settle();
    link.close();
    sys.close(guest);
  });

  test('a guest over its share is left alone until its rest is over, though it goes on sending', () => {
    const { link, guest } = linked();
    bench.rest = 20;
    const nowMs = 1_000_000;
    bench.write(guest, framed(some(60)));
    link.onReady(C.EPOLLIN, nowMs);
    bench.write(guest, framed(some(61)));
    link.onReady(C.EPOLLIN, nowMs + 19);
    assert.deepEqual(bench.frames, [some(60)]);
    bench.rest = 0;
    link.onReady(0, nowMs + 20);
    assert.deepEqual(bench.frames, [some(60), some(61)]);
    link.close();
    sys.close(guest);
  });

  test('many small frames spend the budget of a wake-up before its reads', () => {
    const { link, guest } = linked();
    sys.setsockopt(guest, C.SOL_SOCKET, C.SO_SNDBUF, 4 << 20);
    const burst = framed(...Array.from({ length: 300 }, () => some(60)));
    bench.write(guest, burst);
    bench.react = () => {
      bench.react = () => {};
      bench.write(guest, burst); // comes while the first is handled
    };
    link.onReady(C.EPOLLIN, 1_000_000);
    assert.equal(bench.frames.length, 300);
    poller.settle();
    assert.equal(bench.frames.length, 600);
    link.close();
    sys.close(guest);
  });

  test('nonsense closes the link', () => {
    const { link, guest } = linked();
    bench.write(guest, new TextEncoder().encode('GET / HTTP/1.1\r\n\r\n'));
    poller.settle();
    assert.deepEqual(bench.events, ['stream up', 'stream down']);
    assert.equal(link.open, false);
    assert.equal(counters.get('drop_bad_stream_framing'), 1);
    assert.equal(sys.recv(guest, shared.rx, 1, C.MSG_DONTWAIT), 0, 'the guest sees the end');
    sys.close(guest);
  });
});

describe('to the guest', () => {
  test('frames of one wake-up leave together, checksums complete', () => {
    const { link, guest } = linked();
    const datagram = ipv4Frame({ src: '192.0.2.1', dst: '192.0.2.2' }, udpOf(5, 6, some(5)));
    assert.equal(bench.send(link, some(60)), true);
    assert.equal(bench.send(link, datagram), true);
    assert.equal(bench.readAll(guest).length, 0, 'not before the end of the wake-up');
    poller.settle();
    assert.deepEqual(bench.readAll(guest), framed(some(60), datagram));
    link.close();
    sys.close(guest);
  });

  test('much at once does not wait for the end of the wake-up', () => {
    const { link, guest } = linked();
    for (let i = 0; i < 3; i++) bench.send(link, some(60_000));
    assert.ok(bench.readAll(guest).length > 0);
    link.close();
    sys.close(guest);
  });

  test('frames that are built in place leave as they are', () => {
    const { link, guest } = linked();
    const { u8 } = sys.arena;
    assert.equal(link.reserveRun(100, 3), 3);
    const frames = [some(100, 1), some(100, 2), some(40, 3)];
    const at = link.runOffset;
    for (const [i, frame] of frames.entries()) u8.set(frame, at + i * link.runStride(100));
    for (const frame of frames) link.commitRun(frame.length);
    link.endRun();
    assert.equal(bench.send(link, some(60)), true);
    poller.settle();
    assert.deepEqual(bench.readAll(guest), framed(...frames, some(60)));
    link.close();
    assert.equal(link.reserveRun(100, 3), 0);
    sys.close(guest);
  });

  test('a run that nothing came of leaves nothing behind', () => {
    const { link, guest } = linked();
    assert.ok(link.reserveRun(65_534, 100) < 100);
    assert.equal(shared.queues.inUse, 1);
    link.endRun();
    assert.equal(shared.queues.inUse, 0);
    link.close();
    sys.close(guest);
  });

  test('a full socket: frames queue, EPOLLOUT lets them go, nothing is lost or torn', () => {
    const { link, guest } = linked();
    const frames: Uint8Array[] = [];
    for (let i = 0; link.room() > 0; i++) {
      frames.push(some(1514, i));
      assert.equal(bench.send(link, frames.at(-1)!), true);
      poller.turn(0);
    }
    assert.ok(shared.queues.inUse === 1, 'the socket took what it could, the rest waits');
    const parts: Uint8Array[] = [];
    const expected = framed(...frames);
    poller.until(() => {
      parts.push(bench.readAll(guest, 10_000));
      return parts.reduce((sum, part) => sum + part.length, 0) >= expected.length;
    });
    assert.ok(Buffer.concat(parts).equals(expected));
    assert.equal(shared.queues.inUse, 0);
    assert.equal(counters.get('drop_link_queue_full'), 0);
    link.close();
    sys.close(guest);
  });

  test('a guest that does not read: the queue fills up, then frames are dropped and counted', () => {
    const { link, guest } = linked();
    let refused = 0;
    for (let i = 0; i < 1000; i++) {
      if (!bench.send(link, some(1514))) refused++;
      poller.turn(0);
    }
    assert.ok(refused > 0);
    assert.equal(counters.get('drop_link_queue_full'), refused);
    assert.ok(link.room() < 0.1 * QUEUE_LEN);
    link.close();
    assert.equal(shared.queues.inUse, 0);
    sys.close(guest);
  });

  test('the longest frame', () => {
    const { link, guest } = linked();
    assert.equal(bench.send(link, some(MAX_FRAME_LEN)), true);
    poller.settle();
    assert.ok(Buffer.from(bench.readAll(guest)).equals(framed(some(MAX_FRAME_LEN))));
    link.close();
    sys.close(guest);
  });
});

describe('the end', () => {
  test('the guest goes: said once, and nothing is left', () => {
    const registered = poller.size;
    const { link, guest } = linked();
    bench.write(guest, framed(some(60)).subarray(0, 20));
    poller.settle();
    sys.close(guest);
    poller.settle();
    assert.deepEqual(bench.events, ['stream up', 'stream down']);
    assert.deepEqual([shared.partials.inUse, shared.queues.inUse, poller.size], [0, 0, registered]);
    assert.equal(bench.send(link, some(60)), false);
    assert.equal(link.room(), 0);
    link.close();
    link.flush();
    assert.equal(bench.events.length, 2);
  });

  test('what the guest said last is still heard', () => {
    const { guest } = linked();
    bench.write(guest, framed(some(60), some(61)));
    sys.close(guest);
    poller.settle();
    assert.deepEqual(bench.frames, [some(60), some(61)]);
    assert.deepEqual(bench.events, ['stream up', 'stream down']);
  });

  test('found out by sending', () => {
    const { link, guest } = linked();
    sys.close(guest);
    bench.send(link, some(60));
    link.flush();
    assert.deepEqual(bench.events, ['stream up', 'stream down']);
    poller.settle();
  });

  test('found out by sending what a frame asked for: the rest of the frames is not handed on', () => {
    const registered = poller.size;
    const { link, guest } = linked();
    bench.react = () => {
      for (let i = 0; i < 3; i++) bench.send(link, some(65_540));
    };
    bench.write(guest, framed(some(60), some(61), some(62)).subarray(0, 180));
    sys.shutdown(guest, C.SHUT_RD);
    poller.settle();
    assert.equal(bench.frames.length, 1);
    assert.deepEqual(bench.events, ['stream up', 'stream down']);
    assert.deepEqual([shared.partials.inUse, shared.queues.inUse, poller.size], [0, 0, registered]);
    sys.close(guest);
  });

  test('closed by us', () => {
    const { link, guest } = linked();
    bench.send(link, some(60));
    link.close();
    poller.settle();
    assert.deepEqual(bench.events, ['stream up', 'stream down']);
    assert.equal(sys.recv(guest, shared.rx, 1, C.MSG_DONTWAIT), 0);
    sys.close(guest);
  });
});
