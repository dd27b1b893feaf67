import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { describe, test } from 'node:test';
import { parseIpv4 } from '../wire/address.ts';
import * as arp from '../wire/arp.ts';
import * as ethernet from '../wire/ethernet.ts';
import { arpFrame, etherFrame } from '../wire/packets.fixture.ts';
import type { Guest } from './guest.ts';
import { Network } from './network.ts';
import type { NetworkEvent } from './events.ts';

const BROADCAST = 'ff:ff:ff:ff:ff:ff';
const EXPERIMENT = 0x88b5; // IEEE 802 local experimental

/** The first frame of this type. */
async function receive(frames: AsyncIterable<Uint8Array>, type: number): Promise<Uint8Array> {
  for await (const frame of frames) {
    if (ethernet.etherType(new DataView(frame.buffer, frame.byteOffset, frame.length), 0) === type) return frame;
  }
  throw new Error('the link has ended');
}

async function askArp(guest: Guest, address: string): Promise<number> {
  const frames = guest.frames();
  const request = {
    ...{ from: guest.mac, to: BROADCAST, op: arp.OP_REQUEST },
    ...{ sender: '0.0.0.0', target: address },
  };
  guest.send(arpFrame(request));
  const reply = await receive(frames, ethernet.TYPE_ARP);
  return arp.senderIp(new DataView(reply.buffer, reply.byteOffset, reply.length), ethernet.HEADER_LEN);
}

describe('a network in this process', () => {
  test('carries the raw frames of its guests, and its gateway answers', async () => {
    await using net = await Network.create({ subnet: '10.9.0.0/24' });
    assert.deepEqual([net.name, net.mode, net.gateway, net.domain], ['lab', 'user-v2', '10.9.0.1', 'lab.internal']);
    const web = await net.addGuest('web', { configure: 'none' });
    const db = await net.addGuest('db', { configure: 'none' });
    assert.equal(await askArp(web, '10.9.0.1'), parseIpv4('10.9.0.1'));
    const frames = db.frames();
    web.send(etherFrame(web.mac, BROADCAST, EXPERIMENT, new Uint8Array([1, 2, 3])));
    const frame = await receive(frames, EXPERIMENT);
    assert.deepEqual([...frame.subarray(ethernet.HEADER_LEN)], [1, 2, 3]);
    const { guests } = await net.stats();
    assert.deepEqual(
      guests.map(({ guest, state }) => `${guest} ${state}`),
      ['web connected', 'db connected'],
    );
  });

  test('tells what happens in its order, to readers and to listeners', async () => {
    const net = await Network.create({ subnet6: 'off' });
    const heard: string[] = [];
    const events = net.events();
    using _ = net.on('guest-up', ({ guest }) => void heard.push(guest));
    const web = await net.addGuest('web', { configure: 'none' });
    await net.addGuest('db', { configure: 'none' });
    await web.remove();
    await net.close();
    const told: NetworkEvent[] = [];
    for await (const event of events) told.push(event);
    assert.deepEqual(
      told.map((event) => ('guest' in event ? `${event.type} ${event.guest}` : event.type)),
      ['guest-up web', 'guest-up db', 'guest-down web', 'guest-down db', 'closed'],
    );
    assert.deepEqual(heard, ['web', 'db']);
  });

  test('a guest whose plug is pulled is alone until it is put back', async () => {
    await using net = await Network.create();
    const web = await net.addGuest('web', { configure: 'none' });
    await web.disconnect();
    const [before] = (await net.stats()).guests;
    assert.equal(before?.state, 'disconnected');
    await web.connect();
    assert.equal(await askArp(web, net.gateway!), parseIpv4(net.gateway!));
  });

  test('two of them know nothing of each other, with one and the same subnet', async () => {
    await using one = await Network.create({ name: 'one', subnet: '10.9.0.0/24' });
    await using two = await Network.create({ name: 'two', subnet: '10.9.0.0/24' });
    const [a, b] = [await one.addGuest('web', { configure: 'none' }), await two.addGuest('web', { configure: 'none' })];
    const frames = b.frames();
    a.send(etherFrame(a.mac, BROADCAST, EXPERIMENT, new Uint8Array([1])));
    b.send(etherFrame(b.mac, BROADCAST, EXPERIMENT, new Uint8Array([2])));
    await askArp(a, '10.9.0.1');
    await askArp(b, '10.9.0.1');
    await b.remove();
    for await (const frame of frames) assert.notEqual(frame[13], EXPERIMENT & 255);
  });

  test('fifty guests come, are seen, and go', async () => {
    await using net = await Network.create();
    const guests = await Promise.all(Array.from({ length: 50 }, (_, i) => net.addGuest(`guest-${i}`)));
    assert.equal(new Set(guests.map(({ mac }) => mac)).size, 50);
    assert.equal((await net.stats()).guests.length, 50);
    await Promise.all(guests.slice(10).map((guest) => guest.remove()));
    assert.equal((await net.stats()).guests.length, 10);
    assert.equal(net.guests.length, 10);
  });

  test('may be closed before its guests and twice, and then says that it is closed', async () => {
    const net = await Network.create();
    const web = await net.addGuest('web', { configure: 'none' });
    const frames = web.frames();
    await Promise.all([net.close(), net.close()]);
    await web.remove();
    assert.equal(web.send(new Uint8Array(60)), false);
    await assert.rejects(receive(frames, EXPERIMENT), { message: 'the link has ended' });
    await assert.rejects(net.addGuest('db', { configure: 'none' }), {
      code: 'unavailable',
      message: 'the network is closed',
    });
    await assert.rejects(net.stats(), { code: 'unavailable' });
  });

  test('leaves no descriptor and nothing that keeps the process', async () => {
    const before = descriptors();
    const addresses = addressSpace();
    for (let i = 0; i < 3; i++) {
      const net = await Network.create();
      await net.addGuest('web', { configure: 'none' });
      await net.attachQemu('machine');
      await net.forward({ host: 0, guest: 'web:80' });
      await net.close();
    }
    assert.deepEqual(descriptors(), before);
    assert.ok(addressSpace() - addresses < 512 * 1024, 'the arenas were given back');
    assert.deepEqual(
      process.getActiveResourcesInfo().filter((kind) => /Worker|Pipe|MessagePort|TCP|UDP|FSEvent/.test(kind)),
      resources,
    );
  });
});

