/**
 * Peers at their MTUs, as contenders for the scenarios whose guests are namespaces.
 *
 * Zone: control.
 */
import { Bed, SERVER } from '../bed.ts';
import type { Contender } from '../compare.ts';
import { kernel } from '../peers/kernel.ts';
import { currentPasta, pasta } from '../peers/pasta.ts';
import { LARGE_MTU, SMALL_MTU, type TapPeer } from '../peers/peer.ts';
import { slirp4netns } from '../peers/slirp4netns.ts';
import { vmlan } from '../peers/vmlan.ts';
import { isOurs, type Verified } from '../results.ts';
import type { RunOptions } from '../scenario.ts';
import { compareTransfers, type TransferPlan } from '../verify/transfers.ts';

const PEERS: readonly TapPeer[] = [kernel, vmlan, pasta, currentPasta, slirp4netns];
const QUICK_TRANSFERS = { count: 8, maxBytes: 2 << 20 };
const TRANSFERS = { count: 20, maxBytes: 32 << 20 };
/** A peer that hangs must not cost minutes. */
const PEER_LIMIT_MS = 5000;
const OUR_LIMIT_MS = 120_000;

const label = (peer: TapPeer, mtuBytes: number): string => `${peer.name}/${mtuBytes}`;

function contender(peer: TapPeer, mtuBytes: number, options: RunOptions): Contender<Bed> {
  return {
    name: label(peer, mtuBytes),
    missing: peer.missing(),
    open: () => Bed.open(peer, mtuBytes, options.servers),
  };
}

/** `without`: peers that no goal of the scenario names. */
export function tapContenders(
  options: RunOptions,
  mtus: readonly number[],
  without: readonly TapPeer[] = [],
): Contender<Bed>[] {
  return PEERS.filter((peer) => !without.includes(peer)).flatMap((peer) =>
    peer.mtus.filter((mtu) => mtus.includes(mtu)).map((mtu) => contender(peer, mtu, options)),
  );
}

/** All MTUs of a peer, as goals name them. */
export const anyMtu = (...peers: readonly string[]): string[] =>
  peers.flatMap((peer) => [SMALL_MTU, LARGE_MTU].map((mtu) => `${peer}/${mtu}`));

/** Other sizes each time; a wrong one is printed with its seed. Those of peers are few: they are to be comparable, not proven. */
export function transferPlan(name: string, { quick }: RunOptions): TransferPlan {
  const seed = 1 + Math.floor(Math.random() * 0x7fff_fffe);
  const limitMs = isOurs(name) ? OUR_LIMIT_MS : PEER_LIMIT_MS;
  return { ...(quick || !isOurs(name) ? QUICK_TRANSFERS : TRANSFERS), seed, limitMs };
}

/** Ours always; those of a peer once, in whichever scenario is first, and not at all in a quick run. */
export function transfersDue(name: string, { quick, compared }: RunOptions): boolean {
  if (isOurs(name)) return true;
  if (quick || compared.has(name)) return false;
  compared.add(name);
  return true;
}

/** For `compare`. */
export function transfersOf(options: RunOptions): (contender: string, bed: Bed) => Promise<Verified | null> {
  return async (name, { guest, far }) => {
    if (!transfersDue(name, options)) return null;
    return compareTransfers({ contender: name, guest, far, server: SERVER }, transferPlan(name, options));
  };
}
