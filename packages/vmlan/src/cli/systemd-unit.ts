/**
 * The unit files of systemd: one for the system, one for a user's own manager.
 *
 * Zone: control.  systemd.service(5), systemd.exec(5), systemd.kill(5).  The copies in `systemd/`, for packages, are
 * made from here (docs/service.md).
 */

export type UnitScope = 'system' | 'user';

export const UNIT_NAME = 'vmlan.service';
/** The first line of what `vmlan service install` writes: without it a file is somebody else's. */
export const OWN_MARK = '# Written by `vmlan service install`; `systemctl edit vmlan` makes changes that last.';

export interface UnitOptions {
  readonly scope: UnitScope;
  /** The argument vector of the command line, without a command. */
  readonly program: readonly string[];
  /** What of the environment the daemon is to find. */
  readonly environment: Readonly<Record<string, string>>;
  /** Its first line; null for a package's file. */
  readonly mark: string | null;
}

/** What root's daemon keeps: TAPs, namespaces of others, files for its networks' user, and becoming that user. */
const CAPABILITIES = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_DAC_READ_SEARCH',
  'CAP_FOWNER',
  'CAP_KILL',
  'CAP_NET_ADMIN',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_RAW',
  'CAP_SETGID',
  'CAP_SETPCAP',
  'CAP_SETUID',
  'CAP_SYS_ADMIN',
  'CAP_SYS_PTRACE',
];

/**
 * Not ProtectSystem=full: it writes /etc/vmlan and /etc/netns.  Not PrivateTmp: guests' sockets may lie there.  Not
 * PrivateDevices nor ProtectClock: they take /dev/net/tun away.  Not MemoryDenyWriteExecute: the engine is compiled while
 * it runs.  A user's own daemon has no such lines: they would forbid it sudo, and its network processes give up what they
 * have by themselves.
 */
const SYSTEM_HARDENING = [
  `CapabilityBoundingSet=${CAPABILITIES.join(' ')}`,
  'LockPersonality=yes',
  'NoNewPrivileges=yes',
  'ProtectHostname=yes',
  'ProtectKernelLogs=yes',
  'ProtectKernelModules=yes',
  'ProtectSystem=yes',
  'RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK',
  'RestrictRealtime=yes',
  'RestrictSUIDSGID=yes',
  'SystemCallArchitectures=native',
];
/** Wrong configuration, somebody there already, not permitted: it would be the same again. */
const HOPELESS_EXIT_CODES = '2 4 5';

export function unitText({ scope, program, environment, mark }: UnitOptions): string {
  const isSystem = scope === 'system';
  const lines = [
    ...(mark === null ? [] : [mark]),
    '[Unit]',
    'Description=vmlan, the network of virtual machines',
    'Documentation=man:vmlan(1)',
    ...(isSystem ? ['After=network.target nss-lookup.target'] : []),
    '',
    '[Service]',
    'Type=notify',
    'NotifyAccess=main',
    ...Object.entries(environment).map(([name, value]) => `Environment=${quoted(`${name}=${value}`)}`),
    `ExecStart=${[...program, 'up', '--foreground'].map(quoted).join(' ')}`,
    'ExecReload=/bin/kill -HUP $MAINPID',
    '# SIGTERM ends the daemon alone: networks and their guests outlive a restart, and a stop.',
    '# `vmlan down` ends them too.',
    'KillMode=process',
    'Restart=on-failure',
    'RestartSec=1',
    `RestartPreventExitStatus=${HOPELESS_EXIT_CODES}`,
    'TimeoutStartSec=90',
    'TimeoutStopSec=30',
    'WatchdogSec=60',
    '# A network that runs out of memory is started again by the daemon.',
    'OOMPolicy=continue',
    'LimitNOFILE=524288',
    ...(isSystem ? SYSTEM_HARDENING : []),
    '',
    '[Install]',
    `WantedBy=${isSystem ? 'multi-user.target' : 'default.target'}`,
  ];
  return `${lines.join('\n')}\n`;
}

/** systemd.service(5), COMMAND LINES: one word, with nothing for the manager to expand. */
function quoted(word: string): string {
  const escaped = word.replaceAll('%', '%%').replaceAll('$', '$$$$');
  if (/^[\w@%+=:,./$-]+$/.test(escaped)) return escaped;
  return `"${escaped.replaceAll(/["\\]/g, '\\$&')}"`;
}
