import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FLAGS, RCODE, writeUint16 } from '../wire/dns.ts';
import { makeReply } from '../wire/dns.fixture.ts';
import { parseMessage } from '../wire/dns-message.ts';
import { nameText } from '../wire/dns-name.ts';
import { DnsClient } from './dns-client.ts';
import { Wire } from './simulation.fixture.ts';
import type { Stack } from './stack.ts';

type Zone = (name: string, query: Uint8Array) => Uint8Array | null;

interface Scene {
  readonly wire: Wire;
  readonly client: Stack;
  readonly dns: DnsClient;
  readonly asked: string[];
}

/** A guest, and a name server that answers as it is told, by UDP and by TCP. */
function scene(zone: Zone, overTcp: Zone = zone): Scene {
  const wire = new Wire();
  const server = wire.add('server');
  const client = wire.add('client');
  const asked: string[] = [];
  const nameOf = (query: Uint8Array): string => nameText(parseMessage(query)!.questions[0]!.name);
  const socket = server.udp.bind(53);
  void (async () => {
    for await (const { data, address, port } of socket) {
      asked.push(nameOf(data));
      const reply = zone(nameOf(data), data);
      if (reply !== null) await socket.send(reply, address, port);
    }
  })();
  server.tcp.listen(53, async (connection) => {
    const question = (await connection.read())!;
    asked.push(`tcp ${nameOf(question.subarray(2))}`);
    const reply = overTcp(nameOf(question.subarray(2)), question.subarray(2));
    if (reply === null) return;
    await connection.write(Uint8Array.of(reply.length >>> 8));
    await connection.write(Uint8Array.of(reply.length & 255, ...reply));
  });
  const config = { servers: [server.ip.address4!.ip], search: ['lab.internal'] };
  const dns = new DnsClient(
    client.udp,
    () => client.tcp,
    () => config,
    wire.random,
  );
  return { wire, client, dns, asked };
}

const answers =
  (...records: readonly string[]): Zone =>
  (_, query) =>
    makeReply(query, records);
const says =
  (rcode: number): Zone =>
  (_, query) =>
    makeReply(query, [], { rcode });

describe('a resolver', () => {
  test('follows CNAMEs and gives the values of the type', async () => {
    const { wire, dns } = scene(
      answers('a.example CNAME 5 b.example.', 'b.example A 5 10.0.0.9', 'b.example A 5 10.0.0.8'),
    );
    assert.deepEqual(await wire.clock.run(dns.resolve('a.example')), ['10.0.0.9', '10.0.0.8']);
    assert.deepEqual(await wire.clock.run(dns.resolve('a.example', 'cname')), ['b.example']);
    assert.deepEqual(await wire.clock.run(dns.query('a.example')), {
      rcode: 'NOERROR',
      authoritative: false,
      answers: [
        { name: 'a.example', type: 'CNAME', ttl: 5, value: 'b.example' },
        { name: 'b.example', type: 'A', ttl: 5, value: '10.0.0.9' },
        { name: 'b.example', type: 'A', ttl: 5, value: '10.0.0.8' },
      ],
    });
  });

  test('looks for short names in its domain first, for long ones last', async () => {
    const { wire, dns, asked } = scene(says(RCODE.NXDOMAIN));
    for (const name of ['web', 'web.example', 'web.']) {
      await assert.rejects(wire.clock.run(dns.resolve(name)), { code: 'ENOTFOUND' });
    }
    assert.deepEqual(
      asked.map((name) => name.replace(/\.$/, '')),
      ['web.lab.internal', 'web', 'web.example', 'web.example.lab.internal', 'web'],
    );
  });

  for (const [what, zone, code] of [
    ['a name without such a record', answers(), 'ENODATA'],
    ['a server that fails', says(RCODE.SERVFAIL), 'ESERVFAIL'],
    ['silence', () => null, 'ETIMEDOUT'],
    ['answers to other questions', (_, query) => makeReply(query, []).fill(0, 0, 2), 'ETIMEDOUT'],
    ['garbage', () => new Uint8Array([1, 2, 3]), 'ETIMEDOUT'],
  ] as readonly (readonly [string, Zone, string])[]) {
    test(`tells of ${what}: ${code}`, async () => {
      const { wire, dns } = scene(zone);
      await assert.rejects(wire.clock.run(dns.resolve('web.example.')), { code });
    });
  }

  test('asks again when a question or its answer is lost', async () => {
    const { wire, dns, asked } = scene(answers('web.example A 5 10.0.0.9'));
    await wire.clock.run(dns.resolve('web.example.'));
    let frames = 0;
    wire.filter = () => ++frames > 1;
    assert.deepEqual(await wire.clock.run(dns.resolve('web.example.')), ['10.0.0.9']);
    assert.equal(asked.length, 2);
  });

  test('asks by TCP when an answer is cut', async () => {
    const cut: Zone = (_, query) => {
      const reply = makeReply(query, []);
      writeUint16(reply, FLAGS, 0x8380); // response, truncated
      return reply;
    };
    const { wire, dns, asked } = scene(cut, answers('web.example A 5 10.0.0.9'));
    assert.deepEqual(await wire.clock.run(dns.resolve('web.example.')), ['10.0.0.9']);
    assert.deepEqual(
      asked.map((name) => name.replace(/\.$/, '')),
      ['web.example', 'tcp web.example'],
    );
    const broken = scene(cut, () => null);
    await assert.rejects(broken.wire.clock.run(broken.dns.resolve('web.example.')), { code: 'ECONNRESET' });
    const other = scene(cut, (_, query) => makeReply(query, []).fill(0, 0, 2));
    await assert.rejects(other.wire.clock.run(other.dns.resolve('web.example.')), { code: 'EPROTO' });
  });

  test('takes addresses of both families, and an address for itself', async () => {
    const both: Zone = (_, query) =>
      parseMessage(query)!.questions[0]!.type === 1
        ? makeReply(query, ['w.example A 5 10.0.0.9'])
        : makeReply(query, ['w.example AAAA 5 fd00::9']);
    const { wire, dns } = scene(both);
    const texts = (await wire.clock.run(dns.addresses('w.example'))).map(({ text }) => text);
    assert.deepEqual(texts, ['10.0.0.9', 'fd00::9']);
    assert.deepEqual(
      (await dns.addresses('[fd00::1]')).map(({ text }) => text),
      ['fd00::1'],
    );
    const failing = scene(says(RCODE.SERVFAIL));
    await assert.rejects(failing.wire.clock.run(failing.dns.addresses('w.example')), { code: 'ESERVFAIL' });
  });

  test('refuses what is no question', async () => {
    const { client, dns } = scene(answers());
    await assert.rejects(dns.query('a..b'), { code: 'EINVAL' });
    await assert.rejects(dns.query('a.example', 'NO SUCH'), { code: 'EINVAL' });
    await assert.rejects(client.dns.query('a.example'), { code: 'ESERVFAIL', message: /no name server/ });
  });
});
