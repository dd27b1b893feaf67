import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, beforeEach, describe, test } from 'node:test';
import * as C from '../sys/constants.ts';
import { SockAddr } from '../sys/sockaddr.ts';
import { DATAGRAM, LinkBench, some, withCalls } from './bench.fixture.ts';
import { DatagramLink } from './datagram.ts';
import { BUDGET, MAX_FRAME_LEN } from './link.ts';

const bench = new LinkBench();
const { sys, poller, counters, shared } = bench;
after(() => bench.cleanUp());
beforeEach(() => {
  counters.values.fill(0);
  bench.frames.length = 0;
  bench.events.length = 0;
});

const HELLO = new TextEncoder().encode('VFKT');
let count = 0;

interface Linked {
  readonly link: DatagramLink;
  /** The guest's socket, and where it sends to. */
  readonly guest: number;
  readonly ours: SockAddr;
  readonly name: string;
  readonly close: () => void;
}

/** A link at a path of its own, and a guest at another; `fixed`: the link is told where the guest is. */
function linked({ fixed = false, table = sys } = {}): Linked {
  const name = `dgram-${count++}`;
  const fd = bench.bound(name);
  const guest = bench.bound(`${name}-guest`);
  const peer = fixed ? bench.addressOf(`${name}-guest`) : new SockAddr(sys.arena);
  const link = new DatagramLink(table, poller, fd, peer, new SockAddr(sys.arena), bench, shared, counters);
  const close = (): void => {
    link.close();
    sys.close(guest);
  };
  return { link, guest, ours: bench.addressOf(name), name, close };
}

describe('a guest over its share', () => {
  test('is left alone until its rest is over', () => {
    const { guest, ours, close } = linked();
    bench.rest = 1_000; // ms: longer than a machine under load keeps the next two turns waiting
    for (const len of [60, 61, 62]) bench.write(guest, some(len), ours);
    poller.turn(0);
    poller.turn(0);
    assert.deepEqual(bench.frames, [some(60)]);
    bench.rest = 0;
    poller.until(() => bench.frames.length === 3);
    close();
  });
});

describe('a guest that speaks first', () => {
  test('is heard and answered', () => {
    const { link, guest, ours, close } = linked();
    assert.deepEqual(bench.events, []);
    assert.equal(bench.send(link, some(60)), false, 'there is nobody yet');
    assert.equal(counters.get('drop_datagram_no_peer'), 1);
    assert.equal(link.room(), 0);
    bench.write(guest, some(60), ours);
    poller.settle();
    assert.deepEqual(bench.frames, [some(60)]);
    assert.deepEqual(bench.events, ['dgram up']);
    assert.equal(bench.send(link, some(1514)), true);
    poller.settle();
    assert.deepEqual(bench.readDatagram(guest), some(1514));
    assert.equal(shared.queues.inUse, 0);
    close();
    assert.deepEqual(bench.events, ['dgram up', 'dgram down']);
  });

  test('may say VFKT: it is known then, and the word is no frame', () => {
    const { link, guest, ours, close } = linked();
    bench.write(guest, HELLO, ours);
    poller.settle();
    assert.deepEqual([bench.frames.length, bench.events], [0, ['dgram up']]);
    assert.equal(bench.send(link, some(60)), true);
    poller.settle();
    assert.deepEqual(bench.readDatagram(guest), some(60));
    close();
  });

  test('comes back at another path: that one is answered, and what waited for the first is gone', () => {
    const { link, guest, ours, name, close } = linked();
    bench.write(guest, some(60), ours);
    poller.settle();
    const second = bench.bound(`${name}-second`);
    bench.send(link, some(61));
    bench.write(second, some(62), ours);
    bench.send(link, some(63));
    poller.turn(0);
    poller.settle();
    bench.send(link, some(64));
    poller.settle();
    assert.deepEqual(bench.readDatagram(second), some(64));
    assert.equal(bench.readDatagram(second), null);
    assert.deepEqual(bench.events, ['dgram up']);
    sys.close(second);
    close();
  });

  test('a sender without a name is heard, but cannot be answered', () => {
    const { link, ours, close } = linked();
    const nameless = sys.socket(C.AF_UNIX, DATAGRAM, 0);
    bench.write(nameless, some(60), ours);
    poller.settle();
    assert.deepEqual(bench.frames, [some(60)]);
    assert.equal(bench.send(link, some(60)), false);
    sys.close(nameless);
    close();
  });

  test('many frames in one wake-up: the budget, and then the rest', () => {
    const { guest, ours, close } = linked();
    let sent = 0;
    while (bench.write(guest, some(60, sent), ours) === 60) sent++;
    poller.turn(0);
    assert.ok(bench.frames.length <= BUDGET);
    poller.until(() => bench.frames.length >= sent);
    assert.deepEqual(
      bench.frames,
      Array.from({ length: sent }, (_, i) => some(60, i)),
    );
    close();
  });

  test('the longest frame, and one that is longer', () => {
    const { guest, ours, close } = linked();
    sys.setsockopt(guest, C.SOL_SOCKET, C.SO_SNDBUF, 1 << 20);
    assert.equal(bench.write(guest, some(MAX_FRAME_LEN), ours), MAX_FRAME_LEN);
    assert.equal(bench.write(guest, some(MAX_FRAME_LEN + 100), ours), MAX_FRAME_LEN + 100);
    poller.settle();
    assert.equal(bench.frames.length, 1);
    assert.ok(Buffer.from(bench.frames[0]!).equals(some(MAX_FRAME_LEN)));
    assert.equal(counters.get('drop_datagram_too_long'), 1);
    close();
  });

  test('an empty datagram is a frame of no length', () => {
    const { guest, ours, close } = linked();
    bench.write(guest, new Uint8Array(0), ours);
    poller.settle();
    assert.deepEqual(bench.frames, [new Uint8Array(0)]);
    close();
  });
});

