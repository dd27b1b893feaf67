/**
 * The bench: `npm run bench [-- SCENARIO…]`. Exit status 0 only when nothing of ours failed and every compared byte was
 * right; a goal that was missed is a figure, not a failure.
 *
 * Zone: control.
 */
import { observeConditions } from './conditions.ts';
import { installMissing } from './install.ts';
import { lock } from './lock.ts';
import { parseOptions, USAGE, type BenchOptions } from './options.ts';
import { markdown } from './report/markdown.ts';
import { writeReport } from './report/write.ts';
import { isOurs, type BenchResult, type ScenarioResult } from './results.ts';
import type { Scenario } from './scenario.ts';
import { SCENARIOS, selected } from './scenarios/all.ts';

const NOISY = 0.1; // of all cores, used by others

const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** What makes the figures worthless. */
function faults({ name, failures, verified }: ScenarioResult): string[] {
  return [
    ...failures.filter(({ contender }) => isOurs(contender)).map(({ what, message }) => `${name}: ${what}: ${message}`),
    ...verified
      .filter(({ contender }) => isOurs(contender))
      .flatMap(({ wrong }) => wrong.map((text) => `${name}: ${text}`)),
  ];
}

async function runAll(scenarios: readonly Scenario[], options: BenchOptions): Promise<BenchResult> {
  const conditions = await observeConditions(options);
  if (conditions.foreignLoad > NOISY) {
    say(`others use ${Math.round(conditions.foreignLoad * 100)} % of this machine: the figures will not mean much`);
  }
  const results: ScenarioResult[] = [];
  for (const scenario of scenarios) {
    say(`\n${scenario.id}. ${scenario.title}`);
    const result = await scenario.run({ ...options, progress: (line) => say(`   ${line}`) });
    for (const { what, why } of result.skipped) say(`   skipped: ${what}: ${why}`);
    results.push(result);
    // After each, so that a run that is cut off leaves what it had.
    await writeReport(options.out, { conditions, scenarios: results });
  }
  return { conditions, scenarios: results };
}

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) return void process.stdout.write(USAGE);
  if (options.list) {
    return void process.stdout.write(SCENARIOS.map(({ id, name, title }) => `${id}\t${name}\t${title}\n`).join(''));
  }
  const scenarios = selected(options.scenarios);
  if (process.getuid?.() !== 0) throw new Error('the bench needs root: it makes network namespaces');
  await lock();
  if (options.install) installMissing();
  const result = await runAll(scenarios, options);
  process.stdout.write(`\n${markdown(result)}`);
  say(`\nreport: ${options.out}/report.md`);
  const found = result.scenarios.flatMap(faults);
  for (const fault of found) say(`FAULT ${fault}`);
  process.exitCode = found.length === 0 ? 0 : 1;
}

try {
  await main();
} catch (error) {
  say(`error: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 2;
}
