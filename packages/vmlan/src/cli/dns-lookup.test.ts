import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import { promises as resolver } from 'node:dns';
import { after, before, test } from 'node:test';
import { VmlanError } from '../client/errors.ts';
import { lookUp } from './dns-lookup.ts';

/** RDATA by type number; any other type gets NXDOMAIN (RFC 1035 §4.1.1). */
const DATA: Readonly<Record<number, Buffer>> = {
  1: Buffer.from([192, 0, 2, 7]),
  15: Buffer.from([0, 10, 1, 0x6d, 0]), // preference 10, exchange "m"
  33: Buffer.from([0, 1, 0, 2, 0, 80, 1, 0x6d, 0]),
  257: Buffer.from([0, 5, ...Buffer.from('issueca')]),
  16: Buffer.from([2, 0x61, 0x62, 1, 0x63]), // "ab" "c"
};

/** The question back, with one answer whose name points at it. */
function reply(query: Buffer): Buffer {
  const type = query.readUInt16BE(query.indexOf(0, 12) + 1);
  const data = DATA[type];
  const end = query.indexOf(0, 12) + 5;
  const question = Buffer.from(query.subarray(0, end));
  question.writeUInt16BE(data === undefined ? 0x8183 : 0x8180, 2);
  question.writeUInt16BE(data === undefined ? 0 : 1, 6);
  question.fill(0, 8, 12);
  if (data === undefined) return question;
  const head = Buffer.from([0xc0, 0x0c, type >> 8, type & 0xff, 0, 1, 0, 0, 0, 60, 0, data.length]);
  return Buffer.concat([question, head, data]);
}

let server: Socket;
const servers = resolver.getServers();
before(async () => {
  server = createSocket('udp4', (query, peer) => server.send(reply(query), peer.port, peer.address));
  await new Promise<void>((resolve) => server.bind(0, '127.0.0.1', resolve));
  resolver.setServers([`127.0.0.1:${server.address().port}`]);
});
after(() => {
  resolver.setServers(servers);
  server.close();
});

test("names of the outside are asked of the host's resolver", async () => {
  const name = 'www.example.test';
  for (const [type, value] of [
    ['A', '192.0.2.7'],
    ['MX', '10 m'],
    ['SRV', '1 2 80 m'],
    ['CAA', '0 issue "ca"'],
    ['TXT', 'abc'],
  ] as const) {
    assert.deepEqual(await lookUp([], name, type), [{ name, type, value, from: 'host' }]);
  }
});

test('an alias leads outside', async () => {
  const record = {
    id: 'r1',
    network: 'lab',
    name: 'a.lab',
    type: 'CNAME',
    value: 'b.test.',
    ttl: null,
    origin: 'api',
  } as const;
  assert.deepEqual(await lookUp([record], 'A.lab', 'A'), [
    { name: 'a.lab', type: 'CNAME', value: 'b.test.', from: 'vmlan' },
    { name: 'b.test', type: 'A', value: '192.0.2.7', from: 'host' },
  ]);
});

test('a name that nobody knows is not found', async () => {
  await assert.rejects(
    lookUp([], 'none.test', 'AAAA'),
    (error) =>
      error instanceof VmlanError &&
      error.code === 'not-found' &&
      /none\.test AAAA: no such record/.test(error.message),
  );
});
