/**
 * Whether two runs agree. Figures of one contender move with the machine between two runs; ratios within a round do not,
 * and they are what the goals are about: they are judged, figures are only counted.
 *
 * Two summaries agree when one median lies within the spread of the other. Rounds that differ by chance alone fail that too,
 * in 4.8 of 100 pairs of five and 20 of 100 pairs of three: so many, and three standard deviations, are allowed. A single
 * round has no spread and cannot be compared.
 *
 * Zone: control. Pure.
 */
import type { Summary } from '../measure/statistics.ts';
import type { BenchResult, ScenarioResult } from '../results.ts';
import { figure, judge } from './figures.ts';
import { spread } from './numbers.ts';

export interface Pair {
  readonly what: string;
  readonly first: Summary;
  readonly second: Summary;
}

export interface Repeatability {
  readonly ratios: readonly Pair[];
  readonly figures: readonly Pair[];
  /** Disagreeing ratios that chance explains. */
  readonly allowed: number;
}

const SIGMAS = 3;
const MIN_ROUNDS = 2;
/** Apart by less than that is the same: the tick of a clock, the last digit. */
const SAME_SHARE = 0.02;

/** Of `n` things, `k` at a time. */
function choices(n: number, k: number): number {
  return k === 0 ? 1 : (choices(n - 1, k - 1) * n) / k;
}

/**
 * How often two samples of the same disagree. In such an order the lower half of one, its median included, lies before all
 * of the other, and the upper half of the other behind all of the one; what is between them may be mixed in any way.
 */
export function chanceOfDisagreeing(first: number, second: number): number {
  const [upper, lower] = [(first - 1) >> 1, (second - 1) >> 1];
  return (2 * choices(upper + lower, upper)) / choices(first + second, first);
}

const within = (value: number, { min, max }: Summary): boolean => value >= min && value <= max;

export function agree({ first, second }: Pair): boolean {
  const apart = Math.abs(first.median - second.median);
  if (apart <= SAME_SHARE * Math.max(Math.abs(first.median), Math.abs(second.median))) return true;
  return within(first.median, second) || within(second.median, first);
}

function pairOf(what: string, first: Summary | null, second: Summary | null): Pair[] {
  if (first === null || second === null || Math.min(first.count, second.count) < MIN_ROUNDS) return [];
  return [{ what, first, second }];
}

/** Both goals against the contender that was the best of the first run: another choice is another figure. */
function ratioPairs(first: ScenarioResult, second: ScenarioResult): Pair[] {
  return first.goals.flatMap((goal) => {
    const { value, ours, against } = judge(first, goal);
    if (ours === null || goal.against === undefined || against === null) return [];
    const same = judge(second, { ...goal, ours: [ours], against: [against] });
    return pairOf(`${first.id}. ${goal.test}: ${ours} : ${against}, ${goal.metric}`, value, same.value);
  });
}

function figurePairs(first: ScenarioResult, second: ScenarioResult): Pair[] {
  return first.tests.flatMap(({ name: test, metrics }) =>
    metrics.flatMap(({ name: metric }) =>
      first.contenders.flatMap((contender) => {
        const of = (result: ScenarioResult): Summary | null => figure(result, test, metric, contender);
        return pairOf(`${first.id}. ${test}: ${contender}, ${metric}`, of(first), of(second));
      }),
    ),
  );
}

const unique = (pairs: readonly Pair[]): Pair[] => [...new Map(pairs.map((pair) => [pair.what, pair])).values()];

export function compareRuns(first: BenchResult, second: BenchResult): Repeatability {
  const both = first.scenarios.flatMap((one) => {
    const other = second.scenarios.find(({ id }) => id === one.id);
    return other === undefined ? [] : [[one, other] as const];
  });
  const ratios = unique(both.flatMap(([one, other]) => ratioPairs(one, other)));
  const figures = both.flatMap(([one, other]) => figurePairs(one, other));
  const chances = ratios.map(({ first: { count }, second: { count: again } }) => chanceOfDisagreeing(count, again));
  const expected = chances.reduce((sum, chance) => sum + chance, 0);
  const variance = chances.reduce((sum, chance) => sum + chance * (1 - chance), 0);
  const allowed = Math.floor(expected + SIGMAS * Math.sqrt(variance));
  return { ratios, figures, allowed };
}

/** For the terminal: every ratio, the figures that disagree, the verdict. */
export function repeatText({ ratios, figures, allowed }: Repeatability): { text: string; ok: boolean } {
  const line = (pair: Pair): string =>
    `${agree(pair) ? '✓' : '✗'} ${pair.what}: ${spread(pair.first)} and ${spread(pair.second)}`;
  const apart = ratios.filter((pair) => !agree(pair)).length;
  const moved = figures.filter((pair) => !agree(pair));
  const ok = ratios.length > 0 && apart <= allowed;
  const verdict =
    ratios.length === 0
      ? '✗ no ratio is in both runs with two rounds or more: nothing to compare'
      : `${ok ? '✓' : '✗'} ratios: ${apart} of ${ratios.length} disagree, ${allowed} by chance`;
  const machine = `figures: ${moved.length} of ${figures.length} disagree (they move with the machine)`;
  return { text: [...ratios.map(line), '', ...moved.map(line), '', machine, verdict, ''].join('\n'), ok };
}
