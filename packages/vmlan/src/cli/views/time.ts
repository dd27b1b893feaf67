/**
 * Spans of time for tables: one unit, rounded down, as short as a column should be.
 *
 * Zone: control.
 */
const UNITS: readonly (readonly [letter: string, ms: number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
];

export function formatSpan(ms: number): string {
  const [letter, unit] = UNITS.find(([, size]) => ms >= size) ?? ['s', 1000];
  return `${Math.max(0, Math.floor(ms / unit))}${letter}`;
}

export const formatAge = (sinceMs: number | null, nowMs: number): string | null =>
  sinceMs === null ? null : formatSpan(nowMs - sinceMs);
