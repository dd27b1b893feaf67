/**
 * The token that a request over TCP carries: 256 random bits in a file of the state directory that its owner alone reads.
 *
 * Zone: control.  Made when it is first wanted, and again when it is rotated.  A file that others can read tells them the
 * token, so it is made anew.
 */
import { randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from '../core/logger.ts';
import { readDurable, writeDurable } from '../sys/durable-file.ts';

const TOKEN_BYTES = 32;
const TOKEN = /^[\w-]{43}$/;
const OTHERS_MASK = 0o077;

export class AccessToken {
  readonly file: string;
  readonly #logger: Logger;
  #text: Promise<string> | null = null;

  constructor(stateDirectory: string, logger: Logger) {
    this.file = join(stateDirectory, 'token');
    this.#logger = logger;
  }

  /** A failure is forgotten: the next who asks tries again. */
  text(): Promise<string> {
    this.#text ??= this.#load().catch((error: unknown) => {
      this.#text = null;
      throw error;
    });
    return this.#text;
  }

  /** The old one is void as soon as this resolves. */
  async rotate(): Promise<string> {
    const text = await this.#make();
    this.#text = Promise.resolve(text);
    return text;
  }

  async #load(): Promise<string> {
    const mode = statSync(this.file, { throwIfNoEntry: false })?.mode ?? 0; // reading it narrows it
    const { value, damaged } = await readDurable(this.file, (content) => {
      if (!TOKEN.test(content.trim())) throw new Error('no token');
      return content.trim();
    });
    if (damaged !== null) this.#logger.warn(`${this.file} was no token and is kept as ${damaged.path}`);
    if (value === null) return this.#make();
    if ((mode & OTHERS_MASK) === 0) return value;
    this.#logger.warn(`${this.file} could be read by others: the token was replaced`);
    return this.#make();
  }

  async #make(): Promise<string> {
    const text = randomBytes(TOKEN_BYTES).toString('base64url');
    await writeDurable(this.file, `${text}\n`);
    return text;
  }
}
