/**
 * Which QEMU is installed, and what its network back ends can do.
 *
 * Zone: control.  `-netdev stream` and `dgram` came with 7.2; a stream client reconnects by `reconnect=SECONDS` since
 * 8.0 and by `reconnect-ms=MILLISECONDS` since 9.2, where the former is deprecated.
 */
export interface QemuVersion {
  readonly major: number;
  readonly minor: number;
}

/** From the first line of `qemu-system-… --version`; null for anything else. */
export function parseQemuVersion(text: string): QemuVersion | null {
  const match = /(?:^|version )(\d+)\.(\d+)/.exec(text.trim());
  return match === null ? null : { major: Number(match[1]), minor: Number(match[2]) };
}

export const atLeast = (version: QemuVersion, major: number, minor: number): boolean =>
  version.major > major || (version.major === major && version.minor >= minor);

export const hasStream = (version: QemuVersion): boolean => atLeast(version, 7, 2);

/** The option of a stream client that makes it come back after the network restarts; null where there is none. */
export function reconnectOption(version: QemuVersion | null): string | null {
  if (version === null || !atLeast(version, 8, 0)) return null;
  return atLeast(version, 9, 2) ? 'reconnect-ms=200' : 'reconnect=1';
}
