/**
 * A process that is one network: the engine without a daemon, driven by lines of JSON on stdin, for engine-bed.ts.
 *
 *   node engine-host.ts CONFIG            prints {"ready":…}, answers {"id":…,"request":…} and {"id":…,"tap":…}
 *
 * Leases are durable at once, DNS questions go to this namespace's resolver.
 *
 * Zone: control.
 */
import { createInterface } from 'node:readline';
import { fromErrorData, toErrorData } from '../../src/core/errors.ts';
import { startEngine } from '../../src/engine/client.ts';
import type { EngineConfig, EngineRequest, FromEngine } from '../../src/engine/control-messages.ts';
import { openNamespaceTap, type TapRequest } from '../../src/drivers/userspace/netns-attach.ts';
import { UpstreamDns } from '../../src/drivers/userspace/upstream-dns.ts';
import { openLibc } from '../../src/sys/libc.ts';

interface Command {
  readonly id: number;
  readonly request?: EngineRequest;
  /** A TAP in the namespace of `path`, for a NIC. */
  readonly tap?: { readonly nic: string; readonly path: string; readonly request: TapRequest };
}

const say = (value: unknown): void => void process.stdout.write(`${JSON.stringify(value)}\n`);
const sys = openLibc({ arenaBytes: 1 << 20 });
const resolver = new UpstreamDns();
const engine = await startEngine(JSON.parse(process.argv[2] ?? '{}') as EngineConfig);

function onMessage(message: FromEngine): void {
  if (message.type === 'leases') engine.post({ type: 'leases-durable', generation: message.generation });
  else if (message.type === 'dns-query') void answer(message.queryId, message.query);
  else if (message.type !== 'ready') say(message);
}

async function answer(queryId: number, query: Uint8Array): Promise<void> {
  engine.post({ type: 'dns-reply', queryId, reply: await resolver.resolve(query) });
}

async function execute({ request, tap }: Command): Promise<unknown> {
  if (request !== undefined) return engine.request(request);
  if (tap === undefined) return null;
  const fd = await openNamespaceTap(sys, tap.request, { pid: null, path: tap.path });
  const link = { kind: 'tap', fd, nic: tap.nic, hostSide: false } as const;
  return engine.request({ type: 'add-link', linkId: tap.nic, link });
}

function onEnd(error: Error | null): never {
  if (error !== null) process.stderr.write(`the engine ended: ${error.stack ?? error.message}\n`);
  process.exit(error === null ? 0 : 70);
}

engine.on(onMessage);
void engine.ended.then(onEnd);
say({ ready: engine.capabilities });
for await (const line of createInterface(process.stdin)) {
  const command = JSON.parse(line) as Command;
  void execute(command).then(
    (result) => say({ id: command.id, error: null, result: result ?? null }),
    (error: unknown) => say({ id: command.id, error: toErrorData(error), result: null }),
  );
}
resolver.close();
await engine.stop().catch((error: unknown) => say({ error: fromErrorData(toErrorData(error)).message }));
