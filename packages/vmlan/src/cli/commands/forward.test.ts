import assert from 'node:assert/strict';
import { test } from 'node:test';
import { forwardView } from '../stub-daemon.fixture.ts';
import { stubbedCli } from '../stubbed-cli.fixture.ts';

const cli = stubbedCli();
const { ask } = cli;

test('the protocol may stand behind a port, and is no part of a path', async () => {
  const added = async (line: string): Promise<unknown> => {
    cli.daemon.changes.length = 0;
    await ask(`forward add ${line}`);
    const { host, guest, protocol } = JSON.parse(/\{\} (.*)$/.exec(cli.daemon.changes[0] ?? '')?.[1] ?? '{}') as Record<
      string,
      string
    >;
    return [host, guest, protocol];
  };
  assert.deepEqual(await added('5353 dns:53/udp'), ['5353', 'dns:53', 'udp']);
  assert.deepEqual(await added('127.0.0.1:5353/udp dns:53'), ['127.0.0.1:5353', 'dns:53', 'udp']);
  assert.deepEqual(await added('--udp 5353 dns:53'), ['5353', 'dns:53', 'udp']);
  assert.deepEqual(await added('8080/tcp web:80/tcp'), ['8080', 'web:80', 'tcp']);
  assert.deepEqual(await added('/run/udp web:80'), ['/run/udp', 'web:80', 'tcp']);
});

test('forwards are removed by identifier, or by where they listen', async () => {
  cli.daemon.forwards = ['127.0.0.1:8080', '0.0.0.0:53', '/run/app.sock', '127.0.0.1:9000-9001'].map((host, i) =>
    forwardView(`f${i}`, host, 'web:80'),
  );
  for (const [word, id] of [
    ['8080', 'f0'],
    ['localhost:8080', 'f0'],
    ['*:53', 'f1'],
    ['/run/app.sock', 'f2'],
    ['9000-9001', 'f3'],
    ['f3', 'f3'],
  ] as const) {
    cli.daemon.changes.length = 0;
    assert.match((await ask(`forward rm ${word}`)).stdout, new RegExp(`^forward ${id} of .+ removed\n$`));
    assert.deepEqual(cli.daemon.changes, [`deleteForward {"id":"${id}"} {}`]);
  }
  const { code, stderr } = await ask('forward rm 81');
  assert.deepEqual([code, /listens at "81"\nhint: see: vmlan forward list/.test(stderr)], [3, true]);
});
