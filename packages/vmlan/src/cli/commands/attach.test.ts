import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { stubbedCli } from '../stubbed-cli.fixture.ts';

const cli = stubbedCli();
const { ask, ok } = cli;

describe('attach', () => {
  test('prints one line that a shell reads', async () => {
    assert.equal(
      await ok('attach web --qemu-version 9.2'),
      '-netdev stream,id=vmlan0,server=off,addr.type=unix,addr.path=/run/v/web.sock,reconnect-ms=200 ' +
        '-device virtio-net-pci,netdev=vmlan0,mac=52:54:00:12:34:56,host_mtu=1500\n',
    );
    assert.equal(
      await ok('attach web --kind vfkit'),
      '--device virtio-net,unixSocketPath=/run/v/web.sock,mac=52:54:00:12:34:56\n',
    );
    assert.equal(await ok('attach web --kind vfkit -q'), 'web\n');
  });

  test('warns of a version that does not reconnect', async () => {
    const { code, stderr } = await ask('attach web --qemu-version 7.2');
    assert.deepEqual(
      [code, stderr],
      [
        0,
        'vmlan: warning: QEMU 7.2 cannot reconnect: the guest loses its link when its network restarts; QEMU 8.0 and later connect again\n',
      ],
    );
    assert.match((await ask('attach web', { env: { PATH: '/nowhere' } })).stderr, /version of QEMU is unknown/);
  });

  test('as a document', async () => {
    const text = await ok(
      'attach new --network dev --mac 52:54:00:00:00:07 --ip 10.0.0.7 --qemu-version 9.2 --kind qemu-dgram -o json',
    );
    assert.deepEqual(JSON.parse(text), {
      guest: 'new',
      network: 'dev',
      mac: '52:54:00:00:00:07',
      socket: '/run/v/web.sock',
      qemu: [
        '-netdev',
        'dgram,id=vmlan0,local.type=unix,local.path=/run/v/web.peer,remote.type=unix,remote.path=/run/v/web.sock',
        '-device',
        'virtio-net-pci,netdev=vmlan0,mac=52:54:00:00:00:07,host_mtu=1500',
      ],
    });
    assert.deepEqual(cli.daemon.changes, [
      'attachGuest {"name":"new"} {"network":"dev","kind":"qemu-dgram","mac":"52:54:00:00:00:07","ip":"10.0.0.7"}',
    ]);
    await ok('attach new --network dev,ip=10.0.0.8,mac=52:54:00:00:00:08 --ip 10.0.0.9 --qemu-version 9.2');
    assert.equal(
      cli.daemon.changes.at(-1),
      'attachGuest {"name":"new"} {"network":"dev","kind":"qemu-stream","mac":"52:54:00:00:00:08","ip":"10.0.0.9"}',
    );
    assert.match((await ask('attach new --network dev,vlan=3')).stderr, /Write NETWORK\[,ip=ADDRESS\]\[,mac=MAC\]/);
    assert.ok('vfkit' in (JSON.parse(await ok('attach web --kind vfkit -o json')) as object));
  });

  test('--exec runs the command and ends with its code', async () => {
    const { code } = await ask('attach web --kind vfkit --exec -- test 1 = 2');
    assert.equal(code, 2, 'test(1) refuses the arguments that were appended');
    assert.equal((await ask('attach web --kind vfkit --exec -- vml-no-such-program')).code, 3);
    assert.equal((await ask('attach web --kind vfkit --exec -- /etc')).code, 5);
  });
});
