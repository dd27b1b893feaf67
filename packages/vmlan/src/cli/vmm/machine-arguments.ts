/**
 * The QEMU command line of `vmlan run`: machine, accelerator, disk, kernel and serial line around the network card.
 *
 * Zone: control, pure.  What comes after `--` on our command line is appended as it is, and what it already says about
 * display, serial line and pid file is not said twice.
 */
import { VmlanError } from '../../client/errors.ts';
import { escapeComma } from './network-arguments.ts';

export type Architecture = 'x86_64' | 'aarch64' | 'riscv64';

export interface MachineOptions {
  readonly name: string;
  readonly architecture: Architecture;
  readonly kvm: boolean;
  readonly memory: string;
  readonly cpus: number;
  readonly image: { readonly path: string; readonly format: 'raw' | 'qcow2' } | null;
  readonly kernel: string | null;
  readonly initrd: string | null;
  readonly append: string | null;
  readonly serial:
    | { readonly kind: 'terminal' }
    /** No terminal at the other end: no escape key, so that every byte passes. */
    | { readonly kind: 'stdio' }
    | { readonly kind: 'background'; readonly logPath: string; readonly pidPath: string };
  readonly network: readonly string[];
  readonly extra: readonly string[];
}

const MACHINES: Readonly<Record<Architecture, string>> = { x86_64: 'q35', aarch64: 'virt', riscv64: 'virt' };
const DISPLAY_OPTIONS = ['-display', '-nographic', '-vnc', '-spice', '-curses', '-sdl'];
const SERIAL_OPTIONS = ['-serial', '-nographic'];

export function machineArguments(options: MachineOptions): string[] {
  const { extra } = options;
  return [
    ...['-name', escapeComma(options.name), '-nodefaults', '-no-user-config'],
    ...['-machine', MACHINES[options.architecture], ...acceleration(options.kvm)],
    ...['-m', options.memory, '-smp', String(options.cpus)],
    ...(saysOneOf(extra, DISPLAY_OPTIONS) ? [] : ['-display', 'none']),
    ...(saysOneOf(extra, SERIAL_OPTIONS) ? [] : serial(options.serial)),
    ...background(options.serial, ownPidFile(extra)),
    ...disk(options),
    ...direct('-kernel', options.kernel),
    ...direct('-initrd', options.initrd),
    ...direct('-append', options.append),
    ...['-device', 'virtio-rng-pci'],
    ...options.network,
    ...extra,
  ];
}

/** QEMU takes the first accelerator that starts; `-cpu max` means the host's under KVM. */
const acceleration = (kvm: boolean): string[] => [...(kvm ? ['-accel', 'kvm'] : []), '-accel', 'tcg', '-cpu', 'max'];

function serial(wanted: MachineOptions['serial']): string[] {
  switch (wanted.kind) {
    case 'terminal':
      return ['-serial', 'mon:stdio'];
    case 'stdio':
      return ['-serial', 'stdio'];
    default:
      return ['-serial', `file:${wanted.logPath}`];
  }
}

function background(wanted: MachineOptions['serial'], own: string | null): string[] {
  if (wanted.kind !== 'background') return [];
  return ['-daemonize', ...(own === null ? ['-pidfile', wanted.pidPath] : [])];
}

/** The pid file that the arguments for QEMU name themselves; of several the last one holds. */
export function ownPidFile(extra: readonly string[]): string | null {
  const at = extra.findLastIndex((word) => saysOneOf([word], ['-pidfile']));
  return at < 0 ? null : (extra[at + 1] ?? null);
}

/** Who lets QEMU leave the terminal must let us know, or its link is closed behind it. */
export function assertStays(extra: readonly string[]): void {
  if (!saysOneOf(extra, ['-daemonize'])) return;
  throw new VmlanError('usage', '-daemonize: vmlan takes a machine off its network when its QEMU leaves the terminal', {
    hint: 'write --detach before the --, and leave out -daemonize',
  });
}

function disk({ image }: MachineOptions): string[] {
  if (image === null) return [];
  const drive = `if=none,id=disk0,file=${escapeComma(image.path)},format=${image.format}`;
  return ['-drive', drive, '-device', 'virtio-blk-pci,drive=disk0'];
}

const direct = (option: string, value: string | null): string[] => (value === null ? [] : [option, value]);

const saysOneOf = (argv: readonly string[], options: readonly string[]): boolean =>
  argv.some((word) => options.includes(word.replace(/^--/, '-')));

export function architectureOf(text: string): Architecture {
  const names: Readonly<Record<string, Architecture>> = {
    x64: 'x86_64',
    x86_64: 'x86_64',
    amd64: 'x86_64',
    arm64: 'aarch64',
    aarch64: 'aarch64',
    riscv64: 'riscv64',
  };
  const known = names[text];
  if (known === undefined) {
    throw new VmlanError('usage', `no machine is known for architecture "${text}"`, {
      hint: 'use --arch x86_64, aarch64 or riscv64',
    });
  }
  return known;
}
