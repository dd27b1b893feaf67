/**
 * A port that nobody uses at the moment.
 *
 * Zone: control.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';

/** Of this address of the host, in its IP notation.  Throws what the system says of an address that it does not have. */
export async function freePort(protocol: 'tcp' | 'udp', host: string): Promise<number> {
  if (protocol === 'tcp') {
    const server = createServer();
    const listening = once(server, 'listening');
    server.listen(0, host);
    await listening;
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');
    return port;
  }
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  const listening = once(socket, 'listening');
  socket.bind(0, host);
  await listening;
  const { port } = socket.address();
  socket.close();
  await once(socket, 'close');
  return port;
}
