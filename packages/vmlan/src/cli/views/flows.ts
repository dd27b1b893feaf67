/**
 * Conversations as rows, with how fast they are where two looks were taken.
 *
 * Zone: control.
 */
import type { FlowView } from '../../model/api.ts';
import { formatTable } from '../output/table.ts';
import type { Colour, Column } from '../output/table.ts';
import { formatAmount } from './amounts.ts';
import { formatSpan } from './time.ts';

export interface FlowRow extends FlowView {
  /** Bytes a second, both ways together; null: it was not there before. */
  readonly rate: number | null;
}

const endpoint = (address: string, port: number): string =>
  address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;

/** The same conversation at another time. */
const keyOf = ({ network, nic, protocol, guestAddress, guestPort, remoteAddress, remotePort }: FlowView): string =>
  [network, nic, protocol, guestAddress, guestPort, remoteAddress, remotePort].join(' ');

const bytesOf = ({ bytesFromGuest, bytesToGuest }: FlowView): number => bytesFromGuest + bytesToGuest;

/** `before`: the flows `elapsedMs` ago; null: nobody looked. */
export function withRates(
  flows: readonly FlowView[],
  before: readonly FlowView[] | null,
  elapsedMs: number,
): FlowRow[] {
  const known = new Map((before ?? []).map((flow) => [keyOf(flow), flow]));
  return flows.map((flow) => {
    const then = known.get(keyOf(flow));
    // Younger than the first look, or the same ends anew: all of it came since.
    const isSame = then !== undefined && then.ageMs <= flow.ageMs && bytesOf(then) <= bytesOf(flow);
    const since = before === null ? null : bytesOf(flow) - (isSame ? bytesOf(then) : 0);
    return { ...flow, rate: since === null || elapsedMs <= 0 ? null : (since * 1000) / elapsedMs };
  });
}

function stateColour(state: string): Colour | null {
  if (state === 'ESTABLISHED' || state === 'ASSURED') return 'green';
  return state.startsWith('SYN') || state === 'UNREPLIED' ? 'yellow' : 'dim';
}

const RATE: Column<FlowRow> = {
  title: 'bit/s',
  align: 'right',
  value: ({ rate }) => (rate === null ? null : formatAmount(8 * rate)),
};

const COLUMNS: readonly Column<FlowRow>[] = [
  { title: 'guest', value: ({ guest }) => guest },
  { title: 'proto', value: ({ protocol }) => protocol },
  { title: 'state', value: ({ state }) => state, colour: ({ state }) => stateColour(state) },
  { title: 'from', value: ({ guestAddress, guestPort }) => endpoint(guestAddress, guestPort) },
  {
    title: 'to',
    value: ({ protocol, peerAddress, remoteAddress, remotePort }) =>
      peerAddress ?? (protocol === 'icmp' ? remoteAddress : endpoint(remoteAddress, remotePort)),
  },
  { title: 'via', value: ({ forward }) => forward ?? 'outbound' },
  { title: 'sent', align: 'right', value: ({ bytesFromGuest }) => formatAmount(bytesFromGuest) },
  { title: 'received', align: 'right', value: ({ bytesToGuest }) => formatAmount(bytesToGuest) },
];

const TIMES: readonly Column<FlowRow>[] = [
  { title: 'age', align: 'right', value: ({ ageMs }) => formatSpan(ageMs) },
  { title: 'idle', align: 'right', value: ({ idleMs }) => formatSpan(idleMs) },
  { title: 'rtt', align: 'right', value: ({ rttMs }) => (rttMs === null ? null : `${Math.round(rttMs)}ms`) },
  { title: 'resent', align: 'right', value: ({ retransmissions }) => retransmissions },
];

export const flowTable = (rows: readonly FlowRow[], coloured: boolean, hasRates: boolean): string =>
  formatTable([...COLUMNS, ...(hasRates ? [RATE] : []), ...TIMES], rows, coloured);
