/**
 * The demo: two real guests on one vmlan network, each step shown as it happens and checked by what was really seen.
 *
 *   bin/demo                       the whole show; everything is gone afterwards
 *   bin/demo --keep                leaves network and guests running, and says how to go on
 *   bin/demo exec FOLDER GUEST -- COMMAND…     a shell command in a kept guest
 *   bin/demo stop FOLDER           ends what --keep left
 *   bin/demo image                 only makes the guest image
 *
 * --vmlan PROGRAM runs that one, which may be installed anywhere, instead of the checkout's.
 *
 * Zone: control. Needs no root; started by root, vmlan's network process gives its privileges up, which is shown.
 */
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTcpServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { GuestView, NetworkView } from '../../packages/vmlan/src/model/api.ts';
import { within } from '../../packages/vmlan/test/support/deadline.ts';
import { GuestAgent } from '../../packages/vmlan/test/support/guest-agent.ts';
import { guestImage, type GuestImage } from '../../packages/vmlan/test/support/guest-image.ts';
import { endProcesses } from '../../packages/vmlan/test/support/process.ts';
import { agentArgs, kernelCommandLine } from '../../packages/vmlan/test/support/qemu-guest.ts';
import { Vmlan } from '../../packages/vmlan/test/support/vmlan.ts';
import { Screen, type Progress } from './demo-screen.ts';

const NETWORK = 'user-v2';
const CONFIG = `networks:\n  ${NETWORK}:\n    mode: user-v2\n    autostart: true\n`;
const GUESTS = ['alice', 'bob'] as const;
const BOOT_SECONDS = 120; // two seconds here; a loaded machine without KVM takes longer
const INTERRUPTED_EXIT_CODE = 130;

type GuestName = (typeof GUESTS)[number];

interface Machine {
  readonly name: GuestName;
  readonly agent: GuestAgent;
  readonly ip: string;
}

/** Ends the demo: a later step would only fail for the same reason. */
class Stop extends Error {}

function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Stop();
  return value;
}

function expect(what: string, text: string, pattern: RegExp | string): RegExpExecArray {
  const found = new RegExp(pattern).exec(text);
  if (found === null) throw new Error(`${what}: expected ${String(pattern)}, got\n${text}`);
  return found;
}

const agentSocket = (vmlan: Vmlan, name: string): string => join(vmlan.folder, `${name}.agent`);

/** What the kernel says of a process: who it is and what it may. */
function privileges(pid: number): { uid: number; capabilities: bigint } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name: string): string => new RegExp(`^${name}:\\s+(\\S+)`, 'm').exec(status)?.[1] ?? '';
  return { uid: Number(field('Uid')), capabilities: BigInt(`0x${field('CapPrm')}`) | BigInt(`0x${field('CapEff')}`) };
}

function userName(uid: number): string {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.split(':')[2] === String(uid));
  return line?.split(':')[0] ?? `uid ${uid}`;
}

async function freePort(): Promise<number> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function boot(vmlan: Vmlan, name: GuestName, image: GuestImage, progress: Progress): Promise<Machine> {
  const socket = agentSocket(vmlan, name);
  const machine = await vmlan.json<{ ip: string | null }>(
    ...['run', name, '--network', NETWORK, '--detach', '--timeout', String(BOOT_SECONDS)],
    ...['--memory', '128M', '--kernel', image.kernel, '--initrd', image.initrd],
    ...['--append', `${kernelCommandLine({ name })} guest.http=80`],
    ...['--', ...agentArgs(socket)],
  );
  progress(`${name} runs`);
  const agent = await GuestAgent.connect(socket);
  const lease = await agent.waitLease(BOOT_SECONDS * 1000);
  if (lease.ip !== machine.ip) throw new Error(`${name} says ${lease.ip}, vmlan says ${machine.ip ?? 'nothing'}`);
  return { name, agent, ip: lease.ip };
}

