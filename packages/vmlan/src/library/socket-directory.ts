/**
 * Where the sockets of machine monitors lie: a directory that only its owner may enter, gone with the network.
 *
 * Zone: control.  It is made when the first socket is asked for: guests made of JavaScript need none.  A process that is
 * killed cannot clean up behind itself, so whoever makes such a directory first removes those of processes that are gone.
 */
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { atExit } from './at-exit.ts';

const NAME = /^vmlan-test-(\d+)-[A-Za-z0-9]{6}$/;

export class SocketDirectory {
  #path: string | null = null;
  #exit: Disposable | null = null;

  get path(): string {
    if (this.#path === null) {
      removeAbandoned();
      this.#path = mkdtempSync(join(tmpdir(), `vmlan-test-${process.pid}-`));
      this.#exit = atExit(() => this.remove());
    }
    return this.#path;
  }

  remove(): void {
    if (this.#path === null) return;
    rmSync(this.#path, { recursive: true, force: true });
    this.#path = null;
    this.#exit?.[Symbol.dispose]();
  }
}

function removeAbandoned(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = Number(NAME.exec(name)?.[1]);
    const path = join(tmpdir(), name);
    if (Number.isInteger(pid) && !isAlive(pid) && isOurs(path)) rmSync(path, { recursive: true, force: true });
  }
}

const isOurs = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.uid === process.getuid?.();

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
