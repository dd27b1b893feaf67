/**
 * /dev/net/tun with the mode that Debian gives it. Some machines come with 0600, and then no ordinary user has a TAP;
 * root opens it for the length of a test file, and leaves it as it was.
 *
 *   before(openTun);
 *   after(restoreTun);
 *
 * Zone: control.
 */
import { chmodSync, existsSync, statSync } from 'node:fs';

const DEVICE = '/dev/net/tun';
const DEBIAN_MODE = 0o666;

let modeBefore: number | undefined;

export function openTun(): void {
  if (process.getuid?.() !== 0 || !existsSync(DEVICE)) return;
  modeBefore = statSync(DEVICE).mode & 0o777;
  if (modeBefore !== DEBIAN_MODE) chmodSync(DEVICE, DEBIAN_MODE);
}

export function restoreTun(): void {
  if (modeBefore !== undefined && modeBefore !== DEBIAN_MODE) chmodSync(DEVICE, modeBefore);
}
