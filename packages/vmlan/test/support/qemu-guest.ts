/**
 * Real guests under QEMU for tests: the tiny Linux of guest-image.ts with a command channel, and a machine without a
 * disk or kernel whose firmware (iPXE) asks for an address. TCG unless VMLAN_TEST_ACCEL says otherwise: a guest boots
 * in two seconds, and the result does not depend on the machine.
 *
 * Zone: control. A guest owns its QEMU process and its private folder; closing it removes both.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until, within } from './deadline.ts';
import { GuestAgent, type CommandResult, type GuestLease } from './guest-agent.ts';
import { guestImage, type GuestImage } from './guest-image.ts';

export const QEMU = 'qemu-system-x86_64';
const DEFAULT_MEMORY_MIB = 128; // 64 MiB panics, 96 MiB boots
const BOOT_TIMEOUT_MS = 120_000;
const KILL_AFTER_MS = 3000;
const ENDING_MS = 1000;

export interface GuestOptions {
  readonly name: string;
  /** -netdev and -device arguments, complete with MAC address. */
  readonly netArgs: readonly string[];
  readonly memoryMib?: number;
  /** false: eth0 comes up without an address. */
  readonly dhcp?: boolean;
  /** Runs QEMU behind this command, for example ['ip', 'netns', 'exec', NAME]; it must exec, not fork. */
  readonly wrap?: readonly string[];
}

const accelerator = (): string => process.env['VMLAN_TEST_ACCEL'] ?? 'tcg';

/** The kernel's -append: a quick boot with the console on the serial port, and what guest/init reads. */
export function kernelCommandLine(options: Pick<GuestOptions, 'name' | 'dhcp'>): string {
  const dhcp = options.dhcp === false ? ' guest.dhcp=off' : '';
  // no_timer_check: on a host that is very busy, the kernel finds QEMU's timer dead and panics.
  const quick = 'reboot=t panic=-1 quiet mitigations=off nokaslr tsc=reliable no_timer_check';
  return `console=ttyS0 ${quick} guest.name=${options.name}${dhcp}`;
}

/** The command channel: QEMU's end is a unix socket at `path`, which GuestAgent.connect takes. */
export function agentArgs(path: string): string[] {
  const channel = ['-chardev', `socket,id=agent,path=${path},server=on,wait=off`];
  return [...channel, '-device', 'virtio-serial-pci', '-device', 'virtserialport,chardev=agent,name=agent'];
}

function bootArgs(image: GuestImage, options: GuestOptions, folder: string): string[] {
  return [
    ...['-M', `q35,accel=${accelerator()}`, '-cpu', 'max', '-m', String(options.memoryMib ?? DEFAULT_MEMORY_MIB)],
    ...[
      '-nodefaults',
      '-no-user-config',
      '-display',
      'none',
      '-no-reboot',
      '-serial',
      `file:${join(folder, 'serial')}`,
    ],
    ...['-kernel', image.kernel, '-initrd', image.initrd, '-append', kernelCommandLine(options)],
    ...['-object', 'rng-random,id=rng0,filename=/dev/urandom', '-device', 'virtio-rng-pci,rng=rng0'],
    ...agentArgs(join(folder, 'agent')),
    ...options.netArgs,
  ];
}

/** One QEMU process with a private folder. */
class Machine {
  readonly folder: string;
  readonly #process: ChildProcess;
  #stderr = '';

  private constructor(folder: string, child: ChildProcess) {
    this.folder = folder;
    this.#process = child;
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#stderr = (this.#stderr + text).slice(-4096)));
  }

