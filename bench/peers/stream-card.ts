/**
 * A namespace as the guest behind a stream socket: a small program carries its frames, as QEMU's card does.
 *
 * Zone: control.
 */
import { join } from 'node:path';
import type { Namespace } from '../../packages/vmlan/test/support/netns.ts';
import type { Process } from '../../packages/vmlan/test/support/process.ts';
import { NODE } from '../load/load-client.ts';

export interface CardPlace {
  /** A path for the socket over which the TAP is handed, not yet there. */
  readonly tapSocket: string;
  readonly mac: string;
  readonly mtuBytes: number;
  /** With its prefix length. */
  readonly address: string;
  readonly gateway: string;
  /** Where the card plugs in. */
  readonly socket: string;
}

const PROGRAM = join(import.meta.dirname, '../../packages/vmlan/test/support/stream-guest.ts');

/** Runs in `host`; the guest's eth0 is there when it returns, and goes with the program. */
export async function startCard(host: Namespace, guest: Namespace, place: CardPlace): Promise<Process> {
  const { tapSocket, mac, mtuBytes, address, gateway, socket } = place;
  const request = {
    ...{ socket: tapSocket, interface: 'eth0', mac, mtuBytes, loopback: true, routerAdverts: false },
    addresses: [address],
    gateways: [gateway],
  };
  const target = JSON.stringify({ pid: null, path: guest.path });
  const card = host.start([...NODE, PROGRAM, JSON.stringify(request), target, socket]);
  await card.waitFor(/^open$/m);
  return card;
}
