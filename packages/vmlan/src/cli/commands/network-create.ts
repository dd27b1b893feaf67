/**
 * `vmlan network create`, `delete` and `autostart`.
 *
 * Zone: control.
 */
import { Option } from 'commander';
import { problemError } from '../../client/errors.ts';
import type { NetworkInput } from '../../model/schema.ts';
import { MODES } from '../../model/network.ts';
import type { Mode } from '../../model/network.ts';
import type { Context, DefineCommand } from '../context.ts';
import { addExamples } from '../examples.ts';
import {
  collect,
  parseForwardOption,
  parseHostAccess,
  parseMtu,
  parseReservationOption,
  parseSettings,
} from '../network-options.ts';
import type { Settings } from '../network-options.ts';
import { showChange } from '../views/changes.ts';

const DEFAULT_MODE: Mode = 'shared';
const ISOLATIONS = ['none', 'guests', 'host', 'all'] as const;

interface CreateOptions {
  readonly mode: Mode;
  readonly subnet?: string;
  readonly subnet6?: string;
  readonly mtu?: string;
  readonly dnsDomain?: string;
  readonly dhcpRange?: string;
  readonly leaseTime?: string;
  readonly hostAccess?: string;
  readonly isolation?: (typeof ISOLATIONS)[number];
  readonly autostart?: boolean;
  readonly forward?: readonly string[];
  readonly reserve?: readonly string[];
  readonly set?: readonly string[];
  readonly start?: boolean;
  readonly dryRun?: boolean;
}

export const DRY_RUN = ['--dry-run', 'show what would change, and change nothing'] as const;

export const defineCreate: DefineCommand = (command, context) => {
  const create = command
    .command('create')
    .description('Create a network; it is written to networks.yaml and there at once.')
    .summary('create a network');
  create
    .argument('<name>', 'name of the new network')
    .addOption(new Option('--mode <mode>', 'what guests may reach').choices(MODES).default(DEFAULT_MODE))
    .option('--subnet <subnet>', 'IPv4 subnet, e.g. 10.80.0.0/24; a free one is picked without it')
    .option('--subnet6 <prefix>', 'IPv6 prefix of 64 bits, auto or off')
    .option('--mtu <bytes>', 'largest IP packet')
    .option('--dns-domain <domain>', 'domain of the guests; NAME.internal without it')
    .option('--dhcp-range <first-last>', 'addresses to lease, e.g. 10.80.0.50-10.80.0.99')
    .option('--lease-time <duration>', 'length of a lease, e.g. 12h')
    .option('--host-access <what>', "what guests reach of the host's loopback: all, none, or ports 80,443")
    .addOption(new Option('--isolation <what>', 'who is kept apart').choices(ISOLATIONS))
    .option('--forward <host=guest>', 'a port forward such as 8080=web:80, also 53=dns:53/udp; may come again', collect)
    .option('--reserve <guest=ip>', 'an address kept for a guest or MAC address; may come again', collect)
    .option('--set <key=value>', 'any other key of networks.yaml, e.g. dns.upstream=none; may come again', collect)
    .option('--autostart', 'start it now, and with each start of the daemon')
    .option('--start', 'start it now')
    .option(...DRY_RUN)
    .action((name: string, options: CreateOptions) => createNetwork(context, name, options));
  addExamples(create, [
    ['a network with the usual settings', 'vmlan network create lab'],
    ['with a subnet and a forward', 'vmlan network create lab --subnet 10.80.0.0/24 --forward 8080=web:80'],
    ['with an address for a guest', 'vmlan network create lab --subnet 10.80.0.0/24 --reserve db=10.80.0.9'],
    ['without a way out', 'vmlan network create sealed --mode isolated --subnet 10.81.0.0/24'],
    ['see first what would change', 'vmlan network create lab --dry-run'],
  ]);
};

