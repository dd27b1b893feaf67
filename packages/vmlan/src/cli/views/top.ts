/**
 * Guests as rows of how busy they are, between two looks.
 *
 * Zone: control.
 */
import type { GuestView, NicView } from '../../model/api.ts';
import { formatTable } from '../output/table.ts';
import type { Column } from '../output/table.ts';
import { formatAmount } from './amounts.ts';
import { stateColour } from './guests.ts';

export const TOP_ORDERS: readonly ['traffic', 'packets', 'drops', 'flows', 'name'] = [
  'traffic',
  'packets',
  'drops',
  'flows',
  'name',
];
export type TopOrder = (typeof TOP_ORDERS)[number];

/** A network card; what is counted is a second's. */
export interface TopRow {
  readonly guest: string;
  readonly nic: string;
  readonly network: string;
  readonly state: string;
  readonly framesFromGuest: number;
  readonly framesToGuest: number;
  readonly bytesFromGuest: number;
  readonly bytesToGuest: number;
  readonly drops: number;
  readonly flows: number;
}

/** `before`: the guests `elapsedMs` ago; a card that was not there, or has a new link since, counts from zero. */
export function topRows(guests: readonly GuestView[], before: readonly GuestView[], elapsedMs: number): TopRow[] {
  const known = new Map(before.flatMap(({ nics }) => nics.map((nic) => [placeOf(nic), nic] as const)));
  return guests.flatMap((guest) => guest.nics.map((nic) => rowOf(guest.name, nic, known.get(placeOf(nic)), elapsedMs)));
}

const placeOf = ({ network, key }: NicView): string => `${network} ${key}`;

function rowOf(guest: string, nic: NicView, then: NicView | undefined, elapsedMs: number): TopRow {
  const { counters } = nic;
  const old = then !== undefined && then.sinceMs === nic.sinceMs ? then.counters : null;
  const perSecond = (now = 0, was = 0): number => (elapsedMs <= 0 ? 0 : (Math.max(0, now - was) * 1000) / elapsedMs);
  return {
    ...{ guest, nic: nic.key, network: nic.network, state: nic.state, flows: nic.flows ?? 0 },
    framesFromGuest: perSecond(counters?.framesFromGuest, old?.framesFromGuest),
    framesToGuest: perSecond(counters?.framesToGuest, old?.framesToGuest),
    bytesFromGuest: perSecond(counters?.bytesFromGuest, old?.bytesFromGuest),
    bytesToGuest: perSecond(counters?.bytesToGuest, old?.bytesToGuest),
    drops:
      perSecond(counters?.dropsFromGuest, old?.dropsFromGuest) + perSecond(counters?.dropsToGuest, old?.dropsToGuest),
  };
}

const KEYS: Readonly<Record<Exclude<TopOrder, 'name'>, (row: TopRow) => number>> = {
  traffic: ({ bytesFromGuest, bytesToGuest }) => bytesFromGuest + bytesToGuest,
  packets: ({ framesFromGuest, framesToGuest }) => framesFromGuest + framesToGuest,
  drops: ({ drops }) => drops,
  flows: ({ flows }) => flows,
};

/** Most first; equals, and `name`, in the order of the alphabet. */
export function sortTop(rows: readonly TopRow[], order: TopOrder): TopRow[] {
  const byName = (a: TopRow, b: TopRow): number => (a.nic === b.nic ? 0 : a.nic < b.nic ? -1 : 1);
  if (order === 'name') return rows.toSorted(byName);
  const key = KEYS[order];
  return rows.toSorted((a, b) => key(b) - key(a) || byName(a, b));
}

const COLUMNS: readonly Column<TopRow>[] = [
  { title: 'guest', value: ({ guest }) => guest },
  { title: 'network', value: ({ network }) => network },
  { title: 'state', value: ({ state }) => state, colour: ({ state }) => stateColour(state) },
  { title: 'sent bit/s', align: 'right', value: ({ bytesFromGuest }) => formatAmount(8 * bytesFromGuest) },
  { title: 'recv bit/s', align: 'right', value: ({ bytesToGuest }) => formatAmount(8 * bytesToGuest) },
  { title: 'sent fr/s', align: 'right', value: ({ framesFromGuest }) => formatAmount(framesFromGuest) },
  { title: 'recv fr/s', align: 'right', value: ({ framesToGuest }) => formatAmount(framesToGuest) },
  {
    title: 'drops/s',
    align: 'right',
    value: ({ drops }) => formatAmount(drops),
    colour: ({ drops }) => (drops > 0 ? 'red' : null),
  },
  { title: 'flows', align: 'right', value: ({ flows }) => flows },
];

export const topTable = (rows: readonly TopRow[], coloured: boolean): string => formatTable(COLUMNS, rows, coloured);

/** The line above the table on a terminal. */
export function topHeading(rows: readonly TopRow[], order: TopOrder): string {
  const connected = rows.filter(({ state }) => state === 'connected').length;
  const total = rows.reduce((sum, { bytesFromGuest, bytesToGuest }) => sum + bytesFromGuest + bytesToGuest, 0);
  const flows = rows.reduce((sum, row) => sum + row.flows, 0);
  const now = `${connected} of ${rows.length} cards connected, ${formatAmount(8 * total)}bit/s, ${flows} flows`;
  return `${now}; by ${order}\nq quit, sort by t traffic, p packets, d drops, f flows, n name\n\n`;
}
