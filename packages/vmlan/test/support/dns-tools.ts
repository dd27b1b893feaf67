/**
 * DNS from the outside: dig and kdig with parsed answers, dnsperf with its count, and dnsmasq as the resolver of the lab's
 * internet (it can also serve DHCP, which proves the DHCP clients without vmlan).
 *
 * Zone: control.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Namespace } from './netns.ts';
import type { Process } from './process.ts';

export interface DnsRecord {
  readonly name: string;
  readonly ttl: number;
  readonly type: string;
  /** As the tool prints it. */
  readonly data: string;
}

export interface DnsAnswer {
  /** NOERROR, NXDOMAIN, SERVFAIL …; empty when nothing came. */
  readonly status: string;
  /** qr, rd, ra, aa, tc … */
  readonly flags: readonly string[];
  readonly answers: readonly DnsRecord[];
  readonly authority: readonly DnsRecord[];
  readonly additional: readonly DnsRecord[];
  /** What the tool printed. */
  readonly text: string;
}

function section(text: string, name: string): DnsRecord[] {
  const body = new RegExp(`^;; ${name} SECTION:\\n((?:[^;\\n].*\\n)*)`, 'm').exec(text)?.[1] ?? '';
  return body.split('\n').flatMap((line): DnsRecord[] => {
    const [, owner, ttl, type, data] = /^(\S+)\s+(\d+)\s+IN\s+(\S+)\s*(.*)$/.exec(line) ?? [];
    return owner === undefined ? [] : [{ name: owner, ttl: Number(ttl), type: type ?? '', data: data ?? '' }];
  });
}

/** dig and kdig differ in commas and capitals only. */
export function parseAnswer(text: string): DnsAnswer {
  return {
    status: /status: ([A-Z]+)/.exec(text)?.[1] ?? '',
    flags: (/^;; flags: ([a-z ]*)/im.exec(text)?.[1] ?? '').split(' ').filter((flag) => flag !== ''),
    answers: section(text, 'ANSWER'),
    authority: section(text, 'AUTHORITY'),
    additional: section(text, 'ADDITIONAL'),
    text,
  };
}

const PATIENCE = ['+time=3', '+tries=1'];

/** `server` may carry a port as ADDRESS#PORT. Arguments are dig's own: name, type, +tcp, +bufsize=512 … */
export async function dig(from: Namespace, server: string, ...args: readonly string[]): Promise<DnsAnswer> {
  const [address = server, port = '53'] = server.split('#');
  return parseAnswer((await from.run(['dig', `@${address}`, '-p', port, ...PATIENCE, ...args])).stdout);
}

export async function kdig(from: Namespace, server: string, ...args: readonly string[]): Promise<DnsAnswer> {
  const [address = server, port = '53'] = server.split('#');
  const { stdout, stderr } = await from.run(['kdig', `@${address}`, '-p', port, '+time=3', '+retry=0', ...args]);
  return parseAnswer(stdout + stderr);
}

export interface DnsLoad {
  readonly sent: number;
  readonly completed: number;
  readonly lost: number;
  /** Queries per response code. */
  readonly codes: Readonly<Record<string, number>>;
}

/** `queries` are `NAME TYPE` lines, asked in turn. */
export async function dnsperf(
  from: Namespace,
  server: string,
  load: { queries: readonly string[]; perSecond: number; seconds: number },
): Promise<DnsLoad> {
  const folder = await mkdtemp(join(tmpdir(), 'vmlan-dnsperf-'));
  const queries = join(folder, 'queries'); // a file, since it is read again and again
  await writeFile(queries, `${load.queries.join('\n')}\n`);
  const argv = [
    'dnsperf',
    '-s',
    server,
    '-d',
    queries,
    '-Q',
    String(load.perSecond),
    '-l',
    String(load.seconds),
    '-t',
    '5',
  ];
  const text = await from
    .output(argv, { timeoutMs: (load.seconds + 20) * 1000 })
    .finally(() => rm(folder, { recursive: true, force: true }));
  const count = (label: string): number => Number(new RegExp(`${label}:\\s+(\\d+)`).exec(text)?.[1] ?? NaN);
  const codes = /Response codes:\s+(.*)/.exec(text)?.[1] ?? '';
  return {
    sent: count('Queries sent'),
    completed: count('Queries completed'),
    lost: count('Queries lost'),
    codes: Object.fromEntries([...codes.matchAll(/([A-Z]+) (\d+)/g)].map(([, code = '', n]) => [code, Number(n)])),
  };
}

/**
 * A resolver that knows only what `args` say, in dnsmasq's own words: --address=/web.test/203.0.113.10,
 * --txt-record=…, --mx-host=…, --srv-host=…, --caa-record=…, --dns-rr=NAME,TYPE,HEX. Other names are refused.
 */
export async function dnsmasq(namespace: Namespace, args: readonly string[]): Promise<Process> {
  const bare = [
    '--keep-in-foreground',
    '--conf-file=/dev/null',
    '--no-resolv',
    '--no-hosts',
    '--user=root',
    '--pid-file=',
  ];
  const child = namespace.start(['dnsmasq', ...bare, '--log-facility=-', '--log-queries', '--bind-dynamic', ...args]);
  await child.waitFor(/started, version/);
  return child;
}
