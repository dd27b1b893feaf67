/**
 * Loads that begin again for as long as the soak lasts, each in a loop of its own. What a guest that nobody disturbs
 * meets is a failure; what ends because the soak ends is not.
 *
 * Zone: control.
 */
import { setTimeout as delay } from 'node:timers/promises';

const BREATH_MS = 250; // after a failure
const MAX_FAILURES = 50; // remembered

export class Loads {
  readonly failures: string[] = [];
  readonly #loops: Promise<void>[] = [];
  #ending = false;

  get ending(): boolean {
    return this.#ending;
  }

  /** `hard`: what it throws is a failure of the soak. */
  repeat(name: string, action: () => Promise<unknown>, { hard = true } = {}): void {
    this.#loops.push(this.#loop(name, action, hard));
  }

  fail(text: string): void {
    if (this.failures.length < MAX_FAILURES) this.failures.push(text);
  }

  /** No load begins again; those under way come to their own end. */
  end(): void {
    this.#ending = true;
  }

  async ended(): Promise<void> {
    await Promise.all(this.#loops);
  }

  async #loop(name: string, action: () => Promise<unknown>, hard: boolean): Promise<void> {
    while (!this.#ending) {
      try {
        await action();
      } catch (error) {
        if (this.#ending) return;
        if (hard) this.fail(`${name}: ${(error instanceof Error ? error.message : String(error)).slice(0, 300)}`);
        await delay(BREATH_MS);
      }
    }
  }
}
