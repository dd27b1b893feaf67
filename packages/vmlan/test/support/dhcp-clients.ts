/**
 * The DHCP clients that real guests use, run inside a namespace with private lease files: busybox udhcpc, ISC dhclient
 * (IPv4 and IPv6) and dhcpcd. Each reports to a script of ours that sets the address and keeps the client's words; no
 * resolv.conf is written.
 *
 *   await using dhcp = await DhcpClient.start(guest, 'dhclient', { device: 'eth0' });
 *   const lease = await dhcp.next('bound');
 *
 * Zone: control. A client owns its process and its private folder.
 */
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './deadline.ts';
import type { Namespace } from './netns.ts';
import type { Process } from './process.ts';

export type ClientKind = 'udhcpc' | 'dhclient' | 'dhclient6' | 'dhcpcd' | 'dhcpcd6';
export type LeaseEvent = 'bound' | 'renewed' | 'lost';

export interface ClientLease {
  readonly event: LeaseEvent;
  readonly address: string;
  readonly prefixLength: number;
  readonly routers: readonly string[];
  readonly dns: readonly string[];
  readonly domain: string;
  readonly search: string;
  readonly serverId: string;
  readonly leaseSeconds: number;
  readonly mtu: string;
  /** Everything that the client told its script, under the client's own names. */
  readonly raw: Readonly<Record<string, string>>;
}

export interface ClientOptions {
  readonly device: string;
  /** Option 12. */
  readonly hostname?: string;
  /** Option 61: bytes as hex, the type first (`01` + MAC, `ff` + IAID + DUID). Not for dhcpcd. */
  readonly clientId?: string;
  /** Asks for this address. Not for dhclient6. */
  readonly request?: string;
  /** Lease files of an earlier client: a client that was there before. Kept when the client stops. */
  readonly stateFolder?: string;
}

const NEXT_TIMEOUT_MS = 20_000;

/** The words of three clients for the same three events. */
const EVENTS: Readonly<Record<string, LeaseEvent>> = {
  bound: 'bound',
  renew: 'renewed',
  deconfig: 'lost',
  nak: 'lost',
  BOUND: 'bound',
  REBOOT: 'bound',
  RENEW: 'renewed',
  REBIND: 'renewed',
  BOUND6: 'bound',
  RENEW6: 'renewed',
  REBIND6: 'renewed',
  NAK: 'lost',
  EXPIRE: 'lost',
  RELEASE: 'lost',
  EXPIRE6: 'lost',
  RELEASE6: 'lost',
};

// udhcpc names the event in $1, the others in $reason. dhcpcd sets its addresses itself.
const SCRIPT = `#!/bin/sh
event=\${reason:-$1}
case $event in
  bound | renew)
    ip -4 addr flush dev "$interface"
    ip addr add "$ip/$mask" broadcast + dev "$interface"
    for gateway in $router; do ip route replace default via "$gateway" && break; done ;;
  deconfig) ip -4 addr flush dev "$interface" ;;
  PREINIT | PREINIT6) ip link set dev "$interface" up ;;
  BOUND | REBOOT | RENEW | REBIND)
    if [ -z "$SETS_ADDRESS" ]; then
      ip -4 addr flush dev "$interface"
      ip addr add "$new_ip_address/$new_subnet_mask" broadcast + dev "$interface"
      for gateway in $new_routers; do ip route replace default via "$gateway" && break; done
    fi ;;
  EXPIRE | RELEASE | STOP) [ -n "$SETS_ADDRESS" ] || ip -4 addr flush dev "$interface" ;;
  BOUND6) [ -n "$SETS_ADDRESS" ] || ip -6 addr add "$new_ip6_address/128" dev "$interface" nodad ;;
  EXPIRE6 | RELEASE6) [ -n "$SETS_ADDRESS" ] || ip -6 addr del "$old_ip6_address/128" dev "$interface" ;;
esac
number=$(ls "$EVENTS" | wc -l)
env >"$EVENTS/.new" && mv "$EVENTS/.new" "$EVENTS/$(printf '%04d' "$number")-$event"
`;

const words = (text: string | undefined): string[] => (text ?? '').split(/[ ,]+/).filter((word) => word !== '');

function maskLength(mask: string): number {
  if (!mask.includes('.')) return Number(mask);
  return mask.split('.').reduce((bits, byte) => bits + Number(byte).toString(2).replaceAll('0', '').length, 0);
}

