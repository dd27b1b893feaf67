/**
 * What the DNS of a network answers, asked by the gateway in place of a guest.
 *
 * Zone: control.
 */
import type { Driver } from '../drivers/driver.ts';
import type { LookupQuery, LookupView } from '../model/api.ts';
import { parseIpv4, parseIpv6 } from '../wire/address.ts';
import type { Networks } from './networks.ts';

export async function lookUp(
  driver: Pick<Driver, 'lookUp'>,
  networks: Networks,
  network: string,
  { name, type }: LookupQuery,
): Promise<LookupView> {
  const { name: known } = networks.get(network);
  const isAddress = parseIpv4(name) !== null || parseIpv6(name) !== null;
  const wanted = (type ?? (isAddress ? 'PTR' : 'A')).toUpperCase();
  return { network: known, name, type: wanted, ...(await driver.lookUp(known, name, wanted)) };
}
