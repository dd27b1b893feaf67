/**
 * networks.yaml while the daemon runs: what holds, what is in the file at this moment, and the one way to change both.
 *
 * Zone: control.  A text is judged as a whole before it is written; the file is written before it holds.
 */
import { VmlanError } from '../core/errors.ts';
import type { Driver } from '../drivers/driver.ts';
import type { HostRoute } from '../model/subnet.ts';
import { loadConfig, parseConfig, readConfigText } from './config.ts';
import type { Config, ConfigContext } from './config.ts';
import { writeConfigText } from './config-text.ts';
import type { Store } from './store.ts';

export interface ConfigurationOptions {
  readonly file: string;
  /** The file was asked for by name: its absence is an error. */
  readonly required: boolean;
  readonly identify: (text: string) => Uint8Array;
  readonly hostRoutes: () => readonly HostRoute[];
  readonly store: Store;
  readonly driver: Driver;
}

export class Configuration {
  readonly #options: ConfigurationOptions;
  #current: Config;

  private constructor(options: ConfigurationOptions, current: Config) {
    this.#options = options;
    this.#current = current;
  }

  static async load(options: ConfigurationOptions): Promise<Configuration> {
    const config = loadConfig(await contextOf(options, undefined));
    await options.store.putPicks(config.picked).catch((error: unknown) => {
      // A full disk stops nobody who has all he needs.
      const reason = (error as Error).message;
      options.store.warnings.push(`the subnets that were picked may be others after a restart: ${reason}`);
    });
    return new Configuration(options, config);
  }

  get file(): string {
    return this.#options.file;
  }

  get current(): Config {
    return this.#current;
  }

  /** What the file says now, which somebody may have edited since it was loaded; null: there is none. */
  read(): string | null {
    return readConfigText(this.#options);
  }

  /** The configuration that the file would give with this text. Throws what is wrong with it, and where. */
  async judge(text: string | null): Promise<Config> {
    return parseConfig(text, await contextOf(this.#options, this.#current));
  }

  /**
   * Puts what was judged in the place of `text`, which the file said when it was; then it holds.  Throws `conflict` when
   * the file says something else by now: who edits it by hand comes first.
   */
  async commit(config: Config, text: string | null): Promise<void> {
    // Before the file: a subnet that is remembered in vain does no harm.
    await this.#options.store.putPicks(config.picked);
    if (config.text !== text) {
      if (this.read() !== text) {
        throw new VmlanError('conflict', `${this.file} was changed by hand at the same time`, {
          hint: 'it stays as it is: type the command again',
        });
      }
      await writeConfigText(this.file, config.text);
    }
    this.#current = config;
  }

  /** What was committed could not be had: `config` holds, and the file says `text`, unless somebody has edited it. */
  async takeBack(config: Config, text: string | null): Promise<void> {
    if (text !== this.#current.text && this.read() === this.#current.text) await writeConfigText(this.file, text);
    this.#current = config;
  }
}

async function contextOf(options: ConfigurationOptions, before: Config | undefined): Promise<ConfigContext> {
  const { file, required, identify, hostRoutes, store, driver } = options;
  const running = new Set(await driver.list());
  return { file, required, identify, hostRoutes: hostRoutes(), picked: store.picks, running, before };
}
