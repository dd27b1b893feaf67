/**
 * Links as the control plane asks for them, through the whole engine: guests are programs of the kernel in memory.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { existsSync, statSync } from 'node:fs';
import { describe, test } from 'node:test';
import * as C from '../sys/constants.ts';
import * as vnetHdr from '../wire/vnet-hdr.ts';
import { arpFrame } from '../wire/packets.fixture.ts';
import { EngineBench } from './bench.fixture.ts';
import type { LineShape, LinkSpec, SocketAddress } from './control-messages.ts';
import { lineOf } from './guest.fixture.ts';
import { MAX_PORTS } from './guests.ts';
import { withSocketPath } from './socket-path.fixture.ts';

const MAC = '52:54:00:00:00:77';
const GATEWAY = '192.168.104.1';
const asks = (sender: string, mac = MAC): Uint8Array => arpFrame({ from: mac, sender, target: GATEWAY });
const ANSWER = `ARP ${GATEWAY} is-at 02:76:6d:00:00:01`;

const add = (bench: EngineBench, link: LinkSpec, linkId = 'link'): void =>
  void bench.request({ type: 'add-link', linkId, link });
const remove = (bench: EngineBench, linkId = 'link'): void => void bench.request({ type: 'remove-link', linkId });
const listening = (address: SocketAddress, nic: string | null = 'web/0'): LinkSpec => ({
  kind: 'stream-listen',
  address,
  nic,
});
const TCP: SocketAddress = { host: '127.0.0.1', port: 10_001 };

/** A machine at the far end of a stream: frames behind their length (QEMU). */
class Machine {
  readonly fd: number;
  readonly #bench: EngineBench;
  #received: Uint8Array = new Uint8Array(0);

  constructor(bench: EngineBench, fd: number) {
    this.#bench = bench;
    this.fd = fd;
    bench.turn();
  }

  static dials(bench: EngineBench, port = 10_001): Machine {
    return new Machine(bench, bench.client.dial('127.0.0.1', port));
  }

