/**
 * Ready-made behaviours of scripted hosts.
 *
 * Zone: control.  Each function makes a service for `listenTcp`, `connectTcp` or `listenUdp`.
 */
import type { DatagramService } from './host.ts';
import type { ScriptedConnection, Step, StreamService } from './scripted-stream.ts';

const CHUNK = 65_536; // bytes per write of generated data

/** Fills `bytes` with the part of one endless sequence that begins at `position`; the period is far above 64 KiB. */
export function fillPattern(bytes: Uint8Array, position: number): void {
  for (let i = 0; i < bytes.length; i++) {
    const at = position + i;
    bytes[i] = (Math.imul(at, 0x9e37_79b1) >>> 24) ^ (at >>> 16);
  }
}

export function pattern(length: number, position = 0): Uint8Array {
  const bytes = new Uint8Array(length);
  fillPattern(bytes, position);
  return bytes;
}

function drain(connection: ScriptedConnection): void {
  while (connection.read() !== undefined);
}

/** Sends back what it gets, and ends when the peer has ended. */
export function echo(): StreamService {
  return (connection) => {
    let pending: Uint8Array | undefined;
    return () => {
      for (;;) {
        pending ??= connection.read();
        if (pending === undefined) break;
        const count = connection.write(pending);
        pending = count === pending.length ? undefined : pending.subarray(count);
        if (pending !== undefined) return;
      }
      if (connection.ended) connection.close();
    };
  };
}

/** Reads everything; closes when the peer has ended. */
export function sink(): StreamService {
  return (connection) => () => {
    drain(connection);
    if (connection.ended) connection.close();
  };
}

/** Neither reads nor writes. */
export function silent(): StreamService {
  return () => () => undefined;
}

/** A step that sends `total` bytes of the pattern, then ends the sending half. */
function sender(connection: ScriptedConnection, total: number): Step {
  let sent = 0;
  let hasEnded = false;
  return () => {
    while (sent < total) {
      const bytes = pattern(Math.min(CHUNK, total - sent), sent);
      const count = connection.write(bytes);
      sent += count;
      if (count < bytes.length) return;
    }
    if (!hasEnded) connection.end();
    hasEnded = true;
  };
}

/** Sends `total` bytes of the pattern, ends its half, and goes on reading until the peer has ended too. */
export function source(total: number): StreamService {
  return (connection) => {
    const send = sender(connection, total);
    return () => {
      drain(connection);
      send();
      if (connection.ended && !connection.isSending) connection.close();
    };
  };
}

/** Reads until the peer has ended its half, then sends `total` bytes of the pattern and ends too. */
export function answersAfterEnd(total: number): StreamService {
  return (connection) => {
    const send = sender(connection, total);
    return () => {
      drain(connection);
      if (connection.ended) send();
      if (connection.ended && !connection.isSending) connection.close();
    };
  };
}

/** Says `greeting` before it reads anything, then behaves as `next`. */
export function speaksFirst(greeting: string, next: StreamService = sink()): StreamService {
  return (connection) => {
    let pending: Uint8Array = new TextEncoder().encode(greeting);
    const step = next(connection);
    return () => {
      if (pending.length > 0) pending = pending.subarray(connection.write(pending));
      if (pending.length === 0) step();
    };
  };
}

/** Reads `bytes` every `everyMs`, nothing in between. */
export function slowReader(bytes: number, everyMs: number): StreamService {
  return (connection) => {
    const tick = (): void => {
      connection.read(bytes);
      if (connection.ended) connection.close();
      else connection.after(everyMs, tick);
    };
    connection.after(everyMs, tick);
    return () => undefined;
  };
}

/** Closes once `total` bytes have been read; what is unread then makes it a reset. */
export function closesAfter(total: number): StreamService {
  return (connection) => () => {
    while (connection.received < total && connection.read(total - connection.received) !== undefined);
    if (connection.received >= total || connection.ended) connection.close();
  };
}

/** Resets the connection once `total` bytes have been read. */
export function resetsAfter(total: number): StreamService {
  return (connection) => () => {
    while (connection.received < total && connection.read(total - connection.received) !== undefined);
    if (connection.received >= total) connection.reset();
  };
}

export function udpEcho(): DatagramService {
  return (datagram) => datagram.reply(datagram.payload);
}

export function udpSink(): DatagramService {
  return () => undefined;
}
