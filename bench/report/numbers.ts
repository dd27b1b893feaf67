/**
 * Numbers as the report prints them: three digits that mean something, the spread beside the median.
 *
 * Zone: control. Pure.
 */
import type { Summary } from '../measure/statistics.ts';

const DIGITS = 3;

/** 0.0123, 1.23, 12.3, 123, 12 300, 1.23 M. */
export function number(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  if (size >= 1e6) return `${number(value / 1e6)} M`;
  if (size >= 1000) {
    const rounded = Number(value.toPrecision(DIGITS)).toFixed(0);
    return rounded.replace(/\B(?=(\d{3})+$)/g, '\u202f');
  }
  if (size === 0) return '0';
  const decimals = Math.max(0, Math.min(4, DIGITS - 1 - Math.floor(Math.log10(size))));
  return value.toFixed(decimals);
}

/** `12.3 [11.0–13.1]`, or the median alone when there is one value. */
export function spread(summary: Summary | null): string {
  if (summary === null) return '–';
  if (summary.count === 1) return number(summary.median);
  return `${number(summary.median)} [${number(summary.min)}–${number(summary.max)}]`;
}

/** A share as a percentage with its sign: 0.023 is +2.3 %. */
export function percent(share: number): string {
  return `${share >= 0 ? '+' : '−'}${number(Math.abs(share) * 100)} %`;
}
