/**
 * A small world of network namespaces for end-to-end tests (root only):
 *
 *     guests…        host ───────────── internet
 *   (no link; vmlan  198.51.100.2/24    198.51.100.1/24, and on lo the addresses in INTERNET:
 *    makes a TAP)    2001:db8:51::2/64  a server, a resolver, and hosts that answer in every bad way
 *
 * vmlan runs in `host`; servers run in `internet`; each further namespace is a guest. Every namespace has its own
 * /etc/resolv.conf. Names start with vml<pid>, so worlds of parallel tests do not meet, and what a killed test left
 * behind is swept away by the next world.
 *
 * Zone: control. A lab owns its namespaces and all processes started in them.
 */
import { statSync } from 'node:fs';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { until } from './deadline.ts';
import { output, Process, run, type RunOptions, type RunResult } from './process.ts';

/** Who answers how in the internet namespace (documentation prefixes: RFC 5737, RFC 3849). */
export const INTERNET = {
  server4: '203.0.113.10',
  server6: '2001:db8:113::10',
  resolver4: '203.0.113.53',
  resolver6: '2001:db8:113::53',
  /** Packets vanish. */
  silent4: '203.0.113.99',
  silent6: '2001:db8:113::99',
  /** ICMP host unreachable, ICMPv6 no route to destination. */
  unreachable4: '203.0.113.100',
  unreachable6: '2001:db8:113::100',
  /** ICMP communication administratively prohibited. */
  prohibited4: '203.0.113.101',
  prohibited6: '2001:db8:113::101',
} as const;

export const HOST = { address4: '198.51.100.2', address6: '2001:db8:51::2' } as const;
const ROUTER = { address4: '198.51.100.1', address6: '2001:db8:51::1' } as const;

const NAMESPACE_FILES = '/run/netns';
const NAMESPACE_ETC = '/etc/netns';

export interface User {
  readonly uid: number;
  readonly gid: number;
}

/** An ordinary user without groups: nobody. */
export const NOBODY: User = { uid: 65534, gid: 65534 };

export interface NamespaceRunOptions extends RunOptions {
  /** Runs it as this user with no capability left to gain. */
  readonly user?: User;
}

const CHECKOUT = join(import.meta.dirname, '../../../..');
const VISIBLE_CHECKOUT = '/mnt';

/** Whether other users may enter a folder and all above it. */
function openToOthers(folder: string): boolean {
  return (statSync(folder).mode & 0o001) !== 0 && (folder === '/' || openToOthers(dirname(folder)));
}

/**
 * Puts `argv` behind the loss of all privileges. A checkout below a private folder, such as root's home, is shown to the
 * user elsewhere, in a mount namespace of its own, and the paths in `argv` follow.
 */
export function asUser(user: User, argv: readonly string[]): string[] {
  const drop = ['--clear-groups', '--inh-caps=-all', '--bounding-set=-all', '--no-new-privs'];
  const setpriv = ['setpriv', `--reuid=${user.uid}`, `--regid=${user.gid}`, ...drop, '--'];
  if (openToOthers(CHECKOUT)) return [...setpriv, ...argv];
  const mount = 'mount --bind "$1" "$2" && shift 2 && exec "$@"';
  const own = ['unshare', '--mount', 'sh', '-c', mount, 'sh', CHECKOUT, VISIBLE_CHECKOUT];
  return [...own, ...setpriv, ...argv.map((word) => word.replace(CHECKOUT, VISIBLE_CHECKOUT))];
}

export class Namespace {
  readonly name: string;
  readonly path: string;
  readonly #processes = new Set<Process>();

  constructor(name: string) {
    this.name = name;
    this.path = join(NAMESPACE_FILES, name);
  }

  static async create(name: string): Promise<Namespace> {
    const namespace = new Namespace(name);
    // First the file, then the namespace: without it a client in here would write the machine's own resolv.conf.
    await mkdir(join(NAMESPACE_ETC, name), { recursive: true });
    await namespace.setResolver([]);
    await output(['ip', 'netns', 'add', name]);
    await namespace.ip('link', 'set', 'lo', 'up');
    return namespace;
  }

  /** The whole argument vector that runs `argv` in here; the processes in between exec, so the pid stays. */
  argv(argv: readonly string[], user?: User): string[] {
    return ['ip', 'netns', 'exec', this.name, ...(user === undefined ? argv : asUser(user, argv))];
  }

