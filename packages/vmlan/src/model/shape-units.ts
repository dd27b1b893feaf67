/**
 * Shaping as people write it, in the units of tc(8): `50ms`, `1%`, `10mbit`, `64kb`. And back into words.
 *
 * Zone: control.  Free of the validator, which the command line does not load.  tc's `kbps` is kilobytes, everybody else's
 * kilobits, so it is refused; a bare number is microseconds to tc for a time, and is refused too.  As in tc, a rate counts
 * by 1 000, a size by 1 024.
 */
import type { ShapeSettings } from './shape.ts';

const TIMES_MS: Readonly<Record<string, number>> = { us: 0.001, usec: 0.001, ms: 1, msec: 1, s: 1000, sec: 1000 };
const RATES: Readonly<Record<string, number>> = { bit: 1, kbit: 1e3, mbit: 1e6, gbit: 1e9, tbit: 1e12 };
const SIZES: Readonly<Record<string, number>> = { b: 1, k: 1024, kb: 1024, m: 1024 ** 2, mb: 1024 ** 2 };
const QUANTITY = /^(\d{1,12}(?:\.\d{1,9})?)\s*([a-z%]*)$/;

function quantity(text: string, units: Readonly<Record<string, number>>): number | null {
  const [, number, unit] = QUANTITY.exec(text.trim().toLowerCase()) ?? [];
  const factor = unit === undefined ? undefined : units[unit];
  return number === undefined || factor === undefined ? null : Number((Number(number) * factor).toPrecision(12));
}

/** Milliseconds, or null: `50ms`, `1.5s`, `200us`. */
export const parseDelayMs = (text: string): number | null => quantity(text, TIMES_MS);

/** `1%`, `0.1%`. */
export const parsePercent = (text: string): number | null => quantity(text, { '%': 1 });

/** Bits in a second: `10mbit`, `64kbit`, `2.5gbit`. */
export const parseRateBps = (text: string): number | null => quantity(text, RATES);

/** Bytes: `64kb`, `1mb`, `1500`. */
export const parseSizeBytes = (text: string): number | null => quantity(text, { ...SIZES, '': 1 });

const UNITS_OF_RATE = ['gbit', 'mbit', 'kbit', 'bit'] as const;
const UNITS_OF_SIZE = ['mb', 'kb', 'b'] as const;

function largestUnit(value: number, units: readonly string[], of: Readonly<Record<string, number>>): string {
  const unit =
    units.find((each) => value >= of[each]! && Number.isInteger((value / of[each]!) * 1000)) ?? units.at(-1)!;
  return `${value / of[unit]!}${unit}`;
}

export const formatRate = (bps: number): string => largestUnit(bps, UNITS_OF_RATE, RATES);
const formatTime = (ms: number): string => (ms < 1 ? `${Number((ms * 1000).toPrecision(12))}us` : `${ms}ms`);

/** One direction in the words of the command line: `delay 50ms jitter 10ms, loss 1%`. */
export function describeShape(settings: ShapeSettings): string {
  const { delayMs, jitterMs, distribution, lossPercent, lossBurst, rateBps, limitBytes, seed } = settings;
  if (settings.partition === true) return 'partition';
  const parts = [
    join(delayMs === undefined ? '' : `delay ${formatTime(delayMs)}`, [
      jitterMs === undefined ? '' : `jitter ${formatTime(jitterMs)}`,
      distribution === undefined ? '' : distribution,
    ]),
    join(lossPercent === undefined ? '' : `loss ${lossPercent}%`, [
      lossBurst === undefined ? '' : `in bursts of ${lossBurst}`,
    ]),
    ...percent('duplicate', settings.duplicatePercent),
    ...percent('reorder', settings.reorderPercent),
    ...percent('corrupt', settings.corruptPercent),
    join(rateBps === undefined ? '' : `rate ${formatRate(rateBps)}`, [
      limitBytes === undefined ? '' : `limit ${largestUnit(limitBytes, UNITS_OF_SIZE, SIZES)}`,
    ]),
    seed === undefined ? '' : `seed ${seed}`,
  ];
  return parts.filter((part) => part !== '').join(', ');
}

const join = (first: string, more: readonly string[]): string =>
  [first, ...more].filter((part) => part !== '').join(' ');

const percent = (name: string, value: number | undefined): readonly string[] =>
  value === undefined ? [] : [`${name} ${value}%`];
