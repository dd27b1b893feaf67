/**
 * One query to a name server over TCP, for what does not fit UDP (RFC 1035 §4.2.2, RFC 7766).
 *
 * Zone: control.  A connection per query: truncated answers are rare.
 */
import type { Socket } from 'node:net';
import { createConnection } from 'node:net';
import { ID, readUint16 } from '../../wire/dns.ts';
import { isReplyTo, withId } from './upstream-dns-match.ts';
import type { OnReply } from './upstream-dns-udp.ts';
import { randomId } from './upstream-dns-udp.ts';

const LENGTH_OCTETS = 2;

/**
 * Asks; `onReply` gets null if the server cannot be reached or talks nonsense.  The function returned gives up.
 * `onClosed` is called once, when the connection is gone in any case.
 */
export function askTcp(
  server: string,
  port: number,
  query: Uint8Array,
  onReply: OnReply,
  onClosed: () => void,
): () => void {
  const sent = withId(query, randomId());
  const socket = createConnection({ host: server, port });
  const collect = makeCollector();
  let done = false;
  const finish = (reply: Uint8Array | null): void => {
    if (done) return;
    done = true;
    socket.destroy();
    onReply(reply);
  };
  socket.on('connect', () => sendFramed(socket, sent));
  socket.on('data', (chunk) => {
    const reply = collect(chunk);
    if (reply !== null) finish(isReplyTo(reply, sent) ? withId(reply, readUint16(query, ID)) : null);
  });
  socket.on('error', () => finish(null));
  socket.on('close', () => {
    finish(null);
    onClosed();
  });
  return () => {
    done = true;
    socket.destroy();
  };
}

function sendFramed(socket: Socket, message: Uint8Array): void {
  socket.write(Buffer.concat([Uint8Array.of(message.length >>> 8, message.length & 0xff), message]));
}

/** Joins chunks until the first message is complete. */
function makeCollector(): (chunk: Uint8Array) => Uint8Array | null {
  const chunks: Uint8Array[] = [];
  let octets = 0;
  let end = LENGTH_OCTETS;
  return (chunk) => {
    chunks.push(chunk);
    octets += chunk.length;
    if (octets < end) return null;
    const held = Buffer.concat(chunks.splice(0));
    end = LENGTH_OCTETS + readUint16(held, 0);
    chunks.push(held);
    return octets < end ? null : held.subarray(LENGTH_OCTETS, end);
  };
}