async function createNetwork(context: Context, name: string, options: CreateOptions): Promise<void> {
  const { dryRun = false, start = false, autostart = false } = options;
  const config = await configOf(options);
  const change = await context.client.call('createNetwork', { body: { name, config }, query: dryRunQuery(dryRun) });
  await showChange(context, change, `network "${name}" created`);
  if (dryRun || !(start || autostart)) return;
  context.output.progress(`starting network "${name}" …`);
  const network = await context.client.call('startNetwork', { params: { name } });
  if (network.problem !== null) throw problemError(network.problem);
  context.output.done(`network "${name}" runs, ${network.subnet ?? network.mode}`);
}

/** Keys that are not asked for are left out: they keep their defaults, also when those change. */
async function configOf(options: CreateOptions): Promise<NetworkInput> {
  const { mode, isolation, mtu, dhcpRange, forward = [], reserve = [] } = options;
  const dhcp = {
    range: dhcpRange?.split('-'),
    leaseTime: options.leaseTime,
    reservations: reserve.length === 0 ? undefined : reserve.map(parseReservationOption),
  };
  const written: Settings = {
    mode,
    subnet: options.subnet,
    subnet6: options.subnet6,
    mtu: mtu === undefined ? undefined : parseMtu(mtu),
    dhcp: isEmpty(dhcp) ? undefined : dhcp,
    dns: options.dnsDomain === undefined ? undefined : { domain: options.dnsDomain },
    hostAccess: options.hostAccess === undefined ? undefined : parseHostAccess(options.hostAccess),
    isolation: isolation === undefined ? undefined : isolationOf(isolation),
    forwards: forward.length === 0 ? undefined : forward.map(parseForwardOption),
    autostart: options.autostart,
  };
  return (await parseSettings(options.set ?? [], [], written)) as unknown as NetworkInput;
}

const isEmpty = (map: object): boolean => Object.values(map).every((value) => value === undefined);

const isolationOf = (what: (typeof ISOLATIONS)[number]): Settings => ({
  ...(what === 'guests' || what === 'all' ? { guests: true } : {}),
  ...(what === 'host' || what === 'all' ? { host: true } : {}),
});

/** Left out where it is not wanted. */
export const dryRunQuery = (dryRun: boolean | undefined): { readonly dryRun?: 'true' } =>
  dryRun === true ? { dryRun: 'true' } : {};

interface DeleteOptions {
  readonly force?: boolean;
  readonly dryRun?: boolean;
}

export const defineDelete: DefineCommand = (command, context) => {
  const remove = command
    .command('delete')
    .alias('rm')
    .description('Delete networks, their leases, forwards and records; refused while guests are registered.')
    .summary('delete networks');
  remove
    .argument('<network...>', 'names of the networks')
    .option('--force', 'also with guests: they lose their card on it, and those without another are forgotten')
    .option(...DRY_RUN)
    .action(async (names: string[], { force = false, dryRun }: DeleteOptions) => {
      for (const name of names) {
        const query = { ...dryRunQuery(dryRun), ...(force ? ({ force: 'true' } as const) : {}) };
        const change = await context.client.call('deleteNetwork', { params: { name }, query });
        await showChange(context, change, `network "${name}" deleted`);
      }
    });
  addExamples(remove, [
    ['delete a network that no guest uses', 'vmlan network delete lab'],
    ['with its guests', 'vmlan network delete lab --force'],
  ]);
};

export const defineAutostart: DefineCommand = (command, context) => {
  const autostart = command
    .command('autostart')
    .description('Say whether a network starts with the daemon.')
    .summary('say whether a network starts with the daemon');
  autostart
    .argument('<network>', 'name of the network')
    .addArgument(autostart.createArgument('<state>', 'whether it starts by itself').choices(['on', 'off']))
    .option(...DRY_RUN)
    .action(async (name: string, state: 'on' | 'off', { dryRun }: DeleteOptions) => {
      const body = { autostart: state === 'on' ? true : null };
      const change = await context.client.call('updateNetwork', { params: { name }, body, query: dryRunQuery(dryRun) });
      await showChange(context, change, `network "${name}" ${state === 'on' ? 'starts' : 'does not start'} by itself`);
    });
  addExamples(autostart, [
    ['start it with each `vmlan up`', 'vmlan network autostart lab on'],
    ['only when it is asked for', 'vmlan network autostart lab off'],
  ]);
};