const resources = process
  .getActiveResourcesInfo()
  .filter((kind) => /Worker|Pipe|MessagePort|TCP|UDP|FSEvent/.test(kind));
/** kB. */
const addressSpace = (): number => Number(/VmSize:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))![1]);
const descriptors = (): number => readdirSync('/proc/self/fd').length;

describe('mistakes', () => {
  for (const [name, options, message] of [
    [
      'a subnet that is none',
      { subnet: '10.0.0.0' },
      'network "lab": subnet: "10.0.0.0" is not a subnet such as 192.168.105.0/24',
    ],
    ['a subnet too small', { subnet: '10.0.0.0/31' }, /subnet 10\.0\.0\.0\/31/],
    ['a mode that is none', { mode: 'usr' }, /mode: "usr" is none of/],
    ['an unknown key', { sub: '10.0.0.0/24' }, /unknown key `sub` in network "lab"/],
    ['a key of the file', { autostart: true }, /`autostart` belongs to networks\.yaml/],
    ['a name that is none', { name: 'a b' }, /name: "a b": a network name is/],
    ['a prefix that is no /64', { subnet6: 'fd00::/48' }, /subnet6 fd00::\/48 is no \/64/],
  ] as const) {
    test(name, async () => {
      await assert.rejects(Network.create(options as object), { code: 'invalid-config', message });
    });
  }

  test('of guests are told by their name, and change nothing', async () => {
    await using net = await Network.create({ subnet: '10.9.0.0/24' });
    const web = await net.addGuest('web', { ip: '10.9.0.50' });
    for (const [name, options, error] of [
      ['web', {}, { code: 'conflict', message: 'network "lab" has a guest "web" already' }],
      ['Web!', {}, { code: 'invalid', message: /guest "Web!": a guest name is/ }],
      ['gateway', {}, { code: 'invalid', message: /means the host or the gateway/ }],
      ['db', { ip: '10.9.0.50' }, { code: 'conflict', message: /10\.9\.0\.50 is kept for guest "web"/ }],
      ['db', { ip: '10.8.0.50' }, { code: 'invalid', message: /lies outside the subnet/ }],
      ['db', { ip: 'x' }, { code: 'invalid', message: /is no IPv4 address/ }],
      ['db', { mac: 'x' }, { code: 'invalid', message: /a MAC address looks like/ }],
    ] as const) {
      await assert.rejects(net.addGuest(name, options), error);
    }
    assert.deepEqual(net.guests, [web]);
    assert.throws(() => net.guest('db'), { code: 'not-found', hint: 'it has: web' });
    assert.throws(() => web.send(new Uint8Array(70_000)), RangeError);
  });

  test('of forwards and records are told, too', async () => {
    await using net = await Network.create();
    await assert.rejects(net.forward({ host: 0, guest: '80' }), { code: 'invalid', message: /forward: guest: "80"/ });
    await assert.rejects(net.forward({ host: 'x:80', guest: 'web:80' }), { code: 'invalid' });
    await assert.rejects(net.records.add({ name: 'a.b', type: 'A', value: 'x' }), { code: 'invalid' });
    await assert.rejects(net.records.remove({ name: 'a.b' }), { code: 'not-found' });
    await using closed = await Network.create({ mode: 'isolated' });
    await assert.rejects(closed.forward({ host: 0, guest: 'web:80' }), { message: /"lab" is isolated/ });
    await assert.rejects(net.attachNamespace('ns', {}), { code: 'invalid', message: /`pid` or by `path`/ });
    await assert.rejects(net.attachNamespace('ns', { pid: process.pid }), { code: 'invalid' });
    assert.deepEqual((await net.stats()).guests, []);
  });
});

