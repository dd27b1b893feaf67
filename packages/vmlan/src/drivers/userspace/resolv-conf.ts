/**
 * resolv.conf(5): the host's name servers and how to ask them; and the hosts line of nsswitch.conf(5): who else knows names.
 *
 * Zone: control.  Pure: text in, facts out.  Unknown words are skipped, as the C library does.
 */
import { isIP } from 'node:net';

export interface ResolvConf {
  /** IPv4 and IPv6 addresses, link-local ones with their %zone. */
  readonly servers: readonly string[];
  readonly search: readonly string[];
  /** Patience with one server; undefined if the file does not say. */
  readonly timeoutMs: number | undefined;
  /** Rounds over all servers. */
  readonly attempts: number;
  /** Start with another server each time. */
  readonly rotate: boolean;
}

/** More than the three of the C library; further ones are ignored. */
export const MAX_SERVERS = 8;
const DEFAULT_ATTEMPTS = 2;
/** Bounds of resolv.conf(5). */
const MAX_ATTEMPTS = 5;
const MAX_TIMEOUT_S = 30;

export function parseResolvConf(text: string): ResolvConf {
  const servers: string[] = [];
  let search: string[] = [];
  const options = new Map<string, string>();
  for (const line of text.split('\n')) {
    // A comment begins in the first column, or behind an address.
    const [keyword = '', ...words] = line
      .replace(/^[#;].*/, '')
      .trim()
      .split(/\s+/);
    if (keyword === 'nameserver' && words[0] !== undefined && isIP(words[0]) !== 0) servers.push(words[0]);
    if (keyword === 'search' || keyword === 'domain') search = words;
    if (keyword === 'options') for (const word of words) options.set(...splitOption(word));
  }
  const timeoutS = number(options.get('timeout'), MAX_TIMEOUT_S);
  return {
    servers: [...new Set(servers)].slice(0, MAX_SERVERS),
    search,
    timeoutMs: timeoutS === undefined ? undefined : timeoutS * 1000,
    attempts: number(options.get('attempts'), MAX_ATTEMPTS) ?? DEFAULT_ATTEMPTS,
    rotate: options.has('rotate'),
  };
}

function splitOption(word: string): [string, string] {
  const [name = '', value = ''] = word.split(':', 2);
  return [name, value];
}

function number(text: string | undefined, max: number): number | undefined {
  return text !== undefined && /^\d{1,6}$/.test(text) ? Math.max(1, Math.min(max, Number(text))) : undefined;
}

/** What getaddrinfo may know beyond /etc/hosts and DNS. */
export interface NameSources {
  /** Multicast DNS: names below .local. */
  readonly local: boolean;
  /** Containers, virtual machines, LLMNR, the host's own name …: any other name. */
  readonly others: boolean;
}

/** `hosts: files mdns4_minimal [NOTFOUND=return] resolve dns myhostname` */
export function parseNsswitch(text: string): NameSources {
  const line = /^\s*hosts:(.*)$/m.exec(text.replaceAll(/#.*/g, ''))?.[1] ?? '';
  const sources = line
    .replaceAll(/\[[^\]]*\]/g, ' ')
    .trim()
    .split(/\s+/);
  const extra = sources.filter((source) => !['', 'files', 'dns', 'db'].includes(source));
  const multicast = extra.filter((source) => source.startsWith('mdns'));
  return { local: extra.length > 0, others: extra.length > multicast.length };
}
