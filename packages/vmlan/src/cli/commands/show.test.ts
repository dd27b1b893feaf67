import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { stubbedCli } from '../stubbed-cli.fixture.ts';
import { forwardView, guestView, nicView } from '../stub-daemon.fixture.ts';

const cli = stubbedCli();
const { ask, ok } = cli;

describe('show', () => {
  const forwards = [
    forwardView('f1', '127.0.0.1:8080', 'web:80'),
    forwardView('f2', '/run/web.sock', '[fd00:105::5]:9000'),
    forwardView('f3', '127.0.0.1:8082', 'db:80'),
    forwardView('f4', '/run/app.sock', '5000', { direction: 'reverse' }),
    forwardView('f5', '[::1]:8000-8010', 'web:8000-8010', { network: 'dev', state: 'stopped' }),
  ];

  test('a summary', async () => {
    const text = await ok('show web');
    assert.match(text, /^\+-+\+-+\+\n\| name +\| web +\|\n\+-/);
    assert.match(text, /^\| network +\| user-v2 192\.168\.105\.5 +\|$/m);
    assert.match(text, /^\| nics +\| web\/0 on lab +\|$/m);
    assert.match(text, /^\| names +\| web\.lab\.internal web\.vmlan\.internal +\|$/m);
    assert.match(text, /^\| age +\| 1m +\|$/m);
    assert.match(text, /^\| dropped +\| 3 +\|$/m);
    assert.doesNotMatch(text, /shape/);
    assert.deepEqual(JSON.parse(await ok('show web -o json')), cli.daemon.guests[0]);
  });

  test('one field and nothing else', async () => {
    assert.equal(await ok('show web ip'), '192.168.105.5\n');
    assert.equal(await ok('show web network ip'), '192.168.105.5\n');
    assert.equal(await ok('show web network mode'), 'user-v2\n');
    assert.equal(await ok('show web network controller'), 'virtio-net\n');
    assert.equal(await ok('show web network gateway'), '192.168.105.2\n');
  });

  test('an address that is not there yet, or no longer, is none', async () => {
    const refused = async (line: string, state: string): Promise<void> => {
      const stderr = `vmlan: guest "web" has no ${line.includes('ipv6') ? 'ipv6' : 'ip'} now\nhint: ${state}\n`;
      assert.deepEqual(await ask(line), { code: 3, stdout: '', stderr });
    };
    cli.daemon.guests = [guestView('web', { address4: [], ip: '192.168.105.7' })];
    await refused('show web network ip', 'it has not asked for one yet: vmlan wait web --for ip');
    assert.match(await ok('show web'), /^\| network +\| user-v2 +\|$/m);
    cli.daemon.guests = [guestView('web', { state: 'waiting' })];
    await refused('show web network ip', 'its link is down: start it, then vmlan wait web --for ip');
    await refused('show web network ipv6', 'its link is down: start it, then vmlan wait web --for ip6');
    assert.doesNotMatch(await ok('show web network'), /\| ip /);
    assert.equal('ip' in (JSON.parse(await ok('show web network -o json')) as object), false);
  });

  test('a field without a value is not found', async () => {
    assert.deepEqual(await ask('show web shape'), {
      code: 3,
      stdout: '',
      stderr: 'vmlan: guest "web" has no shape now\nhint: see what there is: vmlan show web\n',
    });
  });

  test('the network of a card, and the forwards below', async () => {
    const table = await ok('show web network');
    assert.ok(
      table.startsWith(
        [
          '+------------+-------------------+',
          '| mode       | user-v2           |',
          '+------------+-------------------+',
          '| controller | virtio-net        |',
          '+------------+-------------------+',
          '| ip         | 192.168.105.5     |',
          '+------------+-------------------+',
          '| mac        | 52:54:00:12:34:56 |',
          '+------------+-------------------+',
          '| network    | lab               |',
          '',
        ].join('\n'),
      ),
      table,
    );
    assert.doesNotMatch(table, /port_forwarding_rules/);
    cli.daemon.forwards = [...forwards];
    assert.equal(
      (await ok('show web network')).slice(table.length),
      [
        '',
        'port_forwarding_rules:',
        '+------+----------+------------+---------------+',
        '| name | protocol | guest_port | host_port     |',
        '+------+----------+------------+---------------+',
        '| f1   | tcp      | 80         | 8080          |',
        '+------+----------+------------+---------------+',
        '| f2   | tcp      | 9000       | /run/web.sock |',
        '+------+----------+------------+---------------+',
        '',
      ].join('\n'),
    );
  });

  test('the network of a card, for scripts', async () => {
    cli.daemon.forwards = [...forwards];
    assert.partialDeepStrictEqual(JSON.parse(await ok('show web network -o json')), {
      mode: 'user-v2',
      controller: 'virtio-net',
      ip: '192.168.105.5',
      mac: '52:54:00:12:34:56',
      mtu: 65_520,
      port_forwarding_rules: [
        { name: 'f1', protocol: 'tcp', guest_port: 80, host_port: 8080, host: '127.0.0.1:8080', state: 'listening' },
        { name: 'f2', protocol: 'tcp', guest_port: 9000, host: '/run/web.sock', state: 'listening' },
      ],
    });
    assert.match(await ok('show web network -o yaml'), /^mode: user-v2\ncontroller: virtio-net\n/);
    assert.equal(await ok('show web network -q'), 'web\n');
  });

  test('another of its networks', async () => {
    const second = nicView('web', { key: 'web/1', network: 'dev', address4: ['10.0.0.9'], attachment: 'netns' });
    cli.daemon.guests = [{ ...guestView('web'), nics: [nicView('web'), second] }];
    assert.equal(await ok('show web network ip --network dev'), '10.0.0.9\n');
    assert.equal(await ok('show web network controller --network dev'), 'tap\n');
    assert.equal(await ok('show web nics'), 'web/0 on lab, web/1 on dev\n');
    cli.daemon.guests = [{ ...guestView('web', { attachment: null }), registered: false }];
    assert.equal((await ask('show web network controller')).code, 3);
  });

  test('its forwards and no others', async () => {
    cli.daemon.forwards = [...forwards];
    assert.equal(await ok('show web port -q'), 'f1\nf2\nf5\n');
    assert.equal(await ok('show web port host'), '127.0.0.1:8080\n/run/web.sock\n[::1]:8000-8010\n');
    assert.equal(await ok('show web port host_ip'), '127.0.0.1\n-\n::1\n');
    assert.equal(
      await ok('show web port'),
      [
        '+------+----------+------------+---------------+-----------+---------+------+-----------+',
        '| name | protocol | guest_port | host_port     | host_ip   | network | open | state     |',
        '+------+----------+------------+---------------+-----------+---------+------+-----------+',
        '| f1   | tcp      | 80         | 8080          | 127.0.0.1 | lab     | 2    | listening |',
        '+------+----------+------------+---------------+-----------+---------+------+-----------+',
        '| f2   | tcp      | 9000       | /run/web.sock | -         | lab     | 2    | listening |',
        '+------+----------+------------+---------------+-----------+---------+------+-----------+',
        '| f5   | tcp      | 8000-8010  | 8000-8010     | ::1       | dev     | 2    | stopped   |',
        '+------+----------+------------+---------------+-----------+---------+------+-----------+',
        '',
      ].join('\n'),
    );
    assert.deepEqual(JSON.parse(await ok('show web port -o json')), [forwards[0], forwards[1], forwards[4]]);
  });

  test('is as wide as the terminal at most, and coloured only where that is wanted', async () => {
    cli.daemon.forwards = [...forwards, forwardView('f6', `/run/${'long/'.repeat(20)}x.sock`, 'web:80')];
    const wide = await ok('show web port');
    const onTerminal = await ok('show web port', { terminal: true });
    const width = (text: string): number => Math.max(...text.split('\n').map(({ length }) => length));
    assert.ok(width(wide) > 150);
    assert.ok(onTerminal.includes('\u001B[32mlistening\u001B[0m'));
    assert.equal(width(await ok('show web port', { terminal: true, env: { NO_COLOR: '1' } })), 100);
  });
});
