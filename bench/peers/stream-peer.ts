/**
 * A peer whose guest is a machine: it listens on a unix socket with QEMU's stream framing.
 *
 * Zone: control.
 */
import type { Lab } from '../../packages/vmlan/test/support/netns.ts';

export interface StreamUplink {
  /** Where a card connects; one at a time for some peers. */
  readonly socket: string;
  /** Processes that move the frames. */
  readonly pids: readonly number[];
  /** What a guest on this network must call itself, without DHCP. */
  readonly own: string;
  readonly prefix: number;
  readonly gateway: string;
}

export interface StreamPeer {
  readonly name: string;
  /** MTUs that it can give a guest, bytes. */
  readonly mtus: readonly number[];
  /** Why it cannot run here, or null. */
  missing(): string | null;
  /** Runs in the lab's host namespace; `folder` is for its sockets and open to everybody. */
  start(lab: Lab, folder: string, mtuBytes: number, stack: AsyncDisposableStack): Promise<StreamUplink>;
}

export const LOAD_MAC = '52:54:00:00:02:02';

/** A path in the environment as the way to a program that Debian does not have: why it is missing, or null. */
export const unnamed = (variable: string): string | null =>
  process.env[variable] === undefined ? `${variable} names no program` : null;
