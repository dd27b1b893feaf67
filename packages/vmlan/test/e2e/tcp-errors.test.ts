/**
 * Connections that cannot be made: a guest's program sees the errno that a program on the host sees, as promptly.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { INTERNET, type Namespace } from '../support/netns.ts';
import { client, type Peers, serve } from '../support/peers.ts';
import type { Outcome } from '../support/peer-clients.ts';
import { type BedGuest, EngineBed, GATEWAY, ready, root } from './engine-bed.ts';

/** How much later than the host's program a guest's may hear it, ms: two programs on a busy machine. */
const TOLERANCE_MS = 500;
/** Linux loses an ICMP error that comes while connect() has the socket locked; the next SYN, this much later, hears it. */
const SYN_RETRY_MS = 1000;
const CLOSED_PORT = 9999;

/** `host` where the host reaches the same by another address; `errno` is what Linux gives, spelled out as a check. */
const TARGETS = [
  { what: 'a closed port', guest: INTERNET.server4, errno: 'ECONNREFUSED' },
  { what: 'a closed port, IPv6', guest: INTERNET.server6, errno: 'ECONNREFUSED' },
  { what: "a closed port of the host's loopback", guest: GATEWAY.address4, host: '127.0.0.1', errno: 'ECONNREFUSED' },
  { what: 'the same, IPv6', guest: GATEWAY.address6, host: '::1', errno: 'ECONNREFUSED' },
  { what: 'a host that a router calls unreachable', guest: INTERNET.unreachable4, errno: 'EHOSTUNREACH' },
  { what: 'the same, IPv6: Linux says no route', guest: INTERNET.unreachable6, errno: 'ENETUNREACH' },
  { what: 'a net that a router does not know', guest: '192.0.2.1', errno: 'ENETUNREACH' },
  { what: 'the same, IPv6', guest: '2001:db8:dead::1', errno: 'ENETUNREACH' },
  { what: 'a host behind a prohibition', guest: INTERNET.prohibited4, errno: 'EHOSTUNREACH' },
  { what: 'the same, IPv6', guest: INTERNET.prohibited6, errno: 'EACCES' },
  { what: 'a host that is silent', guest: INTERNET.silent4, errno: 'ETIMEDOUT' },
  { what: 'the same, IPv6', guest: INTERNET.silent6, errno: 'ETIMEDOUT' },
  { what: 'a server that resets', guest: INTERNET.server4, port: 9000, errno: 'ECONNRESET' },
] as const;

type Target = (typeof TARGETS)[number] | (typeof NEIGHBORS)[number];

/** Who does not answer ARP or ND; more than SYN retries of one allow, so it has its own test. */
const NEIGHBORS = [
  { what: 'a neighbor that is not there', guest: '198.51.100.77', errno: 'EHOSTUNREACH' },
  { what: 'the same, IPv6', guest: '2001:db8:51::77', errno: 'EHOSTUNREACH' },
] as const;

const attempt = (from: Namespace, side: 'guest' | 'host', targets: readonly Target[]): Promise<Outcome[]> =>
  client(from, 'connects', {
    targets: targets.map((target) => ({
      host: side === 'host' && 'host' in target ? target.host : target.guest,
      port: 'port' in target ? target.port : CLOSED_PORT,
    })),
  });

function assertAlike(targets: readonly Target[], seen: readonly Outcome[], byHost: readonly Outcome[]): void {
  const told = (outcomes: readonly Outcome[]): string[] =>
    outcomes.map(({ errno }, i) => `${targets[i]!.what}: ${errno}`);
  assert.deepEqual(
    told(byHost),
    targets.map(({ what, errno }) => `${what}: ${errno}`),
    'on the host',
  );
  assert.deepEqual(told(seen), told(byHost));
  for (const [i, { ms }] of seen.entries()) {
    const allowedMs = Math.max(byHost[i]!.ms, SYN_RETRY_MS) + TOLERANCE_MS;
    assert.ok(ms < allowedMs, `${told(seen)[i]} after ${ms} ms, on the host ${byHost[i]!.ms} ms`);
  }
}

/** Linux limits what unreachable routes say to one ICMP error a second for each host; what nftables says it does not. */
const REJECTIONS = `table inet errors {
  chain arriving {
    type filter hook prerouting priority -150;
    ip daddr ${INTERNET.unreachable4} reject with icmp type host-unreachable;
    ip daddr ${INTERNET.prohibited4} reject with icmp type admin-prohibited;
    ip daddr 192.0.2.1 reject with icmp type net-unreachable;
  }
}
`;

describe('a connection that fails', () => {
  let bed: EngineBed;
  let peers: Peers;
  let guests: BedGuest[];

  before(async () => {
    if (!root) return;
    bed = await EngineBed.create();
    await bed.lab.internet.output(['nft', '-f', '-'], { input: REJECTIONS });
    peers = await serve(bed.lab.internet, [{ kind: 'reset', port: 9000 }]);
    guests = await Promise.all([bed.tapGuest('tap'), bed.streamGuest('stream')]);
  });
  after(async () => {
    await peers?.[Symbol.asyncDispose]();
    await bed?.[Symbol.asyncDispose]();
  });

  async function compare(targets: readonly Target[]): Promise<void> {
    const [byHost, ...byGuests] = await Promise.all([
      attempt(bed.lab.host, 'host', targets),
      ...guests.map(({ namespace }) => attempt(namespace, 'guest', targets)),
    ]);
    for (const seen of byGuests) assertAlike(targets, seen, byHost);
  }

  test('does so as on the host', async (t) => {
    if (!ready(t, 'nft')) return;
    for (const { namespace } of [{ namespace: bed.lab.host }, ...guests])
      await namespace.sysctl('net.ipv4.tcp_syn_retries', 1);
    await compare(TARGETS);
  });

  test('after the host has asked for its neighbor in vain, too', async (t) => {
    if (!ready(t, 'nft')) return;
    for (const { namespace } of [{ namespace: bed.lab.host }, ...guests])
      await namespace.sysctl('net.ipv4.tcp_syn_retries', 6);
    await compare(NEIGHBORS);
  });
});
