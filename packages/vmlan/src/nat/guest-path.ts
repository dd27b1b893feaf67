/**
 * The way from the gateway to a guest's port, for what the host opens: forwards and probes.
 *
 * Zone: flow.  The guest sees the gateway as the other end.
 */
import type { Gateway } from '../stack/gateway.ts';
import type { Neighbor } from '../stack/neighbor.ts';
import { MAPPED, Path } from '../stack/path.ts';

const FIRST_PORT = 49_152; // RFC 6335 §6: dynamic ports
const LAST_PORT = 65_535;
const PORT_TRIES = 64;

/** A guest as it is found by name or address. */
export interface GuestTarget {
  readonly gateway: Gateway;
  /** Mapped words of its address. */
  readonly words: Int32Array;
  /** Known port and MAC, or null: the segment is asked. */
  readonly neighbor: Neighbor | null;
}

let nextPort = FIRST_PORT;

/** A port of the gateway that this guest endpoint does not talk to yet, or -1. */
export function freePort(isTaken: (port: number) => boolean): number {
  for (let i = 0; i < PORT_TRIES; i++) {
    const port = nextPort;
    nextPort = nextPort === LAST_PORT ? FIRST_PORT : nextPort + 1;
    if (!isTaken(port)) return port;
  }
  return -1;
}

/** The path from the gateway to the guest; port and MAC may still be unknown. */
export function pathTo(target: GuestTarget): Path {
  const path = new Path();
  const { config, segment } = target.gateway;
  const [w0, w1, w2, w3] = target.words;
  path.segment = segment;
  path.setGuest(w0!, w1!, w2!, w3!);
  if (w2 === MAPPED && (w0! | w1!) === 0) {
    path.family = 4;
    path.setRemote(0, 0, MAPPED, config.address4);
  } else {
    path.family = 6;
    // A link-local guest needs a link-local peer (RFC 6724 rule 2).
    const own = w0! >>> 22 === 0x3fa || config.address6 === null ? config.linkLocal : config.address6;
    path.setRemote(own[0]!, own[1]!, own[2]!, own[3]!);
  }
  if (target.neighbor !== null) aim(path, target.neighbor);
  return path;
}

export function aim(path: Path, neighbor: Neighbor): void {
  path.port = neighbor.port;
  path.macHi = neighbor.macHi;
  path.macLo = neighbor.macLo;
}