describe('a guest whose path is known', () => {
  test('is up from the start, and another sender does not take its place', () => {
    const { link, guest, ours, name, close } = linked({ fixed: true });
    assert.deepEqual(bench.events, ['dgram up']);
    const other = bench.bound(`${name}-other`);
    bench.write(other, some(60), ours);
    poller.settle();
    bench.send(link, some(61));
    poller.settle();
    assert.deepEqual(bench.readDatagram(guest), some(61));
    assert.equal(bench.readDatagram(other), null);
    sys.close(other);
    close();
  });

  test('is not there: down, until it is heard', () => {
    const { link, guest, ours, name, close } = linked({ fixed: true });
    sys.close(guest);
    bench.send(link, some(60));
    poller.settle();
    assert.deepEqual(bench.events, ['dgram up', 'dgram down']);
    rmSync(bench.path(`${name}-guest`));
    const again = bench.bound(`${name}-guest`);
    bench.write(again, HELLO, ours);
    poller.settle();
    assert.deepEqual(bench.events, ['dgram up', 'dgram down', 'dgram up']);
    bench.send(link, some(61));
    poller.settle();
    assert.deepEqual(bench.readDatagram(again), some(61));
    sys.close(again);
    close();
  });
});

test('a guest that comes or goes without a word is noticed, and nothing is sent to look', () => {
  for (const fixed of [true, false]) {
    bench.events.length = 0;
    const { link, guest, ours, name, close } = linked({ fixed });
    if (!fixed) bench.write(guest, HELLO, ours);
    poller.settle();
    link.checkPeer();
    assert.deepEqual([bench.events, bench.readDatagram(guest)], [['dgram up'], null]);
    sys.close(guest);
    link.checkPeer();
    link.checkPeer();
    assert.deepEqual(bench.events, ['dgram up', 'dgram down']);
    rmSync(bench.path(`${name}-guest`));
    link.checkPeer();
    const again = bench.bound(`${name}-guest`);
    link.checkPeer();
    // One that was known by its word alone has to give it again.
    assert.deepEqual(bench.events.slice(2), fixed ? ['dgram up'] : []);
    sys.close(again);
    close();
  }
});

