/**
 * An argument vector as one line that a POSIX shell reads back as the same vector.
 *
 * Zone: control.  For printing only: vmlan itself never runs a shell.
 */
const PLAIN = /^[A-Za-z0-9_@%+=:,./-]+$/;

export function shellQuote(argv: readonly string[]): string {
  return argv.map(quoteWord).join(' ');
}

function quoteWord(word: string): string {
  return PLAIN.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
