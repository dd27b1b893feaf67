/**
 * Finds kernel modules in an unpacked kernel package and puts them in load order: insmod resolves nothing by itself.
 * What a module needs stands in its .modinfo section as "depends=a,b" (kernel: include/linux/module.h).
 *
 * Zone: control.
 */
import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';

export interface KernelModule {
  readonly name: string;
  readonly data: Buffer;
}

const exec = promisify(execFile);
const MAX_MODULE_BYTES = 64 << 20;

const moduleName = (path: string): string =>
  basename(path)
    .replace(/\.ko(\..*)?$/, '')
    .replaceAll('-', '_');

/** Modules in the order in which they load; those compiled into the kernel are left out. `root` is …/modules/VERSION. */
export async function modulesInLoadOrder(
  root: string,
  wanted: readonly string[],
  busybox: string,
): Promise<KernelModule[]> {
  const files = new Map<string, string>();
  for (const path of await readdir(root, { recursive: true })) {
    if (/\.ko(\.xz)?$/.test(path)) files.set(moduleName(path), join(root, path));
  }
  const builtinList = await readFile(join(root, 'modules.builtin'), 'utf8');
  const builtin = new Set(builtinList.split('\n').map(moduleName));
  const order: KernelModule[] = [];

  const add = async (name: string): Promise<void> => {
    if (builtin.has(name) || order.some((module) => module.name === name)) return;
    const file = files.get(name);
    if (file === undefined) throw new Error(`kernel module ${name} is neither built in nor in ${root}`);
    const data = await readModule(file, busybox);
    for (const needed of dependencies(data)) await add(needed);
    order.push({ name, data });
  };
  for (const name of wanted) await add(name);
  return order;
}

function dependencies(module: Buffer): string[] {
  const list = /\0depends=([^\0]*)\0/.exec(module.toString('latin1'))?.[1] ?? '';
  return list
    .split(',')
    .filter((name) => name !== '')
    .map((name) => name.replaceAll('-', '_'));
}

async function readModule(file: string, busybox: string): Promise<Buffer> {
  if (file.endsWith('.ko')) return readFile(file);
  const { stdout } = await exec(busybox, ['xzcat', file], { encoding: 'buffer', maxBuffer: MAX_MODULE_BYTES });
  return stdout;
}
