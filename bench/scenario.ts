/**
 * What a scenario is, and what it is told.
 *
 * Zone: control.
 */
import type { ScenarioResult } from './results.ts';
import type { Servers } from './bed.ts';

export interface RunOptions {
  readonly rounds: number;
  /** Of one measurement. */
  readonly seconds: number;
  /** Small sizes and few transfers: to see that everything works, not to measure. */
  readonly quick: boolean;
  readonly servers: Servers;
  /** Peers to measure beside vmlan; all of them when empty. */
  readonly only: readonly string[];
  /** Peers whose transfers were compared in this run, or failed to be. */
  readonly compared: Set<string>;
  readonly progress: (line: string) => void;
  /** The user wants to stop. */
  readonly signal: AbortSignal;
}

export interface Scenario {
  /** As docs/performance.md numbers it. */
  readonly id: number;
  readonly name: string;
  readonly title: string;
  run(options: RunOptions): Promise<ScenarioResult>;
}