  run(argv: readonly string[], options: NamespaceRunOptions = {}): Promise<RunResult> {
    return run(this.argv(argv, options.user), options);
  }

  output(argv: readonly string[], options: NamespaceRunOptions = {}): Promise<string> {
    return output(this.argv(argv, options.user), options);
  }

  start(argv: readonly string[], options: Omit<NamespaceRunOptions, 'timeoutMs' | 'input'> = {}): Process {
    const child = Process.start(this.argv(argv, options.user), options);
    this.#processes.add(child);
    return child;
  }

  /** `ip` with its arguments, for example ip('addr', 'add', '192.0.2.1/24', 'dev', 'eth0'). */
  ip(...args: readonly string[]): Promise<string> {
    return output(['ip', '-n', this.name, ...args]);
  }

  async sysctl(key: string, value: string | number): Promise<void> {
    await this.output(['tee', join('/proc/sys', key.replaceAll('.', '/'))], { input: `${value}\n` });
  }

  /** Rewrites this namespace's /etc/resolv.conf in place: running processes see the change. */
  async setResolver(nameservers: readonly string[], more: readonly string[] = []): Promise<void> {
    const lines = [...nameservers.map((address) => `nameserver ${address}`), ...more];
    await writeFile(join(NAMESPACE_ETC, this.name, 'resolv.conf'), lines.map((line) => `${line}\n`).join(''));
  }

  /** Addresses of an interface that are in use: DAD passed, not link-local. */
  async addresses(device: string, family: 4 | 6): Promise<string[]> {
    const text = await this.ip('-j', `-${family}`, 'addr', 'show', 'dev', device, 'scope', 'global').catch(() => '[]');
    interface Shown {
      addr_info?: { local?: string; tentative?: boolean; dadfailed?: boolean }[];
    }
    return (JSON.parse(text) as Shown[])
      .flatMap((link) => link.addr_info ?? [])
      .filter((address) => address.tentative !== true && address.dadfailed !== true)
      .flatMap((address) => address.local ?? []);
  }

  waitForAddress(device: string, family: 4 | 6, timeoutMs = 10_000): Promise<string> {
    return until(`an IPv${family} address on ${device} in ${this.name}`, timeoutMs, async () => {
      return (await this.addresses(device, family))[0];
    });
  }

  /** A client that asks before this address has passed DAD finds no socket to ask with. */
  waitForLinkLocal(device: string, timeoutMs = 10_000): Promise<true> {
    return until(`a link-local address on ${device} in ${this.name}`, timeoutMs, async () => {
      const text = await this.ip('-6', 'addr', 'show', 'dev', device, 'scope', 'link', '-tentative');
      return text.includes('inet6');
    });
  }

  /** A default route of the family. */
  waitForDefaultRoute(family: 4 | 6, timeoutMs = 10_000): Promise<true> {
    return until(`a default route over IPv${family} in ${this.name}`, timeoutMs, async () => {
      return (await this.ip(`-${family}`, 'route', 'show', 'default')).trim() !== '';
    });
  }

  waitForLink(device: string, timeoutMs = 10_000): Promise<true> {
    return until(`${device} in ${this.name}`, timeoutMs, async () => {
      const { code } = await run(['ip', '-n', this.name, 'link', 'show', 'dev', device]);
      return code === 0 ? true : undefined;
    });
  }

  /** Waits for a listening socket without touching it. */
  waitForPort(protocol: 'tcp' | 'udp', port: number, timeoutMs = 10_000): Promise<true> {
    return until(`${protocol} port ${port} in ${this.name}`, timeoutMs, async () => {
      const listening = await this.output(['ss', '-Hln', protocol === 'tcp' ? '-t' : '-u', `sport = :${port}`]);
      return listening.trim() === '' ? undefined : true;
    });
  }

