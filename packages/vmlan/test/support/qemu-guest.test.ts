/**
 * The guest itself, on QEMU's own user network: what these tests rely on is proved without vmlan.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bootFirmware, QEMU, QemuGuest } from './qemu-guest.ts';
import { needs } from './needs.ts';
import { until } from './deadline.ts';

const USER_NETWORK = ['-netdev', 'user,id=n0', '-device', 'virtio-net-pci,netdev=n0,mac=52:54:00:00:00:01'];

test('a guest boots, gets a lease and runs commands side by side', async (t) => {
  if (!needs(t, QEMU, 'apt-get', 'dpkg-deb')) return;
  await using guest = await QemuGuest.boot({ name: 'alice', netArgs: USER_NETWORK });
  const lease = await guest.waitLease();
  assert.equal(lease.ip, '10.0.2.15');
  assert.equal(lease.router, '10.0.2.2');
  assert.equal(lease.prefixLength, 24);
  assert.equal((await guest.sh('hostname')).trim(), 'alice');
  assert.deepEqual(await guest.run('echo out; echo err >&2; exit 7'), { code: 7, stdout: 'out\nerr\n' });

  const order: string[] = [];
  const slow = guest.sh('until [ -e /tmp/go ]; do usleep 10000; done').then(() => order.push('slow'));
  await guest.sh('touch /tmp/go-not-yet').then(() => order.push('quick'));
  await guest.sh('touch /tmp/go');
  await slow;
  assert.deepEqual(order, ['quick', 'slow']);

  const binary = await guest.sh("head -c 200000 /dev/zero | tr '\\0' 'x'; printf '\\001\\n'; printf '9 0 3\\nabc'");
  assert.equal(binary, `${'x'.repeat(200_000)}\u0001\n9 0 3\nabc`);
  await assert.rejects(guest.run('sleep 1000', { timeoutMs: 300 }), /gave up after 300 ms: in the guest: sleep 1000/);
  assert.equal((await guest.run('sleep 0.2; pidof sleep')).code, 1, 'what timed out is killed in the guest');
  await assert.rejects(guest.sh('false'), /exit status 1/);
});

test('a guest that dies fails the command at once', async (t) => {
  if (!needs(t, QEMU, 'apt-get', 'dpkg-deb')) return;
  await using guest = await QemuGuest.boot({ name: 'bob', netArgs: [], dhcp: false });
  await assert.rejects(guest.sh('poweroff -f'), /the guest is gone/);
  await until('QEMU to end', 5000, () => !guest.running);
});

test('arguments that QEMU refuses are told, not waited for', async () => {
  await assert.rejects(
    QemuGuest.boot({ name: 'bad', netArgs: ['-netdev', 'nonsense'] }),
    /did not boot: QEMU has ended/,
  );
});

test('iPXE gets a lease without kernel or disk', async (t) => {
  if (!needs(t, QEMU)) return;
  const boot = await bootFirmware({ netArgs: USER_NETWORK });
  assert.equal(boot.address, '10.0.2.15');
  assert.equal(boot.gateway, '10.0.2.2');
});
