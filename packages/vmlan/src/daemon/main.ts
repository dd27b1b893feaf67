/**
 * The daemon's program: environment and signals in, exit code out.
 *
 * Zone: control.  `vmlan up` starts it; service managers may too.  It stays in the foreground either way and writes its
 * log to stderr; an error that ends it is written as `vmlan: MESSAGE` and `hint: NEXT STEP`.  SIGTERM and SIGINT end the
 * daemon and leave the networks running; `vmlan down` ends both.
 */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { VmlanError } from '../core/errors.ts';
import { UserspaceDriver } from '../drivers/userspace/driver.ts';
import { resolvePaths } from '../model/paths.ts';
import { unprivilegedUser } from '../sys/privileges.ts';
import { releaseProgramPages } from '../sys/resident.ts';
import { Daemon } from './daemon.ts';
import { makeLogger } from './log.ts';

/** When what only the start needed is given back: not while `vmlan up` waits. */
const SETTLED_AFTER_MS = 1000;
const USAGE =
  'usage: main [--foreground] [--config FILE] [--listen HOST:PORT] [--socket-group GROUP] [--log-level debug|info|warn|error]';

async function main(): Promise<number> {
  const {
    config,
    listen,
    'socket-group': socketGroup,
    'log-level': level = process.env['VMLAN_LOG_LEVEL'] ?? 'info',
  } = parseOptions();
  if (process.getuid === undefined) throw new VmlanError('unsupported', 'vmlan needs a system with user ids');
  const uid = process.getuid();
  const environment = config === undefined ? process.env : { ...process.env, VMLAN_CONFIG: config };
  const daemon = await Daemon.start({
    version: readVersion(),
    paths: resolvePaths(environment, { uid, home: homedir() }),
    uid,
    logger: makeLogger(level),
    listen: listen ?? (process.env['VMLAN_LISTEN'] || undefined),
    socketGroup: socketGroup ?? (process.env['VMLAN_SOCKET_GROUP'] || undefined),
    makeDriver: ({ runtime, state }) => {
      const user = uid === 0 ? unprivilegedUser(process.env['VMLAN_USER']) : null;
      const program = fileURLToPath(new URL(`./network-main${extname(import.meta.url)}`, import.meta.url));
      return new UserspaceDriver({ runtime, state, program, user });
    },
  });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void daemon.stop(false));
  process.on('SIGHUP', () => undefined); // outlives the terminal it was started from
  setTimeout(releaseProgramPages, SETTLED_AFTER_MS).unref();
  await daemon.ended;
  return 0;
}

interface Options {
  readonly config?: string;
  readonly listen?: string;
  readonly 'socket-group'?: string;
  readonly 'log-level'?: string;
}

function parseOptions(): Options {
  try {
    const options = {
      foreground: { type: 'boolean' },
      config: { type: 'string' },
      listen: { type: 'string' },
      'socket-group': { type: 'string' },
      'log-level': { type: 'string' },
    } as const;
    return parseArgs({ options }).values;
  } catch (cause) {
    throw new VmlanError('usage', (cause as Error).message, { hint: USAGE, cause });
  }
}

function readVersion(): string {
  const manifest = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version;
}

try {
  process.exitCode = await main();
} catch (error) {
  const known =
    error instanceof VmlanError ? error : new VmlanError('internal', (error as Error).stack ?? String(error));
  process.stderr.write(`vmlan: ${known.message}\n${known.hint === undefined ? '' : `hint: ${known.hint}\n`}`);
  process.exitCode = known.info.exitCode;
}
