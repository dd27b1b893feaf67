/**
 * The engine thread: opens the system, builds the network, and turns until it is told to stop.
 *
 * Zone: control.  It never enters Node's event loop: messages are taken from the port by receiveMessageOnPort when the
 * eventfd says so, and `postMessage` leaves at once.  The eventfd is closed by the control thread, which writes to it for
 * as long as it takes this thread to be running.
 */
import { getRandomValues } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { type MessagePort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { toErrorData } from '../core/errors.ts';
import * as C from '../sys/constants.ts';
import { openLibc, releaseArena } from '../sys/libc.ts';
import { openFileLimit } from '../sys/open-file-limit.ts';
import { accelerate } from '../wire/checksum.ts';
import { newSumKernel } from '../wire/simd-sum.ts';
import { ARENA_BYTES } from './arena-bytes.ts';
import type { EngineConfig, FromEngine, ToEngine } from './control-messages.ts';
import { NetworkEngine } from './network-engine.ts';
import { AWAKE_US } from './waiting.ts';

/** What the engine thread is started with. */
export interface EngineWorkerData {
  readonly config: EngineConfig;
  readonly port: MessagePort;
  /** The first four bytes receive the eventfd that wakes the engine. */
  readonly wake: SharedArrayBuffer;
}

/** Kept from guests, or a quarter of the limit: for the control thread's files and connections, and name servers. */
const MAX_RESERVED_DESCRIPTORS = 256;

const { config, port, wake } = workerData as EngineWorkerData;
const send = (message: FromEngine): void => port.postMessage(message);

const numbers = new Int32Array(64);
let used = numbers.length;
function random(): number {
  if (used === numbers.length) {
    getRandomValues(numbers);
    used = 0;
  }
  return numbers[used++]!;
}

try {
  const limit = openFileLimit();
  const reserved = Math.min(MAX_RESERVED_DESCRIPTORS, Math.floor(limit / 4));
  const sys = openLibc({ arenaBytes: ARENA_BYTES, socketsBelow: limit - reserved });
  const { view, wasmMemory } = sys.arena;
  if (wasmMemory !== null) accelerate(view, newSumKernel(wasmMemory));
  const engine = new NetworkEngine(sys, config, send, random, availableParallelism() > 1 ? AWAKE_US : 0);
  const eventfd = sys.eventfd();
  const counter = sys.arena.alloc(8, 8);
  engine.loop.add(eventfd, C.EPOLLIN, {
    onReady: () => {
      sys.read(eventfd, counter, 8);
      for (let m = receiveMessageOnPort(port); m !== undefined; m = receiveMessageOnPort(port)) {
        engine.handle(m.message as ToEngine);
      }
    },
  });
  Atomics.store(new Int32Array(wake), 0, eventfd);
  send({ type: 'ready', capabilities: engine.capabilities });
  engine.run();
  engine.close();
  releaseArena(sys); // a process may have one network after the other
} catch (error) {
  send({ type: 'fatal', error: toErrorData(error) });
  throw error;
}