  async close(): Promise<void> {
    await Promise.all([...this.#processes].map((child) => child.stop()));
    await destroy(this.name);
  }
}

/** Removes a namespace with everything that still runs in it. */
async function destroy(name: string): Promise<void> {
  const pids = (await run(['ip', 'netns', 'pids', name])).stdout.split('\n').filter((pid) => pid !== '');
  for (const pid of pids) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      continue; // it ended by itself
    }
  }
  await run(['ip', 'netns', 'del', name]);
  await rm(join(NAMESPACE_ETC, name), { recursive: true, force: true });
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Namespaces whose test program is dead. */
async function sweep(): Promise<void> {
  const names = await readdir(NAMESPACE_FILES).catch((): string[] => []);
  for (const name of names) {
    const pid = /^vml(\d+)n\d+-/.exec(name)?.[1];
    if (pid !== undefined && !alive(Number(pid))) await destroy(name);
  }
}

let labs = 0;

export class Lab implements AsyncDisposable {
  readonly host: Namespace;
  readonly internet: Namespace;
  readonly #prefix: string;
  readonly #namespaces: Namespace[] = [];

  private constructor(prefix: string) {
    this.#prefix = prefix;
    this.host = new Namespace(`${prefix}-host`);
    this.internet = new Namespace(`${prefix}-internet`);
  }

  /** `ipv6: false` leaves the host without any IPv6 route, as most homes are. */
  static async create({ ipv6 = true } = {}): Promise<Lab> {
    await sweep();
    const lab = new Lab(`vml${process.pid}n${labs++}`);
    try {
      await lab.#build(ipv6);
      return lab;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  /** A further namespace without any link but lo. */
  async guest(name: string): Promise<Namespace> {
    const guest = await Namespace.create(`${this.#prefix}-${name}`);
    this.#namespaces.push(guest);
    return guest;
  }

  async close(): Promise<void> {
    const results = await Promise.allSettled(this.#namespaces.map((namespace) => namespace.close()));
    const errors = results.flatMap((result): unknown[] => (result.status === 'rejected' ? [result.reason] : []));
    if (errors.length > 0) throw new AggregateError(errors, 'the lab was not taken down cleanly');
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #build(ipv6: boolean): Promise<void> {
    const { host, internet } = this;
    for (const namespace of [host, internet]) {
      this.#namespaces.push(namespace);
      await Namespace.create(namespace.name);
      // Off by default in a new namespace, on for everybody on a Debian host (unprivileged ping sockets).
      await namespace.sysctl('net.ipv4.ping_group_range', '0 2147483647');
    }
    await host.ip('link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', internet.name);
    for (const namespace of [host, internet]) {
      if (!ipv6) await namespace.sysctl('net.ipv6.conf.eth0.disable_ipv6', 1);
      await namespace.ip('link', 'set', 'eth0', 'up');
    }
    await host.ip('addr', 'add', `${HOST.address4}/24`, 'dev', 'eth0');
    await internet.ip('addr', 'add', `${ROUTER.address4}/24`, 'dev', 'eth0');
    await host.ip('route', 'add', 'default', 'via', ROUTER.address4);
    for (const address of [INTERNET.server4, INTERNET.resolver4])
      await internet.ip('addr', 'add', `${address}/32`, 'dev', 'lo');
    await internet.sysctl('net.ipv4.ip_forward', 1);
    await internet.ip('route', 'add', 'blackhole', INTERNET.silent4);
    await internet.ip('route', 'add', 'unreachable', INTERNET.unreachable4);
    await internet.ip('route', 'add', 'prohibit', INTERNET.prohibited4);
    // Linux sends one such error a second to a host, and tests ask more often.
    await internet.sysctl('net.ipv4.icmp_ratelimit', 0);
    await host.setResolver([INTERNET.resolver4]);
    if (ipv6) await this.#buildIpv6();
  }

  async #buildIpv6(): Promise<void> {
    const { host, internet } = this;
    await host.ip('addr', 'add', `${HOST.address6}/64`, 'dev', 'eth0', 'nodad');
    await internet.ip('addr', 'add', `${ROUTER.address6}/64`, 'dev', 'eth0', 'nodad');
    await host.ip('route', 'add', 'default', 'via', ROUTER.address6);
    for (const address of [INTERNET.server6, INTERNET.resolver6])
      await internet.ip('addr', 'add', `${address}/128`, 'dev', 'lo');
    await internet.sysctl('net.ipv6.conf.all.forwarding', 1);
    await internet.ip('-6', 'route', 'add', 'blackhole', INTERNET.silent6);
    await internet.ip('-6', 'route', 'add', 'unreachable', INTERNET.unreachable6);
    await internet.ip('-6', 'route', 'add', 'prohibit', INTERNET.prohibited6);
    await internet.sysctl('net.ipv6.icmp.ratelimit', 0);
  }
}
