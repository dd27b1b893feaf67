/**
 * Ports that nobody asked for by number (RFC 6335 §6: 49152 to 65535), chosen at random (RFC 6056).
 *
 * Zone: control.
 */
import { GuestError } from './errors.ts';

const FIRST = 49_152;
const COUNT = 16_384;

/** `wanted` 0: a free one. Throws EINVAL, EADDRINUSE. */
export function choosePort(
  wanted: number,
  isTaken: (port: number) => boolean,
  random: () => number,
  protocol: string,
): number {
  if (!Number.isInteger(wanted) || wanted < 0 || wanted > 65_535) {
    throw new GuestError('EINVAL', `${wanted} is no port: a port is 1 to 65535`);
  }
  if (wanted !== 0) {
    if (isTaken(wanted)) throw new GuestError('EADDRINUSE', `${protocol} port ${wanted} is in use`);
    return wanted;
  }
  const start = (random() >>> 0) % COUNT;
  for (let i = 0; i < COUNT; i++) {
    const port = FIRST + ((start + i) % COUNT);
    if (!isTaken(port)) return port;
  }
  throw new GuestError('EADDRINUSE', `all ${protocol} ports are in use`);
}
