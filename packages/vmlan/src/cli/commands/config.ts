/**
 * `vmlan config`: what holds and where it comes from, checking a file, its schema, loading it again.
 *
 * Zone: control.  `check` needs no daemon: the daemon's program judges the file and ends.
 */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { resolve } from 'node:path';
import { VmlanError } from '../../client/errors.ts';
import type { ConfigEntry, ReloadView } from '../../model/api.ts';
import { resolvePaths } from '../../model/paths.ts';
import type { Context, DefineCommand } from '../context.ts';
import { addExamples } from '../examples.ts';
import { formatTable } from '../output/table.ts';
import type { Column } from '../output/table.ts';
import { judgeConfig } from '../judge-config.ts';
import { reportError } from '../report-error.ts';

/** What a mistake is told with that has no hint of its own. */
const HELP = 'every key, and what it may be: vmlan config schema, or networks.yaml(5)';

export const define: DefineCommand = (command, context) => {
  defineShow(command, context);
  defineCheck(command, context);
  definePath(command, context);
  defineSchema(command, context);
  defineReload(command, context);
  addExamples(command, [
    ['every value that holds', 'vmlan config show'],
    ['is this file right?', 'vmlan config check networks.yaml'],
    ['after an edit by hand', 'vmlan config reload'],
  ]);
};

interface ShowOptions {
  readonly origin?: boolean;
}

const COLUMNS: readonly Column<ConfigEntry>[] = [
  { title: 'key', value: ({ key }) => key },
  { title: 'value', value: ({ value }) => (value === null ? null : String(value)) },
];

const ORIGIN_COLUMNS: readonly Column<ConfigEntry>[] = [
  ...COLUMNS,
  { title: 'origin', value: ({ origin }) => origin },
  { title: 'place', value: ({ place }) => place },
];

const defineShow: DefineCommand = (command, context) => {
  const show = command
    .command('show')
    .description('Show every value that holds: of networks.yaml, defaults, and the daemon itself.')
    .summary('show every value that holds');
  show
    .argument('[key]', 'only what begins like this, e.g. networks.lab')
    .option('--origin', 'also where each value comes from: flag, environment, file:line or default')
    .action(async (key: string | undefined, { origin = false }: ShowOptions) => {
      const config = await context.client.call('getConfig');
      const entries = config.entries.filter((entry) => isWithin(entry.key, key));
      if (key !== undefined && entries.length === 0) {
        throw new VmlanError('not-found', `nothing is configured under "${key}"`, {
          hint: 'see what there is: vmlan config show',
        });
      }
      await context.output.show(
        { ...config, entries },
        {
          table: (coloured) => formatTable(origin ? ORIGIN_COLUMNS : COLUMNS, entries, coloured),
          ids: () => entries.map((entry) => entry.key),
        },
      );
    });
  addExamples(show, [
    ['with the line of the file, or why it is so', 'vmlan config show --origin'],
    ['one network', 'vmlan config show networks.lab'],
  ]);
};

const isWithin = (key: string, prefix: string | undefined): boolean =>
  prefix === undefined || key === prefix || key.startsWith(`${prefix}.`);

const defineCheck: DefineCommand = (command, context) => {
  const check = command
    .command('check')
    .description('Check a networks.yaml without using it; a daemon is not needed.')
    .summary('check a networks.yaml');
  check
    .argument('[file]', 'the file; the one that a daemon would use without it')
    .action(async (file: string | undefined) => {
      const path = resolve(file ?? ownFile(context));
      const verdict = await judgeConfig(context.io.env, path);
      const { error, networks, warnings, problems } = verdict;
      if (error !== null) {
        if (context.output.structured) await context.output.show(verdict, { table: () => '', ids: () => [] });
        const isThere = existsSync(path);
        for (const { message, hint } of problems)
          context.exitCode = reportError(
            new VmlanError(error.code, message, {
              hint: isThere ? (hint ?? HELP) : 'name the file: vmlan config check FILE',
            }),
            context.io,
          );
        return;
      }
      await context.output.show(verdict, {
        table: () => `${verdict.file}: nothing is wrong; networks are ${networks.join(', ')}\n`,
        ids: () => networks,
      });
      for (const warning of warnings) context.output.warn(warning);
    });
  addExamples(check, [
    ['the file that holds', 'vmlan config check'],
    ['another, before it is put in place', 'vmlan config check networks.yaml.new'],
  ]);
};

const ownFile = ({ io }: Context): string => resolvePaths(io.env, { uid: io.uid, home: homedir() }).config;

const definePath: DefineCommand = (command, context) => {
  const path = command
    .command('path')
    .description('Print the path of networks.yaml: the one of the running daemon, else the one that it would use.')
    .summary('print the path of networks.yaml');
  path.action(async () => {
    const file = await fileOfDaemon(context);
    await context.output.show({ file }, { table: () => `${file}\n`, ids: () => [file] });
  });
  addExamples(path, [['open it', 'vi "$(vmlan config path)"']]);
};

async function fileOfDaemon(context: Context): Promise<string> {
  try {
    return (await context.client.call('getConfig')).file;
  } catch (error) {
    if (error instanceof VmlanError && error.code === 'daemon-unreachable') return ownFile(context);
    throw error;
  }
}

const defineSchema: DefineCommand = (command, context) => {
  const schema = command
    .command('schema')
    .description('Print the JSON Schema of networks.yaml, for editors.')
    .summary('print the JSON Schema of networks.yaml');
  schema.action(async () => {
    const { networksJsonSchema } = await import('../../model/json-schema.ts');
    const document = networksJsonSchema();
    const text = `${JSON.stringify(document, null, 2)}\n`;
    await context.output.show(document, { table: () => text, ids: () => [] });
  });
  addExamples(schema, [['beside the file', 'vmlan config schema >networks.schema.json']]);
};

const defineReload: DefineCommand = (command, context) => {
  const reload = command
    .command('reload')
    .description('Load networks.yaml again after an edit by hand; a file with a fault changes nothing.')
    .summary('load networks.yaml again');
  reload.action(async () => {
    const view = await context.client.call('reloadConfig');
    await context.output.show(view, { table: () => reloadReport(view), ids: () => [...view.added, ...view.changed] });
    for (const warning of view.warnings) context.output.warn(warning);
    if (context.output.structured) return;
    for (const name of view.restartNeeded) {
      context.output.warn(
        `network "${name}" runs on with its older settings: vmlan network stop ${name}, vmlan network start ${name}`,
      );
    }
  });
  addExamples(reload, [['what the file says now holds', 'vmlan config reload']]);
};

function reloadReport({ file, added, removed, changed }: ReloadView): string {
  const parts = Object.entries({ added, changed, removed }).filter(([, names]) => names.length > 0);
  if (parts.length === 0) return `${file}: nothing has changed\n`;
  return parts.map(([what, names]) => `${what}: ${names.join(', ')}\n`).join('');
}