async function start(screen: Screen, vmlan: Vmlan): Promise<NetworkView> {
  const network = must(
    await screen.step(
      'vmlan is up',
      async () => {
        await vmlan.ok('up');
        const { networks } = await vmlan.status();
        const found = networks.find(({ name }) => name === NETWORK);
        if (found?.state !== 'running')
          throw new Error(`network ${NETWORK} does not run: ${found?.problem?.detail ?? 'it is not known'}`);
        return found;
      },
      ({ name, subnet, subnet6 }) => `network ${name}, ${subnet ?? ''} and ${subnet6 ?? 'no IPv6'}`,
    ),
  );
  await screen.step(
    'the network process has no privileges',
    async () => {
      const pid = network.pid ?? 0;
      const { uid, capabilities } = privileges(pid);
      if (uid === 0) throw new Error(`process ${pid} runs as root`);
      if (capabilities !== 0n) throw new Error(`process ${pid} holds capabilities: ${capabilities.toString(16)}`);
      return { pid, uid };
    },
    ({ pid, uid }) => `process ${pid} is user ${userName(uid)}, without capabilities`,
  );
  return network;
}

/** Between the guests, by name. */
async function betweenGuests(screen: Screen, alice: Machine, bob: Machine): Promise<void> {
  await screen.step(
    'alice pings bob by name',
    async () =>
      expect('ping', await alice.agent.sh('ping -c 3 -W 2 bob'), /(\d+) packets received.*\n.*= [\d.]+\/([\d.]+)\//),
    ([, received, average]) => `${received} of 3 came back, ${average} ms`,
  );
  await screen.step(
    'bob fetches a page from alice by name',
    async () => expect('HTTP', await bob.agent.sh('wget -q -O - http://alice.vmlan.internal/'), 'hello from alice'),
    ([answer]) => `alice.vmlan.internal says "${answer}"`,
  );
}

/** From a guest to the gateway and to a server on the host's loopback. */
async function toTheHost(screen: Screen, alice: Machine, network: NetworkView): Promise<void> {
  await screen.step(
    'alice resolves the host',
    async () =>
      expect(
        'nslookup',
        await alice.agent.sh('nslookup host.vmlan.internal'),
        `Address(?: \\d)?: +(${network.gateway ?? ''})`,
      ),
    ([, address]) => `host.vmlan.internal is ${address ?? ''}`,
  );
  const secret = Math.random().toString(36).slice(2);
  const server = createServer((_request, response) => response.end(secret));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await screen.step(
    "alice fetches a page from the host's own 127.0.0.1",
    async () => expect('HTTP', await alice.agent.sh(`wget -q -O - http://host.vmlan.internal:${port}/`), secret),
    () => `port ${port}, and it is our page`,
  );
  server.close();
}

async function overIpv6(screen: Screen, alice: Machine, bob: Machine): Promise<void> {
  await screen.step(
    'both have an IPv6 address',
    async () => {
      const addresses = await Promise.all([alice, bob].map(({ agent }) => agent.waitIpv6()));
      for (const address of addresses) expect('address', address, /^f[cd]/);
      return addresses;
    },
    (addresses) => addresses.join(', '),
  );
  await screen.step(
    'alice fetches a page from bob over IPv6',
    async () =>
      expect('HTTP', await alice.agent.sh(`wget -q -O - "http://[${await bob.agent.waitIpv6()}]/"`), 'hello from bob'),
    ([answer]) => `bob says "${answer}"`,
  );
}

async function fromTheHost(screen: Screen, vmlan: Vmlan): Promise<number | undefined> {
  return screen.step(
    'the host fetches a page from bob through a forward',
    async () => {
      const port = await freePort();
      await vmlan.ok('forward', 'add', `127.0.0.1:${port}`, 'bob:80');
      const response = await within('the page', 10_000, fetch(`http://127.0.0.1:${port}/`));
      expect('HTTP', await response.text(), 'hello from bob');
      return port;
    },
    (port) => `http://127.0.0.1:${port}/ says "hello from bob"`,
  );
}

async function show(screen: Screen, vmlan: Vmlan): Promise<{ port: number | undefined }> {
  const image = must(
    await screen.step(
      'the guest image is ready',
      (progress) => guestImage(progress),
      () => 'Debian kernel and busybox',
    ),
  );
  const network = await start(screen, vmlan);
  const machines = must(
    await screen.step(
      'alice and bob boot under QEMU and get their addresses by DHCP',
      (progress) => Promise.all(GUESTS.map((name) => boot(vmlan, name, image, progress))),
      (booted) => booted.map(({ name, ip }) => `${name} has ${ip}`).join(', '),
    ),
  );
  const [alice, bob] = machines;
  if (alice === undefined || bob === undefined) throw new Stop();
  await betweenGuests(screen, alice, bob);
  await toTheHost(screen, alice, network);
  await overIpv6(screen, alice, bob);
  const port = await fromTheHost(screen, vmlan);
  for (const { agent } of machines) agent.close();
  screen.text('\n');
  const summary = await screen.step(
    'vmlan lists both guests as connected',
    async () => {
      const guests = await vmlan.json<GuestView[]>('list');
      const connected = guests.filter(({ nics }) => nics.every(({ state }) => state === 'connected'));
      expect('guests', connected.map(({ name }) => name).join(' '), 'alice.*bob');
      return vmlan.ok('list');
    },
    () => '',
  );
  screen.text(`\n${must(summary)}\n`);
  return { port };
}

function goOn(folder: string, port: number | undefined, program: string): string {
  const variables = `VMLAN_RUNTIME_DIR=${join(folder, 'run')} VMLAN_STATE_DIR=${join(folder, 'state')} VMLAN_CONFIG=${join(folder, 'networks.yaml')}`;
  return [
    'Everything still runs. To go on:',
    `  ./bin/demo exec ${folder} alice -- ping -c 3 bob`,
    ...(port === undefined ? [] : [`  curl http://127.0.0.1:${port}/`]),
    `  export ${variables}`,
    `  ${program} list`,
    `  ${program} network show user-v2`,
    'To end it:',
    `  ./bin/demo stop ${folder}`,
    '',
  ].join('\n');
}

const afterwards = (program: string): string =>
  [
    'To go on:',
    '  ./bin/demo --keep         the same, and everything stays',
    `  ${program} up            a vmlan of your own; then ${program} run --help`,
    '',
  ].join('\n');

async function perform(keep: boolean, installed: string | undefined): Promise<number> {
  const screen = new Screen();
  const program = installed ?? './bin/vmlan';
  screen.heading('vmlan: two Linux guests on a network that needs no root');
  const vmlan = await Vmlan.create({ config: CONFIG, ...(installed === undefined ? {} : { program: installed }) });
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => (closing ??= vmlan.close());
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (closing !== undefined) return;
      screen.text('\ninterrupted; cleaning up ...\n');
      screen.silent = true;
      endProcesses();
      void close().finally(() => process.exit(INTERRUPTED_EXIT_CODE));
    });
  }
  try {
    const { port } = await show(screen, vmlan);
    if (keep && screen.failures === 0) {
      screen.text(goOn(vmlan.folder, port, program));
      return 0;
    }
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
  } finally {
    if (!(keep && screen.failures === 0)) await close();
  }
  screen.text(
    screen.failures === 0
      ? `All of it worked, and all of it is gone again.\n\n${afterwards(program)}`
      : `${screen.failures} steps failed.\n`,
  );
  return screen.failures === 0 ? 0 : 1;
}

