/**
 * The tree of commands: names and summaries here, everything else in one module per command, loaded when it is called.
 *
 * Zone: control.  So `vmlan --help` reads no command at all, and each command only itself.
 */
import { Command, Option } from 'commander';
import { Context } from './context.ts';
import type { DefineCommand, GlobalOptions } from './context.ts';
import { addExamples } from './examples.ts';
import type { Io } from './io.ts';
import { OUTPUT_FORMATS } from './output/output.ts';
import { argumentTerm, describeTerm, optionTerm } from './term.ts';

interface Entry {
  readonly name: string;
  readonly alias?: string;
  readonly summary: string;
  readonly hidden?: boolean;
  readonly load: () => Promise<{ readonly define: DefineCommand }>;
}

const HELP_SUMMARY = 'explain a command';

const COMMANDS: readonly Entry[] = [
  { name: 'up', summary: 'start the daemon and its networks', load: () => import('./commands/up.ts') },
  { name: 'down', summary: 'stop the daemon and its networks', load: () => import('./commands/down.ts') },
  { name: 'status', summary: 'show what runs', load: () => import('./commands/status.ts') },
  {
    name: 'run',
    summary: 'start a virtual machine, or connect a network namespace',
    load: () => import('./commands/run.ts'),
  },
  {
    name: 'attach',
    summary: 'print what a virtual machine needs to join a network',
    load: () => import('./commands/attach.ts'),
  },
  { name: 'detach', summary: "cut a guest's link to its networks", load: () => import('./commands/detach.ts') },
  { name: 'list', alias: 'ls', summary: 'list the guests', load: () => import('./commands/list.ts') },
  { name: 'show', summary: 'show one guest, or one field of it', load: () => import('./commands/show.ts') },
  { name: 'rename', summary: 'give a guest another name', load: () => import('./commands/rename.ts') },
  {
    name: 'network',
    summary: 'list, create, change, start and stop networks',
    load: () => import('./commands/network.ts'),
  },
  { name: 'config', summary: 'show, check and reload networks.yaml', load: () => import('./commands/config.ts') },
  { name: 'forward', summary: 'list, add and remove port forwards', load: () => import('./commands/forward.ts') },
  { name: 'dns', summary: 'list, add, remove and query DNS records', load: () => import('./commands/dns.ts') },
  {
    name: 'shape',
    summary: 'delay, lose, slow down or cut traffic, for tests',
    load: () => import('./commands/shape.ts'),
  },
  {
    name: 'events',
    summary: 'show what has happened, and what happens',
    load: () => import('./commands/events.ts'),
  },
  {
    name: 'wait',
    summary: 'wait until a guest has its address, answers at a port, or is gone',
    load: () => import('./commands/wait.ts'),
  },
  { name: 'flows', summary: 'show the conversations of guests', load: () => import('./commands/flows.ts') },
  { name: 'top', summary: 'watch how busy the guests are', load: () => import('./commands/top.ts') },
  {
    name: 'capture',
    summary: 'show frames as they come by, or write them to a pcapng file',
    load: () => import('./commands/capture.ts'),
  },
  {
    name: 'token',
    summary: 'print the token for requests to the API over TCP',
    load: () => import('./commands/token.ts'),
  },
  {
    name: 'backup',
    summary: 'write all that vmlan remembers to one file',
    load: () => import('./commands/backup.ts'),
  },
  {
    name: 'restore',
    summary: 'put a backup in the place of what is there',
    load: () => import('./commands/restore.ts'),
  },
  { name: 'logs', summary: 'show what daemon and networks wrote', load: () => import('./commands/logs.ts') },
  {
    name: 'service',
    summary: 'have systemd start vmlan',
    load: () => import('./commands/service.ts'),
  },
  {
    name: 'completion',
    summary: 'print the completion script of a shell',
    load: () => import('./commands/completion.ts'),
  },
  {
    name: 'version',
    summary: 'show the versions of the command line and the daemon',
    load: () => import('./commands/version.ts'),
  },
  { name: 'help', summary: HELP_SUMMARY, load: () => import('./commands/help.ts') },
  { name: '__complete', summary: 'suggest words', hidden: true, load: () => import('./commands/complete.ts') },
];

const EXAMPLES = [
  ['start the daemon', 'vmlan up'],
  ['boot a machine on the default network', 'vmlan run web --image web.qcow2'],
  ['see who has which address', 'vmlan list'],
  ['reach port 80 of the machine at port 8080 of the host', 'vmlan forward add 8080 web:80'],
] as const;

const HELP_WIDTH = 80; // columns, where nobody says
const MAX_HELP_WIDTH = 100;
const MIN_HELP_TEXT_WIDTH = 20; // beside the longest term; less is not wrapped

export interface Program {
  readonly root: Command;
  readonly context: Context;
  /** Fills in the arguments, options and sub-commands of a top-level command; those below have theirs. */
  readonly define: (command: Command) => Promise<void>;
}

export function createProgram(io: Io, version: string): Program {
  const root = new Command('vmlan');
  const context = new Context(io, () => root.opts<GlobalOptions>());
  configure(root, io);
  root
    .description('One network for your virtual machines, without root.')
    .usage('COMMAND [ARGUMENTS] [OPTIONS]')
    .addOption(new Option('-o, --output <format>', 'how to print data').choices(OUTPUT_FORMATS).default('table'))
    .option('-q, --quiet', 'print identifiers alone')
    .option('--host <address>', 'the daemon: unix:///path or http://127.0.0.1:port (also VMLAN_HOST)')
    .option('--no-color', 'no colours (also NO_COLOR)')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'explain a command')
    .helpCommand(false); // ours knows commands that are not loaded yet
  for (const { name, alias, summary, hidden } of COMMANDS) {
    const command = root
      .command(name, { hidden: hidden ?? false })
      .description(sentence(summary))
      .summary(summary);
    if (alias !== undefined) command.alias(alias);
  }
  addExamples(root, EXAMPLES);
  const defined = new Set<Command>();
  const define = async (command: Command): Promise<void> => {
    const entry = COMMANDS.find(({ name }) => name === command.name());
    if (entry === undefined || command.parent !== root || defined.has(command)) return;
    defined.add(command);
    const module = await entry.load();
    module.define(command, context);
    if (command.commands.length > 0) command.helpCommand('help [command]', HELP_SUMMARY);
  };
  root.hook('preSubcommand', async (_root, command) => define(command));
  return { root, context, define };
}

/** Settings that sub-commands inherit: nothing is printed or ended behind our back. */
function configure(root: Command, io: Io): void {
  root.exitOverride();
  root.configureHelp({
    showGlobalOptions: true,
    minWidthToWrap: MIN_HELP_TEXT_WIDTH,
    subcommandTerm: (command) => [command.name(), ...command.aliases()].join(', '),
    optionDescription: (option) => describeTerm(optionTerm(option), String),
    argumentDescription: (argument) => describeTerm(argumentTerm(argument), String),
  });
  root.configureOutput({
    writeOut: (text) => io.stdout.write(text),
    writeErr: (text) => io.stderr.write(text),
    outputError: () => undefined,
    getOutHelpWidth: () => helpWidth(io.stdout.columns),
    getErrHelpWidth: () => helpWidth(io.stderr.columns),
  });
}

/** As narrow as the terminal, but no wider than a line that is read with ease. */
const helpWidth = (columns: number | undefined): number => Math.min(columns ?? HELP_WIDTH, MAX_HELP_WIDTH);

const sentence = (summary: string): string => `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`;
