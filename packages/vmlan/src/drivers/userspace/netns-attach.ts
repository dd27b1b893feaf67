/**
 * A TAP made by the helper program: for a network namespace, or for the host itself.
 *
 * Zone: control.  `createTap` runs where the privileges are (the daemon); `receiveFd` of sys/fdpass.ts where the frames
 * are moved (the network process).  `openNamespaceTap` is both, for one process.
 *
 *     const request = { socket, interface: 'eth0', mac, mtuBytes: 65520, … };
 *     const fd = await openNamespaceTap(sys, request, { pid: 4711, path: null });
 */
import { execFile } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { VmlanError, fromErrorData } from '../../core/errors.ts';
import { receiveFd } from '../../sys/fdpass.ts';
import type { Sys } from '../../sys/sys.ts';
import { toArguments } from './netns-request.ts';
import type { TapAnswer, TapRequest } from './netns-request.ts';
import { wayInto } from './netns-target.ts';
import type { NamespaceTarget } from './netns-target.ts';

export type { NamespaceTarget, TapRequest };

const HELPER_TIMEOUT_MS = 20_000;
const SYSTEM_PATHS = '/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin';

/** The helper's whole argument vector; `target` null stays in this process's own namespace. */
export function tapCommand(request: TapRequest, target: NamespaceTarget | null, uid: number): string[] {
  const way = target === null ? null : wayInto(target, uid);
  const program = new URL(`./netns-tap${extname(import.meta.url)}`, import.meta.url);
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', fileURLToPath(program)];
  return [...(way?.prefix ?? []), ...node, ...toArguments(request, way?.path ?? null)];
}

/** Resolves when the descriptor has arrived at `request.socket`; throws a VmlanError that says what is missing. */
export async function createTap(
  request: TapRequest,
  target: NamespaceTarget | null,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<void> {
  const [program = '', ...args] = tapCommand(request, target, process.getuid?.() ?? -1);
  const env = { PATH: `${process.env['PATH'] ?? ''}:${SYSTEM_PATHS}` };
  const settings = { env, timeout: HELPER_TIMEOUT_MS, killSignal: 'SIGKILL' as const, signal: options.signal };
  const { error, stdout, stderr } = await new Promise<{ error: Error | null; stdout: string; stderr: string }>(
    (resolve) => {
      execFile(program, args, settings, (error, stdout, stderr) => resolve({ error, stdout, stderr }));
    },
  );
  if (error === null) return;
  options.signal?.throwIfAborted();
  const answer = parseAnswer(stdout);
  throw answer?.error ? fromErrorData(answer.error) : helperError(program, error, stderr.trim());
}

/** Makes the interface and returns its descriptor, which belongs to the caller and to no Node stream. */
export async function openNamespaceTap(
  sys: Sys,
  request: TapRequest,
  target: NamespaceTarget | null,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<number> {
  const helperFailed = new AbortController();
  const signals = [helperFailed.signal, ...(options.signal === undefined ? [] : [options.signal])];
  const receiving = receiveFd(sys, request.socket, { timeoutMs: HELPER_TIMEOUT_MS, signal: AbortSignal.any(signals) });
  const received = receiving.then(
    (fd) => ({ fd, error: null }),
    (error: unknown) => ({ fd: -1, error }),
  );
  try {
    await createTap(request, target, options);
  } catch (error) {
    helperFailed.abort();
    const { fd } = await received;
    if (fd >= 0) sys.close(fd);
    throw error;
  }
  const { fd, error } = await received;
  if (error !== null) throw error;
  return fd;
}

function parseAnswer(stdout: string): TapAnswer | null {
  try {
    return JSON.parse(stdout) as TapAnswer;
  } catch {
    return null;
  }
}

/** The helper never came to speak: what nsenter, unshare or the system said. */
function helperError(program: string, error: Error, stderr: string): VmlanError {
  const { code, killed } = error as NodeJS.ErrnoException & { killed?: boolean };
  if (code === 'ENOENT') {
    return new VmlanError('unsupported', `${program} is not installed`, { hint: 'install util-linux', cause: error });
  }
  if (killed === true)
    return new VmlanError('timeout', `setting up the interface took more than ${HELPER_TIMEOUT_MS / 1000} s`);
  if (/No such (?:file|process)/.test(stderr)) {
    return new VmlanError('not-found', `the network namespace is gone: ${stderr}`, { cause: error });
  }
  if (/not permitted|denied/i.test(stderr)) {
    return new VmlanError('not-permitted', `entering the namespace is not permitted: ${stderr}`, {
      hint: 'run the daemon as the owner of the namespace, or as root',
      cause: error,
    });
  }
  return new VmlanError('unavailable', `the interface could not be set up: ${stderr || error.message}`, {
    cause: error,
  });
}
