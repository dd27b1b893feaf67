/**
 * The daemon's end of a capture: a connection of its own to the network process, which carries bytes after the answer.
 *
 * Zone: control.
 */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { VmlanError, fromErrorData } from '../../core/errors.ts';
import type { ErrorData } from '../../core/errors.ts';
import type { CaptureRequest, CaptureStream } from '../driver.ts';
import { END_CAPTURE, PROTOCOL_MINOR, PROTOCOL_VERSION } from './protocol.ts';

const ANSWER_TIMEOUT_MS = 15_000;
const MAX_ANSWER_BYTES = 65_536;
const NEWLINE = 0x0a;

/** Throws what the process says of the request. */
export async function openCapture(path: string, request: CaptureRequest): Promise<CaptureStream> {
  const socket = connect(path);
  try {
    const send = (message: object): boolean => socket.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
    send({ id: 1, method: 'hello', params: { protocol: PROTOCOL_VERSION, minor: PROTOCOL_MINOR } });
    send({ id: 2, method: 'capture', params: request });
    await readAnswers(socket, 2);
    socket.on('error', () => socket.destroy());
    return { stream: socket, end: () => void (socket.destroyed || send({ method: END_CAPTURE, params: {} })) };
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/** Reads `count` lines, each an answer, and leaves what follows them in the socket. */
function readAnswers(socket: Socket, count: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const lost = (): void => reject(new VmlanError('unavailable', 'the connection to the network process is lost'));
  const late = setTimeout(() => reject(new VmlanError('timeout', 'the capture did not start')), ANSWER_TIMEOUT_MS);
  let got = Buffer.alloc(0);
  let left = count;
  const onData = (chunk: Buffer): void => {
    got = Buffer.concat([got, chunk]);
    if (got.length > MAX_ANSWER_BYTES) return lost();
    for (let end = got.indexOf(NEWLINE); end >= 0 && left > 0; end = got.indexOf(NEWLINE)) {
      const { error } = JSON.parse(got.toString('utf8', 0, end)) as { error?: { data?: ErrorData; message: string } };
      if (error !== undefined) {
        return reject(fromErrorData(error.data ?? { code: 'internal', message: error.message }));
      }
      got = got.subarray(end + 1);
      left--;
    }
    if (left > 0) return undefined;
    socket.pause();
    socket.off('data', onData);
    if (got.length > 0) socket.unshift(got);
    return resolve();
  };
  socket.on('data', onData);
  socket.once('error', lost);
  socket.once('close', lost);
  return promise.finally(() => {
    clearTimeout(late);
    socket.off('error', lost);
    socket.off('close', lost);
  });
}