  says(frame: Uint8Array): void {
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, frame.length);
    this.#bench.client.send(this.fd, new Uint8Array(Buffer.concat([length, frame])));
    this.#bench.turn();
    this.#bench.turn();
  }

  /** Lines of what came, without router advertisements; null at the end of the stream. */
  hears(): string[] | null {
    let isOver = false;
    for (let got = this.#bench.client.recv(this.fd); typeof got !== 'number'; got = this.#bench.client.recv(this.fd)) {
      isOver = got.length === 0;
      if (isOver) break;
      this.#received = new Uint8Array(Buffer.concat([this.#received, got]));
    }
    const lines: string[] = [];
    while (this.#received.length >= 4) {
      const end = 4 + new DataView(this.#received.buffer, this.#received.byteOffset).getUint32(0);
      lines.push(lineOf(this.#received.slice(4, end)));
      this.#received = this.#received.slice(end);
    }
    if (isOver && lines.length === 0) return null;
    return lines.filter((line) => !line.includes('router advert'));
  }

  leaves(): void {
    this.#bench.kernel.close(this.fd);
    this.#bench.turn();
  }
}

describe('a stream that is listened for', () => {
  test('is a guest once somebody connects', () => {
    const bench = new EngineBench();
    bench.setNic('web/0', MAC);
    add(bench, listening(TCP));
    assert.equal(bench.guestOf('web')?.state, 'waiting');
    const machine = Machine.dials(bench);
    assert.equal(bench.guestOf('web')?.state, 'connected');
    assert.equal(bench.guestOf('web')?.link, 'stream');
    machine.says(asks('192.168.104.2'));
    assert.deepEqual(machine.hears(), [ANSWER]);
    machine.leaves();
    assert.equal(bench.guestOf('web')?.state, 'waiting');
    Machine.dials(bench).says(asks('192.168.104.2'));
    assert.equal(bench.guestOf('web')?.state, 'connected');
  });

  test('of one NIC: the second connection takes the place of the first', () => {
    const bench = new EngineBench();
    bench.setNic('web/0', MAC);
    add(bench, listening(TCP));
    const first = Machine.dials(bench);
    first.says(asks('192.168.104.2'));
    first.hears();
    const second = Machine.dials(bench);
    assert.equal(first.hears(), null);
    second.says(asks('192.168.104.2'));
    assert.deepEqual(second.hears(), [ANSWER]);
    assert.equal(bench.engine.guests.portCount, 1);
    assert.equal(bench.guestOf('web')?.state, 'connected');
  });

  test('of any NIC: all that connect are guests', () => {
    const bench = new EngineBench();
    add(bench, listening(TCP, null));
    const machines = [1, 2, 3].map((i) => {
      const machine = Machine.dials(bench);
      machine.says(asks(`192.168.104.${i + 1}`, `52:54:00:00:01:0${i}`));
      return machine;
    });
    for (const machine of machines) assert.deepEqual(machine.hears()?.at(0), ANSWER);
    assert.equal(bench.snapshot().guests.length, 3);
    remove(bench);
    for (const machine of machines) while (machine.hears() !== null);
    assert.deepEqual(bench.snapshot().guests, []);
    assert.equal(bench.client.error(bench.client.dial('127.0.0.1', 10_001)), C.ECONNREFUSED);
  });

  test('over its share of floods: its link rests, and that is counted', () => {
    const bench = new EngineBench();
    add(bench, listening(TCP, null));
    const machines = Array.from({ length: 8 }, () => Machine.dials(bench));
    const frame = new Uint8Array(9_000).fill(0xff, 0, 6);
    frame.set([0x52, 0x54, 0, 0, 1, 9, 0x88, 0xb5], 6);
    for (let i = 0; i < 60 && bench.counter('port_floods_rested') === 0; i++) {
      machines[0]!.says(frame);
      for (const machine of machines) machine.hears();
    }
    assert.ok(bench.counter('port_floods_rested') > 0, 'after 2 MiB of copies in no time');
  });

  test('on a unix socket: private, and removed with it', () => {
    withSocketPath((unix) => {
      const bench = new EngineBench();
      add(bench, listening({ unix }));
      assert.equal(statSync(unix).mode & 0o777, 0o600);
      const { client } = bench;
      const fd = client.sys.socket(C.AF_UNIX, C.SOCK_STREAM | C.SOCK_NONBLOCK, 0);
      client.addr.setUnix(unix);
      assert.equal(client.sys.connect(fd, client.addr.off, client.addr.len), 0);
      const machine = new Machine(bench, fd);
      machine.says(asks('192.168.104.2'));
      assert.deepEqual(machine.hears(), [ANSWER]);
      remove(bench);
      assert.equal(existsSync(unix), false);
      assert.equal(machine.hears(), null);
      assert.deepEqual(bench.openFds().length, 1, 'the machine’s own');
    });
  });

  test('in a network without a free port: closed, so that it is tried again', () => {
    const bench = new EngineBench({ arenaBytes: 300 << 20, kernel: { maxFds: 20_000 } });
    add(bench, listening(TCP, null));
    const others = Array.from({ length: MAX_PORTS }, () => bench.stranger());
    const machine = Machine.dials(bench);
    assert.equal(machine.hears(), null);
    others[0]!.unplug();
    const again = Machine.dials(bench);
    again.says(asks('192.168.104.2'));
    assert.deepEqual(again.hears(), [ANSWER]);
  });
});

test('a broadcast goes to every port of a full network, and its sender still gets the answer', () => {
  const bench = new EngineBench({ arenaBytes: 640 << 20, kernel: { maxFds: 20_000 } });
  add(bench, listening(TCP, null));
  const machines = Array.from({ length: MAX_PORTS }, () => Machine.dials(bench));
  const last = machines.at(-1)!;
  last.says(asks('192.168.104.2'));
  assert.deepEqual(last.hears(), [ANSWER]);
  assert.equal(machines.filter((machine) => machine.hears()?.length === 1).length, MAX_PORTS - 1);
  assert.equal(bench.counter('drop_link_queue_full'), 0);
});

describe('a stream that is connected', () => {
  test('waits for its far end, and connects again', () => {
    const bench = new EngineBench();
    add(bench, { kind: 'stream-connect', address: TCP, nic: 'web/0' });
    bench.passes(1000);
    assert.equal(bench.guestOf('web'), undefined, 'nobody registered it, nobody is there');
    bench.setNic('web/0', MAC);
    const server = bench.client.listen('127.0.0.1', 10_001);
    bench.passes(250);
    for (let i = 0; i < 2; i++) {
      assert.equal(bench.guestOf('web')?.state, 'connected');
      const machine = new Machine(bench, bench.client.sys.accept(server, 0));
      machine.says(asks('192.168.104.2'));
      assert.deepEqual(machine.hears(), [ANSWER]);
      machine.leaves();
      assert.equal(bench.guestOf('web')?.state, 'waiting');
      bench.passes(250);
    }
    const last = new Machine(bench, bench.client.sys.accept(server, 0));
    remove(bench);
    assert.equal(last.hears(), null);
    bench.passes(1000);
    assert.equal(bench.guestOf('web')?.state, 'waiting');
  });

  test('to a unix socket', () => {
    const bench = new EngineBench();
    const { client } = bench;
    bench.setNic('web/0', MAC);
    add(bench, { kind: 'stream-connect', address: { unix: '/run/qemu.sock' }, nic: 'web/0' });
    const server = client.sys.socket(C.AF_UNIX, C.SOCK_STREAM | C.SOCK_NONBLOCK, 0);
    client.addr.setUnix('/run/qemu.sock');
    client.sys.bind(server, client.addr.off, client.addr.len);
    client.sys.listen(server, 8);
    bench.passes(250);
    assert.equal(bench.guestOf('web')?.state, 'connected');
  });
});

describe('datagrams', () => {
  test('answer who sent last; the link ends with its path', () => {
    withSocketPath((path) => {
      const bench = new EngineBench();
      const { client } = bench;
      bench.setNic('web/0', MAC);
      add(bench, { kind: 'dgram', path, peer: null, nic: 'web/0' });
      assert.equal(statSync(path).mode & 0o777, 0o600);
      const machine = client.sys.socket(C.AF_UNIX, C.SOCK_DGRAM | C.SOCK_NONBLOCK, 0);
      client.addr.setUnix('/run/machine.sock');
      client.sys.bind(machine, client.addr.off, client.addr.len);
      client.addr.setUnix(path);
      client.sys.connect(machine, client.addr.off, client.addr.len);
      client.send(machine, asks('192.168.104.2'));
      bench.passes(5);
      assert.equal(bench.guestOf('web')?.link, 'dgram');
      const lines = [client.recv(machine), client.recv(machine), client.recv(machine)].flatMap((got) =>
        typeof got === 'number' ? [] : [lineOf(got)],
      );
      assert.ok(lines.includes(ANSWER), lines.join('\n'));
      client.sys.close(machine);
      bench.passes(2500);
      assert.equal(bench.guestOf('web')?.state, 'waiting', 'noticed without a word');
      remove(bench);
      assert.equal(existsSync(path), false);
      assert.deepEqual(bench.openFds(), []);
    });
  });

  test('with a peer of a fixed path', () => {
    withSocketPath((path) => {
      const bench = new EngineBench();
      const { client } = bench;
      bench.setNic('web/0', MAC);
      const machine = client.sys.socket(C.AF_UNIX, C.SOCK_DGRAM | C.SOCK_NONBLOCK, 0);
      client.addr.setUnix('/run/machine.sock');
      client.sys.bind(machine, client.addr.off, client.addr.len);
      add(bench, { kind: 'dgram', path, peer: '/run/machine.sock', nic: 'web/0' });
      assert.equal(bench.guestOf('web')?.state, 'connected');
    });
  });
});

describe('a TAP', () => {
  test('of a guest, with its offload header', () => {
    const bench = new EngineBench();
    bench.setNic('web/0', MAC);
    const { fd, frames } = bench.kernel.openFrames();
    add(bench, { kind: 'tap', fd, nic: 'web/0', hostSide: false });
    assert.equal(bench.guestOf('web')?.link, 'tap');
    frames.push(new Uint8Array(Buffer.concat([new Uint8Array(vnetHdr.LEN), asks('192.168.104.2')])));
    bench.turn();
    assert.ok(frames.take().some((frame) => lineOf(frame.subarray(vnetHdr.LEN)) === ANSWER));
    remove(bench);
    assert.deepEqual(bench.openFds(), []);
  });

  test('of the host: no guest, and its addresses are its own', () => {
    const bench = new EngineBench();
    const { fd, frames } = bench.kernel.openFrames();
    add(bench, { kind: 'tap', fd, nic: null, hostSide: true, addresses: ['192.168.104.9', 'fd00:1:2:3::9', 'junk'] });
    frames.push(new Uint8Array(Buffer.concat([new Uint8Array(vnetHdr.LEN), asks('192.168.104.9')])));
    bench.turn();
    assert.deepEqual(bench.snapshot().guests, []);
    const thief = bench.guest('thief', { address4: '192.168.104.9' });
    thief.says(thief.arp(GATEWAY));
    assert.ok(bench.counter('drop_spoofed_arp_sender') > 0);
  });
});

describe('shapes', () => {
  test('hold for the link that a NIC has, and for the next', () => {
    const bench = new EngineBench();
    bench.setNic('web/0', MAC);
    add(bench, listening(TCP));
    const set = (fromGuest: LineShape | null, toGuest: LineShape | null): void =>
      void bench.request({ type: 'set-shape', shape: { id: 's', nic: 'web/0', peer: null, fromGuest, toGuest } });
    const machine = Machine.dials(bench);
    machine.says(asks('192.168.104.2'));
    assert.deepEqual(machine.hears(), [ANSWER]);
    set({ lossPercent: 100 }, null);
    machine.says(asks('192.168.104.2'));
    assert.deepEqual(machine.hears(), []);
    set(null, { delayMs: 100 });
    machine.says(asks('192.168.104.2'));
    bench.passes(90);
    assert.deepEqual(machine.hears(), []);
    bench.passes(20);
    assert.deepEqual(machine.hears(), [ANSWER]);
    machine.says(asks('192.168.104.2'));
    bench.request({ type: 'remove-shape', shapeId: 's' });
    bench.turn();
    assert.deepEqual(machine.hears(), [ANSWER], 'what waits leaves when the shape ends');
    set({ partition: true }, null);
    machine.leaves();
    const again = Machine.dials(bench);
    again.says(asks('192.168.104.2'));
    assert.deepEqual(again.hears(), []);
    bench.request({ type: 'remove-shape', shapeId: 's' });
    again.says(asks('192.168.104.2'));
    assert.deepEqual(again.hears(), [ANSWER]);
  });
});

describe('what cannot be done is said, and changes nothing', () => {
  const long = { unix: `/tmp/${'x'.repeat(120)}` };
  const cases: readonly {
    readonly name: string;
    readonly link: LinkSpec;
    readonly code: string;
    readonly prepare?: (bench: EngineBench) => void;
  }[] = [
    {
      name: 'the id is taken',
      link: listening({ host: '127.0.0.1', port: 10_002 }),
      code: 'conflict',
      prepare: (bench) => add(bench, listening(TCP)),
    },
    {
      name: 'the port is in use',
      link: listening(TCP),
      code: 'address-in-use',
      prepare: (bench) => void bench.client.listen('127.0.0.1', 10_001),
    },
    { name: 'not an address of the host', link: listening({ host: '203.0.113.9', port: 10_001 }), code: 'invalid' },
    { name: 'not an address', link: listening({ host: 'localhost', port: 10_001 }), code: 'invalid' },
    { name: 'a privileged port', link: listening({ host: '127.0.0.1', port: 80 }), code: 'not-permitted' },
    { name: 'a path that is too long', link: listening(long), code: 'invalid' },
    {
      name: 'a peer whose path is too long',
      link: { kind: 'dgram', path: '/run/a.sock', peer: long.unix, nic: null },
      code: 'invalid',
    },
    { name: 'a path that cannot be made private', link: listening({ unix: '/nonexistent/a' }), code: 'unavailable' },
    {
      name: 'no descriptor left',
      link: listening(TCP),
      code: 'exhausted',
      prepare: (bench) => (bench.kernel.maxFds = bench.kernel.openCount),
    },
    {
      name: 'it cannot listen',
      link: listening(TCP),
      code: 'address-in-use',
      prepare: (bench) => bench.kernel.fail('listen', { errno: C.EADDRINUSE }),
    },
    {
      name: 'a target that is no address',
      link: { kind: 'stream-connect', address: { host: 'x', port: 1 }, nic: null },
      code: 'invalid',
    },
  ];
  for (const { name, link, code, prepare } of cases) {
    test(name, () => {
      const bench = new EngineBench({ kernel: { unprivilegedPortStart: 1024 } });
      prepare?.(bench);
      const before = bench.openFds();
      assert.throws(() => add(bench, link), { name: 'VmlanError', code });
      assert.deepEqual(bench.openFds(), before);
    });
  }

  test('a unix socket that cannot listen leaves no path', () => {
    withSocketPath((unix) => {
      const bench = new EngineBench();
      bench.kernel.fail('listen', { errno: C.ENOBUFS });
      assert.throws(() => add(bench, listening({ unix })), { code: 'unavailable' });
      assert.equal(existsSync(unix), false);
    });
  });

  test('no such link', () => {
    assert.throws(() => remove(new EngineBench()), { code: 'not-found' });
  });
});

test('links may come and go for ever: no memory is left behind', () => {
  const bench = new EngineBench();
  let used = 0;
  for (let i = 0; i < 200; i++) {
    add(bench, listening(TCP));
    add(bench, { kind: 'stream-connect', address: { host: '127.0.0.1', port: 10_009 }, nic: null }, 'other');
    Machine.dials(bench).says(asks('192.168.104.2'));
    remove(bench);
    remove(bench, 'other');
    if (i === 10) used = bench.sys.arena.used;
  }
  assert.equal(bench.sys.arena.used, used);
});
