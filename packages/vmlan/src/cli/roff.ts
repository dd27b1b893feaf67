/**
 * Text as man(7) macros, for groff and mandoc alike.
 *
 * Zone: control.  groff_man(7), roff(7): a backslash begins an escape, a dot or an apostrophe at the start of a line a
 * request, and a plain hyphen may be shown as another character than the one that a shell knows.
 */
const WIDTH = 78; // of a line of source; what is shown is filled by the reader's terminal

/**
 * After the title: no hyphens within words, which may be names, and no stretched spaces. groff's macros for paragraphs
 * set hyphenation anew, from a register.
 */
export const PLAIN_LINES = '.nh\n.nr HY 0\n.ad l';

/** A line of text as it is. */
export const roffText = (text: string): string =>
  text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll(/^([.'])/gm, '\\&$1');

/** Prose: what stands in backticks is bold. Lines are kept short. */
export function roffProse(text: string): string {
  const lines = [''];
  for (const word of text.split(/\s+/)) {
    const last = lines.at(-1) ?? '';
    if (last !== '' && last.length + word.length >= WIDTH) lines.push(word);
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`;
  }
  return roffText(lines.join('\n')).replaceAll(/`([^`]+)`/g, (_all, literal: string) => bold(literal));
}

/** Of text that is escaped already. A line's end inside would end the font with some readers. */
export const bold = (escaped: string): string => `\\fB${escaped.replaceAll('\n', ' ')}\\fR`;

export const italic = (escaped: string): string => `\\fI${escaped}\\fR`;

/** `-o, --output <format>` with the literal part bold and placeholders italic. */
export const roffTerm = (term: string): string =>
  term
    .split(/([<[][^\]>]+[\]>])/)
    .map((part) => (/^[<[]/.test(part) ? placeholder(part) : boldWords(part)))
    .join('');

const boldWords = (text: string): string => text.replaceAll(/[^\s,]+/g, (word) => bold(roffText(word)));

const placeholder = (part: string): string =>
  part.startsWith('<') ? italic(roffText(part.slice(1, -1))) : `[${italic(roffText(part.slice(1, -1)))}]`;

/** A title, and what is below it; the first paragraph needs no macro. */
export const section = (title: string, ...lines: readonly string[]): string =>
  [`.SH ${quoted(title.toUpperCase())}`, ...(lines[0] === '.PP' ? lines.slice(1) : lines)].join('\n');

export const subsection = (title: string, ...lines: readonly string[]): string =>
  [`.SS ${quoted(title)}`, ...lines].join('\n');

/** A tagged paragraph; `term` is escaped already. */
export const tagged = (term: string, ...lines: readonly string[]): string => ['.TP', term, ...lines].join('\n');

/** Lines that are neither filled nor joined. */
export const verbatim = (text: string): string => `.EX\n${roffText(text)}\n.EE`;

export const quoted = (text: string): string => `"${roffText(text).replaceAll('"', '""')}"`;
