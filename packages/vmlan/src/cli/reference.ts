/**
 * docs/cli.md, made from the command tree itself.
 *
 * Zone: control.  reference.test.ts formats the page and keeps it current.
 */
import type { Argument, Command, Option } from 'commander';
import { examplesOf } from './examples.ts';
import { processIo } from './io.ts';
import { createProgram } from './program.ts';

const INTRODUCTION = `# Command line

<!-- Made from the command tree by VMLAN_UPDATE_DOCS=1 ./bin/test cli/reference; do not edit. -->

Data goes to stdout, messages to stderr. \`--output json\` and \`--output yaml\` print the documents of the API and are
stable; tables are for people and may change. \`--quiet\` prints identifiers alone, one a line.

| Exit code | Meaning |
| --------- | ------- |
| 0 | done |
| 1 | failure |
| 2 | wrong usage or invalid value |
| 3 | not found |
| 4 | conflict |
| 5 | not permitted |
| 6 | the daemon cannot be reached |

\`vmlan attach --exec\` ends with the exit code of the program it ran, or 128 plus the number of the signal that ended it.

| Environment | Meaning |
| ----------- | ------- |
| \`VMLAN_HOST\` | the daemon: \`unix:///path\` or \`http://127.0.0.1:port\` |
| \`VMLAN_CONFIG\` | networks.yaml that \`vmlan up\` uses |
| \`VMLAN_STATE_DIR\`, \`VMLAN_RUNTIME_DIR\` | where the daemon keeps its files |
| \`VMLAN_QEMU\` | the QEMU that \`vmlan run\` starts |
| \`NO_COLOR\` | no colours |
`;

export async function renderReference(version: string): Promise<string> {
  const { root, define } = createProgram(processIo(), version);
  const sections = [INTRODUCTION, renderOptions('Options for every command', root.options)];
  for (const command of visible(root)) {
    await define(command);
    sections.push(renderCommand(command));
    for (const each of visible(command)) sections.push(renderCommand(each));
  }
  return sections.join('\n');
}

const visible = (command: Command): readonly Command[] =>
  command
    .createHelp()
    .visibleCommands(command)
    .filter((each) => each.name() !== 'help');

function renderCommand(command: Command): string {
  const names = command.parent?.parent ? [command.parent.name(), command.name()] : [command.name()];
  const title = `${names.length === 1 ? '##' : '###'} vmlan ${names.join(' ')}`;
  const usage = `vmlan ${names.join(' ')} ${command.usage()}`;
  const alias = command.alias() === undefined ? '' : ` Also \`${command.alias()}\`.`;
  const sections = [`${title}\n\n${command.description()}${alias}\n`];
  if (command.commands.length === 0) sections.push(`\`\`\`\n${usage}\n\`\`\`\n`);
  const rows = [...command.registeredArguments.map(argumentRow), ...command.options.filter(isVisible).map(optionRow)];
  if (rows.length > 0) sections.push(renderTable(rows));
  sections.push(renderExamples(command));
  return sections.join('\n');
}

const isVisible = ({ hidden }: Option): boolean => !hidden;

function argumentTerm(argument: Argument): string {
  const name = argument.variadic ? `${argument.name()}...` : argument.name();
  return argument.required ? `<${name}>` : `[${name}]`;
}

type Row = readonly [term: string, description: string];

const argumentRow = (argument: Argument): Row => [
  argumentTerm(argument),
  withChoices(argument.description, argument.argChoices, argument.defaultValue),
];

const optionRow = (option: Option): Row => [
  option.flags,
  withChoices(option.description, option.argChoices, option.negate ? undefined : option.defaultValue),
];

function withChoices(description: string, choices: readonly string[] | undefined, preset: unknown): string {
  const notes = [
    ...(choices === undefined ? [] : [`one of ${choices.map((choice) => `\`${choice}\``).join(', ')}`]),
    ...(preset === undefined ? [] : [`default \`${JSON.stringify(preset).replaceAll('"', '')}\``]),
  ];
  return notes.length === 0 ? description : `${description} (${notes.join('; ')})`;
}

const renderOptions = (title: string, options: readonly Option[]): string =>
  `## ${title}\n\n${renderTable(options.map(optionRow))}`;

const renderTable = (rows: readonly Row[]): string =>
  `| | |\n| --- | --- |\n${rows.map(([term, text]) => `| \`${term.replaceAll('|', '\\|')}\` | ${text} |\n`).join('')}`;

function renderExamples(command: Command): string {
  const lines = examplesOf(command).map(([purpose, line]) => `# ${purpose}\n${line}\n`);
  return `\`\`\`sh\n${lines.join('\n')}\`\`\`\n`;
}
