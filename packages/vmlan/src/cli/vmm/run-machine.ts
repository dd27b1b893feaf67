/**
 * `vmlan run` with QEMU: register, attach, start, and let go when the machine ends.
 *
 * Zone: control.  In the foreground the terminal belongs to the machine.  In the background QEMU detaches itself once
 * it is up; its pid file and serial log lie in the runtime directory, and the link is lost with the process.  A guest
 * that was unknown before is forgotten afterwards; its lease is kept either way.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { VmlanError } from '../../client/errors.ts';
import type { AttachInput, AttachResult, GuestView, NicView } from '../../model/api.ts';
import type { Context } from '../context.ts';
import { fileError } from '../file-error.ts';
import { runProgram } from '../run-program.ts';
import { firstAddress4, firstAddress6 } from '../views/guests.ts';
import { findQemu, hostArchitecture, imageFormat, kvmUsable } from './find-qemu.ts';
import type { Qemu } from './find-qemu.ts';
import { architectureOf, assertStays, machineArguments, ownPidFile } from './machine-arguments.ts';
import type { MachineOptions } from './machine-arguments.ts';
import { qemuNetworkArguments, reconnectWarning } from './network-arguments.ts';
import { hasStream } from './qemu-version.ts';

const LEASE_POLL_MS = 250;

export interface MachineRequest {
  readonly name: string;
  readonly nic: Pick<AttachInput, 'network' | 'mac' | 'ip'>;
  readonly image: string | null;
  readonly kernel: string | null;
  readonly initrd: string | null;
  readonly append: string | null;
  readonly memory: string;
  readonly cpus: number;
  readonly architecture: string | null;
  readonly accelerator: 'auto' | 'kvm' | 'tcg';
  readonly detach: boolean;
  /** How long `--detach` waits for an address. */
  readonly waitMs: number;
  readonly extra: readonly string[];
}

export async function runMachine(context: Context, request: MachineRequest): Promise<void> {
  const architecture = architectureOf(request.architecture ?? hostArchitecture());
  if (!request.detach) assertStays(request.extra);
  const qemu = await findQemu(architecture, context.io.env);
  const image = request.image === null ? null : { path: resolve(request.image), format: imageFormat(request.image) };
  for (const path of [request.kernel, request.initrd]) assertExists(path);
  const known = await findGuest(context, request.name);
  const kind = hasStream(qemu.version) ? 'qemu-stream' : 'qemu-socket-tcp';
  const attached = await context.client.call('attachGuest', {
    params: { name: request.name },
    body: { ...request.nic, kind },
  });
  const release = async (): Promise<void> => letGo(context, attached, known !== null);
  const options: Omit<MachineOptions, 'serial'> = {
    name: request.name,
    architecture,
    kvm: request.accelerator === 'kvm' || (request.accelerator === 'auto' && kvmUsable(architecture)),
    memory: request.memory,
    cpus: request.cpus,
    image,
    kernel: request.kernel === null ? null : resolve(request.kernel),
    initrd: request.initrd === null ? null : resolve(request.initrd),
    append: request.append,
    network: qemuNetworkArguments(attached, qemu.version),
    extra: request.extra,
  };
  try {
    const warning = reconnectWarning(attached, qemu.version);
    if (warning !== null) context.output.warn(warning);
    context.output.progress(startText(attached, options, qemu));
    if (request.detach) await runInBackground(context, request, attached, options, qemu);
    else await runInForeground(context, options, qemu);
  } catch (error) {
    await release();
    throw error;
  }
  if (!request.detach) await release();
}

function startText(attached: AttachResult, { kvm }: Pick<MachineOptions, 'kvm'>, { path, version }: Qemu): string {
  const speed = kvm ? 'KVM' : 'emulation';
  return `${attached.guest} on network "${attached.network}" by ${path} ${version.major}.${version.minor}, ${speed}`;
}

function assertExists(path: string | null): void {
  if (path !== null && !existsSync(path)) throw fileError(path, 'read', { code: 'ENOENT' });
}

/** A guest whose link is up already is another machine of this name. */
async function findGuest(context: Context, name: string): Promise<GuestView | null> {
  try {
    const guest = await context.client.call('getGuest', { params: { name } });
    if (guest.nics.some(({ state }) => state === 'connected')) {
      throw new VmlanError('conflict', `guest "${name}" is connected already`, {
        hint: `choose another name, or unplug it: vmlan detach ${name}`,
      });
    }
    return guest;
  } catch (error) {
    if (error instanceof VmlanError && error.code === 'not-found') return null;
    throw error;
  }
}

