/**
 * A client that notices when nothing moves: a byte every 50 ms to an echo server, over one connection.
 *
 *   node probe.ts ADDRESS PORT      prints `probing`, then a line for each second: the longest wait of that second, in
 *                                   milliseconds, an unanswered byte's included; `lost` when the connection is gone
 *
 * Zone: control.
 */
import { connect } from 'node:net';

const PERIOD_MS = 50;
const REPORT_MS = 1000;
const [address = '', port = ''] = process.argv.slice(2);
/** When the bytes were sent that are not back yet, oldest first. */
const sentMs: number[] = [];
let longestMs = 0;

const socket = connect({ host: address, port: Number(port), noDelay: true });
const lost = (): never => {
  process.stdout.write('lost\n');
  process.exit(1);
};
socket.on('error', lost);
socket.on('close', lost);
socket.on('data', (bytes: Buffer) => {
  const now = performance.now();
  for (const sent of sentMs.splice(0, bytes.length)) longestMs = Math.max(longestMs, now - sent);
});
socket.on('connect', () => {
  process.stdout.write('probing\n');
  setInterval(() => {
    sentMs.push(performance.now());
    socket.write('.');
  }, PERIOD_MS);
  setInterval(() => {
    const waiting = sentMs[0] === undefined ? 0 : performance.now() - sentMs[0];
    process.stdout.write(`${Math.round(Math.max(longestMs, waiting))}\n`);
    longestMs = 0;
  }, REPORT_MS);
});