test('a guest that is not there yet: down, until it is bound', () => {
  const name = `dgram-${count++}`;
  const fd = bench.bound(name);
  const peer = bench.addressOf(`${name}-guest`);
  const link = new DatagramLink(sys, poller, fd, peer, new SockAddr(sys.arena), bench, shared, counters);
  assert.deepEqual(bench.events, []);
  const guest = bench.bound(`${name}-guest`);
  link.checkPeer();
  assert.deepEqual(bench.events, ['dgram up']);
  link.close();
  link.checkPeer();
  sys.close(guest);
});

describe('a guest that does not read', () => {
  test('frames wait and are tried again; when it reads they come, in order and whole', () => {
    const { link, guest, ours, close } = linked();
    bench.write(guest, HELLO, ours);
    poller.settle();
    let sent = 0;
    while (shared.queues.inUse === 0 && sent < 3000) {
      for (let i = 0; i < 10; i++) assert.equal(bench.send(link, some(60, sent++)), true);
      poller.turn(0);
    }
    assert.equal(shared.queues.inUse, 1, 'its queue is full');
    const heard: Uint8Array[] = [];
    poller.until(() => {
      for (let next = bench.readDatagram(guest); next !== null; next = bench.readDatagram(guest)) heard.push(next);
      return heard.length >= sent;
    });
    assert.deepEqual(
      heard,
      Array.from({ length: sent }, (_, i) => some(60, i)),
    );
    assert.equal(counters.get('drop_link_queue_full'), 0);
    close();
  });

  test('the queue fills up, then frames are dropped and counted; TCP sees no room', () => {
    const { link, guest, ours, close } = linked();
    bench.write(guest, HELLO, ours);
    poller.settle();
    const room = link.room();
    let refused = 0;
    for (let i = 0; i < 1000; i++) {
      if (!bench.send(link, some(1514))) refused++;
      if (i % 8 === 0) poller.turn(0);
    }
    assert.ok(refused > 0);
    assert.equal(counters.get('drop_link_queue_full'), refused);
    assert.ok(link.room() < room / 4);
    close();
    assert.equal(shared.queues.inUse, 0);
  });
});

describe('the end', () => {
  test('the guest is gone: down, the queue is empty, a new one is welcome', () => {
    const { link, guest, ours, name, close } = linked();
    bench.write(guest, HELLO, ours);
    poller.settle();
    sys.close(guest);
    bench.send(link, some(60));
    bench.send(link, some(61));
    poller.settle();
    assert.deepEqual(bench.events, ['dgram up', 'dgram down']);
    assert.deepEqual([shared.queues.inUse, link.room()], [0, 0]);
    const second = bench.bound(`${name}-second`);
    bench.write(second, some(62), ours);
    poller.settle();
    assert.deepEqual(bench.events, ['dgram up', 'dgram down', 'dgram up']);
    sys.close(second);
    close();
  });

  test('closed by us, with frames waiting', () => {
    const registered = poller.size;
    const { link, guest, ours } = linked();
    bench.write(guest, HELLO, ours);
    poller.settle();
    bench.send(link, some(60));
    link.close();
    link.close();
    poller.settle();
    assert.deepEqual(bench.events, ['dgram up', 'dgram down']);
    assert.equal(poller.size, registered);
    assert.equal(bench.send(link, some(60)), false);
    sys.close(guest);
  });

  test('closed by what a frame led to', () => {
    const { link, guest, ours } = linked();
    bench.react = () => link.close();
    bench.write(guest, some(60), ours);
    bench.write(guest, some(61), ours);
    poller.settle();
    bench.react = () => {};
    assert.equal(bench.frames.length, 1);
    sys.close(guest);
  });
});

test('a frame that the socket does not take is dropped and counted, the next one goes', () => {
  const { link, guest, ours, close } = linked({
    table: withCalls(sys, {
      sendto: (fd, off, len, flags, addrOff, addrLen) =>
        len > 1000 ? -C.EMSGSIZE : sys.sendto(fd, off, len, flags, addrOff, addrLen),
    }),
  });
  bench.write(guest, HELLO, ours);
  poller.settle();
  bench.send(link, some(2000));
  bench.send(link, some(60));
  poller.settle();
  assert.deepEqual(bench.readDatagram(guest), some(60));
  assert.equal(counters.get('drop_datagram_too_long'), 1);
  close();
});
