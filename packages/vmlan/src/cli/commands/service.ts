/**
 * `vmlan service`: the daemon as a unit of systemd, the system's or the user's own.
 *
 * Zone: control.  A file that was not written here is neither changed nor removed.
 */
import { existsSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { VmlanError } from '../../client/errors.ts';
import type { Context, DefineCommand } from '../context.ts';
import { addExamples } from '../examples.ts';
import { formatDetails } from '../output/table.ts';
import { statusIfRunning, stopDaemon } from '../start-daemon.ts';
import { ask, managerRuns, packagedUnit, run, systemctl, unitPath } from '../systemd-manager.ts';
import { OWN_MARK, UNIT_NAME, unitText } from '../systemd-unit.ts';
import type { UnitScope } from '../systemd-unit.ts';

interface ScopeOptions {
  readonly system?: boolean;
  readonly user?: boolean;
}

interface InstallOptions extends ScopeOptions {
  readonly now?: boolean;
  readonly dryRun?: boolean;
}

/** Of the environment of who installs, what the daemon is to find again. */
const KEPT_VARIABLES = [
  'VMLAN_CONFIG',
  'VMLAN_STATE_DIR',
  'VMLAN_RUNTIME_DIR',
  'VMLAN_HOST',
  'VMLAN_LISTEN',
  'VMLAN_SOCKET_GROUP',
  'VMLAN_USER',
];
/** In a checkout the command line is run from a build, whose place changes. */
const CHECKOUT_PARTS = /^(.*)\/packages\/vmlan\/(?:\.cache\/built\/[^/]+\/dist|src|dist)\/cli\/[^/]+$/;

export const define: DefineCommand = (command, context) => {
  defineInstall(command, context);
  defineUninstall(command, context);
  defineStatus(command, context);
  addExamples(command, [
    ['start vmlan whenever you log in', 'vmlan service install --now'],
    ['start it with the machine', 'sudo vmlan service install --system --now'],
    ['see whether it is installed', 'vmlan service status'],
  ]);
};

const defineInstall: DefineCommand = (command, context) => {
  const install = command
    .command('install')
    .description('Write the unit for systemd, and have it started from now on.')
    .summary('write and enable the unit');
  addScope(install)
    .option('--now', 'also start it; a daemon that runs is replaced, its networks run on')
    .option('--dry-run', 'print what would be written and run')
    .action((options: InstallOptions) => installUnit(context, options));
  addExamples(install, [
    ["in the user's own systemd", 'vmlan service install --now'],
    ['see the unit first', 'vmlan service install --dry-run'],
  ]);
};

async function installUnit(
  context: Context,
  { now = false, dryRun = false, ...options }: InstallOptions,
): Promise<void> {
  const { env } = context.io;
  const scope = scopeOf(context, options);
  const packaged = packagedUnit(scope);
  const path = packaged ?? unitPath(scope, env);
  const commands = [
    systemctl(scope, 'daemon-reload'),
    systemctl(scope, 'enable', UNIT_NAME),
    ...(now ? [systemctl(scope, 'restart', UNIT_NAME)] : []),
  ];
  const text = ownText(context, scope);
  if (dryRun) return context.output.write(dryText(packaged === null ? { path, text } : null, commands));
  if (packaged === null) writeUnit(path, text);
  if (!managerRuns(scope, env)) {
    context.output.done(`${path} is written; systemd does not run here, so where it does:`);
    for (const each of commands) context.output.done(`  ${each.join(' ')}`);
    return undefined;
  }
  // Whoever started it, the unit is to have it; the networks run on.
  if (now && ask(scope, 'is-active', env) !== 'active' && (await statusIfRunning(context)) !== null)
    await stopDaemon(context, false);
  for (const each of commands) run(each);
  context.output.done(
    `${path} is enabled${now ? ' and started' : `; start it with: ${systemctl(scope, 'start', 'vmlan').join(' ')}`}`,
  );
  if (scope === 'user')
    context.output.done('it starts when you log in; with the machine after: loginctl enable-linger');
  return undefined;
}

const dryText = (unit: { path: string; text: string } | null, commands: readonly string[][]): string =>
  `${unit === null ? '' : `# ${unit.path}\n${unit.text}\n`}${commands.map((each) => `${each.join(' ')}\n`).join('')}`;

function writeUnit(path: string, text: string): void {
  if (existsSync(path) && !isOwn(path)) {
    throw new VmlanError('conflict', `${path} was not written by vmlan`, {
      hint: 'move it away, or see what would be written: vmlan service install --dry-run',
    });
  }
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  } catch (cause) {
    throw notWritten(path, cause);
  }
}

