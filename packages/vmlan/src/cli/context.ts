/**
 * What each command is given: output, a client made on first use, and the exit code it may set.
 *
 * Zone: control.
 */
import type { Command } from 'commander';
import { Client } from '../client/client.ts';
import { resolveEndpoint } from '../client/endpoint.ts';
import { wantsColour } from './io.ts';
import type { Io } from './io.ts';
import { Output } from './output/output.ts';
import type { OutputFormat } from './output/output.ts';

export interface GlobalOptions {
  readonly output: OutputFormat;
  readonly quiet?: boolean;
  readonly host?: string;
  readonly color: boolean;
}

/** Adds arguments, options and the action to a command of which program.ts knows name and summary. */
export type DefineCommand = (command: Command, context: Context) => void;

export class Context {
  readonly io: Io;
  /** 0 unless a command that ends without an error sets another, e.g. that of a program it ran. */
  exitCode = 0;
  readonly #options: () => GlobalOptions;
  #output: Output | undefined;
  #client: Client | undefined;

  constructor(io: Io, options: () => GlobalOptions) {
    this.io = io;
    this.#options = options;
  }

  get output(): Output {
    const { output, quiet = false, color } = this.#options();
    this.#output ??= new Output(this.io, { format: output, quiet, coloured: wantsColour(this.io, color) });
    return this.#output;
  }

  get client(): Client {
    this.#client ??= new Client(resolveEndpoint(this.#options().host, this.io.env, this.io.uid));
    return this.#client;
  }
}
