import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseIpv6 } from '../wire/address.ts';
import * as ndp from '../wire/ndp.ts';
import { ALL_PORTS, MAX_PORTS, MIN_INTERVAL_MS, RouterAdvertiser } from './router-advert.ts';
import type { RouterAdvertConfig } from './router-advert.ts';

const words = (text: string): Uint32Array => parseIpv6(text) ?? assert.fail(text);

const CONFIG: RouterAdvertConfig = {
  prefix: words('fd00:0:0:1::'),
  mtu: 1500,
  dns: [words('fd00:0:0:1::1')],
  searchDomains: ['lab.internal'],
  managed: true,
  other: true,
  gateway: words('fe80::5054:ff:feff:1'),
  mac: { hi: 0x5254, lo: 0x00ff_0001 },
};

interface Sent {
  atMs: number;
  port: number;
  lifetime: number;
}

/** An advertiser under a clock that the test moves; what it sends is recorded. */
class Segment {
  nowMs = 1000;
  readonly sent: Sent[] = [];
  readonly advertiser: RouterAdvertiser;

  constructor(random: () => number = () => 0.5, more: Partial<RouterAdvertConfig> = {}) {
    this.advertiser = new RouterAdvertiser({ ...CONFIG, ...more }, random);
  }

  readonly record = (port: number, message: Uint8Array): void => {
    this.sent.push({ atMs: this.nowMs, port, lifetime: new DataView(message.buffer).getUint16(6) });
  };

  /** Runs until `untilMs` as the engine does: sleeping until `pollAt`. */
  runTo(untilMs: number): void {
    for (;;) {
      const atMs = this.advertiser.pollAt(this.nowMs);
      if (atMs > untilMs) break;
      this.nowMs = Math.max(this.nowMs, atMs);
      this.advertiser.poll(this.nowMs, this.record);
    }
    this.nowMs = untilMs;
  }

  /** A guest solicits, and whatever is due at that moment is sent. */
  solicits(port: number, atMs: number): void {
    this.runTo(atMs);
    this.advertiser.onSolicit(port, atMs);
    this.runTo(atMs);
  }

