import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { VmlanError } from '../../client/errors.ts';
import { findInPath, findQemu, hostArchitecture, imageFormat, kvmUsable, qemuVersion } from './find-qemu.ts';
import { architectureOf } from './machine-arguments.ts';

const directory = mkdtempSync(join(tmpdir(), 'vmlan-qemu-'));
after(() => rmSync(directory, { recursive: true }));

function script(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
  return path;
}

const code = (wanted: string) => (error: unknown) => error instanceof VmlanError && error.code === wanted;

test('QEMU is found in PATH, or where VMLAN_QEMU says', async () => {
  const path = script('qemu-system-x86_64', 'echo "QEMU emulator version 9.2.1"');
  mkdirSync(join(directory, 'sub', 'qemu-system-x86_64'), { recursive: true });
  writeFileSync(join(directory, 'not-executable'), '');
  const version = { major: 9, minor: 2 };
  assert.deepEqual(await findQemu('x86_64', { PATH: `${directory}/sub:${directory}` }), { path, version });
  assert.deepEqual(await findQemu('aarch64', { VMLAN_QEMU: path }), { path, version });
  await assert.rejects(findQemu('aarch64', { PATH: directory }), code('not-found'));
  await assert.rejects(findQemu('aarch64', {}), code('not-found'));
  assert.equal(findInPath('not-executable', { PATH: directory }), null);
});

test('a program that is no QEMU is told apart', async () => {
  await assert.rejects(findQemu('x86_64', { VMLAN_QEMU: script('other', 'echo "other 9.2"') }), code('unsupported'));
  assert.equal(await qemuVersion(script('failing', 'exit 1')), null);
  assert.equal(await qemuVersion(join(directory, 'absent')), null);
});

test('KVM needs the host to be of the same architecture, the device, and on x86 the processor', () => {
  const own = architectureOf(hostArchitecture());
  const other = own === 'x86_64' ? 'aarch64' : 'x86_64';
  const device = join(directory, 'kvm');
  const [able, unable] = [join(directory, 'able'), join(directory, 'unable')];
  writeFileSync(device, '');
  writeFileSync(able, 'processor\t: 0\nflags\t\t: fpu vmx sse\n');
  writeFileSync(unable, 'processor\t: 0\nflags\t\t: fpu vmxoff sse\nbugs\t\t: svm\n');
  assert.equal(kvmUsable(own, device, able), true);
  assert.equal(kvmUsable(own, join(directory, 'none'), able), false);
  assert.equal(kvmUsable(other, device, able), false);
  assert.equal(kvmUsable(own, device, unable), own !== 'x86_64');
});

test('a disk image is told by its first bytes', () => {
  const image = join(directory, 'disk');
  writeFileSync(image, Buffer.from([0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 3]));
  assert.equal(imageFormat(image), 'qcow2');
  writeFileSync(image, Buffer.from([0xeb, 0x3c]));
  assert.equal(imageFormat(image), 'raw');
  assert.throws(() => imageFormat(join(directory, 'none')), code('not-found'));
  assert.throws(() => imageFormat(directory), code('invalid'));
});
