import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import type { EventView } from '../../model/api.ts';
import { stubbedCli } from '../stubbed-cli.fixture.ts';

const cli = stubbedCli();
const { ask, ok } = cli;

describe('events', () => {
  const now = Date.now();
  const event = (id: number, more: Partial<EventView> = {}): EventView => ({
    ...{ id, timeMs: now - 1000 * (10 - id), type: 'guest-up', network: 'lab', guest: 'web' },
    ...{ message: `number ${id}`, ...more },
  });
  const idsOf = (text: string): number[] => text.trim().split('\n').map(Number);
  beforeEach(() => {
    cli.daemon.events = [
      event(1, { timeMs: now - 7_200_000, type: 'network-started', guest: null }),
      event(2),
      event(3, { guest: 'db', type: 'guest-registered' }),
      event(4, { network: null, guest: null, type: 'warning', message: 'odd\u001B[2J' }),
    ];
  });

  test('one a line, for people', async () => {
    const lines = (await ok('events')).replaceAll(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/gm, 'THEN').split('\n');
    assert.deepEqual(lines, [
      'THEN  network-started   lab  number 1',
      'THEN  guest-up          lab/web  number 2',
      'THEN  guest-registered  lab/db  number 3',
      'THEN  warning           odd\uFFFD[2J',
      '',
    ]);
    assert.ok((await ok('events', { terminal: true })).includes('\u001B[32mguest-up'));
  });

  test('chosen by age, number, network and guest', async () => {
    assert.deepEqual(idsOf(await ok('events -q')), [1, 2, 3, 4]);
    assert.deepEqual(idsOf(await ok('events -q --since 1h')), [2, 3, 4]);
    assert.deepEqual(idsOf(await ok('events -q -n 2')), [3, 4]);
    assert.deepEqual(idsOf(await ok('events -q --network lab')), [1, 2, 3]);
    assert.deepEqual(idsOf(await ok('events -q --guest db')), [3]);
    assert.equal(await ok('events -q --last 0'), '');
  });

  test('as documents', async () => {
    assert.deepEqual(JSON.parse(await ok('events -o json')), cli.daemon.events);
    assert.match(await ok('events -o yaml --guest db'), /^- id: 3\n/);
  });

  test('followed, until the daemon ends', async () => {
    const ended = 'vmlan: the daemon has ended\nhint: start it again with: vmlan up\n';
    const follow = async (line: string): Promise<string> => {
      const { code, stdout, stderr } = await ask(line);
      assert.deepEqual([code, stderr], [6, ended]);
      return stdout;
    };
    assert.deepEqual(idsOf(await follow('events -q --follow')), [1, 2, 3, 4]);
    const lines = (await follow('events -f -n 1 -o json')).trim().split('\n');
    assert.deepEqual(
      lines.map((line) => JSON.parse(line) as unknown),
      [cli.daemon.events[3]],
    );
    assert.match(await follow('events -f --guest web -o yaml'), /^---\nid: 2\n/);
  });
});
