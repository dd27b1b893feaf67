/**
 * How a flow finds the gateway that speaks for its segment, and the policy that holds there.
 *
 * Zone: flow.
 */
import type { Gateway } from '../stack/gateway.ts';
import type { OutboundPolicy } from './policy.ts';

export interface GatewayLookup {
  gatewayOf(segmentId: number): Gateway | null;
  policyOf(segmentId: number): OutboundPolicy;
}
