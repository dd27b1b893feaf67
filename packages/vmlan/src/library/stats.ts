/**
 * A network in numbers.
 *
 * Zone: control.
 */
import type { GuestSnapshot } from '../engine/control-messages.ts';

/** A forward as it is now. */
export interface ForwardStats {
  readonly protocol: 'tcp' | 'udp';
  readonly direction: 'host' | 'reverse';
  /** `waiting-for-guest`: the host listens, and the guest has no address yet. */
  readonly state: 'listening' | 'waiting-for-guest';
  readonly connections: number;
}

/** What a network counts, and who is on it. */
export interface NetworkStats {
  /** All that are on it, machines and namespaces, too. */
  readonly guests: readonly GuestSnapshot[];
  readonly forwards: readonly ForwardStats[];
  /** By name: since the network began. */
  readonly counters: Readonly<Record<string, number>>;
  /** Conversations with what lies beyond the network. */
  readonly flows: { readonly tcp: number; readonly udp: number; readonly icmp: number };
  /** Of the engine thread, bytes. */
  readonly memory: { readonly heap: number; readonly arena: number; readonly receiveQueues: number };
  /** Whether the host itself reaches the Internet by IPv6. */
  readonly ipv6Reachable: boolean;
}
