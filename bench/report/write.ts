/**
 * Writes a run to a folder: result.json with every sample, report.md, and a chart for each test.
 *
 * Zone: control. The folder holds one run; what an earlier one left there goes.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isOurs, type BenchResult, type ScenarioResult, type TestInfo } from '../results.ts';
import { figure } from './figures.ts';
import { markdown } from './markdown.ts';
import { barChart } from './svg.ts';

function chartOf(result: ScenarioResult, { name, metrics: [metric] }: TestInfo): string {
  if (metric === undefined) return '';
  const bars = result.contenders.flatMap((label) => {
    const summary = figure(result, name, metric.name, label);
    return summary === null ? [] : [{ label, summary, ours: isOurs(label) }];
  });
  const arrow = metric.better === 'higher' ? 'more is better' : 'less is better';
  return barChart({ title: name, unit: `${metric.unit}, ${arrow}`, bars });
}

const fileName = (text: string): string => text.replaceAll(/[^a-z0-9]+/gi, '-').replaceAll(/^-|-$/g, '');

/** Returns the path of the report. */
export async function writeReport(folder: string, result: BenchResult): Promise<string> {
  await rm(join(folder, 'charts'), { recursive: true, force: true });
  await mkdir(join(folder, 'charts'), { recursive: true });
  const files = new Map<string, string>();
  for (const scenario of result.scenarios) {
    for (const test of scenario.tests) {
      const svg = chartOf(scenario, test);
      if (svg === '') continue;
      const file = `charts/${fileName(`${scenario.name} ${test.name}`)}.svg`;
      files.set(`${scenario.name}/${test.name}`, file);
      await writeFile(join(folder, file), svg);
    }
  }
  await writeFile(join(folder, 'result.json'), `${JSON.stringify(result, null, 1)}\n`);
  const report = join(folder, 'report.md');
  await writeFile(report, markdown(result, files));
  return report;
}
