/**
 * The host's side of starting a machine: where QEMU is, which version, whether KVM works, what a disk image holds.
 *
 * Zone: control.
 */
import { execFile } from 'node:child_process';
import { accessSync, closeSync, constants, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { VmlanError } from '../../client/errors.ts';
import { fileError } from '../file-error.ts';
import type { Architecture } from './machine-arguments.ts';
import { parseQemuVersion } from './qemu-version.ts';
import type { QemuVersion } from './qemu-version.ts';

const VERSION_TIMEOUT_MS = 10_000;
const QCOW2_MAGIC = '514649fb'; // "QFI\xfb", docs/interop/qcow2.txt of QEMU

export interface Qemu {
  readonly path: string;
  readonly version: QemuVersion;
}

export async function findQemu(architecture: Architecture, env: NodeJS.ProcessEnv): Promise<Qemu> {
  const name = `qemu-system-${architecture}`;
  const path = env['VMLAN_QEMU'] ?? findInPath(name, env);
  if (path === null) {
    throw new VmlanError('not-found', `${name} is not installed`, {
      hint: 'install it (Debian: apt-get install qemu-system) or name it in VMLAN_QEMU',
    });
  }
  const version = await qemuVersion(path);
  if (version === null) {
    throw new VmlanError('unsupported', `${path} does not say its version: it is not QEMU`, {
      hint: 'name a QEMU in VMLAN_QEMU, or unset it',
    });
  }
  return { path, version };
}

export function findInPath(name: string, env: NodeJS.ProcessEnv): string | null {
  const candidates = (env['PATH'] ?? '').split(delimiter).map((directory) => join(directory, name));
  return candidates.find((candidate) => isExecutable(candidate)) ?? null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** null when the program cannot be run or is no QEMU. */
export async function qemuVersion(path: string): Promise<QemuVersion | null> {
  try {
    const { stdout } = await promisify(execFile)(path, ['--version'], { timeout: VERSION_TIMEOUT_MS });
    return stdout.startsWith('QEMU') ? parseQemuVersion(stdout) : null;
  } catch {
    return null;
  }
}

/**
 * Whether KVM is worth asking for: the device opens and, on x86, the processor has VMX or SVM.  A kernel may offer the
 * device without them and then runs only guests made for it, which QEMU cannot know.
 */
export function kvmUsable(architecture: Architecture, device = '/dev/kvm', cpuInfo = '/proc/cpuinfo'): boolean {
  if (architecture !== hostArchitecture()) return false;
  try {
    closeSync(openSync(device, 'r+'));
    return architecture !== 'x86_64' || /^flags\s*:.*\b(?:vmx|svm)\b/m.test(readFileSync(cpuInfo, 'utf8'));
  } catch {
    return false;
  }
}

export const hostArchitecture = (): string =>
  ({ x64: 'x86_64', arm64: 'aarch64' })[process.arch as string] ?? process.arch;

export function imageFormat(path: string): 'raw' | 'qcow2' {
  const magic = Buffer.alloc(4);
  try {
    const fd = openSync(path, 'r');
    readSync(fd, magic, 0, 4, 0);
    closeSync(fd);
  } catch (cause) {
    throw fileError(path, 'read', cause, 'disk image');
  }
  return magic.toString('hex') === QCOW2_MAGIC ? 'qcow2' : 'raw';
}
