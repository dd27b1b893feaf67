/**
 * `vmlan wait`: returns when what is waited for happens, says what is missing when it does not, and looks once if so told.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { missing } from '../support/needs.ts';
import type { Namespace } from '../support/netns.ts';
import { serve } from '../support/peers.ts';
import type { Process } from '../support/process.ts';
import { World } from './world.ts';

const CONFIG = `
networks:
  lab: { mode: user-v2, subnet: 192.168.77.0/24, subnet6: fd77:1:2:3::/64 }
  dev: { mode: user-v2, subnet: 192.168.78.0/24, autostart: false }
`;

describe('wait', { skip: missing('ip', 'dhcpcd') }, () => {
  const stack = new AsyncDisposableStack();
  let world: World;
  let web: Namespace;
  let address: string;

  before(async () => {
    world = stack.use(await World.create({ config: CONFIG }));
    web = await world.namespaceGuest('web', { network: 'lab', configure: true });
    address = await web.waitForAddress('eth0', 4);
  });
  after(() => stack.disposeAsync());

  const wait = (...args: readonly string[]): Process => world.vmlan.start('wait', ...args);

  const holds = async (waiting: Process): Promise<string> => {
    const { code, stdout, stderr } = await waiting.exited;
    assert.equal(code, 0, stderr);
    return stdout.trim();
  };

  test('for what holds already', async () => {
    assert.equal(await holds(wait('web')), address);
    assert.equal(await holds(wait('web', '--for', 'link', '--for', 'dns', '--timeout', '0')), address);
    assert.match(await holds(wait('web', '--for', 'ip6')), /^fd77:1:2:3:/);
    assert.equal(await holds(wait('lab', '--for', 'running')), '');
    const document = JSON.parse(await holds(wait('web', '--output', 'json'))) as Record<string, unknown>;
    assert.deepEqual([document['name'], document['network'], document['address']], ['web', 'lab', address]);
  });

  test('for a guest that comes, and goes', async () => {
    await using coming = wait('late', '--for', 'ip');
    const late = await world.namespaceGuest('late', { network: 'lab', configure: true });
    assert.equal(await holds(coming), await late.waitForAddress('eth0', 4));
    await using going = wait('late', '--for', 'down');
    await world.vmlan.ok('detach', 'late');
    assert.equal(await holds(going), '');
  });

  test('for a server that starts', async () => {
    for (const protocol of ['tcp', 'udp'] as const) {
      await using waiting = wait('web', '--for', `port:8080/${protocol}`, '--timeout', '20s');
      const refused = await world.vmlan.run(['wait', 'web', '--for', `port:8080/${protocol}`, '--timeout', '0']);
      assert.equal(refused.code, 1, refused.stdout);
      assert.match(refused.stderr, new RegExp(`^vmlan: web refuses port 8080/${protocol}`));
      assert.equal(waiting.running, true);
      await using _server = await serve(web, [{ kind: `${protocol}-echo`, host: address, port: 8080 }]);
      assert.equal(await holds(waiting), address);
    }
  });

  test('for a network that starts', async () => {
    await using waiting = wait('dev', '--for', 'running');
    await world.vmlan.ok('network', 'start', 'dev');
    await holds(waiting);
  });

  test('in vain: the code and the words of a time-out', async () => {
    const table: [readonly string[], number, RegExp][] = [
      [
        ['nobody', '--timeout', '1s'],
        1,
        /^vmlan: nobody has no IPv4 address after 1 s \(waited for ip\)\nhint: see: vmlan show/,
      ],
      [['web', '--for', 'down', '--timeout', '0'], 1, /web still has its link to network "lab"/],
      [['nowhere', '--for', 'running', '--timeout', '0'], 1, /nowhere is not configured/],
      [['web', '--for', 'port:9/udp', '--timeout', '0'], 1, /refuses port 9\/udp/],
      [['web', '--for', 'sunshine'], 2, /must be one of: ip, ip6, dns/],
      [['web', '--for', 'port:70000'], 2, /must be one of/],
      [['web', '--timeout', 'soon'], 2, /must be a duration/],
    ];
    for (const [args, code, text] of table) {
      const ran = await world.vmlan.run(['wait', ...args]);
      assert.equal(ran.code, code, `${args.join(' ')}: ${ran.stderr}`);
      assert.match(ran.stderr, text);
    }
  });

  test('ends with the daemon', async () => {
    await using waiting = wait('nobody');
    const { pid } = await world.vmlan.status();
    process.kill(pid, 'SIGTERM');
    const { code, stderr } = await waiting.exited;
    assert.equal(code, 6);
    assert.match(stderr, /daemon/);
    await world.vmlan.ok('up');
  });
});
