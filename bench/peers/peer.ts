/**
 * A peer: something that connects a guest's namespace to the servers of a lab. Each gives its guest in its own way; all
 * guests reach the servers under the same address.
 *
 * Zone: control.
 */
import type { Lab, Namespace } from '../../packages/vmlan/test/support/netns.ts';

export interface Uplink {
  /** The guest's namespace, with its interface up and its default route set. */
  readonly guest: Namespace;
  /** Processes that move the frames; none for the kernel. */
  readonly pids: readonly number[];
}

export interface TapPeer {
  readonly name: string;
  /** MTUs that it can give a guest, bytes. */
  readonly mtus: readonly number[];
  /** Why it cannot run here, or null. */
  missing(): string | null;
  /** What it starts ends with `stack`, or with the lab's namespaces. */
  connect(lab: Lab, mtuBytes: number, stack: AsyncDisposableStack): Promise<Uplink>;
}

export const SMALL_MTU = 1500; // bytes
export const LARGE_MTU = 65_520;
