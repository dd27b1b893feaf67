import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { VmlanError } from '../../client/errors.ts';
import { vmlan } from '../capture-io.fixture.ts';
import type { Ran } from '../capture-io.fixture.ts';
import { StubDaemon, guestView } from '../stub-daemon.fixture.ts';

let daemon: StubDaemon;
beforeEach(async () => {
  daemon = await StubDaemon.start();
  daemon.guests = [];
});
afterEach(async () => daemon[Symbol.asyncDispose]());

/** A program that says it is QEMU, keeps its arguments, then does what `script` says. */
function fakeQemu(version: string, script = 'exit 0'): string {
  const path = join(daemon.directory, 'qemu');
  const lines = [
    `[ "$1" = --version ] && { echo "QEMU emulator version ${version}"; exit; }`,
    `printf '%s\\n' "$@" > ${path}.args`,
  ];
  writeFileSync(path, `#!/bin/sh\n${[...lines, script].join('\n')}\n`);
  chmodSync(path, 0o755);
  return path;
}

/** With -daemonize: a process of its own, and its number in the pid file. */
const DAEMONIZE = `
while [ $# -gt 0 ]; do [ "$1" = -pidfile ] && pidfile=$2; shift; done
sleep 100 >/dev/null 2>&1 & echo $! > "$pidfile"`;

const run = (line: string, qemu: string): Promise<Ran> =>
  vmlan(line.split(' '), {
    env: { VMLAN_HOST: `unix://${daemon.socket}`, VMLAN_QEMU: qemu, PATH: process.env['PATH'] },
  });

const argumentsOf = (qemu: string): string => readFileSync(`${qemu}.args`, 'utf8').trim().replaceAll('\n', ' ');

describe('in the foreground', () => {
  test('QEMU gets machine, card and what follows --', async () => {
    const qemu = fakeQemu('9.2.0');
    const line =
      'run web --network lab,mac=52:54:00:00:00:07 --memory 256M --cpus 2 --accel tcg --arch x86_64 -- -vga std';
    assert.deepEqual(await run(line, qemu), { code: 0, stdout: '', stderr: '' });
    assert.equal(
      argumentsOf(qemu),
      '-name web -nodefaults -no-user-config -machine q35 -accel tcg -cpu max -m 256M -smp 2 -display none -serial stdio ' +
        '-device virtio-rng-pci -netdev stream,id=vmlan0,server=off,addr.type=unix,addr.path=/run/v/web.sock,reconnect-ms=200 ' +
        '-device virtio-net-pci,netdev=vmlan0,mac=52:54:00:00:00:07,host_mtu=1500 -vga std',
    );
  });

  test('a new guest is forgotten afterwards, a known one only detached', async () => {
    const qemu = fakeQemu('9.2.0');
    await run('run web', qemu);
    assert.deepEqual(daemon.changes, [
      'attachGuest {"name":"web"} {"kind":"qemu-stream"}',
      'deleteGuest {"name":"web"} {}',
    ]);
    daemon.changes.length = 0;
    daemon.guests = [guestView('db', { state: 'waiting' })];
    await run('run db --ip 192.168.105.9', qemu);
    assert.deepEqual(daemon.changes, [
      'attachGuest {"name":"db"} {"kind":"qemu-stream","ip":"192.168.105.9"}',
      'detachGuest {"name":"db"} {"network":"lab"}',
    ]);
  });

  test('a guest that is connected is not started twice', async () => {
    daemon.guests = [guestView('web')];
    const { code, stderr } = await run('run web', fakeQemu('9.2.0'));
    assert.equal(code, 4);
    assert.match(stderr, /guest "web" is connected already\nhint: choose another name, or unplug it: vmlan detach web/);
    assert.deepEqual(daemon.changes, []);
  });

  test('QEMU that fails is a failure, and the guest is let go', async () => {
    const { code, stderr } = await run('run web', fakeQemu('9.2.0', 'exit 3'));
    assert.equal(code, 1);
    assert.match(stderr, /ended with code 3/);
    assert.match(daemon.changes.at(-1) ?? '', /^deleteGuest/);
  });

  test('a daemon that is gone by then has let go already', async () => {
    daemon.failure = { route: 'deleteGuest', error: new VmlanError('unavailable', 'gone') };
    assert.equal((await run('run web', fakeQemu('9.2.0'))).code, 0);
    daemon.guests = [];
    daemon.failure = { route: 'deleteGuest', error: new VmlanError('internal', 'a bug') };
    assert.equal((await run('run web', fakeQemu('9.2.0'))).code, 1);
  });

  test('an old QEMU gets a TCP socket, and the user is told', async () => {
    const qemu = fakeQemu('6.0.0');
    const { stderr } = await run('run web', qemu);
    assert.match(stderr, /never reconnects a socket netdev/);
    assert.match(argumentsOf(qemu), /-netdev socket,id=vmlan0,connect=127\.0\.0\.1:4000/);
    assert.match((await run('run web', fakeQemu('7.2.0'))).stderr, /QEMU 7\.2 cannot reconnect/);
  });

  test('files are found before anything is registered', async () => {
    const qemu = fakeQemu('9.2.0');
    for (const option of ['--kernel', '--initrd', '--image']) {
      assert.equal((await run(`run web ${option} /nowhere/file`, qemu)).code, 3, option);
    }
    assert.deepEqual(daemon.changes, []);
    const image = join(daemon.directory, 'disk');
    writeFileSync(image, '');
    await run(`run web --image ${image} --kernel ${image} --initrd ${image} --append quiet`, qemu);
    assert.match(
      argumentsOf(qemu),
      new RegExp(`file=${image},format=raw .*-kernel ${image} -initrd ${image} -append quiet`),
    );
  });
});

