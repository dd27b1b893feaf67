import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { writeLog } from './log.fixture.ts';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { API_EXAMPLES } from '../api/examples.ts';
import { PLAIN_PATHS } from '../api/methods.ts';
import { exampleLine } from '../api/reference.ts';
import { API_ROUTES } from '../model/api.ts';
import type { RouteName } from '../model/api.ts';
import { CONFIG, TestDaemon } from './daemon.fixture.ts';

const PAGE = join(import.meta.dirname, '../../../../docs/api.md');
/** Served beside the table of routes. */
const PLAIN: readonly string[] = PLAIN_PATHS.map((path) => `api ${path}`);
const STREAMS: readonly RouteName[] = ['events', 'capture', 'logs'];
const run = promisify(execFile);

test('the examples of docs/api.md succeed, in the order of the table', async () => {
  const page = readFileSync(PAGE, 'utf8');
  const [setup = '', ...shown] = [...page.matchAll(/^```sh\n(.*?)\n```$/gms)].map((match) => match[1]!);
  const api = setup.split('\n').find((line) => line.startsWith('api()'))!;
  await using daemon = await TestDaemon.start(CONFIG);
  writeLog(daemon.paths.state, 'lab', ['2026-01-02T03:04:05.006Z warn something']);
  const curl = async (line: string): Promise<string> => {
    const script = `SOCKET=${daemon.paths.socket}; ${api}\n${line}`;
    const { stdout } = await run('bash', ['-euc', script]).catch((error: { stdout: string; message: string }) =>
      assert.fail(`${line}\n${error.message}\n${error.stdout}`),
    );
    return stdout;
  };
  for (const line of PLAIN) assert.notEqual(await curl(line), '', line);
  for (const example of API_EXAMPLES) {
    const line = exampleLine(example);
    const stdout = await curl(line);
    if (STREAMS.includes(example.route)) assert.notEqual(stdout, '', line);
    else API_ROUTES[example.route].result.parse(stdout === '' ? null : JSON.parse(stdout));
  }
  const tested = new Set([...API_EXAMPLES.map(exampleLine), ...PLAIN]);
  assert.deepEqual(
    shown.filter((line) => !tested.has(line)),
    [],
    'no line of the page is untested',
  );
  assert.equal(new Set(shown).size, new Set(API_EXAMPLES.map(({ route }) => route)).size + PLAIN.length);
});
