/**
 * Slips of the finger, of every command, against a real daemon: each error names what it is about and ends with a step
 * to type, and the exit code is that of the table in docs/cli.md.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Vmlan } from '../support/vmlan.ts';

const CONFIG = `networks:
  lab:
    mode: user-v2
    subnet: 192.168.77.0/24
    dns: { hosts: { registry.lab.internal: 192.168.77.9 } }
    dhcp: { reservations: [{ guest: db, ip: 192.168.77.10 }] }
    forwards: [{ host: 127.0.0.1:28181, guest: web:80 }]
  dev: { mode: user, autostart: false }
`;

type Row = readonly [line: string, code: number, message: RegExp, hint: RegExp];

const UNKNOWN: readonly Row[] = [
  ['shwo web', 2, /unknown command 'shwo'/, /did you mean show\?/],
  ['network strat lab', 2, /unknown command 'strat'/, /did you mean start\?/],
  ['list --newtork lab', 2, /unknown option '--newtork'/, /did you mean --network\?/],
  ['show wbe', 3, /"wbe"/, /did you mean "web"\?/],
  ['rename wbe x', 3, /"wbe"/, /did you mean "web"\?/],
  ['detach wbe', 3, /"wbe"/, /did you mean "web"\?/],
  ['detach web --network dev', 3, /"web" has no NIC on network "dev"/, /: lab$/],
  ['show web network ip --network dev', 3, /"web" is not on network "dev"/, /: lab$/],
  ['list --network lba', 3, /"lba"/, /did you mean "lab"\?/],
  ['network start lba', 3, /"lba"/, /did you mean "lab"\?/],
  ['network leases lba', 3, /"lba"/, /did you mean "lab"\?/],
  ['network edit lba --set mtu=1500', 3, /"lba"/, /did you mean "lab"\?/],
  ['network reservation remove lab nobody', 3, /nothing is reserved for nobody/, /vmlan network reservation list lab/],
  ['forward remove 127.0.0.1:1', 3, /"127\.0\.0\.1:1"/, /vmlan forward list/],
  ['dns remove nothing.lab.internal', 3, /"nothing\.lab\.internal"/, /vmlan dns list/],
  ['dns query nothing.lab.internal --network lba', 3, /"lba"/, /did you mean "lab"\?/],
  ['shape wbe --delay 1ms', 3, /"wbe"/, /did you mean "web"\?/],
  ['shape list wbe', 3, /"wbe"/, /did you mean "web"\?/],
  ['shape clear wbe', 3, /"wbe"/, /vmlan shape list/],
  ['capture nobody', 3, /"nobody"/, /vmlan list, and vmlan network list/],
  ['config show networks.lab.mut', 3, /"networks\.lab\.mut"/, /vmlan config show/],
  ['config check /nowhere/networks.yaml', 2, /\/nowhere\/networks\.yaml does not exist/, /vmlan config check FILE/],
  ['restore /nowhere/backup.json', 3, /\/nowhere\/backup\.json/, /./],
  ['backup /nowhere/backup.json', 3, /\/nowhere\/backup\.json cannot be written/, /mkdir -p \/nowhere/],
  ['run new --image /nowhere/disk', 3, /disk image \/nowhere\/disk/, /ls \/nowhere/],
  ['run new --netns nowhere', 3, /namespace nowhere/, /ip netns list/],
  ['logs lba', 3, /"lba"/, /lab/],
];

const MISSING: readonly Row[] = [
  ['show', 2, /missing required argument 'guest'/, /vmlan show --help/],
  ['rename web', 2, /missing required argument 'name'/, /vmlan rename --help/],
  ['forward add 8080', 2, /missing required argument 'target'/, /vmlan forward add --help/],
  ['dns add a.lab.internal A', 2, /missing required argument 'value'/, /vmlan dns add --help/],
  ['network create', 2, /missing required argument 'name'/, /vmlan network create --help/],
  ['network autostart lab', 2, /missing required argument 'state'/, /vmlan network autostart --help/],
  ['wait web --for', 2, /'--for <condition>' argument missing/, /vmlan wait --help/],
  ['shape web', 2, /nothing to shape "web" by/, /vmlan shape web --delay/],
  ['shape clear', 2, /which shapes/, /vmlan shape clear GUEST/],
  ['attach web --kind qemu-server', 2, /--kind qemu-server/, /vmlan attach web --server/],
  ['attach web --exec', 2, /--exec and a command/, /--exec -- COMMAND/],
];

const WRONG: readonly Row[] = [
  ['show web network ipp', 2, /"ipp"/, /mode, controller, ip, mac/],
  ['rename web Bad_Name', 2, /"Bad_Name"/, /vmlan rename --help/],
  ['rename web gateway', 2, /"gateway"/, /e\.g\. web/],
  ['attach new --mac zz', 2, /mac: "zz": .*52:54:00/, /vmlan attach --help/],
  ['attach new --mac 01:00:5e:00:00:01', 2, /"01:00:5e:00:00:01": .*unicast/, /vmlan attach --help/],
  ['attach new --ip 1.2.3', 2, /ip: "1\.2\.3": .*IPv4/, /vmlan attach --help/],
  ['attach new --network lab --ip 10.9.9.9', 2, /10\.9\.9\.9 lies outside/, /vmlan network leases lab/],
  ['attach new --network lab --ip 192.168.77.10', 4, /192\.168\.77\.10 is reserved for db/, /reservation list lab/],
  ['attach web --mac 52:54:00:11:22:33', 4, /"web" is registered with/, /vmlan detach web --forget/],
  ['attach web --kind tap', 2, /'tap' is invalid.*qemu-stream/, /vmlan attach --help/],
  ['run new --memory lots', 2, /'lots' is invalid.*512M/, /vmlan run --help/],
  ['run new -- -daemonize', 2, /-daemonize/, /write --detach/],
  ['network create lab', 4, /"lab" exists already/, /vmlan network edit lab/],
  ['network create bad! --mode user-v2', 2, /name: "bad!"/, /vmlan network create --help/],
  ['network create x --subnet 10.1.2.0/33', 2, /"10\.1\.2\.0\/33": not a subnet/, /vmlan network create --help/],
  ['network create x --subnet 192.168.77.0/25', 2, /overlaps network "lab"/, /leave it out/],
  ['network create x --mtu 70000', 2, /mtu: 70000: more than 65520/, /vmlan network create --help/],
  ['network create x --set foo=1', 2, /unknown key "foo"/, /vmlan config schema/],
  ['network create x --reserve db=1.2.3', 2, /"1\.2\.3": not an IPv4/, /vmlan network create --help/],
  ['network create x --lease-time soon', 2, /"soon": not a duration/, /vmlan network create --help/],
  ['network delete lab', 4, /"lab" has guests: web/, /vmlan network delete lab --force/],
  ['network reservation add lab web 192.168.77.10', 4, /reserved for db/, /vmlan network reservation remove lab/],
  ['network reservation add lab web 192.168.77.300', 2, /"192\.168\.77\.300"/, /reservation add --help/],
  ['forward add 99999 web:80', 2, /"99999": a port is 1 to 65535/, /vmlan forward add --help/],
  ['forward add 8080 web', 2, /"web" is no address with a port/, /vmlan forward add --help/],
  ['forward add 127.0.0.1:28181 web:81', 4, /127\.0\.0\.1:28181 is forwarded/, /vmlan network edit lab/],
  ['forward add /nowhere/a.sock web:80', 3, /\/nowhere does not exist/, /mkdir -p \/nowhere/],
  ['forward remove 127.0.0.1:28181', 4, /configuration of network "lab"/, /vmlan network edit lab/],
  ['dns add a.lab.internal AA 1.2.3.4', 2, /type: "AA"/, /vmlan dns add --help/],
  ['dns add a.lab.internal A 1.2.3', 2, /"1\.2\.3" is no address/, /vmlan dns add --help/],
  ['dns add a.lab.internal A 1.2.3.4 --ttl -5', 2, /'-5' is invalid/, /vmlan dns add --help/],
  ['dns add registry.lab.internal A 192.168.77.9 --network lab', 4, /registry\.lab\.internal/, /network edit lab/],
  ['dns remove registry.lab.internal', 4, /stands in networks\.yaml/, /vmlan network edit lab/],
  ['dns query web.lab.internal FOO', 2, /"FOO"/, /e\.g\. A, AAAA/],
  ['shape web --delay soon', 2, /'soon' is invalid.*50ms/, /vmlan shape --help/],
  ['shape web --jitter 5ms', 2, /jitterMs: .*give the delay/, /vmlan shape --help/],
  ['shape web --loss 200%', 2, /lossPercent: 200: .*0 to 100/, /vmlan shape --help/],
  ['shape web --rate fast', 2, /'fast' is invalid.*10mbit/, /vmlan shape --help/],
  ['shape web --peer web --delay 1ms', 2, /"web" is the guest itself/, /vmlan list/],
  ['wait web --for port:0', 2, /'port:0' is invalid/, /vmlan wait --help/],
  ['wait web --timeout soon', 2, /'soon' is invalid.*duration/, /vmlan wait --help/],
  ['events --since soon', 2, /'soon' is invalid.*duration/, /vmlan events --help/],
  ['logs --lines x', 2, /--lines x/, /write 50/],
  ['logs lab --daemon', 2, /exclude each other/, /vmlan logs lab, or vmlan logs --daemon/],
  ['capture lab --filter portt', 2, /"portt"/, /tcp and port 80/],
  ['capture lab --ring 3', 2, /'3' is invalid.*5,10M/, /vmlan capture --help/],
  ['-o text list', 2, /'text' is invalid.*table, json, yaml/, /vmlan list --help/],
  ['--host tcp://x list', 2, /"tcp:\/\/x"/, /unix:\/\//],
];

/** Lines that run at a time: the processor is not all ours. */
const AT_ONCE = 4;

