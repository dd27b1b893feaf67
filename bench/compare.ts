/**
 * Rounds: every contender is made ready first, then all are measured in turn, round after round, each round beginning with
 * another one. What disturbs the machine for a while thus hits all of them, and ratios are taken within a round.
 *
 * Zone: control.
 */
import { messageOf } from './messages.ts';
import {
  isOurs,
  peerOf,
  type Failure,
  type Sample,
  type ScenarioResult,
  type Skipped,
  type TestInfo,
  type Verified,
} from './results.ts';
import type { RunOptions } from './scenario.ts';

export interface Contender<B> {
  readonly name: string;
  /** Why it cannot run here, or null. */
  readonly missing: string | null;
  readonly open: () => Promise<B>;
}

export interface BenchTest<B> extends TestInfo {
  /** One value for each metric. */
  measure(bed: B): Promise<Readonly<Record<string, number>>>;
  /** Contenders that it makes sense for; all of them without it. */
  readonly among?: (contender: string) => boolean;
  /** It is meant to be measured on something that has done nothing yet. */
  readonly cold?: true;
}

export type Comparison = Pick<ScenarioResult, 'tests' | 'contenders' | 'samples' | 'failures' | 'skipped' | 'verified'>;

/** After so many failures of one contender in one test it is left alone. */
const MAX_FAILURES = 2;

/** Most of it is waiting for programs to start; nothing is measured meanwhile. */
const OPENING_AT_ONCE = 2;

export class Rounds<B extends AsyncDisposable> {
  readonly #options: RunOptions;
  readonly #tests: readonly BenchTest<B>[];
  readonly #beds = new Map<string, B>();
  readonly #samples: Sample[] = [];
  readonly #failures: Failure[] = [];
  readonly #skipped: Skipped[] = [];
  readonly #verified: Verified[] = [];
  readonly #contenders: string[] = [];

  constructor(tests: readonly BenchTest<B>[], options: RunOptions) {
    this.#tests = tests;
    this.#options = options;
  }

  async open(contenders: readonly Contender<B>[], stack: AsyncDisposableStack): Promise<void> {
    const { only } = this.#options;
    const wanted = contenders.filter(({ name }) => only.length === 0 || isOurs(name) || only.includes(peerOf(name)));
    for (const { name, missing } of wanted) {
      this.#contenders.push(name);
      if (missing !== null) this.#skipped.push({ what: name, why: missing });
    }
    const opened = new Map<string, B>();
    const waiting = wanted.filter(({ missing }) => missing === null).values();
    const openAll = async (): Promise<void> => {
      for (const { name, open } of waiting) {
        const bed = await this.#attempt(name, 'start', open);
        if (bed !== null) opened.set(name, stack.use(bed));
      }
    };
    // All have to come to rest before what the others opened is closed.
    const ends = await Promise.allSettled(Array.from({ length: OPENING_AT_ONCE }, openAll));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
    for (const name of this.#contenders) {
      const bed = opened.get(name);
      if (bed !== undefined) this.#beds.set(name, bed);
    }
  }

  /** Our code is compiled before the first round, as it is before all others; that of peers always is. */
  async warmUp(): Promise<void> {
    const test = this.#tests.find(({ cold }) => cold !== true);
    if (test === undefined || this.#options.rounds === 1) return;
    for (const [name, bed] of this.#beds) {
      this.#options.signal.throwIfAborted();
      if (!isOurs(name)) continue;
      // What fails here fails in the first round, too, and is told there.
      if (test.among?.(name) ?? true) await test.measure(bed).catch(() => undefined);
    }
  }

  async measure(): Promise<void> {
    for (let round = 1; round <= this.#options.rounds; round++) {
      for (const test of this.#tests) {
        for (const name of this.#order(round, test)) await this.#measureOne(round, test, name);
      }
    }
  }

  async verify(check: (contender: string, bed: B) => Promise<Verified | null>): Promise<void> {
    for (const [name, bed] of this.#beds) {
      const verified = await this.#attempt(name, 'compared transfers', () => check(name, bed));
      if (verified === null) continue;
      this.#verified.push(verified);
      this.#options.progress(`${name}: ${verified.transfers} transfers compared, ${verified.wrong.length} wrong`);
    }
  }

  get comparison(): Comparison {
    return {
      tests: this.#tests.map(({ name, metrics }) => ({ name, metrics })),
      contenders: this.#contenders,
      samples: this.#samples,
      failures: this.#failures,
      skipped: this.#skipped,
      verified: this.#verified,
    };
  }

  #order(round: number, { among = () => true }: BenchTest<B>): string[] {
    const names = [...this.#beds.keys()].filter(among);
    const first = names.length === 0 ? 0 : (round - 1) % names.length;
    return [...names.slice(first), ...names.slice(0, first)];
  }

  async #measureOne(round: number, test: BenchTest<B>, contender: string): Promise<void> {
    const failed = this.#failures.filter((failure) => failure.contender === contender && failure.what === test.name);
    const bed = this.#beds.get(contender);
    if (bed === undefined || failed.length >= MAX_FAILURES) return;
    const values = await this.#attempt(contender, test.name, () => test.measure(bed));
    if (values === null) return;
    this.#samples.push({ test: test.name, contender, round, values });
    const shown = test.metrics.map(({ name, unit }) => `${(values[name] ?? NaN).toPrecision(4)} ${unit}`).join(', ');
    this.#options.progress(`round ${round}  ${test.name}  ${contender}: ${shown}`);
  }

  async #attempt<T>(contender: string, what: string, action: () => Promise<T>): Promise<T | null> {
    const { signal } = this.#options;
    signal.throwIfAborted();
    try {
      return await action();
    } catch (error) {
      signal.throwIfAborted(); // what it met is that its processes were ended
      const message = messageOf(error);
      this.#failures.push({ contender, what, message });
      this.#options.progress(`${contender} failed: ${what}: ${message}`);
      return null;
    }
  }
}

/** Opens, measures, verifies and closes. */
export async function compare<B extends AsyncDisposable>(
  contenders: readonly Contender<B>[],
  tests: readonly BenchTest<B>[],
  options: RunOptions,
  check: (contender: string, bed: B) => Promise<Verified | null> = () => Promise.resolve(null),
): Promise<Comparison> {
  await using stack = new AsyncDisposableStack();
  const rounds = new Rounds(tests, options);
  await rounds.open(contenders, stack);
  await rounds.warmUp();
  await rounds.measure();
  await rounds.verify(check);
  return rounds.comparison;
}

/**
 * The same with beds that are opened anew for each round: for what changes its bed for good. Peers take part in the first
 * round only: what takes them a minute (10 000 connections) is hardly another thing the next time.
 */
export async function compareFresh<B extends AsyncDisposable>(
  contenders: readonly Contender<B>[],
  tests: readonly BenchTest<B>[],
  options: RunOptions,
): Promise<Comparison> {
  const rounds: Comparison[] = [];
  for (let round = 1; round <= options.rounds; round++) {
    options.progress(`round ${round} of ${options.rounds}, on fresh beds`);
    const now = contenders.filter(({ name }) => round === 1 || isOurs(name));
    const one = await compare(now, tests, { ...options, rounds: 1 });
    rounds.push({ ...one, samples: one.samples.map((sample) => ({ ...sample, round })) });
  }
  return {
    tests: rounds[0]?.tests ?? [],
    contenders: rounds[0]?.contenders ?? [],
    samples: rounds.flatMap(({ samples }) => samples),
    failures: rounds.flatMap(({ failures }) => failures),
    skipped: rounds[0]?.skipped ?? [],
    verified: [],
  };
}
