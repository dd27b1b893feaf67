/**
 * What the demo shows: one line per step with its result and duration, and signs of life while a step takes long. Colours
 * and a moving line on a terminal only; NO_COLOR is honoured.
 *
 * Zone: control.
 */
import { styleText } from 'node:util';

const TICK_MS = 200;
/** Where lines cannot be rewritten, a step that takes longer says so. */
const PATIENCE_MS = 5000;

/** Says what a step is doing just now. */
export type Progress = (text: string) => void;

export class Screen {
  readonly #out = process.stdout;
  readonly #live = process.stdout.isTTY && process.env['TERM'] !== 'dumb';
  failures = 0;
  /** Set when the demo is being ended: what fails then fails for that reason. */
  silent = false;

  heading(text: string): void {
    this.#out.write(`${styleText('bold', text, { stream: this.#out })}\n\n`);
  }

  text(text: string): void {
    this.#out.write(text);
  }

  /** Runs a step; what it returns stands behind the title. Errors are shown and counted, and give undefined. */
  async step<T>(
    title: string,
    action: (progress: Progress) => Promise<T>,
    detail: (result: T) => string,
  ): Promise<T | undefined> {
    const started = performance.now();
    let doing = title;
    const stop = this.#signsOfLife(() => `${doing} (${Math.round((performance.now() - started) / 1000)} s)`);
    try {
      const result = await action((text) => (doing = `${title}: ${text}`));
      stop();
      const more = detail(result);
      this.#line('green', '✓', `${title}${more === '' ? '' : `: ${more}`}`, started);
      return result;
    } catch (error) {
      stop();
      this.failures++;
      if (this.silent) return undefined;
      this.#line('red', '✗', title, started);
      const message =
        error instanceof Error
          ? `${error.message}${error.cause instanceof Error ? `\n${error.cause.message}` : ''}`
          : String(error);
      this.#out.write(`${message.trimEnd().replaceAll(/^/gm, '     ')}\n`);
      return undefined;
    }
  }

  #line(colour: 'green' | 'red', mark: string, text: string, started: number): void {
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    const duration = styleText('dim', `${seconds} s`, { stream: this.#out });
    this.#out.write(` ${styleText(colour, mark, { stream: this.#out })} ${text}  ${duration}\n`);
  }

  #signsOfLife(text: () => string): () => void {
    if (this.#live) {
      const draw = (): void => void this.#out.write(`\r\u001b[K   ${text()}`.slice(0, (this.#out.columns || 80) + 3));
      draw();
      const timer = setInterval(draw, TICK_MS);
      return () => {
        clearInterval(timer);
        this.#out.write('\r\u001b[K');
      };
    }
    const timer = setInterval(() => this.#out.write(`   ${text()} ...\n`), PATIENCE_MS);
    return () => clearInterval(timer);
  }
}
