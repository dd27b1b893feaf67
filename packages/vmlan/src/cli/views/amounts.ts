/**
 * Amounts in few characters: 999, 1.2k, 34M.
 *
 * Zone: control.
 */
const UNITS = ['', 'k', 'M', 'G', 'T', 'P'] as const;

/** By thousands: bits, packets, bytes of traffic. */
export function formatAmount(value: number): string {
  let rest = Math.max(0, value);
  let unit = 0;
  while (rest >= 999.5 && unit < UNITS.length - 1) {
    rest /= 1000;
    unit++;
  }
  const text = rest >= 9.95 || unit === 0 ? String(Math.round(rest)) : rest.toFixed(1);
  return `${text}${UNITS[unit]}`;
}
