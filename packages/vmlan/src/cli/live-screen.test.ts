import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import type { FlowView, GuestView } from '../model/api.ts';
import type { Io } from './io.ts';
import { clip, drawLive, isLive, keysOf, picture } from './live-screen.ts';
import { guestView, nicView } from './stub-daemon.fixture.ts';
import { formatAmount } from './views/amounts.ts';
import { flowTable, withRates } from './views/flows.ts';
import { sortTop, topHeading, topRows, topTable } from './views/top.ts';

class Screen extends Writable {
  readonly isTTY = true;
  columns = 10;
  rows = 3;
  text = '';

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.text += String(chunk);
    done();
  }
}

const ioOf = (stdout: Screen, env: NodeJS.ProcessEnv = {}): Io => ({
  ...{ stdout, stderr: new Screen(), stdinIsTerminal: false, env, uid: 1 },
});

test('a line is cut to the width, whatever its colours', () => {
  assert.equal(clip('abcdef', 4), 'abcd');
  assert.equal(clip('\u001B[32mabcdef\u001B[0m', 4), '\u001B[32mabcd\u001B[0m');
  assert.equal(clip('日本語', 4), '日本');
});

test('a picture is written over the one before, and no longer than the screen', () => {
  assert.equal(picture('a\nb\nc\nd\n', 10, 3), '\u001B[Ha\u001B[K\r\nb\u001B[K\r\nc\u001B[K\u001B[J');
});

test('so many pictures, and the screen is as it was', async () => {
  const screen = new Screen();
  let drawn = 0;
  const draw = (): Promise<string> => Promise.resolve(`number ${++drawn}\n`);
  await drawLive({ io: ioOf(screen), everyMs: 1, count: 2, draw });
  assert.equal(drawn, 2);
  assert.ok(screen.text.startsWith('\u001B[?1049h\u001B[?25l'), 'a screen of its own');
  assert.ok(screen.text.endsWith('\u001B[?25h\u001B[?1049l'), 'and back');
  assert.match(screen.text, /number 1.*number 2/s);
  assert.equal(screen.listenerCount('resize'), 0);
});

test('a new size draws anew, and what fails leaves the screen as it was', async () => {
  const screen = new Screen();
  let drawn = 0;
  const draw = (): Promise<string> => {
    if (++drawn === 3) return Promise.reject(new Error('gone'));
    setImmediate(() => screen.emit('resize'));
    return Promise.resolve('x\n');
  };
  await assert.rejects(drawLive({ io: ioOf(screen), everyMs: 60_000, count: null, draw }), /gone/);
  assert.ok(screen.text.endsWith('\u001B[?1049l'));
});

test('a signal ends it', async () => {
  const screen = new Screen();
  const draw = (): Promise<string> => {
    setImmediate(() => process.emit('SIGTERM'));
    return Promise.resolve('x\n');
  };
  await drawLive({ io: ioOf(screen), everyMs: 60_000, count: null, draw });
  assert.equal(process.listenerCount('SIGTERM'), 0);
});

test('a picture that does not come holds no terminal', async () => {
  const screen = new Screen();
  let isGivenUp = false;
  const draw = (signal: AbortSignal): Promise<string> => {
    setImmediate(() => process.emit('SIGTERM'));
    return new Promise((_resolve, reject) =>
      signal.addEventListener('abort', () => {
        isGivenUp = true;
        reject(new Error('given up'));
      }),
    );
  };
  await drawLive({ io: ioOf(screen), everyMs: 1, count: null, draw });
  assert.ok(isGivenUp && screen.text.endsWith('\u001B[?1049l'));
});

test('a new size while a picture is made counts', async () => {
  const screen = new Screen();
  let drawn = 0;
  const draw = (): Promise<string> => {
    if (++drawn === 1) screen.emit('resize');
    return Promise.resolve('x\n');
  };
  await drawLive({ io: ioOf(screen), everyMs: 60_000, count: 2, draw });
  assert.equal(drawn, 2);
});

test('keys that come together are keys of their own; a special key is none', () => {
  assert.deepEqual(keysOf('nq'), ['n', 'q']);
  assert.deepEqual(keysOf('\u001B[A'), []);
  assert.deepEqual(keysOf('\u001Bq'), []);
});

