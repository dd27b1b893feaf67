/**
 * Time, as the stack of a guest has it: real in a program, made up in a test.
 *
 * Zone: control.  Milliseconds that never go back.
 */
export interface Clock {
  now(): number;
  /** Runs it once, later; the result takes that back, and may be called at any time. */
  after(ms: number, run: () => void): () => void;
}

/** A timer that has one moment at most. */
export class Alarm {
  readonly #clock: Clock;
  readonly #run: () => void;
  #cancel: (() => void) | null = null;

  constructor(clock: Clock, run: () => void) {
    this.#clock = clock;
    this.#run = run;
  }

  get isSet(): boolean {
    return this.#cancel !== null;
  }

  /** Another moment takes the place of the one before. */
  set(ms: number): void {
    this.clear();
    this.#cancel = this.#clock.after(ms, () => {
      this.#cancel = null;
      this.#run();
    });
  }

  clear(): void {
    this.#cancel?.();
    this.#cancel = null;
  }
}
