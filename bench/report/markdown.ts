/**
 * The report as Markdown: conditions first, since no figure means anything without them, then per scenario the goals,
 * the figures, what grows with what, which transfers were compared, and what is missing and why.
 *
 * Zone: control. Pure.
 */
import { growth } from '../measure/slope.ts';
import { withoutFolders } from '../messages.ts';
import { isOurs, type BenchResult, type Conditions, type Metric, type ScenarioResult } from '../results.ts';
import { best, figure, judge, ratio } from './figures.ts';
import { losses } from './losses.ts';
import { number, spread } from './numbers.ts';

const MAX_MESSAGE = 200; // characters

type Row = readonly string[];

function table(head: Row, rows: readonly Row[]): string[] {
  if (rows.length === 0) return [];
  const line = (cells: Row): string => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line), ''];
}

function conditions(of: Conditions): string[] {
  const versions = Object.entries(of.versions).map(([name, version]) => `${name} ${version}`);
  return [
    ...table(
      ['condition', ''],
      [
        ['started', of.started],
        ['commit', of.commit],
        ['machine', `${of.cores} cores of ${of.cpu}, ${number(of.memoryGib)} GiB, Linux ${of.kernel}`],
        ['Node.js', of.node],
        ['rounds', `${of.rounds}, interleaved, ${of.seconds} s each; median [minimum–maximum]`],
        ['servers', of.servers === 'near' ? "on the host's loopback" : 'behind a veth of the host'],
        ['congestion control', of.congestionControl],
        ['others used before the run', `${number(of.foreignLoad * 100)} % of all cores`],
        ['peers', versions.join(', ')],
      ],
    ),
  ];
}

function goals(result: ScenarioResult): string[] {
  const rows = result.goals.map((goal): Row => {
    const { value, met, ours, against } = judge(result, goal);
    const sides = [ours, against].filter((side) => side !== null).join(' : ');
    const verdict = met === null ? 'not measured' : met ? '✓' : '✗';
    return [verdict, goal.test, goal.text, spread(value), value === null ? '' : sides];
  });
  return table(['', 'test', 'goal', 'reached', 'of'], rows);
}

const arrow = ({ better }: Metric): string => (better === 'higher' ? '↑' : '↓');

/** A row per metric, a column per contender; the best of them in bold, ours over the best of the others at the end. */
function figures(result: ScenarioResult): string[] {
  const contenders = result.contenders.filter((name) => result.samples.some(({ contender }) => contender === name));
  const ours = contenders.filter(isOurs);
  const theirs = contenders.filter((name) => !isOurs(name));
  const rows = result.tests.flatMap(({ name: test, metrics }) =>
    metrics.map((metric): Row => {
      const leader = contenders.length < 2 ? null : best(result, test, metric.name, contenders);
      const cells = contenders.map((contender) => {
        const text = spread(figure(result, test, metric.name, contender));
        return contender === leader ? `**${text}**` : text;
      });
      const our = best(result, test, metric.name, ours);
      const their = best(result, test, metric.name, theirs);
      const over = our === null || their === null ? null : ratio(result, test, metric.name, our, their);
      const unit = `${metric.name === metric.unit ? metric.unit : `${metric.name}, ${metric.unit}`} ${arrow(metric)}`;
      return [
        test,
        unit,
        ...cells,
        ...(theirs.length === 0 ? [] : [over === null ? '–' : `${spread(over)} × ${their}`]),
      ];
    }),
  );
  return table(['test', 'figure', ...contenders, ...(theirs.length === 0 ? [] : ['ours : best other'])], rows);
}

function series(result: ScenarioResult): string[] {
  const rows = result.series.map(({ contender, test, metric, over, points }): Row => {
    const grown = growth(points);
    const steps = points.map(({ size, cost }) => `${number(size)}: ${number(cost)}`).join(', ');
    const fit = grown === null ? '–' : `~ n^${grown.exponent.toFixed(2)} (× ${number(grown.factor)})`;
    return [contender, test, metric, over, steps, fit];
  });
  return table(['contender', 'test', 'cost', 'over', 'measured', 'growth'], rows);
}

function verified(result: ScenarioResult): string[] {
  if (result.verified.length === 0) return [];
  const rows = result.verified.map(({ contender, transfers, bytes, wrong }): Row => {
    const verdict = wrong.length === 0 ? 'none' : `**${wrong.length}: ${wrong.join('; ')}**`;
    return [contender, String(transfers), `${number(bytes / 1e6)} MB`, verdict];
  });
  return [
    'Compared transfers, under load, half of them with the server speaking first; those of a peer once in a run:',
    '',
    ...table(['contender', 'transfers', 'bytes', 'wrong'], rows),
  ];
}

