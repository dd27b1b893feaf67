/**
 * Samples, summed up: medians and spreads per contender, ratios round by round, and which goals are met.
 *
 * Zone: control. Pure.
 */
import { pairedRatios, summarize, type Summary } from '../measure/statistics.ts';
import type { Goal, Metric, ScenarioResult, TestInfo } from '../results.ts';

export interface GoalFigure {
  readonly goal: Goal;
  /** A ratio, or the figure itself for an absolute goal; null where a side was not measured. */
  readonly value: Summary | null;
  readonly met: boolean | null;
  /** Which of our contenders, and which of the others, were the best. */
  readonly ours: string | null;
  readonly against: string | null;
}

export function valuesByRound(
  result: ScenarioResult,
  test: string,
  metric: string,
  contender: string,
): Map<number, number> {
  const found = new Map<number, number>();
  for (const sample of result.samples) {
    const value = sample.values[metric];
    if (sample.test === test && sample.contender === contender && value !== undefined) found.set(sample.round, value);
  }
  return found;
}

export function figure(result: ScenarioResult, test: string, metric: string, contender: string): Summary | null {
  return summarize([...valuesByRound(result, test, metric, contender).values()]);
}

export function metricOf(tests: readonly TestInfo[], test: string, metric: string): Metric | undefined {
  return tests.find(({ name }) => name === test)?.metrics.find(({ name }) => name === metric);
}

/** The contender with the best median; null when none was measured. */
export function best(
  result: ScenarioResult,
  test: string,
  metric: string,
  contenders: readonly string[],
): string | null {
  const sign = metricOf(result.tests, test, metric)?.better === 'lower' ? -1 : 1;
  let found: string | null = null;
  let score = -Infinity;
  for (const contender of contenders) {
    const median = figure(result, test, metric, contender)?.median;
    if (median === undefined || sign * median <= score) continue;
    found = contender;
    score = sign * median;
  }
  return found;
}

/** Our best over another contender's figures, round by round. */
export function ratio(
  result: ScenarioResult,
  test: string,
  metric: string,
  ours: string,
  theirs: string,
): Summary | null {
  return pairedRatios(valuesByRound(result, test, metric, ours), valuesByRound(result, test, metric, theirs));
}

export function judge(result: ScenarioResult, goal: Goal): GoalFigure {
  const { test, metric, factor, sense } = goal;
  const ours = best(result, test, metric, goal.ours);
  const against = goal.against === undefined ? null : best(result, test, metric, goal.against);
  const value = valueOf(result, goal, ours, against);
  const met = value === null ? null : sense === 'at least' ? value.median >= factor : value.median <= factor;
  return { goal, value, met, ours, against };
}

function valueOf(result: ScenarioResult, goal: Goal, ours: string | null, against: string | null): Summary | null {
  if (ours === null) return null;
  if (goal.against === undefined) return figure(result, goal.test, goal.metric, ours);
  return against === null ? null : ratio(result, goal.test, goal.metric, ours, against);
}
