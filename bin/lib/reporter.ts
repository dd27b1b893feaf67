/**
 * Reporter for `node --test` as bin/test wants it: a line per file, failures and skips in full, and the counts of the
 * run appended to the file VMLAN_TEST_TOTALS, which totals.ts adds up.
 *
 * Zone: control.
 */
import { appendFileSync } from 'node:fs';
import { relative } from 'node:path';
import type { TestEvent } from 'node:test/reporters';
import { inspect, styleText } from 'node:util';
import { coverageByLayer } from './coverage.ts';
import type { RunTotals } from './totals.ts';

type Result = Extract<TestEvent, { type: 'test:pass' | 'test:fail' }>['data'];

/** The layers that are held to their coverage; see bin/test. */
const LAYERS = (process.env['VMLAN_TEST_LAYERS'] ?? '').split('|');

const shown = (file: string | undefined): string => relative(process.cwd(), file ?? '');
const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

/** An error inside the runner's own error is what the test threw. */
function reason({ details }: Result): string {
  const error: unknown = 'error' in details ? details.error : undefined;
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return typeof cause === 'string'
    ? cause
    : inspect(cause, { colors: styleText('red', '', { stream: process.stdout }) !== '' });
}

function* failure(data: Result): Generator<string> {
  // A suite, and the process of a file, fail with what is inside them.
  if (/subtests? failed/.test(reason(data))) return;
  yield `${styleText('red', '✗')} ${shown(data.file)}:${data.line ?? 0}  ${data.name}\n`;
  yield `${reason(data).replaceAll(/^/gm, '    ')}\n`;
}

function fileLine(data: Extract<TestEvent, { type: 'test:summary' }>['data']): string {
  const { tests, skipped } = data.counts;
  const mark = data.success ? styleText('green', '✓') : styleText('red', '✗');
  const more = skipped > 0 ? `, ${skipped} skipped` : '';
  return `${mark} ${shown(data.file)}  ${tests} tests${more}, ${seconds(data.duration_ms)}\n`;
}

// oxlint-disable-next-line import/no-default-export -- the one export that node --test looks for
export default async function* report(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const totals: RunTotals = { passed: 0, failed: 0, skipped: 0, coverage: {} };
  for await (const { type, data } of source) {
    if (type === 'test:fail') yield* failure(data);
    else if (type === 'test:pass' && data.skip !== undefined) {
      yield `- ${shown(data.file)}  ${data.name}: skipped, ${data.skip === true ? 'no reason given' : data.skip}\n`;
    } else if (type === 'test:stderr') yield data.message;
    else if (type === 'test:coverage') totals.coverage = coverageByLayer(LAYERS, data.summary.files);
    else if (type === 'test:summary' && data.file !== undefined) yield fileLine(data);
    else if (type === 'test:summary') {
      const { tests, passed, skipped, todo } = data.counts;
      Object.assign(totals, { passed, failed: tests - passed - skipped - todo, skipped: skipped + todo });
      // A file that cannot even be loaded counts as no test.
      if (!data.success && totals.failed === 0) totals.failed = 1;
    }
  }
  const path = process.env['VMLAN_TEST_TOTALS'];
  if (path !== undefined) appendFileSync(path, `${JSON.stringify(totals)}\n`);
}
