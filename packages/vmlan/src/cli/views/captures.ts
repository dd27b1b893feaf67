/**
 * Captured frames as lines: when, whose, which way, and what tcpdump would say of it.
 *
 * Zone: control.
 */
import type { CapturedLine } from '../../model/api.ts';
import { painted } from '../output/table.ts';
import { printable } from '../output/width.ts';

const NIC_WIDTH = 10;
/** The MAC addresses that a summary begins with say little where there are others. */
const MACS = /^\S+ > \S+ (?!type )/;

export function capturedLine(
  { timeMs, nic, direction, summary, dropped, lost }: CapturedLine,
  coloured: boolean,
): string {
  const time = new Date(timeMs);
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map((part) => String(part).padStart(2, '0'));
  const at = `${clock.join(':')}.${String(time.getMilliseconds()).padStart(3, '0')}`;
  const why = dropped === null ? '' : `  ${painted(`dropped: ${dropped}`, coloured ? 'red' : null)}`;
  const gap = lost === 0 ? '' : `  (${lost} lost before)`;
  const arrow = direction === 'inbound' ? '>' : '<';
  return `${at}  ${printable(nic).padEnd(NIC_WIDTH)} ${arrow} ${printable(summary.replace(MACS, ''))}${why}${gap}\n`;
}
