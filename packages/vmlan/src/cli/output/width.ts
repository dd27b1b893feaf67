/**
 * How many columns text takes on a terminal, and text that is safe to show there.
 *
 * Zone: control.  Unicode Standard Annex #11: wide and fullwidth characters and emoji take two columns, combining marks
 * and joiners none.  Names that guests chose are shown too, so control characters never reach the terminal.
 */

/** Ranges of two columns, first and last code point in turn. */
const WIDE = [
  0x1100, 0x115f, 0x2e80, 0x303e, 0x3041, 0x33ff, 0x3400, 0x4dbf, 0x4e00, 0x9fff, 0xa000, 0xa4cf, 0xa960, 0xa97f,
  0xac00, 0xd7a3, 0xf900, 0xfaff, 0xfe30, 0xfe6f, 0xff00, 0xff60, 0xffe0, 0xffe6, 0x1f300, 0x1f64f, 0x1f680, 0x1f6ff,
  0x1f900, 0x1f9ff, 0x20000, 0x3fffd,
] as const;

const ZERO_WIDTH = /[\p{Mn}\p{Me}\p{Cf}]/u;
const CONTROL = /\p{Cc}|[\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;
const NOT_ASCII = /[^ -~]/;

export function displayWidth(text: string): number {
  if (!NOT_ASCII.test(text)) return text.length;
  let width = 0;
  for (const character of text) width += characterWidth(character);
  return width;
}

function characterWidth(character: string): number {
  if (ZERO_WIDTH.test(character)) return 0;
  const code = character.codePointAt(0) ?? 0;
  for (let index = 0; index < WIDE.length; index += 2) {
    if (code >= (WIDE[index] ?? 0) && code <= (WIDE[index + 1] ?? 0)) return 2;
  }
  return 1;
}

/** Control characters and marks that turn the writing direction, made visible. */
export function printable(text: string): string {
  return text.replaceAll(CONTROL, '\uFFFD');
}

/** Lines of at most `columns`: broken between words, or within one that is longer than a line. */
export function wrapped(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (displayWidth(longer) <= columns) {
      line = longer;
      continue;
    }
    if (line !== '') lines.push(line);
    const pieces = pieced(word, columns);
    line = pieces.pop() ?? '';
    lines.push(...pieces);
  }
  return [...lines, line];
}

/** A word in pieces; one character at least is in each. */
function pieced(word: string, columns: number): string[] {
  const pieces: string[] = [];
  let piece = '';
  for (const character of word) {
    if (piece !== '' && displayWidth(piece + character) > columns) {
      pieces.push(piece);
      piece = '';
    }
    piece += character;
  }
  return [...pieces, piece];
}
