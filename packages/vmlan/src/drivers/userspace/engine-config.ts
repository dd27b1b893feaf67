/**
 * From a network to what the datapath is started with.
 *
 * Zone: control.
 */
import { VmlanError } from '../../core/errors.ts';
import type { EngineConfig, EngineMode } from '../../engine/control-messages.ts';
import type { Network } from '../../model/network.ts';
import type { WantedNetwork } from '../driver.ts';

export const ENGINE_MODES: readonly EngineMode[] = ['user', 'user-v2', 'shared', 'nat', 'host', 'isolated'];

const isEngineMode = (mode: Network['mode']): mode is EngineMode => (ENGINE_MODES as readonly string[]).includes(mode);

export function engineConfig(wanted: WantedNetwork): Omit<EngineConfig, 'leases' | 'duid'> {
  const { network } = wanted;
  const { mode, ipv4 } = network;
  if (!isEngineMode(mode)) {
    throw new VmlanError('unsupported', `network "${network.name}": the userspace driver has no mode ${mode}`);
  }
  return {
    network: network.name,
    mode,
    mtu: network.mtu,
    gatewayMac: network.gatewayMac,
    ipv4:
      ipv4 === null
        ? null
        : {
            subnet: ipv4.subnet,
            gateway: ipv4.gateway,
            dns: ipv4.dns,
            poolStart: ipv4.poolStart,
            poolEnd: ipv4.poolEnd,
            excluded: ipv4.excluded,
            fixedGuest: ipv4.fixedGuest,
            leaseSeconds: ipv4.leaseSeconds,
            announceRouter: ipv4.announceRouter,
          },
    ipv6: network.ipv6 === null ? null : { prefix: network.ipv6.prefix, gateway: network.ipv6.gateway },
    dns: { ...network.dns, records: [] },
    reservations: wanted.reservations,
    hostAccess: network.hostAccess,
    outward: network.outward,
    closed: wanted.closed,
    isolation: { guests: network.isolation.guests },
    guards: network.guards,
  };
}
