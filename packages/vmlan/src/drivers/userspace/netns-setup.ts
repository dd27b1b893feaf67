/**
 * The helper's work: make the TAP, move it into its namespace, set it up, hand its descriptor over.
 *
 * Zone: control.  Whatever fails, closing the descriptor removes the interface again, wherever it is by then.
 * Interfaces are set up by one `ip -batch`, run inside the target namespace.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { VmlanError } from '../../core/errors.ts';
import { sendFd } from '../../sys/fdpass.ts';
import type { Sys } from '../../sys/sys.ts';
import { openTap } from '../../sys/tap.ts';
import type { TapRequest } from './netns-request.ts';

const SEND_TIMEOUT_MS = 10_000;

export async function setUpTap(sys: Sys, request: TapRequest, namespace: string | null): Promise<void> {
  const fd = openTap(sys, { name: request.interface, mac: request.mac });
  try {
    if (namespace !== null) moveInto(request.interface, namespace);
    else if (!request.routerAdverts) refuseRouterAdverts(request.interface);
    const lines = setUpLines(request);
    runIp(namespace === null ? [] : ['nsenter', `--net=${namespace}`, '--'], ['-batch', '-'], `${lines.join('\n')}\n`);
    await sendFd(sys, request.socket, fd, { timeoutMs: SEND_TIMEOUT_MS });
  } finally {
    sys.close(fd);
  }
}

/** Lines for `ip -batch`. A default route waits for the link: it comes last. */
export function setUpLines({ interface: name, mtuBytes, addresses, gateways, loopback }: TapRequest): string[] {
  return [
    ...(loopback ? ['link set dev lo up'] : []),
    `link set dev ${name} mtu ${mtuBytes}`,
    ...addresses.map((address) => `address add ${address} dev ${name}${address.includes(':') ? ' nodad' : ''}`),
    `link set dev ${name} up`,
    ...gateways.map(
      (gateway) => `route replace ${gateway.includes(':') ? '::/0' : '0.0.0.0/0'} via ${gateway} dev ${name}`,
    ),
  ];
}

function moveInto(name: string, namespace: string): void {
  try {
    runIp([], ['link', 'set', 'dev', name, 'netns', namespace], '');
  } catch (error) {
    const said = error instanceof VmlanError ? error.message : '';
    if (/exists/.test(said)) {
      throw new VmlanError('conflict', `the namespace has an interface named "${name}" already`, {
        hint: 'choose another name with --interface',
        cause: error,
      });
    }
    if (/Invalid argument/.test(said)) {
      throw new VmlanError('invalid', `${namespace} is no network namespace`, { cause: error });
    }
    throw error;
  }
}

/** Documentation/networking/ip-sysctl.rst, accept_ra; before the link is up, so that not one is followed. */
function refuseRouterAdverts(name: string): void {
  try {
    writeFileSync(`/proc/sys/net/ipv6/conf/${name}/accept_ra`, '0');
  } catch (error) {
    // Without IPv6 there is nothing to refuse.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

function runIp(prefix: readonly string[], args: readonly string[], input: string): void {
  const [program = '', ...rest] = [...prefix, 'ip', ...args];
  const { status, stderr, error } = spawnSync(program, rest, { input, encoding: 'utf8' });
  if (error !== undefined)
    throw new VmlanError('unsupported', `cannot run ${program}: ${error.message}`, { hint: 'install iproute2' });
  if (status === 0) return;
  const text = stderr.trim().replaceAll(/\s*\n\s*/g, '; ');
  if (/No such (?:file|process)|Invalid "netns" value/.test(text)) {
    throw new VmlanError('not-found', `the network namespace is gone: ${text}`);
  }
  throw new VmlanError(/not permitted/i.test(text) ? 'not-permitted' : 'unavailable', `ip failed: ${text}`);
}
