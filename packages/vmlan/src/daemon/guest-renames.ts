/**
 * What leads to a guest, under the guest's new name.
 *
 * Zone: control.
 */
import { isForwardProblem, parseForward } from '../model/forward.ts';
import type { StoredForward } from '../model/stored.ts';
import type { StoredShape } from '../model/stored-shape.ts';

/** Forwards; their ids stay. */
export const renamedForwards = (stored: readonly StoredForward[], before: string, name: string): StoredForward[] =>
  stored
    .filter((entry) => {
      const forward = parseForward(entry);
      return !isForwardProblem(forward) && forward.guestName === before;
    })
    .map((entry) => ({ ...entry, guest: `${name}${entry.guest.slice(before.length)}` }));

/** Shapes; the NICs are the same, so nothing changes for them. */
export function renamedShapes(stored: readonly StoredShape[], before: string, name: string): StoredShape[] {
  const renamed = (guest: string): string => (guest === before ? name : guest);
  return stored
    .filter(({ guest, peer }) => guest === before || peer === before)
    .map((shape) => ({
      ...shape,
      guest: renamed(shape.guest),
      peer: shape.peer === null ? null : renamed(shape.peer),
    }));
}
