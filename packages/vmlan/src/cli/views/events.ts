/**
 * Events as lines of a log: when, what, about whom, and the sentence.
 *
 * Zone: control.  Not a table: lines appear one by one, so no column can wait for the widest cell.
 */
import type { EventType, EventView } from '../../model/api.ts';
import { type Colour, painted } from '../output/table.ts';
import { printable } from '../output/width.ts';

/** That of the longest, `guest-registered`. */
const TYPE_WIDTH = 16;

export function eventLine({ timeMs, type, network, guest, message }: EventView, coloured: boolean): string {
  const subject = [network, guest].filter((name) => name !== null).join('/');
  const shown = painted(type.padEnd(TYPE_WIDTH), coloured ? typeColour(type) : null);
  return `${[localTime(timeMs), shown, ...(subject === '' ? [] : [printable(subject)]), printable(message)].join('  ')}\n`;
}

function typeColour(type: EventType): Colour | null {
  if (type === 'network-failed') return 'red';
  if (type === 'warning') return 'yellow';
  return type === 'guest-up' || type === 'network-started' ? 'green' : null;
}

/** `2026-11-21 17:16:15`, by the clock on the wall. */
function localTime(ms: number): string {
  const time = new Date(ms);
  const two = (value: number): string => String(value).padStart(2, '0');
  const date = [time.getFullYear(), two(time.getMonth() + 1), two(time.getDate())].join('-');
  return `${date} ${[time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(':')}`;
}
