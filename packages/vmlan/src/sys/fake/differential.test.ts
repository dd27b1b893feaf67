import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import * as c from '../constants.ts';
import { openLibc } from '../libc.ts';
import { pingSocketWorks } from '../probe.ts';
import { Bench, type Scenario } from './bench.fixture.ts';
import { FakeKernel } from './kernel.ts';
import { PING_SCENARIOS } from './scenarios-datagram.fixture.ts';
import { SCENARIOS } from './scenarios.fixture.ts';

const ARENA_BYTES = 1 << 20;
const PATIENCE_MS = 20;
const real = openLibc({ arenaBytes: 8 << 20 });
const realBench = new Bench(real, '');

/** The fake follows Linux 6.9 and later: before it TCP knew no peek offset, and some errors had another order. */
const [major = 0, minor = 0] = readFileSync('/proc/sys/kernel/osrelease', 'utf8').split('.').map(Number);
const skip: false | string = major > 6 || (major === 6 && minor >= 9) ? false : 'needs Linux 6.9';

function runIn(bench: Bench, patienceMs: number, scenario: Scenario): string[] {
  const dir = mkdtempSync(join(tmpdir(), 'vmlan-fake-'));
  try {
    bench.begin(dir, patienceMs);
    scenario(bench);
    bench.closeAll();
    return bench.lines;
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** Runs the scenario on both kernels and compares every answer. */
function compare(scenario: Scenario): void {
  const kernel = new FakeKernel({ arenaBytes: ARENA_BYTES });
  const got = runIn(new Bench(kernel.sys, ''), 0, scenario);
  assert.deepEqual(kernel.openFds(), []);
  // Loopback delivers inside the call that sends, unless the machine is busy: then a second, slower look decides.
  if (!isDeepStrictEqual(got, runIn(realBench, 0, scenario)))
    assert.deepEqual(got, runIn(realBench, PATIENCE_MS, scenario));
}

describe('the fake kernel answers as Linux does', { skip }, () => {
  for (const [name, scenario] of Object.entries(SCENARIOS)) test(name, () => compare(scenario));
  const pings = pingSocketWorks(real);
  const skipPing = pings === true ? false : pings;
  for (const [name, scenario] of Object.entries(PING_SCENARIOS))
    test(name, { skip: skipPing }, () => compare(scenario));
});

type Action = (t: Bench) => void;

const side = fc.constantFrom('a', 'b');
const len = fc.integer({ min: 1, max: 300 });
const how = fc.constantFrom(c.SHUT_RD, c.SHUT_WR, c.SHUT_RDWR);

/** Something one end does, or a look at it; both ends are looked at after each so that the order of events is sure. */
const common: fc.Arbitrary<Action>[] = [
  fc.tuple(side, len).map(
    ([name, n]) =>
      (t) =>
        t.send(name, n),
  ),
  fc.tuple(side, len).map(
    ([name, n]) =>
      (t) =>
        t.recv(name, n),
  ),
  fc.tuple(side, len).map(
    ([name, n]) =>
      (t) =>
        t.recv(name, n, c.MSG_PEEK),
  ),
  fc.tuple(side, how).map(
    ([name, h]) =>
      (t) =>
        t.shutdown(name, h),
  ),
  side.map((name) => (t) => t.error(name)),
  side.map((name) => (t) => t.close(name)),
  side.map((name) => (t) => t.peerName(name)),
];
const streamOnly: fc.Arbitrary<Action>[] = [
  fc.tuple(side, len).map(
    ([name, n]) =>
      (t) =>
        t.discard(name, n),
  ),
  fc.tuple(side, fc.integer({ min: -1, max: 200 })).map(([name, n]) => (t) => {
    t.set(name, c.SOL_SOCKET, c.SO_PEEK_OFF, n);
  }),
  side.map((name) => (t) => t.linger(name)),
  side.map((name) => (t) => t.queued(name, c.FIONREAD)),
];

function runActions(t: Bench, actions: readonly Action[]): void {
  t.epoll('e');
  for (const name of ['a', 'b']) t.watch('e', c.EPOLL_CTL_ADD, name, c.EPOLLIN | c.EPOLLRDHUP);
  for (const action of actions) {
    action(t);
    t.poll('a', 'b');
    t.events('e', 0);
  }
}

describe('whatever two ends do, both kernels agree', { skip }, () => {
  const sequences = (actions: fc.Arbitrary<Action>[]): fc.Arbitrary<Action[]> =>
    fc.array(fc.oneof(...actions), { minLength: 1, maxLength: 25 });
  const kinds: readonly [string, fc.Arbitrary<Action[]>, Action][] = [
    ['tcp', sequences([...common, ...streamOnly]), (t) => t.tcp()],
    ['unix stream', sequences(common), (t) => t.pair('a', 'b', c.SOCK_STREAM)],
    ['unix seqpacket', sequences(common), (t) => t.pair('a', 'b', c.SOCK_SEQPACKET)],
    ['unix datagrams', sequences(common), (t) => t.pair('a', 'b', c.SOCK_DGRAM)],
  ];
  for (const [name, arbitrary, open] of kinds) {
    test(name, () => {
      fc.assert(
        fc.property(arbitrary, (actions) => {
          compare((t) => {
            open(t);
            runActions(t, actions);
          });
        }),
        { numRuns: 300 },
      );
    });
  }
});
