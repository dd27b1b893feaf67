/**
 * `vmlan run NAME`: a virtual machine under QEMU, or (`--netns`) a namespace, on a network.
 *
 * Zone: control.
 */
import { InvalidArgumentError, Option } from 'commander';
import { VmlanError } from '../../client/errors.ts';
import type { AttachInput } from '../../model/api.ts';
import type { DefineCommand } from '../context.ts';
import { addExamples } from '../examples.ts';
import { nicOf, parseNetwork } from '../nic-option.ts';

interface RunOptions {
  readonly network?: AttachInput;
  readonly mac?: string;
  readonly ip?: string;
  readonly image?: string;
  readonly kernel?: string;
  readonly initrd?: string;
  readonly append?: string;
  readonly memory: string;
  readonly cpus: number;
  readonly arch?: string;
  readonly accel: 'auto' | 'kvm' | 'tcg';
  readonly detach?: boolean;
  readonly timeout: number;
  readonly netns?: string;
  readonly interface: string;
  readonly configNet?: boolean;
  readonly wait?: boolean;
}

export const define: DefineCommand = (command, context) => {
  command
    .usage('<guest> [options] [-- qemu-arguments...]')
    .argument('<guest>', 'name of the guest; a new one is registered')
    .argument('[qemu-arguments...]', 'after --: appended to the command line of QEMU')
    .option('--network <network>', 'NETWORK[,ip=ADDRESS][,mac=MAC]; the default network without it', parseNetwork)
    .option('--mac <mac>', 'its MAC address; always the same one without it')
    .option('--ip <address>', 'its IPv4 address')
    .optionsGroup('Machine:')
    .option('--image <disk>', 'disk image, raw or qcow2; without disk and kernel the machine boots from the network')
    .option('--kernel <file>', 'boot this kernel')
    .option('--initrd <file>', 'with this initial RAM disk')
    .option('--append <text>', "and this kernel's command line")
    .option('--memory <size>', 'memory, in MiB or with K, M, G', parseMemory, '1G')
    .option('--cpus <count>', 'number of processors', parseCount, 1)
    .option('--arch <architecture>', "x86_64, aarch64 or riscv64; the host's without it")
    .addOption(
      new Option('--accel <accelerator>', 'KVM where it works, or not').choices(['auto', 'kvm', 'tcg']).default('auto'),
    )
    .option('--detach', 'run in the background; returns when the machine has its address')
    .option('--timeout <seconds>', 'how long --detach waits for the address', parseCount, 30)
    .optionsGroup('Namespace:')
    .option('--netns <pid|path|name>', 'no machine: give an existing network namespace an interface')
    .option('--interface <name>', 'name of the interface in the namespace', 'eth0')
    .option('--config-net', 'also set its addresses, route and resolver')
    .option('--wait', 'stay until the process ends; Ctrl-C disconnects')
    .action(async (name: string, extra: string[], options: RunOptions) => {
      assertOneKind(options, extra);
      const nic = nicOf(options);
      if (options.netns !== undefined) {
        const { runNamespace } = await import('../run-namespace.ts');
        const { netns: target, configNet: configure = false, wait = false } = options;
        return runNamespace(context, { name, nic, target, interface: options.interface, configure, wait });
      }
      const { runMachine } = await import('../vmm/run-machine.ts');
      const { image = null, kernel = null, initrd = null, append = null, memory, cpus } = options;
      const { accel: accelerator, arch: architecture = null, detach = false, timeout } = options;
      const machine = { image, kernel, initrd, append, memory, cpus, architecture, accelerator };
      return runMachine(context, { name, nic, ...machine, detach, waitMs: timeout * 1000, extra });
    });
  addExamples(command, [
    ['boot a disk image; Ctrl-A X ends it', 'vmlan run web --image web.qcow2 --memory 2G --cpus 2'],
    [
      'in the background, on another network, with a fixed address',
      'vmlan run db --image db.qcow2 --network lab,ip=192.168.105.10 --detach',
    ],
    ['with further arguments for QEMU', 'vmlan run web --image web.qcow2 -- -vga std -display gtk'],
    ['give a rootless container the network', 'vmlan run c1 --netns 4711 --config-net'],
    ['give a named namespace an interface for its own DHCP client', 'vmlan run lab1 --netns lab1'],
  ]);
};

const MACHINE_OPTIONS = ['image', 'kernel', 'initrd', 'append', 'detach', 'arch'] as const;

function assertOneKind(options: RunOptions, extra: readonly string[]): void {
  if (options.netns === undefined) {
    const foreign = options.configNet === true ? '--config-net' : options.wait === true ? '--wait' : null;
    if (foreign !== null) throw belongsToNamespace(foreign);
    return;
  }
  const foreign = MACHINE_OPTIONS.find((name) => options[name] !== undefined);
  if (foreign !== undefined) {
    throw new VmlanError('usage', `--${foreign} and --netns exclude each other`, {
      hint: 'a machine is run without --netns; a namespace has no machine, see: vmlan run --help',
    });
  }
  if (extra.length > 0) {
    throw new VmlanError('usage', `a namespace takes no arguments for QEMU: ${extra.join(' ')}`, {
      hint: 'leave out -- and what follows',
    });
  }
}

const belongsToNamespace = (option: string): VmlanError =>
  new VmlanError('usage', `${option} belongs to --netns`, {
    hint: `e.g. vmlan run c1 --netns 4711 ${option}`,
  });

function parseMemory(text: string): string {
  if (/^[1-9]\d{0,8}[KMGkmg]?$/.test(text)) return text;
  throw new InvalidArgumentError('Write a size such as 512M or 2G.');
}

function parseCount(text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a whole number from 1.');
}