describe('an error says what it is about, and what to type', () => {
  let vmlan: Vmlan;
  before(async () => {
    vmlan = await Vmlan.create({ config: CONFIG });
    await vmlan.ok('up');
    await vmlan.ok('attach', 'web', '--network', 'lab', '--kind', 'vfkit');
  });
  after(() => vmlan.close());

  async function check([line, code, message, hint]: Row): Promise<void> {
    const { code: got, stdout, stderr } = await vmlan.run(line.split(' '));
    const told = `$ vmlan ${line}\n${stdout}${stderr}`;
    assert.deepEqual([got, stdout], [code, ''], told);
    const [, said, step] = /^vmlan: (.+)\nhint: (.+)\n$/.exec(stderr) ?? assert.fail(told);
    assert.match(said!, message, told);
    assert.match(step!, hint, told);
  }

  for (const [name, rows] of Object.entries({ UNKNOWN, MISSING, WRONG })) {
    test(`names and values that are ${name.toLowerCase()}`, async () => {
      for (let at = 0; at < rows.length; at += AT_ONCE) await Promise.all(rows.slice(at, at + AT_ONCE).map(check));
    });
  }

  test('a guest without an address prints none', async () => {
    const { code, stdout, stderr } = await vmlan.run(['show', 'web', 'network', 'ip']);
    assert.deepEqual([code, stdout], [3, '']);
    assert.match(stderr, /^vmlan: guest "web" has no ip now\nhint: .*vmlan wait web --for ip\n$/);
  });

  test('nothing of all this was taken for something', async () => {
    assert.deepEqual(await vmlan.json<object[]>('shape', 'list'), []);
    assert.equal((await vmlan.json<object[]>('forward', 'list')).length, 1);
    assert.equal(await vmlan.ok('list', '-q'), 'web\n');
    assert.equal(await vmlan.ok('network', 'list', '-q'), 'lab\ndev\n');
  });
});
