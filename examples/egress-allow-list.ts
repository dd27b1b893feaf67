/**
 * An allow-list for what a program may reach, as far as a network without packet filters can be one.
 *
 * The network leads nowhere (mode `host`), knows no names but those that are written down, and opens exactly one port of
 * this host, where a stand-in for the allowed service listens.  So a program under test reaches the service by its real name
 * and nothing else: not the internet, not the other ports of this machine.  It is a list of stand-ins, not of destinations: a
 * program that is to reach the real service needs a filter, which this network does not have.
 *
 *     node egress-allow-list.ts
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Network } from 'vmlan';

/** An HTTP server on this host's loopback. */
async function standIn(says: string): Promise<{ readonly port: number } & Disposable> {
  const server = createServer((request, response) => response.end(`${says} for ${request.headers.host ?? ''}`));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return { port: (server.address() as AddressInfo).port, [Symbol.dispose]: () => void server.close() };
}

using payments = await standIn('payments');
using secrets = await standIn('secrets');

await using net = await Network.create({
  mode: 'host', // nothing beyond this host
  subnet: '10.77.0.0/24',
  hostAccess: [payments.port], // and of this host one port
  dns: { upstream: 'none', hosts: { 'payments.example': '10.77.0.1' } }, // the gateway: this host, as guests see it
});
const app = await net.addGuest('app');

const allowed = await app.fetch(`http://payments.example:${payments.port}/`);
assert.equal(await allowed.text(), `payments for payments.example:${payments.port}`);
console.log('allowed:  payments.example');

const denied: Readonly<Record<string, () => Promise<unknown>>> = {
  'another name': () => app.fetch('http://telemetry.example/'),
  'another port of this host': () => app.fetch(`http://${net.gateway!}:${secrets.port}/`),
  'an address of the internet': () => app.tcp.connect('192.0.2.1', 443, { timeoutMs: 2000 }),
  'DNS servers of the internet': () => app.ping('192.0.2.53', { timeoutMs: 1000 }),
};
for (const [what, reach] of Object.entries(denied)) {
  const error = await reach().then(
    () => assert.fail(`${what} was reached`),
    (reason: unknown) => reason as { readonly code: string },
  );
  console.log(`denied:   ${what}: ${error.code}`);
}
