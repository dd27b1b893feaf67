/**
 * Adds up what the runs of bin/test counted, holds the layers to their coverage, and prints the last line:
 * `N passed, N failed, N skipped`. Exit status 1 if anything failed or nothing ran.
 *
 *   totals.ts FILE         one JSON object a line: the reporter's, and one per static check
 *
 * Zone: control.
 */
import { readFileSync } from 'node:fs';

export interface RunTotals {
  passed: number;
  failed: number;
  skipped: number;
  /** Covered lines in percent, by layer. */
  coverage: Record<string, number>;
}

const MIN_LINES_PERCENT = 90;

function conclude(path: string): number {
  const sum = { passed: 0, failed: 0, skipped: 0 };
  for (const line of readFileSync(path, 'utf8').split('\n').filter(Boolean)) {
    const run = JSON.parse(line) as Partial<RunTotals>;
    sum.passed += run.passed ?? 0;
    sum.failed += run.failed ?? 0;
    sum.skipped += run.skipped ?? 0;
    for (const [layer, percent] of Object.entries(run.coverage ?? {})) {
      const enough = percent >= MIN_LINES_PERCENT;
      sum[enough ? 'passed' : 'failed']++;
      process.stdout.write(`${enough ? '✓' : '✗'} coverage of ${layer}: ${percent.toFixed(1)} % of lines\n`);
    }
  }
  const ran = sum.passed + sum.failed;
  if (ran === 0) process.stdout.write('no test ran\n');
  process.stdout.write(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped\n`);
  return ran > 0 && sum.failed === 0 ? 0 : 1;
}

if (process.argv[1] === import.meta.filename) process.exitCode = conclude(process.argv[2] ?? '');
