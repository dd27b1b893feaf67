/**
 * Whether two runs agree. Figures of one contender move with the machine between two runs; ratios within a round do not,
 * and they are what the goals are about: they are judged, figures are only counted.
 *
 * Two summaries agree when one median lies within the spread of the other. Rounds that differ by chance alone fail that in
 * 4.8 of 100 pairs of five (12 of the 252 orders of ten values), so so many, and three standard deviations, are allowed.
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

const CHANCE = 12 / 252;
const SIGMAS = 3;
/** Apart by less than that is the same: the tick of a clock, the last digit. */
const SAME_SHARE = 0.02;

const within = (value: number, { min, max }: Summary): boolean => value >= min && value <= max;

export function agree({ first, second }: Pair): boolean {
  const apart = Math.abs(first.median - second.median);
  if (apart <= SAME_SHARE * Math.max(Math.abs(first.median), Math.abs(second.median))) return true;
  return within(first.median, second) || within(second.median, first);
}

function pairOf(what: string, first: Summary | null, second: Summary | null): Pair[] {
  return first === null || second === null ? [] : [{ what, first, second }];
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
  const expected = CHANCE * ratios.length;
  const allowed = Math.floor(expected + SIGMAS * Math.sqrt(expected * (1 - CHANCE)));
  return { ratios, figures, allowed };
}

/** For the terminal: every ratio, the figures that disagree, the verdict. */
export function repeatText({ ratios, figures, allowed }: Repeatability): { text: string; ok: boolean } {
  const line = (pair: Pair): string =>
    `${agree(pair) ? '✓' : '✗'} ${pair.what}: ${spread(pair.first)} and ${spread(pair.second)}`;
  const apart = ratios.filter((pair) => !agree(pair)).length;
  const moved = figures.filter((pair) => !agree(pair));
  const ok = ratios.length > 0 && apart <= allowed;
  const verdict = `${ok ? '✓' : '✗'} ratios: ${apart} of ${ratios.length} disagree, ${allowed} by chance`;
  const machine = `figures: ${moved.length} of ${figures.length} disagree (they move with the machine)`;
  return { text: [...ratios.map(line), '', ...moved.map(line), '', machine, verdict, ''].join('\n'), ok };
}
