/**
 * `vmlan attach NAME`: registers a guest, opens its link, and prints (or runs a program with) what its VMM needs.
 *
 * Zone: control.
 */
import { basename } from 'node:path';
import { Option } from 'commander';
import { VmlanError } from '../../client/errors.ts';
import type { AttachKind, AttachResult } from '../../model/api.ts';
import type { Context, DefineCommand } from '../context.ts';
import { addExamples } from '../examples.ts';
import { nicOf, parseNetwork } from '../nic-option.ts';
import type { NicOptions } from '../nic-option.ts';
import { runProgram } from '../run-program.ts';
import { shellQuote } from '../shell-quote.ts';
import { findInPath, hostArchitecture, qemuVersion } from '../vmm/find-qemu.ts';
import { qemuNetworkArguments, reconnectWarning, socketText, vfkitNetworkArguments } from '../vmm/network-arguments.ts';
import { parseQemuVersion } from '../vmm/qemu-version.ts';
import type { QemuVersion } from '../vmm/qemu-version.ts';

const KINDS: readonly AttachKind[] = ['qemu-stream', 'qemu-dgram', 'qemu-socket-tcp', 'qemu-server', 'vfkit'];

interface AttachOptions extends NicOptions {
  readonly kind?: AttachKind;
  readonly server?: string;
  readonly qemuVersion?: string;
  readonly exec?: boolean;
}

export const define: DefineCommand = (command, context) => {
  command
    .usage('<guest> [options] [--exec -- command...]')
    .argument('<guest>', 'name of the guest; a new one is registered')
    .argument('[command...]', 'with --exec: the program, and arguments that come before ours')
    .option(
      '--network <network>',
      "NETWORK[,ip=ADDRESS][,mac=MAC]; the guest's own network or the default one without it",
      parseNetwork,
    )
    .option('--mac <mac>', 'its MAC address, e.g. 52:54:00:12:34:56')
    .option('--ip <address>', 'its IPv4 address')
    .addOption(new Option('--kind <kind>', 'what the machine speaks').choices(KINDS))
    .option('--server <address>', 'the machine listens there (path or HOST:PORT) and vmlan connects: kind qemu-server')
    .option('--qemu-version <version>', 'the version to print for; the installed one without it')
    .option('--exec', 'run the command with these arguments instead of printing them')
    .action(async (name: string, program: string[], options: AttachOptions) => {
      if ((options.exec === true) !== program.length > 0) {
        throw new VmlanError('usage', '--exec and a command belong together', {
          hint: 'vmlan attach NAME --exec -- COMMAND ARGUMENTS',
        });
      }
      if (options.kind === 'qemu-server' && options.server === undefined) {
        throw new VmlanError('usage', '--kind qemu-server: where does the machine listen?', {
          hint: `vmlan attach ${name} --server /path/of/its/socket, or --server 127.0.0.1:4321`,
        });
      }
      const { server } = options;
      const kind = options.kind ?? (server === undefined ? 'qemu-stream' : 'qemu-server');
      const body = { ...nicOf(options), kind, server };
      const attached = await context.client.call('attachGuest', { params: { name }, body });
      const version = kind === 'vfkit' ? null : await targetVersion(context, options, program);
      const argv = kind === 'vfkit' ? vfkitNetworkArguments(attached) : qemuNetworkArguments(attached, version);
      const warning = reconnectWarning(attached, version);
      if (warning !== null) context.output.warn(warning);
      if (options.exec === true) context.exitCode = await runProgram([...program, ...argv]);
      else await showAttachment(context, attached, argv);
    });
  addExamples(command, [
    ['start QEMU yourself', 'qemu-system-x86_64 -m 1G web.qcow2 $(vmlan attach web)'],
    ['the same without a shell in between', 'vmlan attach web --exec -- qemu-system-x86_64 -m 1G web.qcow2'],
    ['QEMU listens, vmlan connects', 'vmlan attach web --server /run/user/1000/web.sock'],
    ['for vfkit', 'vmlan attach web --kind vfkit'],
  ]);
};

async function showAttachment(context: Context, attached: AttachResult, argv: readonly string[]): Promise<void> {
  const { guest, network, mac, kind } = attached;
  const program = kind === 'vfkit' ? 'vfkit' : 'qemu';
  await context.output.show(
    { guest, network, mac, socket: socketText(attached), [program]: argv },
    { table: () => `${shellQuote(argv)}\n`, ids: () => [guest] },
  );
}

/** The version that the arguments are for: as told, of the program that is run, or of the QEMU of this host. */
async function targetVersion(
  context: Context,
  options: AttachOptions,
  program: readonly string[],
): Promise<QemuVersion | null> {
  if (options.qemuVersion !== undefined) {
    const version = parseQemuVersion(options.qemuVersion);
    if (version === null) {
      throw new VmlanError('usage', `--qemu-version ${options.qemuVersion}: not a version of QEMU`, {
        hint: 'e.g. --qemu-version 9.2; qemu-system-x86_64 --version tells it',
      });
    }
    return version;
  }
  const named = program.find((word) => basename(word).startsWith('qemu'));
  const path = named ?? findInPath(`qemu-system-${hostArchitecture()}`, context.io.env);
  return path === null ? null : qemuVersion(path);
}
