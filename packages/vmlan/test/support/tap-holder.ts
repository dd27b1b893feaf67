/**
 * A process that owns a TAP as a network process does, driven by lines on stdin: makes it through the helper program,
 * prints `open`, then answers `read` with the next frame in hex or `errno N`.
 *
 *   node tap-holder.ts REQUEST TARGET       both JSON; see drivers/userspace/netns-attach.ts
 *
 * Zone: control.
 */
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { toErrorData } from '../../src/core/errors.ts';
import { openNamespaceTap, type NamespaceTarget, type TapRequest } from '../../src/drivers/userspace/netns-attach.ts';
import { EAGAIN } from '../../src/sys/constants.ts';
import { openLibc } from '../../src/sys/libc.ts';

const FRAME_ROOM = 70_000; // bytes
const POLL_MS = 10;
const [request = '{}', target = 'null'] = process.argv.slice(2);
const sys = openLibc({ arenaBytes: 1 << 20 });
const buffer = sys.arena.alloc(FRAME_ROOM);

async function readFrame(fd: number): Promise<string> {
  for (;;) {
    const length = sys.read(fd, buffer, FRAME_ROOM);
    if (length >= 0) return Buffer.from(sys.arena.u8.subarray(buffer, buffer + length)).toString('hex');
    if (length !== -EAGAIN) return `errno ${-length}`;
    await delay(POLL_MS);
  }
}

try {
  const fd = await openNamespaceTap(
    sys,
    JSON.parse(request) as TapRequest,
    JSON.parse(target) as NamespaceTarget | null,
  );
  process.stdout.write('open\n');
  for await (const line of createInterface(process.stdin)) {
    if (line === 'read') process.stdout.write(`${await readFrame(fd)}\n`);
  }
} catch (error) {
  process.stdout.write(`${JSON.stringify(toErrorData(error))}\n`);
  process.exitCode = 1;
}
