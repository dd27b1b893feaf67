/**
 * The bench: `npm run bench [-- SCENARIO…]`. Exit status 0 only when nothing of ours failed and every compared byte was
 * right; a goal that was missed is a figure, not a failure.
 *
 * Zone: control.
 */
import { readFile } from 'node:fs/promises';
import { endProcesses } from '../packages/vmlan/test/support/process.ts';
import { observeConditions } from './conditions.ts';
import { installMissing } from './install.ts';
import { lock } from './lock.ts';
import { messageOf } from './messages.ts';
import { parseOptions, USAGE, type BenchOptions } from './options.ts';
import { markdown } from './report/markdown.ts';
import { writeDocuments } from './report/documents.ts';
import { compareRuns, repeatText } from './report/repeat.ts';
import { writeReport } from './report/write.ts';
import { isOurs, OURS, type BenchResult, type ScenarioResult } from './results.ts';
import type { RunOptions, Scenario } from './scenario.ts';
import { PEER_NAMES, SCENARIOS, selected } from './scenarios/all.ts';

const NOISY = 0.1; // of all cores, used by others

const INTERRUPTED = 130;

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

/** A scenario that breaks off by itself is a failure of ours, and no reason to lose the others. */
async function attempt(scenario: Scenario, options: RunOptions): Promise<ScenarioResult> {
  try {
    return await scenario.run(options);
  } catch (error) {
    options.signal.throwIfAborted();
    const { id, name, title } = scenario;
    const failure = { contender: OURS, what: 'scenario', message: messageOf(error) };
    const nothing = { tests: [], contenders: [], samples: [], skipped: [], verified: [], series: [], goals: [] };
    return { id, name, title, conditions: 'It broke off.', ...nothing, failures: [failure] };
  }
}

async function runAll(
  scenarios: readonly Scenario[],
  options: BenchOptions,
  signal: AbortSignal,
): Promise<BenchResult> {
  const conditions = await observeConditions(options);
  if (conditions.foreignLoad > NOISY) {
    say(`others use ${Math.round(conditions.foreignLoad * 100)} % of this machine: the figures will not mean much`);
  }
  const results: ScenarioResult[] = [];
  const compared = new Set<string>();
  for (const scenario of scenarios) {
    say(`\n${scenario.id}. ${scenario.title}`);
    const started = performance.now();
    const elapsed = (): number => (performance.now() - started) / 1000;
    const progress = (line: string): void => say(`${elapsed().toFixed(1).padStart(6)} s  ${line}`);
    const found = await attempt(scenario, { ...options, signal, compared, progress });
    const result = { ...found, seconds: Math.round(elapsed()) };
    for (const { what, why } of result.skipped) say(`   skipped: ${what}: ${why}`);
    say(`   ${result.seconds} s`);
    results.push(result);
    // After each, so that a run that is cut off leaves what it had.
    await writeReport(options.out, { conditions, scenarios: results });
  }
  return { conditions, scenarios: results };
}

/** The first signal ends all processes and lets namespaces and folders be cleaned up, the second ends us at once. */
function stopOnSignals(): AbortSignal {
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (stop.signal.aborted) process.exit(INTERRUPTED);
      say('\nstopping …');
      stop.abort(new Error('stopped by a signal'));
      endProcesses();
    });
  }
  return stop.signal;
}

async function load(file: string): Promise<BenchResult> {
  return JSON.parse(await readFile(file, 'utf8')) as BenchResult;
}

async function compareFiles([first = '', second = '']: readonly string[]): Promise<void> {
  const { text, ok } = repeatText(compareRuns(await load(first), await load(second)));
  process.stdout.write(text);
  process.exitCode = ok ? 0 : 1;
}

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) return void process.stdout.write(USAGE);
  if (options.list) {
    return void process.stdout.write(SCENARIOS.map(({ id, name, title }) => `${id}\t${name}\t${title}\n`).join(''));
  }
  if (options.compare.length > 0) return compareFiles(options.compare);
  if (options.from !== undefined) return writeDocuments(await load(options.from));
  const unknown = options.only.filter((name) => !PEER_NAMES.includes(name));
  if (unknown.length > 0)
    throw new Error(`no peer is called ${unknown.join(', ')}; there are ${PEER_NAMES.join(', ')}`);
  const scenarios = selected(options.scenarios);
  if (process.getuid?.() !== 0) throw new Error('the bench needs root: it makes network namespaces');
  await lock();
  if (options.install) installMissing();
  const result = await runAll(scenarios, options, stopOnSignals());
  process.stdout.write(`\n${markdown(result)}`);
  if (options.writeDocs) await writeDocuments(result);
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
