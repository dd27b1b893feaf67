import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { judgeSoak, slope, type SoakEnd, type SoakSample } from './verdict.ts';

const sample = (seconds: number, more: Partial<SoakSample> = {}): SoakSample => ({
  ...{ seconds, rssBytes: 100e6, heapBytes: 10e6, arenaBytes: 20e6, queueBytes: 0 },
  ...{ descriptors: 50, tcpFlows: 3, udpFlows: 2 },
  ...{ stallMs: 40, gbitPerSecond: 3, cpuPercent: 80, transfers: 10, wrong: 0 },
  ...more,
});
const half = (more: (seconds: number) => Partial<SoakSample> = () => ({})): SoakSample[] =>
  Array.from({ length: 180 }, (_, i) => sample(10 * i, more(10 * i)));
const good: SoakEnd = {
  samples: half(),
  ...{ descriptorsBefore: 30, descriptorsAfter: 30, tcpFlowsAfter: 0, wrong: [], failures: [] },
};

test('a slope is that of the nearest line', () => {
  assert.equal(slope([]), 0);
  assert.equal(slope([[1, 5]]), 0);
  assert.equal(
    slope([
      [0, 1],
      [1, 3],
      [2, 5],
    ]),
    2,
  );
});

describe('a soak', () => {
  const cases: { name: string; end: Partial<SoakEnd>; bad: string[] }[] = [
    { name: 'passes', end: {}, bad: [] },
    { name: 'may warm up', end: { samples: half((s) => ({ rssBytes: s < 500 ? 1e6 * s : 500e6 })) }, bad: [] },
    { name: 'leaks slowly', end: { samples: half((s) => ({ rssBytes: 1e8 + 5e3 * s })) }, bad: ['resident memory'] },
    { name: 'leaks heap', end: { samples: half((s) => ({ heapBytes: 1e7 + 1e4 * s })) }, bad: ['heap'] },
    { name: 'leaks descriptors', end: { descriptorsAfter: 31 }, bad: ['descriptors'] },
    { name: 'keeps a flow', end: { tcpFlowsAfter: 1 }, bad: ['TCP flows left'] },
    { name: 'stands still', end: { samples: half((s) => ({ stallMs: s === 90 ? 1001 : 5 })) }, bad: ['longest stall'] },
    { name: 'has a wrong byte', end: { wrong: ['x'] }, bad: ['compared transfers'] },
    { name: 'compares nothing', end: { samples: half(() => ({ transfers: 0 })) }, bad: ['compared transfers'] },
    { name: 'fails somewhere', end: { failures: ['x'] }, bad: ['failures'] },
  ];
  for (const { name, end, bad } of cases) {
    test(name, () => {
      const found = judgeSoak({ ...good, ...end }).filter(({ ok }) => !ok);
      assert.deepEqual(
        found.map(({ text }) => text.split(':')[0]),
        bad,
      );
    });
  }
});
