/**
 * A session in a document: fenced `console` blocks in which `$ ` begins a command, and the lines below are its output.
 * In what is expected, `…` stands for anything within a line, and a line of `…` alone for any lines, also none; how many
 * spaces are between words does not matter.
 *
 * Zone: control.
 */
export interface ConsoleStep {
  readonly command: string;
  readonly expected: string;
}

const BLOCK = /^```console\n([\s\S]*?)^```$/gm;
/** What a shell reads the next line for. */
const GOES_ON = /(\\|\|)$/;
const ANYTHING = '…';
const SPECIAL = /[\\^$.*+?()[\]{}|/]/g;

/** All blocks of a document are one session. */
export function parseConsole(document: string): ConsoleStep[] {
  const lines = [...document.matchAll(BLOCK)].flatMap(([, block = '']) => block.trimEnd().split('\n'));
  const steps: { command: string; expected: string[]; open: boolean }[] = [];
  for (const line of lines) {
    const last = steps.at(-1);
    if (line.startsWith('$ ')) steps.push({ command: line.slice(2), expected: [], open: GOES_ON.test(line) });
    else if (last === undefined) throw new Error(`output before a command: ${line}`);
    else if (last.open) Object.assign(last, { command: `${last.command}\n${line}`, open: GOES_ON.test(line) });
    else last.expected.push(line);
  }
  return steps.map(({ command, expected }) => ({ command, expected: expected.join('\n') }));
}

/** The steps as one program for a shell; each is followed by a line of its own, so that the outputs can be told apart. */
export const consoleProgram = (steps: readonly ConsoleStep[], mark: string): string =>
  steps.map(({ command }) => `{\n${command}\n} 2>&1\necho; echo '${mark}'\n`).join('');

/** What the program printed, by step. A step that did not come to its end has what there is. */
export const outputsOf = (printed: string, mark: string): string[] =>
  printed.split(`\n${mark}\n`).map((output) => output.trimEnd());

const squeezed = (text: string): string =>
  text
    .split('\n')
    .map((line) => line.trim().replaceAll(/\s+/g, ' '))
    .filter((line) => line !== '')
    .join('\n');

export function matchesExpected(output: string, expected: string): boolean {
  const literal = (text: string): string => text.replaceAll(SPECIAL, String.raw`\$&`);
  const lines = squeezed(expected).split('\n');
  const pattern = lines.map((line) =>
    line === ANYTHING ? '(?:.*\n)*?' : `${line.split(ANYTHING).map(literal).join('.*')}\n`,
  );
  return new RegExp(`^${pattern.join('')}$`, 'u').test(`${squeezed(output)}\n`);
}
