/**
 * Durations as people write them: `90s`, `15m`, `12h`, `1d`, `2w`; a bare number is seconds.
 *
 * Zone: control.
 */
const SECONDS_OF_UNIT: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** Seconds, or null for what is no duration. */
export function parseDuration(text: string | number): number | null {
  const match = /^(\d{1,9})([smhdw]?)$/.exec(String(text).trim());
  if (match === null) return null;
  const seconds = Number(match[1]) * (SECONDS_OF_UNIT[match[2]!] ?? 1);
  return Number.isSafeInteger(seconds) ? seconds : null;
}
