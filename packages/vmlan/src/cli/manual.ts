/**
 * The manual pages, made from the command tree like `--help` and docs/cli.md: vmlan.1 and one for each command.
 *
 * Zone: control.  man-pages(7) for the sections and their order.
 */
import { readCommandTree } from './command-page.ts';
import type { CommandPage } from './command-page.ts';
import type { Example } from './examples.ts';
import { ENVIRONMENT, EXIT_CODE_OF_PROGRAMS, EXIT_CODES, FILES, OUTPUT_FACTS } from './facts.ts';
import type { Fact } from './facts.ts';
import {
  bold,
  PLAIN_LINES,
  quoted,
  roffProse,
  roffTerm,
  roffText,
  section,
  subsection,
  tagged,
  verbatim,
} from './roff.ts';
import { describeTerm, inBackticks } from './term.ts';
import type { Term } from './term.ts';

export interface ManualPage {
  /** `vmlan-network.1`. */
  readonly file: string;
  readonly text: string;
}

/** What stands at the foot of each page. */
interface Footer {
  readonly version: string;
  /** `2026-11-21`. */
  readonly date: string;
}

export async function renderManual(version: string, date: string): Promise<ManualPage[]> {
  const root = await readCommandTree();
  const footer = { version, date };
  return [rootPage(root, footer), ...root.commands.map((page) => commandPage(page, root, footer))];
}

const nameOf = ({ path }: CommandPage): string => ['vmlan', ...path].join('-');

function rootPage(root: CommandPage, footer: Footer): ManualPage {
  return page('vmlan', footer, [
    section('Name', 'vmlan \\- a network for virtual machines, without root'),
    section('Synopsis', synopsis(root.usage)),
    section('Description', roffProse(root.description), '.PP', roffProse(OUTPUT_FACTS)),
    section(
      'Commands',
      ...root.commands.map((each) => tagged(`${bold(roffText(nameOf(each)))}(1)`, roffProse(sentence(each.summary)))),
    ),
    section('Options', 'They are the same for every command.', ...root.terms.map(termParagraph)),
    section('Exit status', ...factParagraphs(EXIT_CODES), '.PP', roffProse(EXIT_CODE_OF_PROGRAMS)),
    section('Environment', ...factParagraphs(ENVIRONMENT)),
    section('Files', ...factParagraphs(FILES)),
    examplesSection(root.examples),
    seeAlso([...root.commands.map((each) => `${nameOf(each)}(1)`), 'networks.yaml(5)']),
  ]);
}

function commandPage(command: CommandPage, root: CommandPage, footer: Footer): ManualPage {
  const { description, summary, alias, terms, commands, examples } = command;
  const leaves = commands.length === 0 ? [command] : commands.flatMap(leavesOf);
  const also = alias === null ? [] : ['.PP', roffProse(`It may be written \`vmlan ${alias}\`.`)];
  const others = root.commands.filter((each) => each !== command).map((each) => `${nameOf(each)}(1)`);
  return page(nameOf(command), footer, [
    section('Name', `${roffText(nameOf(command))} \\- ${roffText(summary)}`),
    section('Synopsis', leaves.map(({ usage }) => synopsis(usage)).join('\n.br\n')),
    section('Description', roffProse(description), ...also),
    ...(terms.length === 0 ? [] : [section('Arguments and options', ...terms.map(termParagraph))]),
    ...(commands.length === 0 ? [] : [section('Commands', ...leaves.map(leafSection))]),
    examplesSection(examples),
    section('Options and exit status of every command', roffProse('They stand in `vmlan`(1).')),
    seeAlso(['vmlan(1)', ...others]),
  ]);
}

const leavesOf = (command: CommandPage): readonly CommandPage[] =>
  command.commands.length === 0 ? [command] : command.commands.flatMap(leavesOf);

function leafSection({ path, description, alias, terms, examples }: CommandPage): string {
  const also = alias === null ? '' : ` It may be written \`${[...path.slice(0, -1), alias].join(' ')}\`.`;
  return subsection(
    path.join(' '),
    roffProse(`${description}${also}`),
    ...terms.map(termParagraph),
    ...examples.flatMap(exampleParagraph),
  );
}

const page = (name: string, { version, date }: Footer, sections: readonly string[]): ManualPage => ({
  file: `${name}.1`,
  text: `.TH ${quoted(name.toUpperCase())} 1 "${date}" ${quoted(`vmlan ${version}`)} "vmlan"\n${PLAIN_LINES}\n${sections.join('\n')}\n`,
});

/** `vmlan network show <network> [field]`: words bold, placeholders italic. */
const synopsis = (usage: string): string => roffTerm(usage);

const termParagraph = (term: Term): string =>
  tagged(roffTerm(term.term), roffProse(sentence(describeTerm(term, inBackticks))));

const factParagraphs = (facts: readonly Fact[]): string[] =>
  facts.map(([term, meaning]) => tagged(bold(roffText(term)), roffProse(sentence(meaning))));

const examplesSection = (examples: readonly Example[]): string =>
  section('Examples', ...examples.flatMap(exampleParagraph));

const exampleParagraph = ([purpose, line]: Example): string[] => [
  '.PP',
  roffProse(`${capitalised(purpose)}:`),
  '.RS 4',
  verbatim(line),
  '.RE',
];

const seeAlso = (names: readonly string[]): string =>
  section('See also', names.map((name) => `.BR ${roffText(name).replace(/\((\d)\)$/, ' ($1)')}`).join(' ,\n'));

const capitalised = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}`;

/** Help has fragments; a page has sentences. A file or option at the beginning stays as it is written. */
const sentence = (text: string): string =>
  `${/^[a-z]+(?=[\s,;:]|$)/.test(text) ? capitalised(text) : text}${/[.!?]$/.test(text) ? '' : '.'}`;