function parseLease(event: LeaseEvent, raw: Readonly<Record<string, string>>): ClientLease {
  const pick = (...keys: string[]): string =>
    keys.map((key) => raw[key]).find((value) => value !== undefined && value !== '') ?? '';
  return {
    event,
    address: pick('new_ip6_address', 'new_dhcp6_ia_na1_ia_addr1', 'new_ip_address', 'ip'),
    prefixLength: maskLength(pick('new_subnet_cidr', 'new_subnet_mask', 'mask', 'new_ip6_prefixlen')),
    routers: words(pick('new_routers', 'router')),
    dns: words(pick('new_dhcp6_name_servers', 'new_domain_name_servers', 'dns')),
    domain: pick('new_domain_name', 'domain'),
    search: pick('new_dhcp6_domain_search', 'new_domain_search', 'search'),
    serverId: pick('new_dhcp_server_identifier', 'serverid'),
    leaseSeconds: Number(pick('new_dhcp_lease_time', 'lease', 'new_max_life', 'new_dhcp6_ia_na1_ia_addr1_vltime')),
    mtu: pick('new_interface_mtu', 'mtu'),
    raw,
  };
}

const colons = (hex: string): string => (hex.match(/../g) ?? []).join(':');

function dhclientConfig({ hostname, clientId, request }: ClientOptions): string {
  return [
    'timeout 15; initial-interval 1; backoff-cutoff 2; retry 2;',
    ...(hostname === undefined ? [] : [`send host-name "${hostname}";`]),
    ...(clientId === undefined ? [] : [`send dhcp-client-identifier ${colons(clientId)};`]),
    ...(request === undefined ? [] : [`send dhcp-requested-address ${request};`]),
    'also request interface-mtu, domain-search, dhcp6.domain-search;',
  ].join('\n');
}

interface Folders {
  readonly own: string;
  readonly state: string;
}

function udhcpcArgv({ device, hostname, clientId, request }: ClientOptions, { own }: Folders): string[] {
  return [
    ...['busybox', 'udhcpc', '-f', '-i', device, '-s', join(own, 'script'), '-t', '5', '-T', '1', '-A', '1'],
    ...['-O', 'search', '-O', 'mtu'],
    ...(hostname === undefined ? [] : ['-x', `hostname:${hostname}`]),
    ...(clientId === undefined ? [] : ['-x', `0x3d:${clientId}`]),
    ...(request === undefined ? [] : ['-r', request]),
  ];
}

function dhclientArgv(family: '-4' | '-6', { device }: ClientOptions, { own, state }: Folders): string[] {
  return [
    ...['dhclient', family, '-d', '-e', `EVENTS=${join(own, 'events')}`, '-sf', join(own, 'script')],
    ...['-cf', join(own, 'conf'), '-lf', join(state, 'leases'), '-pf', join(own, 'pid'), device],
  ];
}

function dhcpcdArgv(family: readonly string[], options: ClientOptions, { own, state }: Folders): string[] {
  const { device, hostname, request } = options;
  // dhcpcd knows one place for its state; each client gets its own there, in its own mount namespace.
  const mounts = [
    'mount -t tmpfs none /run',
    'mkdir -p /run/dhcpcd "$1"',
    'mount --bind "$1" /var/lib/dhcpcd',
    'shift',
    'exec "$@"',
  ];
  return [
    ...['unshare', '--mount', '--propagation', 'private', 'sh', '-c', mounts.join(' && '), 'sh', state],
    ...['dhcpcd', '-B', '-d', ...family, '-f', join(own, 'conf'), '-c', join(own, 'script')],
    ...(hostname === undefined ? [] : ['-h', hostname]),
    ...(request === undefined ? [] : ['-r', request]),
    device,
  ];
}

const ARGV: Readonly<Record<ClientKind, (options: ClientOptions, folders: Folders) => string[]>> = {
  udhcpc: udhcpcArgv,
  dhclient: (options, folders) => dhclientArgv('-4', options, folders),
  dhclient6: (options, folders) => dhclientArgv('-6', options, folders),
  dhcpcd: (options, folders) => dhcpcdArgv(['-4', '--noarp', '--noipv4ll'], options, folders),
  dhcpcd6: (options, folders) => dhcpcdArgv(['-6'], options, folders),
};

