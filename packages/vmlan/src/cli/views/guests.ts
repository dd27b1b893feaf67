/**
 * Guests as rows: one per network card.
 *
 * Zone: control.
 */
import type { GuestView, NicView } from '../../model/api.ts';
import { formatTable } from '../output/table.ts';
import type { Colour, Column } from '../output/table.ts';

interface Row {
  readonly guest: GuestView;
  readonly nic: NicView | null;
}

export const firstAddress4 = (nic: NicView): string | null => nic.address4[0] ?? nic.ip;

/** A link-local address says little; it is shown only where there is no other. */
export const firstAddress6 = (nic: NicView): string | null =>
  nic.address6.find((address) => !address.startsWith('fe80:')) ?? nic.address6[0] ?? null;

export function stateColour(state: string): Colour | null {
  if (state === 'connected' || state === 'running' || state === 'listening') return 'green';
  if (state === 'failed' || state === 'unresponsive') return 'red';
  return state === 'stopped' || state === 'disconnected' ? 'dim' : 'yellow';
}

const COLUMNS: readonly Column<Row>[] = [
  { title: 'name', value: ({ guest }) => guest.name },
  { title: 'ip', value: ({ nic }) => nic && firstAddress4(nic) },
  { title: 'ipv6', value: ({ nic }) => nic && firstAddress6(nic) },
  { title: 'mac', value: ({ nic }) => nic && nic.mac },
  { title: 'network', value: ({ nic }) => nic && nic.network },
  { title: 'state', value: ({ nic }) => nic && nic.state, colour: ({ nic }) => nic && stateColour(nic.state) },
];

export function guestTable(guests: readonly GuestView[], coloured: boolean): string {
  const rows = guests.flatMap((guest): Row[] =>
    guest.nics.length === 0 ? [{ guest, nic: null }] : guest.nics.map((nic) => ({ guest, nic })),
  );
  return formatTable(COLUMNS, rows, coloured);
}
