/**
 * Where another is better than vmlan: every figure of every peer, against ours of the same variant where there is one,
 * round by round.
 *
 * Zone: control. Pure.
 */
import type { Summary } from '../measure/statistics.ts';
import { isOurs, type BenchResult, type Metric, type ScenarioResult } from '../results.ts';
import { best, figure, ratio } from './figures.ts';

export interface Loss {
  readonly scenario: string;
  readonly test: string;
  readonly metric: Metric;
  readonly ours: string;
  readonly theirs: string;
  readonly our: Summary;
  readonly their: Summary;
  /** By how much the other is better, above 1. */
  readonly factor: number;
  /** In some round it was not. */
  readonly unsure: boolean;
}

const variantOf = (contender: string): string => contender.slice(contender.indexOf('/') + 1);

/** Ours at the same MTU, else the best of ours. */
function opponent(result: ScenarioResult, test: string, metric: string, theirs: string): string | null {
  const ours = result.contenders.filter(isOurs);
  const same = ours.find((name) => name.includes('/') && variantOf(name) === variantOf(theirs));
  return same ?? best(result, test, metric, ours);
}

function lossOf(result: ScenarioResult, test: string, metric: Metric, theirs: string): Loss | null {
  const ours = opponent(result, test, metric.name, theirs);
  if (ours === null) return null;
  const [our, their] = [figure(result, test, metric.name, ours), figure(result, test, metric.name, theirs)];
  const over = ratio(result, test, metric.name, ours, theirs);
  if (our === null || their === null || over === null || over.median === 0) return null;
  const higher = metric.better === 'higher';
  const factor = higher ? 1 / over.median : over.median;
  if (!(factor > 1)) return null;
  const unsure = over.min <= 1 && over.max >= 1;
  return { scenario: `${result.id}. ${result.title}`, test, metric, ours, theirs, our, their, factor, unsure };
}

/** The worst first. */
export function losses({ scenarios }: BenchResult): Loss[] {
  const found: Loss[] = [];
  for (const result of scenarios) {
    const others = result.contenders.filter((name) => !isOurs(name));
    for (const { name: test, metrics } of result.tests)
      for (const metric of metrics)
        for (const theirs of others) {
          const loss = lossOf(result, test, metric, theirs);
          if (loss !== null) found.push(loss);
        }
  }
  return found.sort((a, b) => b.factor - a.factor);
}