describe('services', () => {
  test('a forward has a port of its own choice, and ends', async () => {
    await using net = await Network.create();
    const forward = await net.forward({ host: 0, guest: 'web:80' });
    assert.match(forward.host, /^127\.0\.0\.1:\d+$/);
    assert.equal(forward.host, `127.0.0.1:${forward.port}`);
    await assert.rejects(net.forward({ host: forward.port, guest: 'web:81' }), { code: 'address-in-use' });
    assert.deepEqual(
      (await net.stats()).forwards.map(({ state }) => state),
      ['waiting-for-guest'],
    );
    await forward.close();
    await forward.close();
    assert.deepEqual((await net.stats()).forwards, []);
    await using udp = await net.forward({ host: 0, guest: 'web:53', protocol: 'udp' });
    assert.ok(udp.port > 0);
  });

  test('records come, change in one step, and go', async () => {
    await using net = await Network.create({ dns: { hosts: { 'a.lab.internal': '10.0.0.1' } } });
    await net.records.add({ name: 'b.lab.internal', value: 'a.lab.internal' });
    await net.records.add({ name: 'T.lab.internal.', value: 'x', type: 'TXT', ttl: 60 });
    await assert.rejects(net.records.add({ name: 'b.lab.internal', value: 'a.lab.internal' }), { code: 'conflict' });
    await net.records.replace('a.lab.internal', '10.0.0.2', 'fd00::2');
    const shown = (): string[] => net.records.list().map(({ name, type, value }) => `${name} ${type} ${value}`);
    assert.deepEqual(shown(), [
      'b.lab.internal CNAME a.lab.internal',
      't.lab.internal TXT x',
      'a.lab.internal A 10.0.0.2',
      'a.lab.internal AAAA fd00::2',
    ]);
    await net.records.remove({ name: 't.lab.internal', type: 'TXT' });
    await net.records.remove({ name: 'a.lab.internal' });
    assert.deepEqual(shown(), ['b.lab.internal CNAME a.lab.internal']);
  });

  test('a machine has a socket, whose guest is up when somebody is there', async () => {
    await using net = await Network.create();
    const machine = await net.attachQemu('machine', { mac: '52:54:00:00:00:07' });
    assert.match(
      machine.arguments.join(' '),
      /^-netdev stream,id=vmlan-machine,server=off,addr\.type=unix,addr\.path=/,
    );
    const up = new Promise<string>((resolve) => net.on('guest-up', ({ guest }) => resolve(guest)));
    const socket = connect(machine.socket);
    assert.equal(await up, 'machine');
    const closed = new Promise((resolve) => socket.once('close', resolve));
    await machine.close();
    await closed;
    assert.deepEqual((await net.stats()).guests, []);
  });
});
