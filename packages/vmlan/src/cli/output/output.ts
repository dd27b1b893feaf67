/**
 * What commands print: data on stdout as table, JSON, YAML or bare identifiers; messages on stderr.
 *
 * Zone: control.  JSON and YAML are the documents of the API (model/views.ts), unless a command says otherwise: they
 * are the stable contract.  Tables are for people and may change.
 */
import type { Io } from '../io.ts';
import { printable } from './width.ts';

export const OUTPUT_FORMATS: readonly ['table', 'json', 'yaml'] = ['table', 'json', 'yaml'];
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

export interface OutputOptions {
  readonly format: OutputFormat;
  /** Identifiers alone. */
  readonly quiet: boolean;
  readonly coloured: boolean;
}

/** The same data in the forms a person may ask for; both are made only when needed. */
export interface Views {
  readonly table: (coloured: boolean) => string;
  /** What `--quiet` prints, one a line. */
  readonly ids: () => readonly string[];
}

export class Output {
  readonly #io: Io;
  readonly #options: OutputOptions;

  constructor(io: Io, options: OutputOptions) {
    this.#io = io;
    this.#options = options;
  }

  get structured(): boolean {
    return this.#options.format !== 'table';
  }

  get coloured(): boolean {
    return this.#options.coloured;
  }

  /** Columns of the terminal that data goes to; undefined: it goes elsewhere. */
  get width(): number | undefined {
    return this.#io.stdout.isTTY === true ? this.#io.stdout.columns : undefined;
  }

  async show(document: unknown, views: Views): Promise<void> {
    this.write(await this.#render(document, views));
  }

  /** One of a stream of documents: JSON on a line of its own, YAML behind `---`. */
  async add(document: unknown, views: Views): Promise<void> {
    const { format, quiet } = this.#options;
    if (!quiet && format === 'json') return this.write(`${JSON.stringify(document)}\n`);
    const text = await this.#render(document, views);
    this.write(!quiet && format === 'yaml' ? `---\n${text}` : text);
  }

  /** Text for stdout as it is. */
  write(text: string): void {
    this.#io.stdout.write(text);
  }

  /** What was done, for people: nothing when only identifiers or documents are wanted. */
  done(sentence: string): void {
    if (!this.#options.quiet && !this.structured) this.write(`${printable(sentence)}\n`);
  }

  /** What goes on meanwhile: on stderr, and only for someone who watches. */
  progress(sentence: string): void {
    if (this.#io.stderr.isTTY === true && !this.#options.quiet) this.#io.stderr.write(`${printable(sentence)}\n`);
  }

  /** What came of it, where stdout has something else to say. */
  note(sentence: string): void {
    if (!this.#options.quiet) this.#io.stderr.write(`${printable(sentence)}\n`);
  }

  /** What a person should know although the command succeeds. */
  warn(sentence: string): void {
    this.#io.stderr.write(`vmlan: warning: ${printable(sentence)}\n`);
  }

  async #render(document: unknown, views: Views): Promise<string> {
    if (this.#options.quiet)
      return views
        .ids()
        .map((id) => `${printable(id)}\n`)
        .join('');
    switch (this.#options.format) {
      case 'json':
        return `${JSON.stringify(document, null, 2)}\n`;
      case 'yaml': {
        const { stringify } = await import('../yaml.ts');
        return stringify(document, { lineWidth: 0 });
      }
      default:
        return views.table(this.#options.coloured);
    }
  }
}