  static async start(args: (folder: string) => readonly string[], wrap: readonly string[]): Promise<Machine> {
    const folder = await mkdtemp(join(tmpdir(), 'vmlan-guest-'));
    const [command = QEMU, ...rest] = [...wrap, QEMU, ...args(folder)];
    const child = spawn(command, rest, { stdio: ['ignore', 'ignore', 'pipe'] });
    const machine = new Machine(folder, child);
    child.on('error', (error) => (machine.#stderr += error.message));
    return machine;
  }

  get running(): boolean {
    return this.#process.pid !== undefined && this.#process.exitCode === null && this.#process.signalCode === null;
  }

  get pid(): number {
    return this.#process.pid ?? -1;
  }

  serial(): Promise<string> {
    return readFile(join(this.folder, 'serial'), 'latin1').catch(() => '');
  }

  /** What QEMU and the guest said, for the message of a failed test. */
  async story(): Promise<string> {
    return `${this.running ? 'QEMU runs' : 'QEMU has ended'}\n${this.#stderr}\n${(await this.serial()).slice(-2000)}`;
  }

  /** Waits a little for QEMU to end by itself. */
  async ended(timeoutMs: number): Promise<void> {
    if (this.running) await within('QEMU to end', timeoutMs, once(this.#process, 'exit')).catch(() => undefined);
  }

  async close(): Promise<void> {
    if (this.running) {
      const gone = once(this.#process, 'exit');
      this.#process.kill('SIGTERM');
      await within('QEMU to end', KILL_AFTER_MS, gone).catch(async () => {
        this.#process.kill('SIGKILL');
        await gone;
      });
    }
    await rm(this.folder, { recursive: true, force: true });
  }
}

export class QemuGuest implements AsyncDisposable {
  readonly name: string;
  readonly #machine: Machine;
  readonly #agent: GuestAgent;

  private constructor(name: string, machine: Machine, agent: GuestAgent) {
    this.name = name;
    this.#machine = machine;
    this.#agent = agent;
  }

  /** Returns once the guest answers commands; its lease may still be on the way. */
  static async boot(options: GuestOptions): Promise<QemuGuest> {
    const image = await guestImage();
    const machine = await Machine.start((folder) => bootArgs(image, options, folder), options.wrap ?? []);
    try {
      const agent = await GuestAgent.connect(join(machine.folder, 'agent'), {
        timeoutMs: BOOT_TIMEOUT_MS,
        alive: () => machine.running,
      });
      await agent.sh('true', { timeoutMs: BOOT_TIMEOUT_MS });
      return new QemuGuest(options.name, machine, agent);
    } catch (error) {
      // A refused argument closes the sockets a moment before the process is gone.
      await machine.ended(ENDING_MS);
      const story = await machine.story();
      await machine.close();
      throw new Error(`guest ${options.name} did not boot: ${story}`, { cause: error });
    }
  }

  get pid(): number {
    return this.#machine.pid;
  }

  get running(): boolean {
    return this.#machine.running;
  }

  run(script: string, options: { timeoutMs?: number } = {}): Promise<CommandResult> {
    return this.#agent.run(script, options);
  }

  sh(script: string, options: { timeoutMs?: number } = {}): Promise<string> {
    return this.#agent.sh(script, options);
  }

  async waitLease(timeoutMs?: number): Promise<GuestLease> {
    try {
      return await this.#agent.waitLease(timeoutMs);
    } catch (error) {
      throw new Error(`guest ${this.name} has no lease: ${await this.#machine.story()}`, { cause: error });
    }
  }

  waitIpv6(timeoutMs?: number): Promise<string> {
    return this.#agent.waitIpv6(timeoutMs);
  }

  console(): Promise<string> {
    return this.#machine.serial();
  }

  async close(): Promise<void> {
    this.#agent.close();
    await this.#machine.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

export interface FirmwareBoot {
  readonly address: string;
  readonly netmask: string;
  readonly gateway: string;
  readonly console: string;
}

/** Boots a machine that has nothing but a network card, and waits until its iPXE firmware shows its lease. */
export async function bootFirmware(
  options: Pick<GuestOptions, 'netArgs' | 'wrap'> & { timeoutMs?: number },
): Promise<FirmwareBoot> {
  const machine = await Machine.start(
    (folder) => [
      // graphics=off sends the firmware's screen to the serial port.
      ...['-M', `q35,accel=${accelerator()},graphics=off`, '-m', '64', '-nodefaults', '-no-user-config'],
      ...['-display', 'none', '-boot', 'n', '-no-reboot', '-serial', `file:${join(folder, 'serial')}`],
      ...options.netArgs,
    ],
    options.wrap ?? [],
  );
  try {
    return await until('iPXE to get a lease', options.timeoutMs ?? BOOT_TIMEOUT_MS, async () => {
      const console = await machine.serial();
      const shown = /net0: ([\d.]+)\/([\d.]+) gw ([\d.]+)[\r\n]/.exec(console);
      if (shown === null && !machine.running) throw new Error('QEMU has ended');
      return shown === null
        ? undefined
        : { address: shown[1] ?? '', netmask: shown[2] ?? '', gateway: shown[3] ?? '', console };
    });
  } catch (error) {
    throw new Error(`iPXE got no lease: ${await machine.story()}`, { cause: error });
  } finally {
    await machine.close();
  }
}
