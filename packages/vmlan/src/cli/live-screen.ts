/**
 * Something that is shown again and again: on a terminal in place, elsewhere one picture after the other.
 *
 * Zone: control.  In place: each line is written over the one before and cut to the width, so nothing flickers and nothing
 * wraps; the terminal's own contents come back at the end.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Io } from './io.ts';
import { displayWidth } from './output/width.ts';

const ENTER = '\u001B[?1049h\u001B[?25l'; // alternate screen, no cursor
const LEAVE = '\u001B[?25h\u001B[?1049l';
const HOME = '\u001B[H';
const CLEAR_LINE = '\u001B[K';
const CLEAR_BELOW = '\u001B[J';
const DEFAULT_COLUMNS = 80;
const DEFAULT_ROWS = 24;
const CTRL_C = '\u0003';

export interface LiveOptions {
  readonly io: Io;
  readonly everyMs: number;
  /** Pictures after which it ends; null: when it is told to. */
  readonly count: number | null;
  /** A picture; lines end in `\n`. The signal: nobody waits for it any more. */
  readonly draw: (signal: AbortSignal) => Promise<string>;
  /** A key was pressed: true to draw again at once. */
  readonly onKey?: (key: string) => boolean;
}

export const isLive = (io: Io): boolean => io.stdout.isTTY === true && io.env['TERM'] !== 'dumb';

/** Draws on a terminal until `q`, Ctrl-C, or `count` pictures. */
export async function drawLive({ io, everyMs, count, draw, onKey }: LiveOptions): Promise<void> {
  const stop = new AbortController();
  const stopped = new Promise<null>((resolve) => stop.signal.addEventListener('abort', () => resolve(null)));
  let wake = new AbortController();
  const redraw = (): void => wake.abort();
  const keys = listenToKeys(io, (key) => {
    if (key === 'q' || key === CTRL_C) stop.abort();
    else if (onKey?.(key) === true) redraw();
  });
  const end = (): void => stop.abort();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, end);
  io.stdout.on('resize', redraw);
  io.stdout.write(ENTER);
  try {
    for (let shown = 1; ; shown++) {
      wake = new AbortController(); // before the picture: what is pressed while it is made counts
      // A daemon that hangs holds no terminal.
      const text = await Promise.race([draw(stop.signal), stopped]);
      if (text === null) return;
      io.stdout.write(picture(text, io.stdout.columns ?? DEFAULT_COLUMNS, io.stdout.rows ?? DEFAULT_ROWS));
      if (count !== null && shown >= count) return;
      await delay(everyMs, undefined, { signal: AbortSignal.any([stop.signal, wake.signal]) }).catch(() => undefined);
      if (stop.signal.aborted) return;
    }
  } finally {
    io.stdout.write(LEAVE);
    io.stdout.off('resize', redraw);
    for (const signal of signals) process.off(signal, end);
    keys[Symbol.dispose]();
  }
}

/** What makes a terminal show these lines and nothing else. */
export function picture(text: string, columns: number, rows: number): string {
  const lines = text.replace(/\n$/, '').split('\n').slice(0, rows);
  return `${HOME}${lines.map((line) => clip(line, columns) + CLEAR_LINE).join('\r\n')}${CLEAR_BELOW}`;
}

/** As much of a line as fits; colours take no room. */
export function clip(line: string, columns: number): string {
  let width = 0;
  let out = '';
  // oxlint-disable-next-line no-control-regex
  for (const [part] of line.matchAll(/\u001B\[[\d;]*m|./gsu)) {
    const size = part.startsWith('\u001B') ? 0 : displayWidth(part);
    if (width + size > columns) continue;
    width += size;
    out += part;
  }
  return out;
}

/** What was typed at once: characters, or the sequence of one special key, which is none of ours. */
export const keysOf = (text: string): readonly string[] => (text.startsWith('\u001B') ? [] : text.split(''));

function listenToKeys(io: Io, onKey: (key: string) => void): Disposable {
  const { stdin } = process;
  if (!io.stdinIsTerminal || !stdin.isTTY) return { [Symbol.dispose]: () => undefined };
  const onData = (data: Buffer): void => keysOf(data.toString('utf8')).forEach(onKey);
  stdin.setRawMode(true);
  stdin.on('data', onData);
  stdin.resume();
  return {
    [Symbol.dispose]: () => {
      stdin.off('data', onData);
      stdin.setRawMode(false);
      stdin.pause();
    },
  };
}