/** Of an error with output of a program in it, the end tells most. */
function lastLine(message: string): string {
  const lines = message.split('\n').filter((line) => line.trim() !== '');
  return withoutFolders(lines.at(-1) ?? '').slice(0, MAX_MESSAGE);
}

function missing(result: ScenarioResult): string[] {
  const lines = [
    ...result.failures.map(
      ({ contender, what, message }) => `- **${contender} failed**: ${what}: ${lastLine(message)}`,
    ),
    ...result.skipped.map(({ what, why }) => `- skipped: ${what}: ${why}`),
  ];
  return lines.length === 0 ? [] : [...new Set(lines), ''];
}

function charts(result: ScenarioResult, files: ReadonlyMap<string, string>): string[] {
  const own = result.tests.flatMap(({ name }) => {
    const file = files.get(`${result.name}/${name}`);
    return file === undefined ? [] : [`![${name}](${file})`];
  });
  return own.length === 0 ? [] : [...own, ''];
}

function overview(result: BenchResult): string[] {
  const judged = result.scenarios.flatMap((scenario) =>
    scenario.goals.map((goal) => ({ scenario, figure: judge(scenario, goal) })),
  );
  const count = (met: boolean | null): number => judged.filter(({ figure: { met: is } }) => is === met).length;
  const missed = judged.filter(({ figure: { met } }) => met === false);
  const rows = missed.map(({ scenario: { id }, figure: { goal, value, ours, against } }): Row => {
    return [
      String(id),
      goal.test,
      goal.text,
      spread(value),
      [ours, against].filter((side) => side !== null).join(' : '),
    ];
  });
  return [
    `${count(true)} goals reached, ${count(false)} missed, ${count(null)} not measured.`,
    '',
    ...table(['scenario', 'test', 'goal missed', 'reached', 'of'], rows),
  ];
}

/** `?`: in some round it was the other way round. */
export function lossTable(result: BenchResult): string[] {
  const rows = losses(result).map(({ scenario, test, metric, ours, theirs, our, their, factor, unsure }): Row => {
    const what = metric.name === metric.unit ? metric.unit : `${metric.name}, ${metric.unit}`;
    return [
      scenario,
      test,
      what,
      `${ours}: ${spread(our)}`,
      `${theirs}: ${spread(their)}`,
      `${number(factor)}${unsure ? ' ?' : ''}`,
    ];
  });
  if (rows.length === 0) return ['Nowhere in this run.', ''];
  return table(['scenario', 'test', 'figure', 'vmlan', 'the better one', 'factor'], rows);
}

function peerFailures(result: BenchResult): string[] {
  const found = result.scenarios.flatMap(({ id, failures }) =>
    failures
      .filter(({ contender }) => !isOurs(contender))
      .map(({ contender, what }) => `${contender} (${id}: ${what})`),
  );
  return found.length === 0
    ? []
    : [`Peers that failed, or were not done in time: ${[...new Set(found)].join(', ')}.`, ''];
}

/** Conditions, then scenario by scenario, without charts. */
export function body(result: BenchResult): string[] {
  const lines = [...conditions(result.conditions), ...overview(result), ...peerFailures(result)];
  for (const scenario of result.scenarios) {
    lines.push(`### ${scenario.id}. ${scenario.title}`, '', scenario.conditions, '', ...goals(scenario));
    lines.push(...figures(scenario), ...series(scenario), ...missing(scenario));
  }
  return lines;
}

/** `chartFiles`: `SCENARIO/TEST` → the path of its chart, as seen from the report. */
export function markdown(result: BenchResult, chartFiles: ReadonlyMap<string, string> = new Map()): string {
  const lines = ['# Bench', '', ...conditions(result.conditions)];
  if (result.scenarios.length > 0) {
    lines.push('## In short', '', ...overview(result), ...peerFailures(result));
    lines.push('## Where vmlan loses', '', ...lossTable(result));
  }
  for (const scenario of result.scenarios) {
    lines.push(`## ${scenario.id}. ${scenario.title}`, '', scenario.conditions, '');
    lines.push(
      ...goals(scenario),
      ...figures(scenario),
      ...series(scenario),
      ...verified(scenario),
      ...missing(scenario),
    );
    lines.push(...charts(scenario, chartFiles));
  }
  return `${lines.join('\n').trimEnd()}\n`;
}