describe('in the background', () => {
  const end = (text: string): void =>
    void process.kill(Number(/pid (\d+)/.exec(text)?.[1] ?? /"pid": (\d+)/.exec(text)?.[1]));

  test('it returns with address, process and log', async () => {
    const qemu = fakeQemu('9.2.0', DAEMONIZE);
    const { code, stdout } = await run('run web --detach', qemu);
    end(stdout);
    assert.equal(code, 0);
    const log = join(daemon.directory, 'machines', 'web.log');
    assert.match(stdout, new RegExp(`^guest "web" has 192\\.168\\.105\\.5; pid \\d+, serial log ${log}\\n$`));
    assert.match(
      argumentsOf(qemu),
      new RegExp(`-serial file:${log} -daemonize -pidfile ${daemon.directory}/machines/web\\.pid`),
    );
    assert.ok(
      daemon.guests.some(({ name }) => name === 'web'),
      'the guest stays',
    );
  });

  test('without an address in time it says that it waits', async () => {
    daemon.guests = [guestView('web', { state: 'waiting', address4: [], address6: [] })];
    const { code, stdout } = await run('run web --detach --timeout 1 -o json', fakeQemu('9.2.0', DAEMONIZE));
    end(stdout);
    assert.equal(code, 0);
    assert.equal((JSON.parse(stdout) as { ip: string | null }).ip, null);
  });

  test('a machine that does not start, or ends at once, is an error', async () => {
    const refused = await run('run web --detach', fakeQemu('9.2.0', 'echo "qemu: no such device" >&2; exit 1'));
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /the machine did not start: qemu: no such device/);
    daemon.guests = [guestView('web', { state: 'waiting', address4: [] })];
    const ended = await run(
      'run web --detach',
      fakeQemu('9.2.0', DAEMONIZE.replace('sleep 100', 'true').replace('echo $!', 'wait; echo $!')),
    );
    assert.equal(ended.code, 1);
    assert.match(ended.stderr, /ended before it had an address\nhint: its serial log: /);
  });

  test('a pid file of the user is where the process is found', async () => {
    const qemu = fakeQemu('9.2.0', DAEMONIZE);
    const own = join(daemon.directory, 'own.pid');
    const { code, stdout, stderr } = await run(`run web --detach -- -pidfile ${own}`, qemu);
    end(stdout);
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, new RegExp(`pid ${readFileSync(own, 'utf8').trim()}, `));
    assert.equal(argumentsOf(qemu).split('-pidfile').length, 2);
    assert.ok(!existsSync(join(daemon.directory, 'machines', 'web.pid')));
  });

  test('a pid file that nobody wrote is one clear error', async () => {
    const { code, stderr } = await run('run web --detach', fakeQemu('9.2.0'));
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^vmlan: .*qemu runs, but its pid file cannot be read: .*\nhint: find the process, to end it: pgrep -af .*web\.pid/,
    );
  });

  test('QEMU that leaves by itself is told how', async () => {
    const { code, stderr } = await run('run web -- -daemonize', fakeQemu('9.2.0'));
    assert.deepEqual([code, daemon.changes], [2, []]);
    assert.match(stderr, /^vmlan: -daemonize: .*\nhint: write --detach before the --/);
  });

  test('the directory is private', async () => {
    mkdirSync(join(daemon.directory, 'machines'));
    const { stdout } = await run('run web --detach -q', fakeQemu('9.2.0', DAEMONIZE));
    assert.equal(stdout, 'web\n');
    const pid = join(daemon.directory, 'machines', 'web.pid');
    assert.ok(existsSync(pid));
    process.kill(Number(readFileSync(pid, 'utf8')));
  });
});