async function letGo(context: Context, { guest, network }: AttachResult, known: boolean): Promise<void> {
  const params = { name: guest };
  try {
    if (known) await context.client.call('detachGuest', { params, body: { network } });
    else await context.client.call('deleteGuest', { params });
  } catch (error) {
    // A daemon or network that ended first has let go of the guest itself.
    if (!(error instanceof VmlanError && ['daemon-unreachable', 'not-found', 'unavailable'].includes(error.code)))
      throw error;
  }
}

async function runInForeground(context: Context, options: Omit<MachineOptions, 'serial'>, qemu: Qemu): Promise<void> {
  const serial = { kind: context.io.stdinIsTerminal ? 'terminal' : 'stdio' } as const;
  if (serial.kind === 'terminal') context.output.progress('to end the machine press Ctrl-A, then X');
  const code = await runProgram([qemu.path, ...machineArguments({ ...options, serial })]);
  if (code === 0) return;
  throw new VmlanError('internal', `machine "${options.name}": ${qemu.path} ended with code ${code}`, {
    hint: 'what it said stands above; what follows -- goes to QEMU as it is',
  });
}

async function runInBackground(
  context: Context,
  request: MachineRequest,
  attached: AttachResult,
  options: Omit<MachineOptions, 'serial'>,
  qemu: Qemu,
): Promise<void> {
  const { paths } = await context.client.call('status');
  const directory = join(paths.runtime, 'machines');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const logPath = join(directory, `${request.name}.log`);
  const pidPath = resolve(ownPidFile(request.extra) ?? join(directory, `${request.name}.pid`));
  await startDaemonized(qemu, machineArguments({ ...options, serial: { kind: 'background', logPath, pidPath } }));
  const pid = readPid(qemu, pidPath);
  const nic = await untilAddress(context, attached, pid, logPath, request.waitMs);
  const ip = nic === null ? null : firstAddress4(nic);
  const ipv6 = nic === null ? null : firstAddress6(nic);
  // Of IPv6 it may have as much as it has had time for, which is no news.
  const place = ip === null ? 'waits for its address' : `has ${ip}`;
  await context.output.show(
    { guest: attached.guest, network: attached.network, mac: attached.mac, ip, ipv6, pid, log: logPath },
    {
      table: () => `guest "${attached.guest}" ${place}; pid ${pid}, serial log ${logPath}\n`,
      ids: () => [attached.guest],
    },
  );
}

/** QEMU ends its first process when the machine is set up, or with an error that it has printed. */
async function startDaemonized(qemu: Qemu, argv: readonly string[]): Promise<void> {
  await new Promise<void>((resolvePromise, reject) => {
    execFile(qemu.path, argv, (error, _stdout, stderr) => {
      if (error === null) resolvePromise();
      else reject(startError(stderr.trim() || error.message));
    });
  });
}

const startError = (reason: string): VmlanError =>
  new VmlanError('internal', `the machine did not start: ${reason}`, {
    hint: 'without --detach it has this terminal, and QEMU more to say; what follows -- goes to QEMU as it is',
  });

function readPid({ path }: Qemu, pidPath: string): number {
  try {
    return Number(readFileSync(pidPath, 'utf8').trim());
  } catch (cause) {
    throw new VmlanError('internal', `${path} runs, but its pid file cannot be read: ${(cause as Error).message}`, {
      hint: `find the process, to end it: pgrep -af ${pidPath}`,
      cause,
    });
  }
}

/** The card once it has an IPv4 address; null when the time is over. */
async function untilAddress(
  context: Context,
  { guest, nic: key }: AttachResult,
  pid: number,
  logPath: string,
  waitMs: number,
): Promise<NicView | null> {
  const deadline = Date.now() + waitMs;
  context.output.progress(`waiting for the address of "${guest}" …`);
  for (;;) {
    const view = await context.client.call('getGuest', { params: { name: guest } });
    const nic = view.nics.find((candidate) => candidate.key === key);
    if (nic !== undefined && nic.address4.length > 0) return nic;
    if (!existsSync(`/proc/${pid}`)) {
      throw new VmlanError('internal', `the machine ended before it had an address`, {
        hint: `its serial log: ${logPath}`,
      });
    }
    if (Date.now() >= deadline) return null;
    await delay(LEASE_POLL_MS);
  }
}
