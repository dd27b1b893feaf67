import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseIpv4 } from '../wire/address.ts';
import * as dhcp from '../wire/dhcpv4.ts';
import { BROADCAST } from './ip.ts';
import { Wire } from './simulation.fixture.ts';
import type { Stack } from './stack.ts';

type Answer = (message: dhcp.Dhcp4Message, type: number) => { readonly type: number; readonly ip?: string } | null;

const usual: Answer = (_, type) => ({ type: type === dhcp.DISCOVER ? dhcp.OFFER : dhcp.ACK });

/** A guest that asks, and a server that answers as it is told. */
function scene(leaseSeconds = 100): { wire: Wire; client: Stack; heard: number[]; script: { answer: Answer } } {
  const wire = new Wire();
  const server = wire.add('server');
  const client = wire.add('client', { bare: true });
  const script = { answer: usual };
  const heard: number[] = [];
  const socket = server.udp.bind(dhcp.SERVER_PORT);
  void (async () => {
    for await (const { data } of socket) {
      const message = dhcp.parseDhcp4(new DataView(data.buffer, data.byteOffset, data.length), 0, data.length)!;
      const type = dhcp.optionU8(message, dhcp.OPT_MESSAGE_TYPE);
      heard.push(type);
      const answer = script.answer(message, type);
      if (answer === null) continue;
      const reply = dhcp.emitDhcp4(
        {
          ...message,
          op: dhcp.BOOT_REPLY,
          yiaddr: parseIpv4(answer.ip ?? '10.0.0.77')!,
          ...{ sname: '', file: '' },
          options: [
            dhcp.u8Option(dhcp.OPT_MESSAGE_TYPE, answer.type),
            dhcp.u32Option(dhcp.OPT_SERVER_ID, parseIpv4('10.0.0.1')!),
            dhcp.u32Option(dhcp.OPT_LEASE_TIME, leaseSeconds),
            dhcp.u32Option(dhcp.OPT_SUBNET_MASK, 0xffff_ff00),
            dhcp.u32Option(dhcp.OPT_ROUTER, parseIpv4('10.0.0.1')!),
            dhcp.u32Option(dhcp.OPT_DNS, parseIpv4('10.0.0.1')!, parseIpv4('10.0.0.2')!),
            dhcp.textOption(dhcp.OPT_DOMAIN, 'lab.internal'),
            dhcp.u16Option(dhcp.OPT_MTU, 1400),
          ],
        },
        dhcp.MAX_MESSAGE_BYTES,
      );
      server.udp.sendTo(BROADCAST, dhcp.SERVER_PORT, dhcp.CLIENT_PORT, reply);
    }
  })();
  return { wire, client, heard, script };
}

describe('a DHCP client', () => {
  test('gets an address and all that comes with it', async () => {
    const { wire, client, heard } = scene();
    const lease = await wire.clock.run(client.acquire());
    assert.deepEqual(
      [lease.address.text, lease.prefix, lease.router?.text, lease.domain, lease.servers.map(({ text }) => text)],
      ['10.0.0.77', 24, '10.0.0.1', 'lab.internal', ['10.0.0.1', '10.0.0.2']],
    );
    assert.equal(client.address4, '10.0.0.77');
    assert.equal(client.ip.mtuBytes, 1400);
    assert.deepEqual(heard, [dhcp.DISCOVER, dhcp.REQUEST]);
    assert.equal(await client.acquire(), lease);
    assert.ok((await wire.clock.run(client.icmp.ping(lease.router!))) > 0);
  });

  test('asks again when nobody answers, ever less often, and gives up', async () => {
    const { wire, client, heard, script } = scene();
    script.answer = () => null;
    await assert.rejects(wire.clock.run(client.acquire(20_000)), { code: 'ETIMEDOUT', message: /"client"/ });
    assert.deepEqual(heard, [dhcp.DISCOVER, dhcp.DISCOVER, dhcp.DISCOVER, dhcp.DISCOVER, dhcp.DISCOVER, dhcp.DISCOVER]);
    script.answer = usual;
    assert.equal((await wire.clock.run(client.acquire())).address.text, '10.0.0.77');
  });

  test('begins anew when its request is lost or refused', async () => {
    for (const first of [null, { type: dhcp.NAK }]) {
      const { wire, client, script } = scene();
      let requests = 0;
      script.answer = (message, type) => (type === dhcp.REQUEST && requests++ === 0 ? first : usual(message, type));
      assert.equal((await wire.clock.run(client.acquire())).address.text, '10.0.0.77');
      assert.equal(requests, 2);
    }
  });

  test('renews at half of the time, and keeps what it has', async () => {
    const { wire, client, heard } = scene();
    await wire.clock.run(client.acquire());
    await wire.pass(49_000);
    assert.equal(heard.length, 2);
    await wire.pass(2000);
    assert.deepEqual(heard.slice(2), [dhcp.REQUEST]);
    await wire.pass(50_000);
    assert.equal(heard.length, 4);
    assert.equal(client.address4, '10.0.0.77');
  });

  test('takes another address when a renewal is refused, or nobody renews it any more', async () => {
    for (const end of ['refused', 'silent'] as const) {
      const { wire, client, script } = scene();
      await wire.clock.run(client.acquire());
      script.answer = (_, type) => {
        if (type === dhcp.DISCOVER)
          script.answer = (_message, kind) => ({ ...usual(_message, kind)!, ip: '10.0.0.78' });
        if (type === dhcp.DISCOVER) return { type: dhcp.OFFER, ip: '10.0.0.78' };
        return end === 'refused' ? { type: dhcp.NAK } : null;
      };
      await wire.pass(60_000);
      if (end === 'silent') assert.equal(client.address4, '10.0.0.77', 'it still has the time that it was given');
      await wire.pass(60_000);
      assert.equal(client.address4, '10.0.0.78');
    }
  });

  test('gives its address back', async () => {
    const { wire, client, heard } = scene();
    await wire.clock.run(client.acquire());
    client.dhcp.release();
    client.dhcp.release();
    await wire.pass(100);
    assert.deepEqual(heard.slice(2), [dhcp.RELEASE]);
    assert.equal(client.address4, null);
  });

  test('that leaves tells who waits', async () => {
    const { wire, client, script } = scene();
    script.answer = () => null;
    const waiting = assert.rejects(client.acquire(), { code: 'ENETDOWN' });
    await wire.pass(10);
    client.close();
    await waiting;
  });
});
