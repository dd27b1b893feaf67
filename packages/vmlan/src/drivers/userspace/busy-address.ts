/**
 * Says who holds the address that a step could not have.
 *
 * Zone: control.  Runs in the daemon, which sees more processes than the unprivileged network process does.
 */
import { VmlanError } from '../../core/errors.ts';
import type { SocketAddress } from '../../engine/control-messages.ts';
import { describeOwner, ownerOfPath, ownerOfPort } from '../../sys/socket-owner.ts';
import type { SocketOwner } from '../../sys/socket-owner.ts';
import type { LiveStep } from './protocol.ts';

export function nameOwner(error: unknown, step: LiveStep): unknown {
  if (!(error instanceof VmlanError) || error.code !== 'address-in-use') return error;
  const owner = ownerOf(step);
  if (owner === null) return error;
  return new VmlanError(error.code, `${error.message}, held by ${describeOwner(owner)}`, {
    hint: error.hint ?? 'stop that process, or choose another port',
    cause: error,
  });
}

function ownerOf(step: LiveStep): SocketOwner | null {
  if (step.action === 'add-forward') return ownerOfAddress(step.forward.listen, step.forward.protocol);
  if (step.action !== 'add-link') return null;
  const { link } = step.link;
  if (link.kind === 'dgram') return ownerOfPath(link.path);
  return link.kind === 'stream-listen' ? ownerOfAddress(link.address, 'tcp') : null;
}

const ownerOfAddress = (address: SocketAddress, protocol: 'tcp' | 'udp'): SocketOwner | null =>
  'unix' in address ? ownerOfPath(address.unix) : ownerOfPort(protocol, address.port);
