/**
 * What a run of the bench leaves: the document that report/ renders, and that is written as JSON beside it.
 *
 * Zone: control. Plain data. A contender is `PEER` or `PEER/VARIANT`, for example `pasta/65520`.
 */
export interface Metric {
  readonly name: string;
  readonly unit: string;
  readonly better: 'higher' | 'lower';
}

export interface TestInfo {
  readonly name: string;
  /** The first one is charted. */
  readonly metrics: readonly Metric[];
}

/** One measurement: what one contender did in one test of one round. */
export interface Sample {
  readonly test: string;
  readonly contender: string;
  readonly round: number;
  readonly values: Readonly<Record<string, number>>;
}

export interface Failure {
  readonly contender: string;
  readonly what: string;
  readonly message: string;
}

export interface Skipped {
  readonly what: string;
  readonly why: string;
}

/** What the figures of our own contenders must reach. */
export interface Goal {
  /** As docs/performance.md words it. */
  readonly text: string;
  readonly test: string;
  readonly metric: string;
  /** Our contenders, and those they are measured against; of each the best by median counts. */
  readonly ours: readonly string[];
  /** Absent: `factor` is an absolute figure in the metric's unit. */
  readonly against?: readonly string[];
  readonly factor: number;
  readonly sense: 'at least' | 'at most';
}

/** Transfers whose bytes were compared. */
export interface Verified {
  readonly contender: string;
  readonly transfers: number;
  readonly bytes: number;
  readonly wrong: readonly string[];
}

/** Cost against size, for one contender. */
export interface Series {
  readonly contender: string;
  readonly test: string;
  readonly metric: string;
  /** What grows, for example `idle flows`. */
  readonly over: string;
  readonly points: readonly { readonly size: number; readonly cost: number }[];
}

export interface ScenarioResult {
  readonly id: number;
  readonly name: string;
  readonly title: string;
  readonly conditions: string;
  readonly tests: readonly TestInfo[];
  readonly contenders: readonly string[];
  readonly samples: readonly Sample[];
  readonly failures: readonly Failure[];
  readonly skipped: readonly Skipped[];
  readonly verified: readonly Verified[];
  readonly series: readonly Series[];
  readonly goals: readonly Goal[];
  /** How long it took. */
  readonly seconds?: number;
}

export interface Conditions {
  readonly started: string;
  readonly commit: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly kernel: string;
  readonly node: string;
  readonly congestionControl: string;
  readonly rounds: number;
  readonly seconds: number;
  readonly servers: 'near' | 'far';
  /** Share of all cores that others used just before the run, 0 to 1. */
  readonly foreignLoad: number;
  readonly versions: Readonly<Record<string, string>>;
}

export interface BenchResult {
  readonly conditions: Conditions;
  readonly scenarios: readonly ScenarioResult[];
}

/** Our own contenders, whose failures and wrong bytes fail the bench. */
export const OURS = 'vmlan';

export const peerOf = (contender: string): string => contender.split('/')[0] ?? contender;

export const isOurs = (contender: string): boolean => peerOf(contender) === OURS;
