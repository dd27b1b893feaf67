/**
 * The words of `listFlows`: apart from their schemas, so that the command line need not load those.
 *
 * Zone: control.
 */
export const FLOW_PROTOCOLS: readonly ['tcp', 'udp', 'icmp'] = ['tcp', 'udp', 'icmp'];
export type FlowProtocol = (typeof FLOW_PROTOCOLS)[number];
/** Most first; `idle`: those that were heard of last first. */
export const FLOW_ORDERS: readonly ['bytes', 'packets', 'age', 'idle'] = ['bytes', 'packets', 'age', 'idle'];
export type FlowOrder = (typeof FLOW_ORDERS)[number];

export const DEFAULT_FLOW_LIMIT = 1_000;
export const MAX_FLOW_LIMIT = 100_000;