function kept(folder: string | undefined): string {
  if (folder !== undefined && existsSync(join(folder, 'networks.yaml')) && existsSync(join(folder, 'run')))
    return folder;
  throw new Error(`${folder ?? 'nothing'} is not the folder of a demo; bin/demo --keep prints it`);
}

async function runInGuest(folder: string, name: string, command: readonly string[]): Promise<number> {
  const socket = join(folder, `${name}.agent`);
  if (!existsSync(socket)) throw new Error(`no guest ${name} runs there; there are: ${GUESTS.join(', ')}`);
  await using agent = await GuestAgent.connect(socket);
  const { code, stdout } = await agent.run(command.join(' '), { timeoutMs: 600_000 });
  process.stdout.write(stdout);
  return code;
}

async function stopKept(folder: string, installed: string | undefined): Promise<number> {
  await using _vmlan = Vmlan.adoptFolder(folder, installed === undefined ? {} : { program: installed });
  return 0;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      keep: { type: 'boolean', default: false },
      vmlan: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const [command, folder, name = '', ...rest] = positionals;
  if (values.help) {
    const text = readFileSync(import.meta.filename, 'utf8');
    process.stdout.write((/\/\*\*\n([\s\S]*?)\n \*\n \* Zone/.exec(text)?.[1] ?? '').replaceAll(/^ \* ?/gm, '') + '\n');
    return 0;
  }
  switch (command) {
    case undefined:
      return perform(values.keep, values.vmlan);
    case 'image': {
      const { kernel, initrd } = await guestImage((line) => process.stderr.write(`${line} ...\n`));
      process.stdout.write(`${kernel}\n${initrd}\n`);
      return 0;
    }
    case 'exec':
      return runInGuest(kept(folder), name, rest);
    case 'stop':
      return stopKept(kept(folder), values.vmlan);
    default:
      throw new Error(`there is no command "${command}"; see bin/demo --help`);
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
