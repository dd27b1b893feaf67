/**
 * The difference of two texts as a unified diff, for people: lines that go and come, with three lines around them.
 *
 * Zone: control.  Shortest by the longest common subsequence where the changed part is small; a part beyond
 * MAX_CELLS is shown as replaced.
 */
const CONTEXT_LINES = 3;
const MAX_CELLS = 1_000_000;

interface Line {
  readonly sign: ' ' | '-' | '+';
  readonly text: string;
}

/** Empty when nothing differs. */
export function unifiedDiff(file: string, before: string | null, after: string): string {
  const all = diffLines(linesOf(before ?? ''), linesOf(after));
  const hunks = hunksOf(all);
  if (hunks.length === 0) return '';
  const from = before === null ? '/dev/null' : file;
  return [`--- ${from}`, `+++ ${file}`, ...hunks.flatMap((hunk) => hunkLines(all, hunk))].join('\n') + '\n';
}

function linesOf(text: string): readonly string[] {
  if (text === '') return [];
  const lines = text.split('\n');
  return lines.at(-1) === '' ? lines.slice(0, -1) : lines;
}

function diffLines(a: readonly string[], b: readonly string[]): readonly Line[] {
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a.at(-1 - tail) === b.at(-1 - tail)) tail++;
  const keep = (text: string): Line => ({ sign: ' ', text });
  return [
    ...a.slice(0, head).map(keep),
    ...diffMiddle(a.slice(head, a.length - tail), b.slice(head, b.length - tail)),
    ...a.slice(a.length - tail).map(keep),
  ];
}

function diffMiddle(a: readonly string[], b: readonly string[]): readonly Line[] {
  const gone = (text: string): Line => ({ sign: '-', text });
  const come = (text: string): Line => ({ sign: '+', text });
  if (a.length * b.length > MAX_CELLS) return [...a.map(gone), ...b.map(come)];
  const lengths = commonLengths(a, b);
  const lines: Line[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      lines.push({ sign: ' ', text: a[i]! });
      i++;
      j++;
    } else if (j >= b.length || (i < a.length && lengths[i + 1]![j]! >= lengths[i]![j + 1]!)) {
      lines.push(gone(a[i++]!));
    } else {
      lines.push(come(b[j++]!));
    }
  }
  return lines;
}

/** Row i, column j: the length of the longest common subsequence of `a` from i and `b` from j. */
function commonLengths(a: readonly string[], b: readonly string[]): readonly Uint32Array[] {
  const rows = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      rows[i]![j] = a[i] === b[j] ? rows[i + 1]![j + 1]! + 1 : Math.max(rows[i + 1]![j]!, rows[i]![j + 1]!);
    }
  }
  return rows;
}

interface Hunk {
  readonly start: number;
  readonly end: number;
}

function hunksOf(lines: readonly Line[]): readonly Hunk[] {
  const hunks: { start: number; end: number }[] = [];
  for (const [i, { sign }] of lines.entries()) {
    if (sign === ' ') continue;
    const last = hunks.at(-1);
    const end = Math.min(lines.length, i + 1 + CONTEXT_LINES);
    if (last !== undefined && i - CONTEXT_LINES <= last.end) last.end = end;
    else hunks.push({ start: Math.max(0, i - CONTEXT_LINES), end });
  }
  return hunks;
}

function hunkLines(all: readonly Line[], { start, end }: Hunk): readonly string[] {
  const count = (lines: readonly Line[], other: Line['sign']): number =>
    lines.filter(({ sign }) => sign !== other).length;
  const side = (other: Line['sign']): string => {
    const length = count(all.slice(start, end), other);
    const first = count(all.slice(0, start), other) + (length === 0 ? 0 : 1);
    return `${first},${length}`;
  };
  return [`@@ -${side('+')} +${side('-')} @@`, ...all.slice(start, end).map(({ sign, text }) => `${sign}${text}`)];
}
