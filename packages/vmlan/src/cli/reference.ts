/**
 * docs/cli.md, made from the command tree itself.
 *
 * Zone: control.  reference.test.ts formats the page and keeps it current.
 */
import { readCommandTree } from './command-page.ts';
import type { CommandPage } from './command-page.ts';
import type { Example } from './examples.ts';
import { ENVIRONMENT, EXIT_CODE_OF_PROGRAMS, EXIT_CODES, OUTPUT_FACTS } from './facts.ts';
import type { Fact } from './facts.ts';
import { describeTerm, inBackticks } from './term.ts';
import type { Term } from './term.ts';

export async function renderReference(): Promise<string> {
  const root = await readCommandTree();
  const sections = [
    '# Command line\n',
    '<!-- Made from the command tree by VMLAN_UPDATE_DOCS=1 ./bin/test cli/reference; do not edit. -->\n',
    `${OUTPUT_FACTS}\n`,
    renderFacts('Exit code', EXIT_CODES),
    `${EXIT_CODE_OF_PROGRAMS}\n`,
    renderFacts(
      'Environment',
      ENVIRONMENT.map(([names, meaning]) => [code(names), meaning]),
    ),
    `## Options for every command\n\n${renderTerms(root.terms)}`,
    ...root.commands.map(renderCommand),
  ];
  return sections.join('\n');
}

const code = (names: string): string =>
  names
    .split(', ')
    .map((name) => `\`${name}\``)
    .join(', ');

const renderFacts = (title: string, facts: readonly Fact[]): string =>
  `| ${title} | Meaning |\n| --- | --- |\n${facts.map(([term, meaning]) => `| ${term} | ${meaning} |\n`).join('')}`;

function renderCommand(page: CommandPage): string {
  const { path, usage, description, alias, terms, examples, commands } = page;
  const also = alias === null ? '' : ` Also \`${alias}\`.`;
  const sections = [`${'#'.repeat(path.length + 1)} vmlan ${path.join(' ')}\n\n${description}${also}\n`];
  if (commands.length === 0) sections.push(`\`\`\`\n${usage}\n\`\`\`\n`);
  if (terms.length > 0) sections.push(renderTerms(terms));
  sections.push(renderExamples(examples), ...commands.map(renderCommand));
  return sections.join('\n');
}

const renderTerms = (terms: readonly Term[]): string =>
  `| | |\n| --- | --- |\n${terms.map((each) => `| \`${each.term.replaceAll('|', '\\|')}\` | ${describeTerm(each, inBackticks)} |\n`).join('')}`;

function renderExamples(examples: readonly Example[]): string {
  const lines = examples.map(([purpose, line]) => `# ${purpose}\n${line}\n`);
  return `\`\`\`sh\n${lines.join('\n')}\`\`\`\n`;
}
