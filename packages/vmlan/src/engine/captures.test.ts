/**
 * Captures of an engine: what is seen of which guest, in which direction, what became of it, and what it costs to be slow.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { VmlanError } from '../core/errors.ts';
import { RingReader, newRing } from '../core/record-ring.ts';
import { udpEcho } from '../sys/fake/services.ts';
import * as captured from '../wire/captured-frame.ts';
import { icmpOf, ipv4Frame } from '../wire/packets.fixture.ts';
import { EngineBench } from './bench.fixture.ts';
import { MAX_CAPTURES } from './captures.ts';
import type { CaptureSpec, CaptureStarted, CaptureTotals } from './control-messages.ts';
import { lineOf } from './guest.fixture.ts';

const ALL: CaptureSpec = { guest: null, filter: '', snapLen: 65_536, dropsOnly: false };

class Reader {
  readonly #bench: EngineBench;
  readonly #ring: SharedArrayBuffer;
  readonly #reader: RingReader;
  readonly #id: number;
  readonly #reasons: ReadonlyMap<number, string>;
  readonly cards: captured.CardDescription[] = [];

  constructor(bench: EngineBench, spec: Partial<CaptureSpec> = {}, id = 1, ringBytes = 1 << 20) {
    this.#bench = bench;
    this.#id = id;
    this.#ring = newRing(ringBytes);
    this.#reader = new RingReader(this.#ring);
    const request = { type: 'start-capture', captureId: id, spec: { ...ALL, ...spec }, ring: this.#ring } as const;
    this.#reasons = new Map((bench.request(request) as CaptureStarted).reasons);
  }

  /** `web/0 > LINE`, with the reason of a drop behind it. */
  read(): string[] {
    const lines: string[] = [];
    for (let o = this.#reader.next(); o >= 0; o = this.#reader.next()) {
      const line = this.#lineOf(o);
      if (line !== null) lines.push(line);
      this.#reader.release();
    }
    return lines;
  }

  rest(): boolean {
    return this.#reader.rest();
  }

  stop(): CaptureTotals {
    return this.#bench.request({ type: 'stop-capture', captureId: this.#id }) as CaptureTotals;
  }

  #lineOf(o: number): string | null {
    const { view, u8 } = this.#reader;
    const data = o + captured.HEADER_LEN;
    const bytes = u8.slice(data, data + captured.kept(view, o));
    if (captured.kind(view, o) === captured.CARD) {
      this.cards[captured.card(view, o)] = JSON.parse(new TextDecoder().decode(bytes)) as captured.CardDescription;
      return null;
    }
    if (captured.kind(view, o) === captured.VOID) return null;
    const reason = this.#reasons.get(captured.reason(view, o));
    const lost = captured.lost(view, o);
    const arrow = captured.isToGuest(view, o) ? '<' : '>';
    const nic = this.cards[captured.card(view, o)]!.nic;
    return `${nic} ${arrow} ${lineOf(bytes).replace(' [bad-checksum]', '')}${reason === undefined ? '' : ` (${reason})`}${lost === 0 ? '' : ` +${lost}`}`;
  }
}

