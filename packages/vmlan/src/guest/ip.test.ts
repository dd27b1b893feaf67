/**
 * The IP layer, ICMP, UDP and router discovery, over a wire in made-up time.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import * as icmpv6 from '../wire/icmpv6.ts';
import * as ndp from '../wire/ndp.ts';
import {
  PREFIX_AUTONOMOUS,
  PREFIX_ON_LINK,
  putMtu,
  putPrefix,
  putRdnss,
  putSourceLinkLayer,
} from '../wire/ndp-options.ts';
import { ALL_NODES, ip6, isOnLink, parseIp, solicitedNode } from './ip.ts';
import { MAX_NEIGHBORS } from './neighbors.ts';
import { framesOf, parsePacket, payloadOf } from './packet.ts';
import { MAX_PARTIAL, REASSEMBLY_MS, Reassembly } from './reassembly.ts';
import { VirtualClock, Wire, pattern } from './simulation.fixture.ts';
import { MAX_WAITING } from './udp.ts';

const at = (text: string): NonNullable<ReturnType<typeof parseIp>> => parseIp(text)!;

describe('addresses', () => {
  test('are on a link or not', () => {
    for (const [place, prefix, other, on] of [
      ['10.0.0.1', 24, '10.0.0.200', true],
      ['10.0.0.1', 24, '10.0.1.1', false],
      ['10.0.0.1', 0, '192.0.2.1', true],
      ['fd00::1', 64, 'fd00::ffff', true],
      ['fd00::1', 64, 'fd00:0:0:1::1', false],
      ['fd00::1', 64, '10.0.0.1', false],
    ] as const) {
      assert.equal(isOnLink({ ip: at(place), prefix }, at(other)), on, `${other} in ${place}/${prefix}`);
    }
    assert.equal(solicitedNode(at('fd00::1234:5678')).text, 'ff02::1:ff34:5678');
    assert.equal(parseIp('no address'), null);
  });
});

describe('packets', () => {
  test('in fragments come together in any order', () => {
    const run = fc.property(
      fc.integer({ min: 1, max: 20_000 }),
      fc.constantFrom('10.0.0.2', 'fd00::2'),
      fc.infiniteStream(fc.nat()),
      (length, dst, order) => {
        const src = at(dst.replace('2', '1'));
        const payload = pattern(length);
        const frames = framesOf({ src, dst: at(dst), protocol: 17, payload, id: 7 }, 1280);
        const shuffled = frames.map((frame) => ({ frame, key: order.next().value! })).sort((a, b) => a.key - b.key);
        const reassembly = new Reassembly(new VirtualClock());
        const wholes = shuffled.flatMap(({ frame }) => reassembly.add(parsePacket(frame)!) ?? []);
        assert.equal(wholes.length, 1);
        assert.deepEqual(payloadOf(wholes[0]!), payload);
      },
    );
    fc.assert(run, { numRuns: 60 });
  });

  test('whose fragments overlap, or come late, or too many, are dropped', () => {
    const clock = new VirtualClock();
    const reassembly = new Reassembly(clock);
    const parts = (id: number): readonly NonNullable<ReturnType<typeof parsePacket>>[] =>
      framesOf({ src: at('10.0.0.1'), dst: at('10.0.0.2'), protocol: 17, payload: pattern(2500), id }, 1280).map(
        (frame) => parsePacket(frame)!,
      );
    const [a, b] = parts(1);
    assert.equal(reassembly.add(a!), null);
    assert.equal(reassembly.add({ ...b!, fragment: { ...b!.fragment!, offset: 8 } }), null);
    assert.equal(reassembly.add(b!), null, 'what was there is forgotten');
    reassembly.add(parts(2)[0]!);
    clock.after(REASSEMBLY_MS + 1, () => undefined);
    while (clock.step());
    assert.equal(reassembly.add(parts(2)[1]!), null);
    reassembly.close();
    for (let id = 10; id <= 10 + MAX_PARTIAL; id++) reassembly.add(parts(id)[0]!);
    assert.equal(reassembly.add(parts(10)[1]!), null, 'the oldest gave way');
    assert.notEqual(reassembly.add(parts(20)[1]!), null);
  });

  test('of any bytes break nothing', () => {
    const wire = new Wire();
    const stack = wire.add('a');
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.constantFrom(0x0800, 0x0806, 0x86dd), (bytes, type) => {
        const frame = Uint8Array.of(255, 255, 255, 255, 255, 255, 82, 84, 0, 0, 0, 9, type >> 8, type & 255, ...bytes);
        stack.onFrame(frame);
        stack.flush();
      }),
    );
  });
});

describe('ICMP', () => {
  test('answers pings of both families, large ones too', async () => {
    const wire = new Wire();
    wire.faults = { delayMs: 5 };
    const [a] = [wire.add('a'), wire.add('b')];
    await wire.pass(10); // they announce themselves
    assert.equal(await wire.clock.run(a.icmp.ping(at('10.0.0.2'))), 20); // the neighbour is asked for first, and remembers who asked
    assert.equal(await wire.clock.run(a.icmp.ping(at('10.0.0.2'))), 10);
    assert.equal(await wire.clock.run(a.icmp.ping(at('fd00::2'))), 20);
    assert.equal(await wire.clock.run(a.ping('10.0.0.2')), 10);
  });

  test('tells that nobody answers, that nobody is there, that no route leads there', async () => {
    const wire = new Wire();
    const [a, b] = [wire.add('a'), wire.add('b')];
    await wire.clock.run(a.icmp.ping(at('10.0.0.2')));
    wire.filter = () => false;
    await assert.rejects(wire.clock.run(a.icmp.ping(at('10.0.0.2'), 100)), { code: 'ETIMEDOUT' });
    await assert.rejects(wire.clock.run(a.icmp.ping(at('10.0.0.3'))), { code: 'EHOSTUNREACH' });
    await assert.rejects(wire.clock.run(a.icmp.ping(at('192.0.2.1'))), { code: 'ENETUNREACH' });
    const lost = assert.rejects(a.icmp.ping(at('10.0.0.2')), { code: 'ENETDOWN' });
    a.close();
    b.close();
    await lost;
  });

  test('says that nobody listens at a port, over both families', async () => {
    const wire = new Wire();
    const [a] = [wire.add('a'), wire.add('b')];
    for (const host of ['10.0.0.2', 'fd00::2']) {
      const socket = a.udp.bind();
      await wire.clock.run(socket.send('x', host, 9));
      await assert.rejects(wire.clock.run(socket.receive()), { code: 'ECONNREFUSED' });
      socket.close();
    }
  });
});

describe('UDP', () => {
  test('carries large datagrams, keeps so many, and drops the rest', async () => {
    const wire = new Wire();
    const [a, b] = [wire.add('a'), wire.add('b')];
    const server = b.udp.bind(7);
    const large = pattern(20_000);
    for (const host of ['10.0.0.2', 'fd00::2']) {
      a.udp.sendTo(at(host), 1000, 7, large);
      assert.deepEqual((await wire.clock.run(server.receive())).data, large);
    }
    for (let i = 0; i < MAX_WAITING + 10; i++) a.udp.sendTo(at('10.0.0.2'), 1000, 7, Uint8Array.of(i & 255));
    await wire.pass(100);
    let count = 0;
    server.close();
    for await (const _ of server) count++;
    assert.equal(count, MAX_WAITING);
    await assert.rejects(server.receive(), { code: 'EPIPE' });
    await assert.rejects(server.send('x', '10.0.0.1', 1), { code: 'EPIPE' });
    await assert.rejects(wire.clock.run(a.udp.bind().send('x', '192.0.2.1', 1)), { code: 'ENETUNREACH' });
  });
});

describe('neighbours', () => {
  test('are asked for again when they have gone quiet, and found where they are now', async () => {
    const wire = new Wire();
    const [a, b] = [wire.add('a'), wire.add('b')];
    await wire.clock.run(a.icmp.ping(at('10.0.0.2')));
    b.ip.address4 = { ip: at('10.0.0.99'), prefix: 24 };
    const c = wire.add('c');
    c.ip.address4 = { ip: at('10.0.0.2'), prefix: 24 };
    c.ip.announce();
    await wire.pass(10);
    assert.ok((await wire.clock.run(a.icmp.ping(at('10.0.0.2')))) > 0);
    await wire.pass(60_000);
    assert.ok((await wire.clock.run(a.icmp.ping(at('10.0.0.2')))) > 0);
  });

  test('are bounded', async () => {
    const wire = new Wire();
    const a = wire.add('a');
    a.ip.address4 = { ip: at('10.0.0.1'), prefix: 8 };
    for (let i = 0; i < MAX_NEIGHBORS + 50; i++) a.udp.sendTo(at(`10.1.${i >> 8}.${i & 255}`), 1, 1, Uint8Array.of(1));
    await wire.pass(5000);
    wire.add('b');
    assert.ok((await wire.clock.run(a.icmp.ping(at('10.0.0.2')))) > 0);
  });
});

describe('router advertisements', () => {
  test('give addresses, a way out, servers and the MTU, and take them back', async () => {
    const wire = new Wire();
    const router = wire.add('router');
    const host = wire.add('host', { bare: true });
    assert.equal(await wire.clock.run(host.autoconfigure(10_000)), false);
    const [own0, own1, own2, own3] = router.ip.linkLocal.words as unknown as [number, number, number, number];
    const advertise = (lifetime: number, valid: number): void => {
      const payload = new Uint8Array(256);
      const view = new DataView(payload.buffer);
      let p = ndp.emitRouterAdvert(view, 0, 64, 0, lifetime, 0, 0);
      p = putSourceLinkLayer(view, p, router.ip.mac.hi, router.ip.mac.lo);
      p = putMtu(view, p, 1400);
      p = putPrefix(view, p, 64, PREFIX_ON_LINK | PREFIX_AUTONOMOUS, valid, valid, 0xfd01_0000, 0, 0, 0);
      p = putRdnss(view, p, lifetime, own0, own1, own2, own3);
      router.ip.send({
        ...{ src: router.ip.linkLocal, dst: ALL_NODES, protocol: 58, hops: 255, payload: payload.subarray(0, p) },
        seal: (target, pseudo) => icmpv6.setChecksum(target, 0, p, pseudo),
      });
    };
    const configured = host.autoconfigure(5000);
    advertise(1800, 3600);
    assert.equal(await wire.clock.run(configured), true);
    assert.deepEqual(host.addresses6, ['fd01::5054:ff:fe00:2', 'fe80::5054:ff:fe00:2']);
    assert.equal(host.ip.router6?.text, router.ip.linkLocal.text);
    assert.equal(host.ip.mtuBytes, 1400);
    router.configure({ address: 'fd01::1/64' });
    assert.ok((await wire.clock.run(host.icmp.ping(ip6(0xfd01_0000, 0, 0, 1)))) > 0);
    advertise(0, 0);
    await wire.pass(10);
    assert.equal(host.ip.router6, null);
    assert.deepEqual(host.addresses6, ['fe80::5054:ff:fe00:2']);
  });
});