function notWritten(path: string, cause: unknown): VmlanError {
  const { code, message } = cause as NodeJS.ErrnoException;
  const isDenied = code === 'EACCES' || code === 'EPERM' || code === 'EROFS';
  return new VmlanError(isDenied ? 'not-permitted' : 'unavailable', `${path} cannot be changed: ${message}`, {
    hint: isDenied ? 'be root for --system, or leave it out for a service of your own' : undefined,
    cause,
  });
}

const isOwn = (path: string): boolean => readFileSync(path, 'utf8').startsWith(OWN_MARK);

const defineUninstall: DefineCommand = (command, context) => {
  const uninstall = command
    .command('uninstall')
    .description('Disable the unit and remove it; the daemon ends, its networks run on.')
    .summary('disable and remove the unit');
  addScope(uninstall)
    .option('--dry-run', 'print what would be removed and run')
    .action((options: InstallOptions) => uninstallUnit(context, options));
  addExamples(uninstall, [["from the user's own systemd", 'vmlan service uninstall']]);
};

function uninstallUnit(context: Context, { dryRun = false, ...options }: InstallOptions): void {
  const { env } = context.io;
  const scope = scopeOf(context, options);
  const path = unitPath(scope, env);
  const packaged = packagedUnit(scope);
  if (!existsSync(path) && packaged === null) {
    throw new VmlanError('not-found', `vmlan is not installed as a ${scope} service: there is no ${path}`, {
      hint: 'vmlan service status tells what there is',
    });
  }
  const disable = systemctl(scope, 'disable', '--now', UNIT_NAME);
  const reload = systemctl(scope, 'daemon-reload');
  const removes = existsSync(path) && isOwn(path);
  if (dryRun) return context.output.write(dryText(null, [disable, ...(removes ? [['rm', path]] : []), reload]));
  if (managerRuns(scope, env)) run(disable);
  if (removes) removeUnit(path);
  if (managerRuns(scope, env)) run(reload);
  context.output.done(removes ? `${path} is removed` : `${packaged ?? path} is disabled; it is not ours to remove`);
  return undefined;
}

function removeUnit(path: string): void {
  try {
    rmSync(path);
  } catch (cause) {
    throw notWritten(path, cause);
  }
}

const defineStatus: DefineCommand = (command, context) => {
  const status = command
    .command('status')
    .description('Show whether vmlan is a service of systemd, and whether that runs.')
    .summary('show whether it is installed');
  addScope(status).action(async (options: ScopeOptions) => {
    const { env } = context.io;
    const scope = scopeOf(context, options);
    const own = unitPath(scope, env);
    const unit = existsSync(own) ? own : packagedUnit(scope);
    const document = {
      scope,
      unit,
      /** It is what `install` would write now. */
      current: unit === null ? null : unit !== own || readFileSync(own, 'utf8') === ownText(context, scope),
      enabled: ask(scope, 'is-enabled', env),
      active: ask(scope, 'is-active', env),
    };
    await context.output.show(document, {
      table: () =>
        formatDetails([
          ['scope', document.scope],
          ['unit', document.unit ?? 'none'],
          [
            'current',
            document.current === null ? null : document.current ? 'yes' : 'no: vmlan service install writes it anew',
          ],
          ['enabled', document.enabled ?? 'unknown: systemd does not run here'],
          ['active', document.active ?? 'unknown: systemd does not run here'],
        ]),
      ids: () => (unit === null ? [] : [unit]),
    });
  });
  addExamples(status, [["of the system's systemd", 'vmlan service status --system']]);
};

type Command = Parameters<DefineCommand>[0];

const addScope = (command: Command): Command =>
  command
    .option('--system', "the machine's systemd (root's default)")
    .option('--user', "your own systemd (everybody else's default)");

function scopeOf({ io }: Context, { system = false, user = false }: ScopeOptions): UnitScope {
  if (system && user) throw new VmlanError('usage', '--system and --user exclude each other');
  if (system || user) return system ? 'system' : 'user';
  return io.uid === 0 ? 'system' : 'user';
}

function ownText({ io }: Context, scope: UnitScope): string {
  const environment = Object.fromEntries(
    KEPT_VARIABLES.flatMap((name) => (io.env[name] ? [[name, io.env[name]] as const] : [])),
  );
  return unitText({ scope, program: ownProgram(), environment, mark: OWN_MARK });
}

/** How this very command line is started again, after an update of it too. */
function ownProgram(): readonly string[] {
  const main = realpathSync(process.argv[1] ?? '');
  const checkout = CHECKOUT_PARTS.exec(main)?.[1];
  const launcher = checkout === undefined ? null : join(checkout, 'bin/vmlan');
  return launcher !== null && existsSync(launcher)
    ? [launcher]
    : [process.execPath, '--disable-warning=ExperimentalWarning', main];
}
