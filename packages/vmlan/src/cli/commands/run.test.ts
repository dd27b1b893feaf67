import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { until } from '../../core/deadline.fixture.ts';
import { stubbedCli } from '../stubbed-cli.fixture.ts';

const cli = stubbedCli();
const { ok } = cli;

describe('run --netns', () => {
  test('by process, path and name', async () => {
    const table: [string, string][] = [
      [`run c1 --netns ${process.pid}`, `{"pid":${process.pid},"interface":"eth0","configure":false}`],
      [
        'run c1 --netns /proc/self/ns/net --interface net0 --config-net',
        '{"path":"/proc/self/ns/net","interface":"net0","configure":true}',
      ],
    ];
    for (const [line, netns] of table) {
      cli.daemon.changes.length = 0;
      await ok(`${line} --network lab,ip=192.168.105.9 --mac 52:54:00:00:00:09`);
      assert.deepEqual(cli.daemon.changes, [
        `attachGuest {"name":"c1"} {"network":"lab","kind":"netns","mac":"52:54:00:00:00:09","ip":"192.168.105.9","netns":${netns}}`,
      ]);
    }
  });

  test('says what is there', async () => {
    assert.equal(
      await ok(`run c1 --netns ${process.pid}`),
      'guest "c1" is on network "lab": interface eth0, 52:54:00:12:34:56, ready for a DHCP client\n',
    );
    assert.match(await ok(`run c1 --netns ${process.pid} --config-net`), /, 192\.168\.105\.5\/24\n$/);
    assert.equal((JSON.parse(await ok(`run c1 --netns ${process.pid} -o json`)) as { nic: string }).nic, 'c1/0');
  });

  test('--wait ends with the link', async () => {
    const waiting = ok(`run c1 --netns ${process.pid} --wait`);
    await until('the guest is attached', 10_000, () => cli.daemon.guests.some(({ name }) => name === 'c1'));
    cli.daemon.guests = [];
    await waiting;
    assert.match(cli.daemon.changes.at(-1) ?? '', /^detachGuest \{"name":"c1"\} \{"network":"lab"\}$/);
  });
});