function configFile(kind: ClientKind, options: ClientOptions, events: string): string {
  if (!kind.startsWith('dhcpcd')) return dhclientConfig(options);
  const environment = [`env EVENTS=${events}`, 'env SETS_ADDRESS=1'];
  const ask = 'option routers, domain_name_servers, domain_name, domain_search, interface_mtu, dhcp_server_identifier';
  const ipv6 = ['ipv6only', 'noipv6rs', 'ia_na 1', 'option dhcp6_name_servers, dhcp6_domain_search'];
  return [...environment, 'hostname', 'clientid', ...(kind === 'dhcpcd6' ? ipv6 : [ask]), ''].join('\n');
}

export class DhcpClient implements AsyncDisposable {
  readonly process: Process;
  readonly #folder: string;
  readonly #state: string;
  #seen = 0;

  private constructor(folder: string, state: string, process: Process) {
    this.#folder = folder;
    this.#state = state;
    this.process = process;
  }

  static async start(namespace: Namespace, kind: ClientKind, options: ClientOptions): Promise<DhcpClient> {
    const folder = await mkdtemp(join(tmpdir(), 'vmlan-dhcp-'));
    await chmod(folder, 0o755); // dhcpcd reads its configuration without privileges
    const events = join(folder, 'events');
    const state = options.stateFolder ?? join(folder, 'state');
    await mkdir(events);
    await mkdir(state, { recursive: true });
    await writeFile(join(folder, 'conf'), configFile(kind, options, events));
    await writeFile(join(folder, 'script'), SCRIPT, { mode: 0o755 });
    return new DhcpClient(
      folder,
      state,
      namespace.start(ARGV[kind](options, { own: folder, state }), { env: { EVENTS: events } }),
    );
  }

  /** All events so far, in order. */
  async events(): Promise<ClientLease[]> {
    const folder = join(this.#folder, 'events');
    const names = (await readdir(folder)).filter((name) => /^\d+-/.test(name)).sort();
    const leases: ClientLease[] = [];
    for (const name of names) {
      const event = EVENTS[name.replace(/^\d+-/, '')];
      if (event === undefined) continue;
      const lines = (await readFile(join(folder, name), 'utf8')).split('\n');
      const raw = Object.fromEntries(
        lines.map((line): [string, string] => {
          const at = line.indexOf('=');
          return [line.slice(0, at), line.slice(at + 1)];
        }),
      );
      leases.push(parseLease(event, raw));
    }
    return leases;
  }

  /** The next event of this kind that no earlier call has returned; those in between are passed over. */
  async next(event: LeaseEvent, timeoutMs: number = NEXT_TIMEOUT_MS): Promise<ClientLease> {
    try {
      return await until(`DHCP event ${event}`, timeoutMs, async () => {
        const events = await this.events();
        const at = events.findIndex((lease, index) => index >= this.#seen && lease.event === event);
        if (at < 0 && !this.process.running) throw new Error('the client has ended');
        if (at >= 0) this.#seen = at + 1;
        return events[at];
      });
    } catch (error) {
      const said = `${this.process.stdout}${this.process.stderr}`.slice(-3000);
      throw new Error(`${this.process.argv.join(' ')}\n${said}`, { cause: error });
    }
  }

  /** Waits until dhclient has this lease in its file: it tells its script first, and writes then. */
  async hasKept({ address }: ClientLease): Promise<void> {
    await until(`${address} in dhclient's file of leases`, NEXT_TIMEOUT_MS, async () => {
      const leases = await readFile(join(this.#state, 'leases'), 'utf8').catch(() => '');
      return leases.includes(`fixed-address ${address};`) && leases.endsWith('}\n');
    });
  }

  /** Asks for a renewal now; udhcpc only, the others renew at half of their lease. */
  renew(): void {
    this.process.signal('SIGUSR1');
  }

  /** Gives the lease back; udhcpc only. */
  release(): void {
    this.process.signal('SIGUSR2');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** One lease from a client that then ends without a word, as a guest that is switched off. */
export async function obtainLease(
  namespace: Namespace,
  kind: ClientKind,
  options: ClientOptions,
): Promise<ClientLease> {
  await using client = await DhcpClient.start(namespace, kind, options);
  const lease = await client.next('bound');
  if (kind === 'dhclient') await client.hasKept(lease);
  await client.process.stop('SIGKILL');
  return lease;
}
