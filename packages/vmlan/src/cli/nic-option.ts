/**
 * Which network a guest joins, and as whom: `--network lab,ip=192.168.105.10`, or `--ip` and `--mac` beside it.
 *
 * Zone: control.
 */
import { InvalidArgumentError } from 'commander';
import type { AttachInput } from '../model/api.ts';

export interface NicOptions {
  readonly network?: AttachInput;
  readonly mac?: string;
  readonly ip?: string;
}

/** `lab,ip=192.168.105.10,mac=52:54:00:12:34:56`; the name may be left out. */
export function parseNetwork(text: string): AttachInput {
  const nic: { network?: string; ip?: string; mac?: string } = {};
  for (const part of text.split(',')) {
    const [key = '', value] = part.split('=', 2);
    if (value === undefined && key !== '' && nic.network === undefined) nic.network = key;
    else if ((key === 'ip' || key === 'mac') && value !== undefined && value !== '') nic[key] = value;
    else throw new InvalidArgumentError('Write NETWORK[,ip=ADDRESS][,mac=MAC].');
  }
  return nic;
}

/** Options of their own win over what stands behind the network. */
export function nicOf({ network, mac, ip }: NicOptions): AttachInput {
  return { ...network, ...(mac === undefined ? {} : { mac }), ...(ip === undefined ? {} : { ip }) };
}
