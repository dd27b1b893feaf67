/**
 * Whether a guest may have a name.
 *
 * Zone: control.
 */
import { VmlanError } from '../core/errors.ts';
import { RESERVED_GUEST_NAMES } from '../model/guest.ts';
import { guestNameSchema } from '../model/names.ts';

/** Throws `invalid`. */
export function checkGuestName(name: string): void {
  const result = guestNameSchema.safeParse(name);
  if (!result.success) {
    throw new VmlanError('invalid', `guest ${JSON.stringify(name)}: ${result.error.issues[0]!.message}`, {
      hint: 'e.g. web, or db-1',
    });
  }
  if (RESERVED_GUEST_NAMES.includes(name)) {
    throw new VmlanError('invalid', `guest "${name}": this name means the host or the gateway in DNS`, {
      hint: 'choose another name, e.g. web, or db-1',
    });
  }
}
