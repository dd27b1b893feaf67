/**
 * Machines that are no JavaScript on a network of the library: a namespace of the kernel's, one of an ordinary user's, and
 * Linux under QEMU, beside a guest made of JavaScript.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Network } from '../../src/index.ts';
import { needs, needsRoot } from '../support/needs.ts';
import { Lab } from '../support/netns.ts';
import { Process } from '../support/process.ts';
import { QEMU, QemuGuest } from '../support/qemu-guest.ts';

test('a namespace joins, is served, serves, and leaves no interface', async (t) => {
  if (!needsRoot(t) || !needs(t, 'busybox', 'ip')) return;
  await using lab = await Lab.create();
  const namespace = await lab.guest('lib');
  await using net = await Network.create();
  const web = await net.addGuest('web');
  web.serve(80, () => new Response('from JavaScript\n'));

  const joined = await net.attachNamespace('ns', { path: namespace.path });
  assert.match(await namespace.ip('-4', 'addr', 'show', 'dev', 'eth0'), new RegExp(`inet ${joined.address4}/24`));
  await namespace.output(['ping', '-c', '1', '-W', '2', web.address!]);
  assert.equal(
    await namespace.output(['busybox', 'wget', '-q', '-O', '-', `http://${web.address}/`]),
    'from JavaScript\n',
  );
  const server = namespace.start(['busybox', 'nc', '-l', '-p', '9', '-e', '/bin/echo', 'from the kernel']);
  t.after(() => server.stop());
  assert.deepEqual(await web.dns.resolve('ns'), [joined.address4]);
  for (let text = ''; text === '';) {
    text = await web.tcp.connect('ns', 9).then(
      (socket) => socket.text(),
      () => '', // it does not listen yet
    );
    if (text !== '') assert.equal(text, 'from the kernel\n');
  }
  await joined.close();
  await assert.rejects(namespace.ip('link', 'show', 'dev', 'eth0'));
});

test('a namespace of the process itself, or of nobody, is refused', async () => {
  await using net = await Network.create();
  await assert.rejects(net.attachNamespace('ns', { pid: process.pid }), { code: 'invalid' });
  await assert.rejects(net.attachNamespace('ns', { path: '/run/netns/vmlan-no-such' }), { code: 'not-found' });
});

test('a process of a user namespace joins by its pid', async (t) => {
  if (!needsRoot(t) || !needs(t, 'unshare', 'ip')) return;
  const holder = Process.start([
    'unshare',
    '--user',
    '--map-root-user',
    '--net',
    'sh',
    '-c',
    'echo here; exec sleep 60',
  ]);
  t.after(() => holder.stop());
  await holder.waitFor(/here/);
  await using net = await Network.create();
  const web = await net.addGuest('web');
  const joined = await net.attachNamespace('ns', { pid: holder.pid });
  assert.ok((await web.ping(joined.address4!)) >= 0);
});

test('Linux under QEMU joins with the arguments that it is given', async (t) => {
  if (!needs(t, QEMU)) return;
  await using net = await Network.create();
  const web = await net.addGuest('web');
  web.serve(80, () => new Response('from JavaScript\n'));
  const machine = await net.attachQemu('vm');
  await using vm = await QemuGuest.boot({ name: 'vm', netArgs: machine.arguments });
  const { ip } = await vm.waitLease();
  assert.deepEqual(await web.dns.resolve('vm'), [ip]);
  assert.equal(await vm.sh('wget -q -O - http://web/'), 'from JavaScript\n');
  assert.ok((await web.ping('vm')) >= 0);
});
