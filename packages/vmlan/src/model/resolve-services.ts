/**
 * The services of a network: its forwards, its DNS records, its further sockets.
 *
 * Zone: control.  Throws ConfigIssue.
 */
import { parseIpv4, parseIpv6 } from '../wire/address.ts';
import { clashingListen, isForwardProblem, parseForward } from './forward.ts';
import type { Forward } from './forward.ts';
import { ConfigIssue, IssueList } from './issue.ts';
import type { ListenSocket, NetworkIpv4, NetworkIpv6, RecordEntry } from './network.ts';
import type { NetworkInput } from './schema.ts';
import { subnetsOverlap } from './subnet.ts';

export function resolveForwards(
  input: NetworkInput,
  ipv4: NetworkIpv4 | null,
  ipv6: NetworkIpv6 | null,
): readonly Forward[] {
  const forwards: Forward[] = [];
  const issues = new IssueList();
  for (const [i, text] of (input.forwards ?? []).entries()) {
    issues.try(() => {
      const forward = parseForward(text);
      if (isForwardProblem(forward)) throw new ConfigIssue(['forwards', i, forward.field], forward.message);
      const problem = forwardTargetProblem(forward, ipv4, ipv6);
      if (problem !== null) throw new ConfigIssue(['forwards', i, 'guest'], problem);
      for (const other of forwards) {
        const clash = clashingListen(forward, other);
        if (clash !== null) throw new ConfigIssue(['forwards', i, 'host'], `${clash} is forwarded twice`);
      }
      forwards.push(forward);
    });
  }
  issues.end();
  return forwards;
}

/** Why a forward cannot reach its guest on this network; null when it can. */
export function forwardTargetProblem(
  forward: Forward,
  ipv4: NetworkIpv4 | null,
  ipv6: NetworkIpv6 | null,
): string | null {
  const target = forward.pairs[0]?.target;
  if (forward.direction !== 'host' || forward.guestName !== null || target === undefined || 'unix' in target)
    return null;
  if (ipv4 !== null && ipv4.fixedGuest !== null)
    return 'in mode user all guests have one address: name the guest instead';
  const subnet = parseIpv4(target.host) === null ? (ipv6?.prefix ?? null) : (ipv4?.subnet ?? null);
  const address = `${target.host}/${target.host.includes(':') ? 128 : 32}`;
  if (subnet !== null && subnetsOverlap(subnet, address)) return null;
  return `${target.host} lies outside the network${subnet === null ? '' : `'s subnet ${subnet}`}`;
}

/** `dns.hosts`: an address gives A or AAAA, another name gives CNAME. */
export function resolveRecords(hosts: Readonly<Record<string, string | readonly string[]>>): readonly RecordEntry[] {
  return Object.entries(hosts).flatMap(([name, values]) =>
    [values].flat().map((value) => ({ name, type: recordType(value), value })),
  );
}

function recordType(value: string): string {
  if (parseIpv4(value) !== null) return 'A';
  return parseIpv6(value) === null ? 'CNAME' : 'AAAA';
}

export function resolveListen(input: NetworkInput): readonly ListenSocket[] {
  const texts = input.listen ?? [];
  for (const [i, text] of texts.entries()) {
    if (texts.indexOf(text) !== i) throw new ConfigIssue(['listen', i], `${text} is listed twice`);
  }
  return texts.map((text, i) => parseListen(text, i));
}

function parseListen(text: string, index: number): ListenSocket {
  if (text.startsWith('dgram:')) return { kind: 'dgram', path: text.slice('dgram:'.length) };
  if (!text.startsWith('tcp://')) return { kind: 'unix', path: text.replace(/^unix:/, '') };
  const [, bracketed, plain, portText] = /^tcp:\/\/(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(text)!;
  const host = plain === 'localhost' ? '127.0.0.1' : (bracketed ?? plain!);
  const port = Number(portText);
  if (port < 1 || port > 65_535) throw new ConfigIssue(['listen', index], `${text}: a port is 1 to 65535`);
  if (parseIpv4(host) === null && parseIpv6(host) === null) {
    throw new ConfigIssue(['listen', index], `${text}: ${host} is no address`);
  }
  return { kind: 'tcp', host, port };
}
