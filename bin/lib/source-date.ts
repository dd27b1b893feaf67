/**
 * The date that packages and manual pages bear, so that the same sources give the same bytes.
 *
 * Zone: control.
 */
import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';

const CHECKOUT = resolve(import.meta.dirname, '../..');

/** SOURCE_DATE_EPOCH, or when the sources were committed; the beginning of time where nobody knows. */
export function sourceDate(): Date {
  const told = process.env['SOURCE_DATE_EPOCH'];
  if (told !== undefined) return new Date(Number(told) * 1000);
  try {
    const seconds = execFileSync('git', ['log', '-1', '--format=%ct'], {
      cwd: CHECKOUT,
      encoding: 'utf8',
      stdio: 'pipe',
    });
    return new Date(Number(seconds) * 1000);
  } catch {
    return new Date(0);
  }
}
