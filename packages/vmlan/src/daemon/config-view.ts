/**
 * Every value that holds, and where it comes from: flag, environment, line of networks.yaml, default, or picked by us.
 *
 * Zone: control.
 */
import type { ConfigEntry, ConfigView } from '../model/api.ts';
import type { Network } from '../model/network.ts';
import type { Environment, Paths } from '../model/paths.ts';
import type { Config } from './config.ts';
import type { Context } from './context.ts';

type Value = ConfigEntry['value'];
type Path = readonly string[];

interface Row {
  readonly key: string;
  /** null: there is none. */
  readonly value: (network: Network) => Value;
  /** Where it may stand in the file, beside under its own name. */
  readonly also?: Path;
}

const list = (values: readonly (string | number)[]): Value => (values.length === 0 ? null : values.join(', '));

const ROWS: readonly Row[] = [
  { key: 'mode', value: ({ mode }) => mode },
  { key: 'driver', value: ({ driver }) => driver },
  { key: 'subnet', value: ({ ipv4 }) => ipv4?.subnet ?? null, also: ['gateway'] },
  { key: 'gateway', value: ({ ipv4 }) => ipv4?.gateway ?? null },
  { key: 'subnet6', value: ({ ipv6 }) => ipv6?.prefix ?? 'off' },
  { key: 'interface', value: (network) => network.interface },
  { key: 'vlan', value: ({ vlan }) => vlan },
  { key: 'mtu', value: ({ mtu }) => mtu },
  {
    key: 'dhcp.range',
    value: ({ ipv4 }) => (ipv4 === null ? null : `${ipv4.poolStart}-${ipv4.poolEnd}`),
    also: ['dhcpEnd'],
  },
  { key: 'dhcp.leaseTime', value: ({ ipv4 }) => (ipv4 === null ? null : `${ipv4.leaseSeconds}s`) },
  {
    key: 'dhcp.reservations',
    value: ({ reservations }) => list(reservations.map(({ guest, mac, ip }) => `${guest ?? mac!}=${ip}`)),
  },
  { key: 'dns.domain', value: ({ dns }) => dns.domain },
  { key: 'dns.search', value: ({ dns }) => list(dns.searchDomains) },
  { key: 'dns.upstream', value: ({ dns }) => dns.upstream },
  { key: 'dns.hosts', value: ({ dns }) => list(dns.records.map(({ name, value }) => `${name}=${value}`)) },
  {
    key: 'hostAccess',
    value: ({ hostAccess }) => (typeof hostAccess === 'string' ? hostAccess : (list(hostAccess) ?? 'none')),
  },
  { key: 'isolation.guests', value: ({ isolation }) => isolation.guests },
  { key: 'isolation.host', value: ({ isolation }) => isolation.host },
  { key: 'filter', value: ({ filter }) => filter },
  { key: 'forwards', value: ({ forwards }) => list(forwards.map(forwardText)) },
  { key: 'autostart', value: ({ autostart }) => autostart },
  { key: 'socket', value: ({ socket }) => socket },
  {
    key: 'listen',
    value: ({ listen }) => list(listen.map((one) => (one.kind === 'tcp' ? `${one.host}:${one.port}` : one.path))),
  },
];

export function configView({ config, configuration, settings, paths }: Context): ConfigView {
  const networks = [...config.networks.values()].flatMap((network) =>
    ROWS.flatMap((row) => entryOf(row, network, config, `${paths.state}/subnets.json`) ?? []),
  );
  return { file: configuration.file, exists: config.text !== null, entries: [...settings, ...networks] };
}

function entryOf(
  { key, value: valueOf, also }: Row,
  network: Network,
  config: Config,
  picks: string,
): ConfigEntry | null {
  const value = valueOf(network);
  if (value === null) return null;
  const entry = { key: `networks.${network.name}.${key}`, value };
  const place = placeOf(config, network.name, [key.split('.'), ...(also === undefined ? [] : [also])]);
  if (place !== null) return { ...entry, origin: 'file', place };
  const isPicked = key === 'subnet' && config.picked.has(network.name);
  return isPicked ? { ...entry, origin: 'picked', place: picks } : { ...entry, origin: 'default', place: null };
}

function placeOf({ document }: Config, network: string, paths: readonly Path[]): string | null {
  for (const path of paths) {
    const place = document?.placeOf(['networks', network, ...path]) ?? null;
    if (place !== null) return place;
  }
  return null;
}

interface Setting {
  readonly key: string;
  readonly value: Value;
  readonly flag?: string;
  /** The first that is set made the value. */
  readonly variables: readonly string[];
}

/** The daemon's own settings, from flags and environment. */
export function daemonSettings(
  environment: Environment,
  paths: Paths,
  flags: Readonly<Record<string, string | undefined>>,
): readonly ConfigEntry[] {
  const isOwnSocket = paths.socket === `${paths.runtime}/vmlan.sock`;
  const settings: readonly Setting[] = [
    { key: 'paths.config', value: paths.config, flag: 'config', variables: ['VMLAN_CONFIG', 'XDG_CONFIG_HOME'] },
    { key: 'paths.state', value: paths.state, variables: ['VMLAN_STATE_DIR', 'XDG_STATE_HOME'] },
    { key: 'paths.runtime', value: paths.runtime, variables: ['VMLAN_RUNTIME_DIR', 'XDG_RUNTIME_DIR', 'TMPDIR'] },
    { key: 'paths.socket', value: paths.socket, variables: isOwnSocket ? [] : ['VMLAN_HOST'] },
    {
      key: 'listen',
      value: flags['listen'] ?? environment['VMLAN_LISTEN'] ?? null,
      flag: 'listen',
      variables: ['VMLAN_LISTEN'],
    },
    {
      key: 'socketGroup',
      value: flags['socket-group'] ?? environment['VMLAN_SOCKET_GROUP'] ?? null,
      flag: 'socket-group',
      variables: ['VMLAN_SOCKET_GROUP'],
    },
  ];
  return settings.map((setting) => settingEntry(setting, environment, flags));
}

function settingEntry(
  { key, value, flag, variables }: Setting,
  environment: Environment,
  flags: Readonly<Record<string, string | undefined>>,
): ConfigEntry {
  if (flag !== undefined && flags[flag] !== undefined) return { key, value, origin: 'flag', place: `--${flag}` };
  // Root's directories do not follow the session.
  const isOf = (text: string): boolean => String(value).startsWith(text) || text.endsWith(String(value));
  const used = variables.find((name) => environment[name] && isOf(environment[name]));
  return used === undefined
    ? { key, value, origin: 'default', place: null }
    : { key, value, origin: 'environment', place: used };
}

/** As `vmlan network create --forward` takes it. */
const forwardText = ({ host, guest, protocol, direction }: Network['forwards'][number]): string =>
  `${host}=${guest}${protocol === 'udp' ? '/udp' : ''}${direction === 'reverse' ? '/reverse' : ''}`;