  /** What was sent since the last call. */
  takes(): Sent[] {
    return this.sent.splice(0);
  }
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const golden = (...lines: string[]): string => lines.join('').replaceAll(' ', '');

test('the message, byte by byte', () => {
  const { advertiser } = new Segment();
  advertiser.setDefaultRoute(true, 0);
  const want = golden(
    '86 00 0000', // router advertisement, checksum zero
    '40 c0 0708', // hop limit 64, M and O, 1800 s
    '00000000 00000000', // reachable and retransmission time: unspecified
    '01 01 525400ff0001', // source link-layer address
    '05 01 0000 000005dc', // MTU 1500
    '03 04 40 c0 00015180 00003840 00000000', // prefix /64, L and A, valid 1 d, preferred 4 h
    'fd00000000000001 0000000000000000',
    '19 03 0000 00000708 fd00000000000001 0000000000000001', // DNS, 1800 s
    '1f 03 0000 00000708', // search list, 1800 s
    '036c6162 08696e7465726e616c 00 0000', // lab.internal, padded to 16
  );
  assert.equal(hex(advertiser.build()), want);
  advertiser.setDefaultRoute(false, 0);
  assert.equal(hex(advertiser.build()), want.replace('40c00708', '40c00000'));
});

test('without DHCPv6, resolver and search list', () => {
  const bare = new Segment(undefined, { managed: false, other: false, dns: [], searchDomains: [] }).advertiser.build();
  assert.equal(bare.length, 16 + 8 + 8 + 32);
  assert.equal(bare[5], 0);
});

test('a message always fits the smallest MTU, and its options are well-formed', () => {
  const searchDomains = Array.from({ length: 100 }, (_, i) => `department-${i}.example`);
  const dns = Array.from({ length: 20 }, (_, i) => words(`fd00::${i}`));
  const message = new Segment(undefined, { searchDomains, dns }).advertiser.build();
  assert.ok(message.length <= 1240 && message.length > 1000);
  const v = new DataView(message.buffer);
  const search = ndp.findOption(v, 16, message.length, ndp.OPTION_DNSSL);
  assert.ok(search > 0 && search + ndp.optionLen(v, search) === message.length);
});

test('three advertisements at the start, then one in 200 to 600 seconds', () => {
  const segment = new Segment();
  assert.equal(segment.advertiser.pollAt(0), Number.POSITIVE_INFINITY);
  segment.advertiser.start(1000);
  segment.runTo(1_000_000);
  assert.deepEqual(segment.takes(), [
    { atMs: 1000, port: ALL_PORTS, lifetime: 0 },
    { atMs: 4000, port: ALL_PORTS, lifetime: 0 },
    { atMs: 7000, port: ALL_PORTS, lifetime: 0 },
    { atMs: 407_000, port: ALL_PORTS, lifetime: 0 },
    { atMs: 807_000, port: ALL_PORTS, lifetime: 0 },
  ]);
});

test('a change of the default route is told at once and three times', () => {
  const segment = new Segment();
  segment.advertiser.start(1000);
  segment.runTo(100_000);
  segment.takes();
  segment.advertiser.setDefaultRoute(true, 100_000);
  segment.advertiser.setDefaultRoute(true, 100_000);
  segment.runTo(200_000);
  const seen = segment.takes();
  assert.deepEqual(
    seen.map(({ atMs, lifetime }) => [atMs, lifetime]),
    [
      [100_000, 1800],
      [103_000, 1800],
      [106_000, 1800],
    ],
  );
  segment.advertiser.setDefaultRoute(false, 200_000);
  segment.runTo(200_000);
  assert.deepEqual(segment.takes(), [{ atMs: 200_000, port: ALL_PORTS, lifetime: 0 }]);
});

test('a route that flaps is told no oftener than every three seconds, and truly', () => {
  const segment = new Segment();
  segment.advertiser.start(1000);
  for (let ms = 1000; ms <= 31_000; ms += 100) {
    segment.advertiser.setDefaultRoute((ms / 100) % 2 === 0, ms);
    segment.runTo(ms);
  }
  const times = segment.takes().map(({ atMs }) => atMs);
  assert.deepEqual(
    times,
    Array.from({ length: 11 }, (_, i) => 1000 + i * MIN_INTERVAL_MS),
  );
});

test('a new guest is answered at once and alone, an impatient one with all others', () => {
  const segment = new Segment();
  segment.advertiser.start(1000);
  segment.runTo(50_000);
  segment.takes();
  segment.solicits(7, 50_000);
  segment.solicits(8, 50_000);
  assert.deepEqual(
    segment.takes().map(({ atMs, port }) => [atMs, port]),
    [
      [50_000, 7],
      [50_000, 8],
    ],
  );
  for (let ms = 50_000; ms < 52_000; ms += 10) segment.solicits(7, ms);
  assert.deepEqual(
    segment.takes().map(({ atMs, port }) => [atMs, port]),
    [[50_250, ALL_PORTS]],
  );
  segment.runTo(54_000);
  assert.deepEqual(
    segment.takes().map(({ atMs, port }) => [atMs, port]),
    [[53_500, ALL_PORTS]],
  );
  segment.solicits(7, 60_000);
  assert.deepEqual(
    segment.takes().map(({ atMs, port }) => [atMs, port]),
    [[60_000, 7]],
  );
  segment.advertiser.onPortGone(7);
  segment.solicits(7, 60_001);
  assert.deepEqual(
    segment.takes().map(({ atMs, port }) => [atMs, port]),
    [[60_001, 7]],
  );
});

test('a port that goes before its answer gets none', () => {
  const segment = new Segment();
  segment.advertiser.start(1000);
  segment.runTo(50_000);
  segment.takes();
  segment.advertiser.onSolicit(7, 50_000);
  segment.advertiser.onPortGone(7);
  segment.runTo(50_000);
  assert.deepEqual(segment.takes(), []);
});

test('the end: one last advertisement without a router, then silence', () => {
  const segment = new Segment();
  segment.advertiser.stop(segment.record);
  segment.advertiser.onSolicit(1, 1000);
  assert.deepEqual(segment.takes(), []);
  segment.advertiser.setDefaultRoute(true, 1000);
  segment.advertiser.start(1000);
  segment.runTo(20_000);
  segment.takes();
  segment.advertiser.onSolicit(1, 20_000);
  segment.advertiser.stop(segment.record);
  segment.advertiser.stop(segment.record);
  segment.advertiser.setDefaultRoute(false, 20_000);
  segment.runTo(2_000_000);
  assert.deepEqual(segment.takes(), [{ atMs: 20_000, port: ALL_PORTS, lifetime: 0 }]);
});

test('property: the rate limits hold whatever guests and routes do', () => {
  const step = fc.record({
    passMs: fc.integer({ min: 0, max: 4000 }),
    what: fc.constantFrom('solicit', 'solicit', 'solicit', 'route', 'gone', 'nothing'),
    port: fc.integer({ min: 0, max: 3 }),
  });
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 100 }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (steps, random) => {
        const segment = new Segment(() => random);
        segment.advertiser.start(1000);
        let reachable = false;
        for (const { passMs, what, port } of steps) {
          segment.runTo(segment.nowMs + passMs);
          if (what === 'solicit') segment.advertiser.onSolicit(port, segment.nowMs);
          if (what === 'route') segment.advertiser.setDefaultRoute((reachable = !reachable), segment.nowMs);
        }
        segment.runTo(segment.nowMs + 700_000);
        for (const port of [ALL_PORTS, 0, 1, 2, 3]) {
          const times = segment.sent.filter((sent) => sent.port === port).map(({ atMs }) => atMs);
          for (let i = 1; i < times.length; i++) {
            const gap = (times[i] ?? 0) - (times[i - 1] ?? 0);
            assert.ok(gap >= MIN_INTERVAL_MS && (port !== ALL_PORTS || gap <= 600_000), `port ${port}: ${gap} ms`);
          }
        }
        assert.equal(segment.sent.at(-1)?.lifetime, reachable ? 1800 : 0);
      },
    ),
    { numRuns: 300 },
  );
});

test('the memory of ports is bounded', () => {
  const segment = new Segment();
  segment.advertiser.start(1000);
  segment.runTo(50_000);
  for (let port = 0; port < 2 * MAX_PORTS; port++) {
    segment.advertiser.onSolicit(port, 50_000);
    segment.runTo(50_000);
  }
  segment.takes();
  segment.advertiser.onSolicit(0, 50_001);
  segment.advertiser.onSolicit(2 * MAX_PORTS - 1, 50_001);
  segment.runTo(50_001);
  assert.deepEqual(
    segment.takes().map(({ port }) => port),
    [0],
  );
});