test('a dumb terminal is no screen', () => {
  assert.equal(isLive(ioOf(new Screen())), true);
  assert.equal(isLive(ioOf(new Screen(), { TERM: 'dumb' })), false);
});

test('amounts', () => {
  const table: [number, string][] = [
    [0, '0'],
    [999, '999'],
    [999.6, '1.0k'],
    [1234, '1.2k'],
    [12_345, '12k'],
    [9_960_000, '10M'],
    [2.5e9, '2.5G'],
    [-1, '0'],
  ];
  for (const [value, want] of table) assert.equal(formatAmount(value), want);
});

const busy = (name: string, sent: number, sinceMs = 5): GuestView =>
  guestView(name, {
    key: `${name}/0`,
    sinceMs,
    flows: sent / 1000,
    counters: {
      ...{ framesFromGuest: sent / 100, framesToGuest: 0, bytesFromGuest: sent, bytesToGuest: 0 },
      ...{ dropsFromGuest: 0, dropsToGuest: sent / 1000 },
    },
  });

test('what happens in a second is the difference of two looks', () => {
  const [row] = topRows([busy('web', 3000)], [busy('web', 1000)], 2000);
  assert.partialDeepStrictEqual(row, { bytesFromGuest: 1000, framesFromGuest: 10, drops: 1, flows: 3 });
  assert.equal(topRows([busy('web', 3000, 6)], [busy('web', 1000)], 1000)[0]!.bytesFromGuest, 3000, 'a new link');
  assert.equal(topRows([busy('web', 3000)], [], 0)[0]!.bytesFromGuest, 0, 'the first look');
  const stopped = { ...guestView('old'), nics: [nicView('old', { counters: null, flows: null })] };
  assert.equal(topRows([stopped], [], 1000)[0]!.flows, 0);
});

test('the order of guests, and their table', () => {
  const rows = topRows([busy('b', 1000), busy('a', 1000), busy('c', 9000)], [], 1000);
  const names = (order: Parameters<typeof sortTop>[1]): string =>
    sortTop(rows, order)
      .map(({ guest }) => guest)
      .join('');
  assert.deepEqual(
    [names('traffic'), names('name'), names('drops'), names('flows'), names('packets')],
    [...['cab', 'abc', 'cab', 'cab', 'cab']],
  );
  const [heading = '', first = ''] = topTable(sortTop(rows, 'traffic'), false).split('\n');
  assert.match(heading, /^GUEST +NETWORK +STATE +SENT BIT\/S +RECV BIT\/S .* FLOWS$/);
  assert.match(first, /^c +lab +connected +72k +0 +90 +0 +9 +9$/);
  assert.match(topHeading(rows, 'traffic'), /^3 of 3 cards connected, 88kbit\/s, 11 flows; by traffic\n/);
});

test('flows have a rate where they were seen before', () => {
  const flow: FlowView = {
    ...{ network: 'lab', guest: 'web', nic: 'web/0', protocol: 'tcp', state: 'ESTABLISHED', guestAddress: 'fd00::5' },
    ...{ guestPort: 40_000, remoteAddress: '192.0.2.1', remotePort: 443, hostAddress: null, peerAddress: null },
    ...{ forward: null, ageMs: 5000, idleMs: 0, bytesFromGuest: 1000, bytesToGuest: 0, packetsFromGuest: 1 },
    ...{ packetsToGuest: 0, rttMs: 1.4, retransmissions: 0 },
  };
  assert.equal(withRates([flow], null, 0)[0]!.rate, null);
  assert.equal(withRates([flow], [{ ...flow, ageMs: 4000, bytesFromGuest: 400 }], 1000)[0]!.rate, 600);
  assert.equal(withRates([flow], [{ ...flow, ageMs: 9000, bytesFromGuest: 400 }], 1000)[0]!.rate, 1000, 'another one');
  assert.equal(withRates([flow], [], 1000)[0]!.rate, 1000);
  const table = flowTable(withRates([flow], [], 1000), false, true);
  assert.match(
    table,
    /^web +tcp +ESTABLISHED +\[fd00::5\]:40000 +192\.0\.2\.1:443 +outbound +1\.0k +0 +8\.0k +5s +0s +1ms +0$/m,
  );
});
