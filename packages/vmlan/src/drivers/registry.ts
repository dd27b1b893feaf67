/**
 * Which driver a network gets, and why; or what is missing for it.
 *
 * Zone: control.  One driver carries packets today; what the schema already accepts and none can do is refused here,
 * when the network is to start.
 */
import { VmlanError } from '../core/errors.ts';
import type { Mode, Network } from '../model/network.ts';

export interface DriverDecision {
  readonly type: 'userspace';
  readonly reason: string;
}

const USERSPACE_MODES: readonly Mode[] = ['user', 'user-v2', 'shared', 'nat', 'host', 'isolated'];

/** What a mode needs that the userspace driver does not have. */
const MODE_NEEDS: Readonly<Partial<Record<Mode, string>>> = {
  bridged: 'a driver that joins the LAN with root rights (driver linux)',
  routed: 'a driver that forwards in the kernel with root rights (driver linux)',
  unmanaged: 'a driver that joins a foreign socket',
};

export function chooseDriver(network: Network): DriverDecision {
  const unsupported = (what: string, hint: string): never => {
    throw new VmlanError('unsupported', `network "${network.name}": ${what}`, { hint });
  };
  const need = MODE_NEEDS[network.mode];
  if (need !== undefined || !USERSPACE_MODES.includes(network.mode)) {
    unsupported(
      `mode ${network.mode} needs ${need ?? 'another driver'}, which this version lacks`,
      'use mode shared or user-v2',
    );
  }
  if (network.driver !== 'auto' && network.driver !== 'userspace') {
    unsupported(`driver ${network.driver} is not there yet`, 'drop `driver`, or write driver: userspace');
  }
  if (network.filter !== null) unsupported('filters are not there yet', 'drop `filter`');
  if (network.interface !== null) {
    unsupported('`interface` needs a driver that binds to a card, which this version lacks', 'drop `interface`');
  }
  return {
    type: 'userspace',
    reason: network.driver === 'userspace' ? 'configured' : 'the only driver of this version',
  };
}
