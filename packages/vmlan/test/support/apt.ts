/**
 * Fetches Debian packages as files, without installing them and without privileges. Uses the machine's package lists,
 * or lists of its own in a private folder where the machine has none or stale ones.
 *
 * Zone: control.
 */
import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const exec = promisify(execFile);

export class Apt {
  readonly #folder: string;
  #options: readonly string[] = ['-o', 'APT::Sandbox::User=root'];
  #ownLists = false;

  /** `folder` receives the packages, and the lists if it comes to that. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The package that a meta package stands for: the first of its dependencies that matches. */
  dependency(metaPackage: string, pattern: RegExp): Promise<string> {
    return this.#retrying(async () => {
      const { stdout } = await exec('apt-cache', [...this.#options, 'show', '--no-all-versions', metaPackage]);
      const depends = /^Depends: (.*)$/m.exec(stdout)?.[1] ?? '';
      const name = depends
        .split(',')
        .map((dependency) => dependency.trim().split(' ')[0] ?? '')
        .find((dependency) => pattern.test(dependency));
      if (name === undefined) throw new Error(`package ${metaPackage} depends on nothing like ${String(pattern)}`);
      return name;
    });
  }

  download(packages: readonly string[]): Promise<void> {
    return this.#retrying(async () => {
      await exec('apt-get', [...this.#options, 'download', ...packages], { cwd: this.#folder });
    });
  }

  async #retrying<T>(action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      if (this.#ownLists) throw error;
      await this.#refresh();
      return action();
    }
  }

  async #refresh(): Promise<void> {
    const lists = join(this.#folder, 'lists');
    await mkdir(join(lists, 'partial'), { recursive: true });
    await mkdir(join(this.#folder, 'archives', 'partial'), { recursive: true });
    this.#options = [...this.#options, '-o', `Dir::State::lists=${lists}`, '-o', `Dir::Cache=${this.#folder}`];
    this.#ownLists = true;
    await exec('apt-get', [...this.#options, 'update']);
  }
}