describe('a capture', () => {
  test('shows both directions, with the cards and the time', () => {
    const bench = new EngineBench();
    const web = bench.guest('web');
    bench.kernel.host('198.51.100.7').listenUdp(53, udpEcho());
    const reader = new Reader(bench);
    web.says(web.udp('198.51.100.7', 53, 'hello'));
    bench.passes(10);
    assert.deepEqual(reader.read(), [
      'web/0 > 192.168.104.2.4000 > 198.51.100.7.53 udp length 5',
      'web/0 < 198.51.100.7.53 > 192.168.104.2.4000 udp length 5',
    ]);
    assert.deepEqual(reader.cards, [{ nic: 'web/0', guest: 'web', mac: web.mac }]);
    assert.deepEqual(reader.stop(), [{ card: 0, received: 2, accepted: 2, lost: 0 }]);
  });

  test('of a guest shows its frames alone, of the network everybody’s', () => {
    const bench = new EngineBench();
    const web = bench.guest('web');
    const db = bench.guest('db');
    const own = new Reader(bench, { guest: 'web' }, 1);
    const all = new Reader(bench, {}, 2);
    db.says(db.echo('192.168.104.1'));
    web.says(web.echo('192.168.104.1'));
    bench.turn();
    const lines = own.read();
    assert.equal(lines.length, 2);
    assert.ok(lines.every((line) => line.startsWith('web/0')));
    assert.equal(all.read().length, 4);
  });

  test('says why a frame was dropped, and shows it as the guest sent it', () => {
    const bench = new EngineBench();
    const web = bench.guest('web');
    const reader = new Reader(bench);
    const lie = ipv4Frame({ from: web.mac, src: '10.9.8.7', dst: '198.51.100.7' }, icmpOf(8, 0, 0));
    web.says(lie);
    web.says(web.echo('192.168.104.1'));
    bench.turn();
    const lines = reader.read();
    assert.equal(
      lines[0],
      'web/0 > 10.9.8.7 > 198.51.100.7 icmp echo request id 0 seq 0 length 8 (drop_spoofed_ipv4_source)',
    );
    assert.ok(
      lines.slice(1).every((line) => !line.includes('drop_')),
      lines.join('\n'),
    );
  });

  test('of drops shows nothing else', () => {
    const bench = new EngineBench();
    const web = bench.guest('web');
    const reader = new Reader(bench, { dropsOnly: true });
    web.says(web.echo('192.168.104.1'));
    web.says(ipv4Frame({ from: web.mac, src: '10.9.8.7', dst: '198.51.100.7' }, icmpOf(8, 0, 0)));
    web.says(web.echo('192.168.104.1'));
    bench.turn();
    assert.deepEqual(
      reader.read().map((line) => line.split(' ').at(-1)),
      ['(drop_spoofed_ipv4_source)'],
    );
    assert.equal(reader.stop()[0]!.accepted, 1);
  });

  test('shows a frame that the guest’s queue did not take as dropped, and who sent it as innocent', () => {
    const bench = new EngineBench();
    const web = bench.guest('web');
    const db = bench.guest('db');
    const reader = new Reader(bench, { filter: 'icmp' });
    db.link!.window = 0;
    web.says(ipv4Frame({ from: web.mac, to: db.mac, src: web.address4, dst: db.address4 }, icmpOf(8, 0, 0)));
    bench.turn();
    const lines = reader.read();
    assert.equal(lines.length, 2, lines.join('\n'));
    assert.match(lines[0]!, /^web\/0 > .* length \d+$/);
    assert.match(lines[1]!, /^db\/0 < .*\(drop_nic_disconnected\)$/);
  });

  test('keeps to its filter and its snap length', () => {
    const bench = new EngineBench();
    const web = bench.guest('web');
    const reader = new Reader(bench, { filter: 'host web and inbound and udp', snapLen: 42 });
    web.says(web.echo('192.168.104.1'));
    web.says(web.udp('198.51.100.7', 9, 'hello'));
    bench.turn();
    assert.deepEqual(reader.read().length, 1);
    assert.deepEqual(reader.stop()[0], { card: 0, received: 3, accepted: 1, lost: 0 });
  });

  test('that is not read loses frames, counts them, and holds nobody up', () => {
    const bench = new EngineBench();
    const web = bench.guest('web');
    const reader = new Reader(bench, { filter: 'inbound' }, 1, 1024);
    for (let i = 0; i < 20; i++) web.says(web.echo('192.168.104.1'));
    bench.turn();
    const read = reader.read().length;
    assert.ok(read > 2 && read < 12, `${read} frames fit`);
    web.says(web.echo('192.168.104.1'));
    bench.turn();
    assert.match(reader.read()[0]!, new RegExp(`\\+${20 - read}$`));
    assert.equal(bench.counter('capture_frames_lost'), 20 - read);
    assert.deepEqual(reader.stop(), [{ card: 0, received: 42, accepted: 21, lost: 20 - read }]);
  });

  test('tells a reader that rests, once', () => {
    const bench = new EngineBench();
    const web = bench.guest('web');
    const reader = new Reader(bench);
    const told = (): number => bench.messages.filter(({ type }) => type === 'capture-ready').length;
    assert.equal(reader.rest(), true);
    web.says(web.echo('192.168.104.1'));
    bench.turn();
    web.says(web.echo('192.168.104.1'));
    bench.turn();
    assert.equal(told(), 1);
  });

  test('sees guests that come later', () => {
    const bench = new EngineBench();
    const reader = new Reader(bench, { guest: 'late' });
    const late = bench.guest('late');
    late.says(late.echo('192.168.104.1'));
    bench.turn();
    assert.ok(reader.read().some((line) => line.includes('echo request')));
  });
});

describe('captures', () => {
  test('a filter that is none is refused with its column', () => {
    const bench = new EngineBench();
    assert.throws(
      () => new Reader(bench, { filter: 'tcp and prt 80' }),
      (error) => error instanceof VmlanError && error.code === 'invalid' && /column 9: "prt"/.test(error.message),
    );
  });

  test('are bounded, and cost nothing when they have ended', () => {
    const bench = new EngineBench();
    const web = bench.guest('web');
    const readers = Array.from({ length: MAX_CAPTURES }, (_, i) => new Reader(bench, {}, i + 1));
    assert.throws(
      () => new Reader(bench, {}, 99),
      (error) => error instanceof VmlanError && error.code === 'exhausted',
    );
    for (const port of bench.engine.guests.ports()) assert.notEqual(port.tap, null);
    for (const reader of readers) reader.stop();
    for (const port of bench.engine.guests.ports()) assert.equal(port.tap, null);
    web.says(web.echo('192.168.104.1'));
    bench.turn();
    assert.throws(
      () => readers[0]!.stop(),
      (error) => error instanceof VmlanError && error.code === 'not-found',
    );
  });
});
