/**
 * Starts networks again that ended by themselves, and tries again what could not be had.
 *
 * Zone: control.  The first restart follows at once; one that keeps dying is started ever more slowly.
 */
import type { Logger } from '../core/logger.ts';

/** Waits before the 1st, 2nd, … restart; the last one is repeated. */
export const RESTART_DELAYS_MS: readonly number[] = [50, 500, 1000, 2000, 5000, 10_000, 30_000];
/** A network that ran this long starts again at the first delay. */
const STABLE_AFTER_MS = 60_000;
export const RETRY_DELAY_MS = 5000;

export interface SupervisorTasks {
  /** Starts the network again with all that was there; throws when that fails. */
  readonly restart: (network: string) => Promise<void>;
  /** Tries what failed again; true when nothing is left to be tried. */
  readonly retry: (network: string) => Promise<boolean>;
}

interface Watched {
  restarts: number;
  attempt: number;
  startedMs: number;
  timer: NodeJS.Timeout | null;
}

export class Supervisor implements Disposable {
  readonly #tasks: SupervisorTasks;
  readonly #logger: Logger;
  readonly #watched = new Map<string, Watched>();

  constructor(tasks: SupervisorTasks, logger: Logger) {
    this.#tasks = tasks;
    this.#logger = logger;
  }

  restarts(network: string): number {
    return this.#watched.get(network)?.restarts ?? 0;
  }

  onStarted(network: string): void {
    this.#entry(network).startedMs = Date.now();
  }

  /** It ended and shall run. */
  onExited(network: string): void {
    const entry = this.#entry(network);
    if (Date.now() - entry.startedMs >= STABLE_AFTER_MS) entry.attempt = 0;
    this.#scheduleRestart(network, entry);
  }

  /** Parts of it are missing. */
  onIncomplete(network: string): void {
    const entry = this.#entry(network);
    entry.timer ??= setTimeout(() => void this.#retry(network, entry), RETRY_DELAY_MS).unref();
  }

  /** It shall no longer run. */
  forget(network: string): void {
    const entry = this.#watched.get(network);
    clearTimeout(entry?.timer ?? undefined);
    this.#watched.delete(network);
  }

  [Symbol.dispose](): void {
    for (const network of this.#watched.keys()) this.forget(network);
  }

  #entry(network: string): Watched {
    const entry = this.#watched.get(network) ?? { restarts: 0, attempt: 0, startedMs: 0, timer: null };
    this.#watched.set(network, entry);
    return entry;
  }

  #scheduleRestart(network: string, entry: Watched): void {
    if (entry.timer !== null) clearTimeout(entry.timer);
    const delayMs = RESTART_DELAYS_MS[Math.min(entry.attempt, RESTART_DELAYS_MS.length - 1)]!;
    entry.attempt++;
    entry.timer = setTimeout(() => void this.#restart(network, entry), delayMs);
  }

  async #restart(network: string, entry: Watched): Promise<void> {
    entry.timer = null;
    if (this.#watched.get(network) !== entry) return;
    entry.restarts++;
    entry.startedMs = Date.now();
    try {
      await this.#tasks.restart(network);
    } catch (error) {
      if (this.#watched.get(network) !== entry) return; // nobody wants it any more, or the daemon ends
      this.#logger.error(`network "${network}" cannot be started again`, { error });
      this.#scheduleRestart(network, entry);
    }
  }

  async #retry(network: string, entry: Watched): Promise<void> {
    entry.timer = null;
    if (this.#watched.get(network) !== entry) return;
    const isComplete = await this.#tasks.retry(network).catch(() => false);
    if (!isComplete && this.#watched.get(network) === entry) this.onIncomplete(network);
  }
}
