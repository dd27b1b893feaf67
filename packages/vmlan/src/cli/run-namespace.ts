/**
 * `vmlan run NAME --netns`: an interface for a process, a container or a named network namespace.
 *
 * Zone: control.  The daemon does the work; here the target is read and, with `--wait`, the end is waited for.
 */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { VmlanError } from '../client/errors.ts';
import type { AttachInput, AttachResult, NetnsInput } from '../model/api.ts';
import type { Context } from './context.ts';

const POLL_INTERVAL_MS = 500;
const NAMED_DIRECTORY = '/run/netns';

export interface NamespaceRequest {
  readonly name: string;
  readonly nic: Pick<AttachInput, 'network' | 'mac' | 'ip'>;
  /** PID, path, or a name of `ip netns`. */
  readonly target: string;
  readonly interface: string;
  readonly configure: boolean;
  readonly wait: boolean;
}

/** `1234` is a process, `a/b` a path, anything else a name of `ip netns`. */
export function parseTarget(text: string): Pick<NetnsInput, 'pid' | 'path'> {
  if (/^\d+$/.test(text)) return { pid: Number(text) };
  if (text === '' || text === '.' || text === '..') {
    throw new VmlanError('usage', `"${text}" is no namespace`, {
      hint: 'name one of `ip netns list`, a process in it by its pid, or a path such as /proc/PID/ns/net',
    });
  }
  return { path: text.includes('/') ? resolve(text) : `${NAMED_DIRECTORY}/${text}` };
}

export async function runNamespace(context: Context, request: NamespaceRequest): Promise<void> {
  const target = parseTarget(request.target);
  assertExists(target, request.target);
  const netns: NetnsInput = { ...target, interface: request.interface, configure: request.configure };
  const attached = await context.client.call('attachGuest', {
    params: { name: request.name },
    body: { ...request.nic, kind: 'netns', netns },
  });
  await context.output.show(attached, {
    table: () => `${attachedText(attached, request)}\n`,
    ids: () => [attached.guest],
  });
  if (request.wait) await untilEnd(context, attached, target.pid);
}

function assertExists({ pid, path }: Pick<NetnsInput, 'pid' | 'path'>, text: string): void {
  if (pid !== undefined && !existsSync(`/proc/${pid}`)) {
    throw new VmlanError('not-found', `there is no process ${pid}`, {
      hint: 'lsns --type net lists namespaces, each with a process in it',
    });
  }
  if (path !== undefined && !existsSync(path)) {
    throw new VmlanError('not-found', `there is no network namespace ${text}`, {
      hint: 'list them with: ip netns list',
    });
  }
}

function attachedText(attached: AttachResult, { configure }: NamespaceRequest): string {
  const { guest, network, interface: name, mac, address4, prefix4 } = attached;
  const where = `guest "${guest}" is on network "${network}": interface ${name}, ${mac}`;
  if (!configure) return `${where}, ready for a DHCP client`;
  return address4 === null ? where : `${where}, ${address4}/${prefix4}`;
}

/** Until the link or the process is gone, or we are told to stop: then the link is cut. */
async function untilEnd(context: Context, attached: AttachResult, pid: number | undefined): Promise<void> {
  const stop = new AbortController();
  const abort = (): void => stop.abort();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, abort);
  context.output.progress('press Ctrl-C to disconnect');
  while (!stop.signal.aborted && (await isAttached(context, attached, pid))) {
    await delay(POLL_INTERVAL_MS, undefined, { signal: stop.signal }).catch(() => undefined);
  }
  const params = { name: attached.guest };
  await context.client.call('detachGuest', { params, body: { network: attached.network } }).catch(ignoreGone);
}

async function isAttached(
  context: Context,
  { guest, nic: key }: AttachResult,
  pid: number | undefined,
): Promise<boolean> {
  if (pid !== undefined && !existsSync(`/proc/${pid}`)) return false;
  try {
    const { nics } = await context.client.call('getGuest', { params: { name: guest } });
    const nic = nics.find((candidate) => candidate.key === key);
    return nic !== undefined && nic.connected && nic.link === 'tap';
  } catch (error) {
    ignoreGone(error);
    return false;
  }
}

/** A guest, network or daemon that is gone is detached already. */
function ignoreGone(error: unknown): void {
  if (error instanceof VmlanError && ['not-found', 'daemon-unreachable', 'unavailable'].includes(error.code)) return;
  throw error;
}
