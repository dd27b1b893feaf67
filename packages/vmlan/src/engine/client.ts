/**
 * The control thread's handle on an engine thread.
 *
 * Zone: control.  Requests are numbered and answered once; a write to the engine's eventfd wakes it after each message.
 * The eventfd is closed here, when nobody can write to it any more.
 */
import { closeSync, writeSync } from 'node:fs';
import { MessageChannel, Worker, receiveMessageOnPort } from 'node:worker_threads';
import { VmlanError, fromErrorData } from '../core/errors.ts';
import type {
  EngineCapabilities,
  EngineConfig,
  EngineHandle,
  EngineRequest,
  FromEngine,
  ToEngine,
} from './control-messages.ts';

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

const ONE = new Uint8Array(new BigUint64Array([1n]).buffer);

/** Starts an engine thread; rejects when the network cannot be built. */
export async function startEngine(config: EngineConfig): Promise<EngineHandle> {
  const { port1, port2 } = new MessageChannel();
  const wake = new SharedArrayBuffer(4);
  const worker = new Worker(new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url), {
    workerData: { config, port: port2, wake },
    transferList: [port2],
  });
  const waiting = new Map<number, Waiting>();
  const listeners: ((message: FromEngine) => void)[] = [];
  let nextId = 1;
  let stopping = false;
  let hasEnded = false;

  const eventfd = (): number => new Int32Array(wake)[0]!;
  const closed = new Promise<void>((resolve) => port1.once('close', resolve));
  const ended = new Promise<Error | null>((resolve) => {
    let failure: Error | null = null;
    worker.on('error', (error) => (failure = error));
    worker.on('exit', (code) => {
      const why = failure ?? (stopping ? null : new Error(`engine thread ended with code ${code}`));
      hasEnded = true;
      // What it said last may still lie in the port.
      for (let m = receiveMessageOnPort(port1); m !== undefined; m = receiveMessageOnPort(port1)) {
        port1.emit('message', m.message);
      }
      for (const { reject } of waiting.values()) reject(notRunning(why));
      waiting.clear();
      port1.close();
      if (eventfd() > 0) closeSync(eventfd());
      void closed.then(() => resolve(why));
    });
  });

  const post = (message: ToEngine): void => {
    if (hasEnded) return;
    port1.postMessage(message);
    writeSync(eventfd(), ONE);
  };
  const request = (message: EngineRequest): Promise<unknown> =>
    new Promise((resolve, reject) => {
      if (hasEnded) return reject(notRunning(null));
      const id = nextId++;
      waiting.set(id, { resolve, reject });
      post({ ...message, id });
    });

  const capabilities = await new Promise<EngineCapabilities>((resolve, reject) => {
    port1.on('message', (message: FromEngine) => {
      if (message.type === 'ready') resolve(message.capabilities);
      else if (message.type === 'fatal') reject(fromErrorData(message.error));
      else if (message.type === 'done') settle(waiting, message);
      for (const listener of message.type === 'done' ? [] : listeners) listener(message);
    });
    void ended.then((why) => reject(why ?? new Error('engine thread ended before it was ready')));
  });

  const unlessEnded = (error: unknown): void => {
    if (!hasEnded) throw error;
  };

  return {
    capabilities,
    request,
    post,
    on: (listener) => void listeners.push(listener),
    stop: async () => {
      stopping = true;
      // Its end may be known here before its answer is.
      if (!hasEnded) await request({ type: 'stop' }).catch(unlessEnded);
      await ended;
    },
    ended,
  };
}

const notRunning = (cause: Error | null): VmlanError =>
  new VmlanError('unavailable', 'the network is not running', { cause: cause ?? undefined });

function settle(waiting: Map<number, Waiting>, message: Extract<FromEngine, { type: 'done' }>): void {
  const entry = waiting.get(message.id);
  waiting.delete(message.id);
  if (message.error === null) entry?.resolve(message.result);
  else entry?.reject(fromErrorData(message.error));
}
