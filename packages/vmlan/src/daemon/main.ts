/**
 * The daemon's program: environment and signals in, exit code out.
 *
 * Zone: control.  `vmlan up` starts it; service managers may too.  It stays in the foreground either way and writes its
 * log to stderr; an error that ends it is written as `vmlan: MESSAGE` and `hint: NEXT STEP`.  SIGTERM and SIGINT end the
 * daemon, once it has started, and leave the networks running; `vmlan down` ends both.  A second signal ends it at once.
 */
import { readFileSync } from 'node:fs';
import { constants, homedir } from 'node:os';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ERROR_CODES, VmlanError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import { UserspaceDriver } from '../drivers/userspace/driver.ts';
import { resolvePaths } from '../model/paths.ts';
import type { Paths } from '../model/paths.ts';
import { unprivilegedUser } from '../sys/privileges.ts';
import { releaseProgramPages } from '../sys/resident.ts';
import { checkConfig } from './config-check.ts';
import { daemonSettings } from './config-view.ts';
import { Daemon } from './daemon.ts';
import { makeLogger } from './log.ts';
import { daemonLog } from './log-files.ts';
import { exitCodeOf, offlineBackup, offlineRestore } from './offline.ts';
import { writeLogs } from './offline-logs.ts';
import { ServiceNotice } from './service-notice.ts';

/** When what only the start needed is given back: not while `vmlan up` waits. */
const SETTLED_AFTER_MS = 1000;
const LAST_PATIENCE_MS = 2000;
const UMASK = 0o022;
/** What shells report for a program that a signal ended. */
const SIGNAL_EXIT_BASE = 128;
const USAGE =
  'usage: main [--foreground] [--config FILE] [--listen HOST:PORT] [--socket-group GROUP] [--log-level debug|info|warn|error]';

async function main(): Promise<number> {
  const options = parseOptions();
  const {
    check: checked,
    config,
    listen,
    'socket-group': socketGroup,
    'log-level': level = process.env['VMLAN_LOG_LEVEL'] ?? 'info',
  } = options;
  if (process.getuid === undefined) throw new VmlanError('unsupported', 'vmlan needs a system with user ids');
  const uid = process.getuid();
  process.umask(UMASK); // what is private is made so; what others must pass through must not become it by chance
  const environment = config === undefined ? process.env : { ...process.env, VMLAN_CONFIG: config };
  const paths = resolvePaths(environment, { uid, home: homedir() });
  if (checked !== undefined) return check(checked, paths, uid);
  if (options.backup === true || options.restore !== undefined) return offline(options, paths, uid);
  if (options.logs !== undefined) return writeLogs(options.logs, paths.state);
  const hangups = new Hangups();
  const logger = makeLogger(level, daemonLog(paths.state));
  const notice = await ServiceNotice.open(process.env, logger);
  const stopping = onFirstSignal();
  notice.starting('starting networks, or taking over those that run');
  const daemon = await Daemon.start({
    version: readVersion(),
    paths,
    uid,
    logger,
    settings: daemonSettings(environment, paths, { config, listen, 'socket-group': socketGroup }),
    listen: listen ?? (process.env['VMLAN_LISTEN'] || undefined),
    socketGroup: socketGroup ?? (process.env['VMLAN_SOCKET_GROUP'] || undefined),
    makeDriver: () => makeDriver(paths, uid),
  });
  hangups.follow(daemon, notice, logger);
  void stopping.then(() => daemon.stop(false));
  void daemon.stopping.then(() => notice.stopping());
  notice.ready(`serving at ${daemon.socket}`, () => daemon.isAnswering());
  setTimeout(releaseProgramPages, SETTLED_AFTER_MS).unref();
  await daemon.ended;
  notice[Symbol.dispose]();
  // What is still open then is a mistake of ours, and no reason to keep a service manager waiting.
  setTimeout(() => process.exit(), LAST_PATIENCE_MS).unref();
  return 0;
}

/** SIGHUP loads networks.yaml again; it also comes from a terminal that is closed, which the daemon outlives. */
class Hangups {
  #onHangup: (() => void) | null = null;
  #isPending = false;

  /** From now on no such signal ends the process; one that comes before the daemon serves is kept. */
  constructor() {
    process.on('SIGHUP', () => {
      this.#isPending = this.#onHangup === null;
      this.#onHangup?.();
    });
  }

  follow(daemon: Daemon, notice: ServiceNotice, logger: Logger): void {
    this.#onHangup = () => {
      const reloaded = daemon.reload().catch((error: unknown) => {
        logger.error('networks.yaml stays as it was loaded', { error: (error as Error).message });
      });
      notice.reloading(reloaded);
    };
    if (this.#isPending) this.#onHangup();
  }
}

function makeDriver({ runtime, state }: Paths, uid: number): UserspaceDriver {
  const user = uid === 0 ? unprivilegedUser(process.env['VMLAN_USER']) : null;
  const program = fileURLToPath(new URL(`./network-main${extname(import.meta.url)}`, import.meta.url));
  return new UserspaceDriver({ runtime, state, program, user });
}

/** `vmlan config check`: the verdict as JSON on stdout. */
async function check(file: string, paths: Paths, uid: number): Promise<number> {
  const running = new Set(await makeDriver(paths, uid).list());
  const verdict = checkConfig(file, running);
  process.stdout.write(`${JSON.stringify(verdict)}\n`);
  return verdict.error === null ? 0 : ERROR_CODES[verdict.error.code].exitCode;
}

/** `vmlan backup` without a daemon, and `vmlan restore`: the answer as JSON on stdout. */
async function offline({ restore, ...flags }: Options, paths: Paths, uid: number): Promise<number> {
  const options = { version: readVersion(), paths, uid, makeDriver: () => makeDriver(paths, uid) };
  const answer =
    restore === undefined
      ? await offlineBackup(options)
      : await offlineRestore(options, restore, { dryRun: flags['dry-run'] ?? false, force: flags.force ?? false });
  process.stdout.write(`${JSON.stringify(answer)}\n`);
  return exitCodeOf(answer);
}

/** Resolves with the first SIGTERM or SIGINT, be it in the middle of the start; the second ends the process. */
function onFirstSignal(): Promise<void> {
  return new Promise((resolve) => {
    let isFirst = true;
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        if (!isFirst) process.exit(SIGNAL_EXIT_BASE + constants.signals[signal]);
        isFirst = false;
        resolve();
      });
    }
  });
}

interface Options {
  readonly check?: string;
  readonly backup?: boolean;
  readonly restore?: string;
  readonly logs?: string;
  readonly 'dry-run'?: boolean;
  readonly force?: boolean;
  readonly config?: string;
  readonly listen?: string;
  readonly 'socket-group'?: string;
  readonly 'log-level'?: string;
}

function parseOptions(): Options {
  try {
    const options = {
      check: { type: 'string' },
      backup: { type: 'boolean' },
      restore: { type: 'string' },
      logs: { type: 'string' },
      'dry-run': { type: 'boolean' },
      force: { type: 'boolean' },
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
