import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { stubbedCli } from '../stubbed-cli.fixture.ts';

const cli = stubbedCli();
const { ask, ok } = cli;

describe('shapes', () => {
  const cut = { partition: true };
  const both = { fromGuest: { delayMs: 5 }, toGuest: { delayMs: 5 } };
  beforeEach(() => {
    cli.daemon.shapes = [
      { id: 's1', network: 'lab', guest: 'web', peer: null, ...both },
      { id: 's2', network: 'lab', guest: 'db', peer: 'web', fromGuest: cut, toGuest: { lossPercent: 1 } },
      { id: 's3', network: 'dev', guest: 'far', peer: 'gateway', fromGuest: null, toGuest: cut },
    ];
  });

  test('are listed, one row for each way that differs', async () => {
    assert.match(
      await ok('shape list'),
      /^s1 +web +<-> +all .*\ns2 +db +-> +web .*partition\ns2 +db +<- +web .*loss 1%\ns3 /m,
    );
    assert.equal(await ok('shape list web -q'), 's1\ns2\n');
    assert.equal(await ok('shape ls --network dev -q'), 's3\n');
  });

  test('are told of in the status', async () => {
    assert.match(await ok('status'), /^shapes +3 in force, see: vmlan shape list$/m);
    cli.daemon.shapes = [];
    assert.doesNotMatch(await ok('status'), /^shapes/m);
  });

  test('are part of what a guest is shown as, from its side', async () => {
    assert.match(await ok('show web'), /^\| shape +\| <-> all: delay 5ms; <- db: partition; -> db: loss 1% +\|$/m);
    assert.equal(await ok('show web shape'), '<-> all: delay 5ms; <- db: partition; -> db: loss 1%\n');
  });

  for (const { line, ids } of [
    { line: 'shape clear web', ids: ['s1', 's2'] },
    { line: 'shape clear web db', ids: ['s1', 's2'] },
    { line: 'shape clear s3', ids: ['s3'] },
    { line: 'shape clear web --peer db', ids: ['s2'] },
    { line: 'shape clear --all', ids: ['s1', 's2', 's3'] },
    { line: 'shape clear --all --network dev', ids: ['s3'] },
  ]) {
    test(line, async () => {
      await ok(line);
      assert.deepEqual(
        cli.daemon.changes,
        ids.map((id) => `deleteShape {"id":"${id}"} {}`),
      );
    });
  }

  for (const [line, text] of [
    ['shape web', /nothing to shape "web" by\nhint: e\.g\. vmlan shape web/],
    ['shape web --delay 50', /a time with its unit/],
    ['shape web --rate 10mbps', /bits in a second/],
    ['shape web --loss 1', /a share, such as 1%/],
    ['shape web --rate 1mbit --limit x', /a size/],
    ['shape web --delay 1ms --seed x', /a number/],
    ['shape clear', /which shapes/],
    ['shape clear web --all', /not both/],
  ] as const) {
    test(`${line} is refused`, async () => {
      const { code, stderr } = await ask(line);
      assert.equal(code, 2, stderr);
      assert.match(stderr, text);
    });
  }

  test('nothing to clear is not found', async () => {
    assert.equal((await ask('shape clear other')).code, 3);
  });
});
