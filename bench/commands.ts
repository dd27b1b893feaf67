/**
 * Whether a program is there, and which Debian package brings it.
 *
 * Zone: control.
 */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Everything the bench would like to find, with the package that holds it. */
export const PACKAGES: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  ss: 'iproute2',
  nft: 'nftables',
  iperf3: 'iperf3',
  pasta: 'passt',
  passt: 'passt',
  slirp4netns: 'slirp4netns',
  vde_switch: 'vde-switch',
  dnsmasq: 'dnsmasq-base',
  dnsperf: 'dnsperf',
  busybox: 'busybox-static',
  'qemu-system-x86_64': 'qemu-system-x86',
};

const SYSTEM_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

export function installed(command: string): boolean {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...SYSTEM_FOLDERS];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** What is not there, in words, or null. */
export function missing(...commands: readonly string[]): string | null {
  const absent = commands.filter((command) => !installed(command));
  if (absent.length === 0) return null;
  const packages = [...new Set(absent.map((command) => PACKAGES[command] ?? command))];
  return `${absent.join(', ')} not installed (Debian: ${packages.join(', ')}; --install does it)`;
}
