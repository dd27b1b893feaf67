import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { API_EXAMPLES } from '../api/examples.ts';
import { exampleLine } from '../api/reference.ts';
import { API_ROUTES } from '../model/api.ts';
import { CONFIG, TestDaemon } from './daemon.fixture.ts';

const PAGE = join(import.meta.dirname, '../../../../docs/api.md');
const run = promisify(execFile);

test('the examples of docs/api.md succeed, one after the other', async () => {
  const page = readFileSync(PAGE, 'utf8');
  const [setup = '', ...examples] = [...page.matchAll(/^```sh\n(.*?)```$/gms)].map((match) => match[1]!);
  const api = setup.split('\n').find((line) => line.startsWith('api()'))!;
  await using daemon = await TestDaemon.start(CONFIG);
  for (const example of examples) {
    const script = `SOCKET=${daemon.paths.socket}; ${api}\n${example}`;
    const { stdout } = await run('bash', ['-euc', script]).catch((error: { stdout: string; message: string }) =>
      assert.fail(`${example}${error.message}\n${error.stdout}`),
    );
    const known = API_EXAMPLES.find((one) => exampleLine(one) === example.trim());
    if (known === undefined || known.route === 'events' || known.route === 'capture')
      assert.notEqual(stdout, '', example);
    else API_ROUTES[known.route].result.parse(stdout === '' ? null : JSON.parse(stdout));
  }
  assert.equal(examples.length, API_EXAMPLES.length + 2, 'one per route, /metrics and /openapi.json');
});
