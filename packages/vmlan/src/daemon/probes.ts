/**
 * Trying a guest's port, on whichever of its networks it answers.
 *
 * Zone: control.
 */
import type { Driver } from '../drivers/driver.ts';
import type { ProbeInput, ProbeResult } from '../model/api.ts';
import type { Networks } from './networks.ts';
import type { Subjects } from './subjects.ts';

export interface ProbesParts {
  readonly driver: Pick<Driver, 'probe'>;
  readonly networks: Networks;
  readonly subjects: Subjects;
}

/** The first network that has something to say; a guest whose networks do not run is absent. */
export async function probeGuest(
  { driver, networks, subjects }: ProbesParts,
  guest: string,
  { network: only, protocol = 'tcp', port }: ProbeInput,
): Promise<ProbeResult> {
  const meant = await subjects.networks({ guest, network: only });
  const nobody = { guest, protocol, port, address: null, state: 'absent' } as const;
  let result: ProbeResult = { ...nobody, network: meant[0]! };
  for (const network of meant) {
    if (!networks.shallRun(network)) continue;
    const { address, state } = await driver.probe(network, guest, protocol, port);
    result = { guest, network, protocol, port, address, state };
    if (state === 'open') return result;
  }
  return result;
}
