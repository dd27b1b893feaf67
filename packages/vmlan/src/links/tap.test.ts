import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import * as C from '../sys/constants.ts';
import { openTap } from '../sys/tap.ts';
import * as ethernet from '../wire/ethernet.ts';
import { view } from '../wire/frames.fixture.ts';
import { arpFrame } from '../wire/packets.fixture.ts';
import { printFrame } from '../wire/print.ts';
import { LinkBench, some, withCalls } from './bench.fixture.ts';

import { FRAMES_AT_ONCE, TapLink } from './tap.ts';

const bench = new LinkBench();
const { sys, poller, counters, shared } = bench;

/** Why a real interface cannot be made here; false when it can. */
function obstacle(): string | false {
  if (process.getuid?.() !== 0) return 'needs root';
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
  } catch {
    return 'needs /dev/net/tun';
  }
  if (spawnSync('ip', ['-V']).status !== 0) return 'needs ip (iproute2)';
  return spawnSync('unshare', ['--net', 'true']).status === 0 ? false : 'needs network namespaces';
}

const ip = (...args: string[]): void => {
  const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
};

/** The interface is moved to a network namespace of its own: its addresses touch nothing of the host. */
describe('a real TAP interface', { skip: obstacle() }, () => {
  const name = `vml${process.pid % 100_000}`;
  const namespace = `vmlan-tap-${process.pid}`;
  const MAC = '02:00:5e:00:53:02';
  const ours = '02:00:5e:00:53:03';
  let link: TapLink;

  before(() => {
    ip('netns', 'add', namespace);
    link = new TapLink(sys, poller, openTap(sys, { name, mac: MAC }), bench, shared, counters);
    ip('link', 'set', name, 'netns', namespace);
  });
  after(() => {
    link.close();
    ip('netns', 'delete', namespace);
  });

  test('is up for us, whatever the kernel thinks of it', () => {
    assert.deepEqual(bench.events, ['tap up']);
    assert.ok(link.room() > 0);
  });

  test('an interface that is down takes nothing: counted, and it stays', () => {
    assert.equal(bench.send(link, some(60)), false);
    assert.equal(counters.get('drop_tap_write'), 1);
    poller.turn(0);
    assert.equal(poller.turn(20), false, 'nobody spins');
  });

  test('frames of the kernel arrive, and ours are answered', () => {
    ip('-n', namespace, 'address', 'add', '192.0.2.1/24', 'dev', name);
    ip('-n', namespace, 'link', 'set', name, 'up');
    const request = arpFrame({ from: ours, to: MAC, sender: '192.0.2.2', target: '192.0.2.1' });
    poller.until(() => bench.send(link, request));
    const answer = `${MAC} > ${ours} ARP 192.0.2.1 is-at ${MAC}`;
    poller.until(() => bench.frames.some((frame) => printFrame(view(frame), 0, frame.length) === answer));
    for (const frame of bench.frames) assert.ok(frame.length >= ethernet.HEADER_LEN);
  });

  test('the interface is deleted: the link is down', () => {
    ip('-n', namespace, 'link', 'delete', name);
    poller.until(() => bench.events.includes('tap down'));
    assert.deepEqual([link.room(), bench.send(link, some(60))], [0, false]);
    link.close();
    assert.deepEqual(bench.events, ['tap up', 'tap down']);
  });
});

describe('what a device can answer', () => {
  /** A link on a descriptor that is always readable, whose reads and writes answer as told. */
  function scripted(reads: (number | Uint8Array)[], writes: number[] = []): { link: TapLink; turns: () => number } {
    bench.events.length = 0;
    bench.frames.length = 0;
    counters.values.fill(0);
    const [fd, other] = bench.pair(C.SOCK_DGRAM | C.SOCK_NONBLOCK);
    bench.write(other, some(1));
    let turns = 0;
    const table = withCalls(sys, {
      read: (_fd, off) => {
        turns++;
        const next = reads.shift() ?? -C.EAGAIN;
        if (typeof next === 'number') return next;
        sys.arena.u8.fill(0, off, off + 12);
        sys.arena.u8.set(next, off + 12);
        return next.length + 12;
      },
      write: (_fd, _off, len) => writes.shift() ?? len,
      close: (closed) => {
        sys.close(other);
        return sys.close(closed);
      },
    });
    return { link: new TapLink(table, poller, fd, bench, shared, counters), turns: () => turns };
  }

  test('frames, one after the other, as many as the budget has', () => {
    const { link } = scripted(Array.from({ length: FRAMES_AT_ONCE + 5 }, (_, i) => some(60, i)));
    poller.turn(0);
    assert.equal(bench.frames.length, FRAMES_AT_ONCE);
    poller.turn(0);
    assert.deepEqual(
      bench.frames,
      Array.from({ length: FRAMES_AT_ONCE + 5 }, (_, i) => some(60, i)),
    );
    link.close();
  });

  test('left alone while it is over its share', () => {
    const { link } = scripted([some(60), some(61)]);
    bench.rest = 1_000; // ms: longer than a machine under load keeps the next two turns waiting
    poller.turn(0);
    poller.turn(0);
    assert.deepEqual(bench.frames, [some(60)]);
    bench.rest = 0;
    poller.until(() => bench.frames.length === 2);
    link.close();
  });

  test('a header without a frame is nothing', () => {
    const { link } = scripted([12, 5, 0, some(60)]);
    poller.turn(0);
    assert.deepEqual(bench.frames, [some(60)]);
    link.close();
  });

  test('gone while it is read', () => {
    const registered = poller.size;
    scripted([some(60), -C.EBADFD, some(61)]);
    poller.turn(0);
    assert.deepEqual(bench.frames, [some(60)]);
    assert.deepEqual(bench.events, ['tap up', 'tap down']);
    assert.equal(poller.size, registered);
  });

  test('gone while it is written to', () => {
    const { link } = scripted([], [100, -C.EIO, -C.EBADFD]);
    assert.equal(bench.send(link, some(60)), true);
    assert.equal(bench.send(link, some(60)), false);
    assert.deepEqual(bench.events, ['tap up']);
    assert.equal(bench.send(link, some(60)), false);
    assert.deepEqual(bench.events, ['tap up', 'tap down']);
    assert.equal(counters.get('drop_tap_write'), 2);
  });

  test('an error that stays: looked at again after a while, not all the time', () => {
    const { link, turns } = scripted([]);
    link.onReady(C.EPOLLERR, poller.nowMs);
    assert.equal(turns(), 1);
    const start = poller.nowMs;
    poller.until(() => turns() > 1);
    assert.ok(poller.nowMs - start >= 40);
    link.close();
  });

  test('closed by what a frame led to', () => {
    const { link } = scripted([some(60), some(61)]);
    bench.react = () => link.close();
    poller.turn(0);
    bench.react = () => {};
    assert.equal(bench.frames.length, 1);
  });
});
