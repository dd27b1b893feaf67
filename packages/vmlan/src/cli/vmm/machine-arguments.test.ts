import assert from 'node:assert/strict';
import { test } from 'node:test';
import { architectureOf, assertStays, machineArguments, ownPidFile } from './machine-arguments.ts';
import type { MachineOptions } from './machine-arguments.ts';

const LEAST: MachineOptions = {
  name: 'web',
  architecture: 'x86_64',
  kvm: false,
  memory: '1G',
  cpus: 1,
  image: null,
  kernel: null,
  initrd: null,
  append: null,
  serial: { kind: 'stdio' },
  network: ['-netdev', 'stream', '-device', 'virtio-net-pci'],
  extra: [],
};

const line = (more: Partial<MachineOptions>): string => machineArguments({ ...LEAST, ...more }).join(' ');
const HEAD = '-name web -nodefaults -no-user-config';
const MACHINE = '-machine q35 -accel tcg -cpu max -m 1G -smp 1';
const TAIL = '-device virtio-rng-pci -netdev stream -device virtio-net-pci';

test('the command line of QEMU', () => {
  const table: { name: string; more: Partial<MachineOptions>; want: string }[] = [
    { name: 'least', more: {}, want: `${HEAD} ${MACHINE} -display none -serial stdio ${TAIL}` },
    {
      name: 'terminal, with KVM and emulation behind it',
      more: { serial: { kind: 'terminal' }, kvm: true },
      want: `${HEAD} -machine q35 -accel kvm -accel tcg -cpu max -m 1G -smp 1 -display none -serial mon:stdio ${TAIL}`,
    },
    {
      name: 'another architecture',
      more: { architecture: 'aarch64', memory: '512M', cpus: 4 },
      want: `${HEAD} -machine virt -accel tcg -cpu max -m 512M -smp 4 -display none -serial stdio ${TAIL}`,
    },
    {
      name: 'disk',
      more: { image: { path: '/a,b/web.qcow2', format: 'qcow2' } },
      want: `${HEAD} ${MACHINE} -display none -serial stdio -drive if=none,id=disk0,file=/a,,b/web.qcow2,format=qcow2 -device virtio-blk-pci,drive=disk0 ${TAIL}`,
    },
    {
      name: 'kernel',
      more: { kernel: '/k', initrd: '/i', append: 'console=ttyS0' },
      want: `${HEAD} ${MACHINE} -display none -serial stdio -kernel /k -initrd /i -append console=ttyS0 ${TAIL}`,
    },
    {
      name: 'background',
      more: { serial: { kind: 'background', logPath: '/r/web.log', pidPath: '/r/web.pid' } },
      want: `${HEAD} ${MACHINE} -display none -serial file:/r/web.log -daemonize -pidfile /r/web.pid ${TAIL}`,
    },
    {
      name: 'background, with a pid file of the user',
      more: { serial: { kind: 'background', logPath: '/r/web.log', pidPath: '/r/web.pid' }, extra: ['--pidfile', 'x'] },
      want: `${HEAD} ${MACHINE} -display none -serial file:/r/web.log -daemonize ${TAIL} --pidfile x`,
    },
    {
      name: 'a display of the user',
      more: { extra: ['-display', 'gtk', '--serial', 'null'] },
      want: `${HEAD} ${MACHINE} ${TAIL} -display gtk --serial null`,
    },
    { name: '-nographic', more: { extra: ['-nographic'] }, want: `${HEAD} ${MACHINE} ${TAIL} -nographic` },
  ];
  for (const { name, more, want } of table) assert.equal(line(more), want, name);
});

test('architectures by their names here and elsewhere', () => {
  assert.deepEqual(['x64', 'amd64', 'arm64', 'aarch64', 'riscv64'].map(architectureOf), [
    'x86_64',
    'x86_64',
    'aarch64',
    'aarch64',
    'riscv64',
  ]);
  assert.throws(() => architectureOf('m68k'), /no machine is known for architecture "m68k"/);
});

test('the pid file that QEMU writes is known', () => {
  assert.equal(ownPidFile(['-vga', 'std']), null);
  assert.equal(ownPidFile(['-pidfile', 'a', '--pidfile', 'b', '-S']), 'b');
  assert.equal(ownPidFile(['-pidfile']), null, 'QEMU says what is missing');
});

test('QEMU does not leave a terminal that vmlan waits at', () => {
  assertStays(['-vga', 'std']);
  for (const word of ['-daemonize', '--daemonize'])
    assert.throws(() => assertStays(['-S', word]), /write --detach|-daemonize/);
});
