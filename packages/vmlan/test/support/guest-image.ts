/**
 * The tiny Linux guest: Debian's cloud kernel, busybox and the scripts in guest/, packed into an initramfs and cached
 * under .cache/guest. Needs apt-get and dpkg-deb but no privileges; packages are fetched once, a change of recipe only
 * repacks them. Run as a program it builds the image and prints where it is.
 *
 * Zone: control.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { constants, existsSync } from 'node:fs';
import { access, copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { Apt } from './apt.ts';
import { cpioArchive, type CpioEntry } from './cpio.ts';
import { modulesInLoadOrder, type KernelModule } from './kernel-modules.ts';

export interface GuestImage {
  readonly kernel: string;
  readonly initrd: string;
}

const exec = promisify(execFile);
const HERE = import.meta.dirname;
const CHECKOUT = join(HERE, '../../../..');
/** The checkout's own, or the user's when the checkout belongs to somebody else. */
const CACHES = [
  join(CHECKOUT, '.cache'),
  join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'vmlan'),
].map((base) => join(base, 'guest'));
const RECIPE = ['guest-image.ts', 'cpio.ts', 'kernel-modules.ts', 'guest/init', 'guest/dhcp-event', 'guest/agent'];
const DRIVERS = ['virtio_pci', 'virtio_net', 'virtio_rng', 'virtio_console', 'af_packet', 'ipv6'];
const FOLDERS = ['bin', 'dev', 'etc', 'modules', 'proc', 'root', 'run', 'sys', 'tmp', 'var', 'var/www'];

/** Builds the image unless it is there. Two builders at once do the work twice, and either result is good. */
export async function guestImage(progress: (line: string) => void = () => undefined): Promise<GuestImage> {
  const hash = await recipeHash();
  for (const cache of CACHES) {
    const image = imageIn(join(cache, hash));
    if (existsSync(image.initrd)) return image;
  }
  const cache = await writableCache();
  const folder = join(cache, hash);
  const image = imageIn(folder);
  const work = await mkdtemp(join(cache, 'work-'));
  try {
    const packages = await fetchPackages(join(cache, 'packages'), work, progress);
    progress('packing the guest image');
    await pack(work, packages);
    await rename(join(work, 'image'), folder).catch((error: unknown) => {
      if (!existsSync(image.initrd)) throw error;
    });
    await nameLatest(cache, folder, work);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return image;
}

/** .cache/guest/vmlinuz and initrd, for people: they lead to the image that was made last. */
async function nameLatest(cache: string, folder: string, work: string): Promise<void> {
  for (const name of ['vmlinuz', 'initrd']) {
    await symlink(join(basename(folder), name), join(work, name));
    await rename(join(work, name), join(cache, name));
  }
}

const imageIn = (folder: string): GuestImage => ({ kernel: join(folder, 'vmlinuz'), initrd: join(folder, 'initrd') });

async function writableCache(): Promise<string> {
  for (const folder of CACHES) {
    const writable = await mkdir(folder, { recursive: true })
      .then(() => access(folder, constants.W_OK))
      .then(
        () => true,
        () => false,
      );
    if (writable) return folder;
  }
  throw new Error(`no folder to keep the guest image in: none of ${CACHES.join(', ')} is writable`);
}

async function recipeHash(): Promise<string> {
  const hash = createHash('sha256');
  for (const file of RECIPE) hash.update(await readFile(join(HERE, file)));
  return hash.digest('hex').slice(0, 16);
}

async function fetchPackages(store: string, work: string, progress: (line: string) => void): Promise<string[]> {
  const stored = async (): Promise<string[]> =>
    (await readdir(store).catch((): string[] => [])).filter((name) => name.endsWith('.deb'));
  if ((await stored()).length === 0) {
    progress('fetching a Debian kernel and busybox (28 MB)');
    const download = join(work, 'download');
    await mkdir(download);
    const apt = new Apt(download);
    const kernel = await apt.dependency('linux-image-cloud-amd64', /^linux-image-.*-cloud-amd64$/);
    await apt.download([kernel, 'busybox-static']);
    await rename(download, store).catch(async (error: unknown) => {
      if ((await stored()).length === 0) throw error;
    });
  }
  return (await stored()).map((name) => join(store, name));
}

/** Unpacks the packages in `work` and leaves vmlinuz and initrd in `work/image`. */
async function pack(work: string, packages: readonly string[]): Promise<void> {
  const tree = join(work, 'tree');
  for (const file of packages) await exec('dpkg-deb', ['-x', file, tree]);
  // Debian moved /bin and /lib under /usr after release 12.
  const inTree = (path: string): string => (existsSync(join(tree, path)) ? join(tree, path) : join(tree, 'usr', path));
  const busybox = inTree('bin/busybox');
  const modulesRoot = await onlyMatch(inTree('lib/modules'), /./);
  const modules = await modulesInLoadOrder(modulesRoot, DRIVERS, busybox);
  const image = join(work, 'image');
  await mkdir(image);
  await copyFile(await onlyMatch(join(tree, 'boot'), /^vmlinuz-/), join(image, 'vmlinuz'));
  await writeFile(join(image, 'initrd'), await initramfs(busybox, modules));
}

async function onlyMatch(folder: string, pattern: RegExp): Promise<string> {
  const names = (await readdir(folder)).filter((name) => pattern.test(name));
  if (names.length !== 1) throw new Error(`${folder}: expected one ${String(pattern)}, found ${names.join(', ')}`);
  return join(folder, names[0] ?? '');
}

async function initramfs(busybox: string, modules: readonly KernelModule[]): Promise<Buffer> {
  const script = async (path: string, name: string): Promise<CpioEntry> => ({
    path,
    data: await readFile(join(HERE, 'guest', name)),
    mode: 0o755,
  });
  const { stdout: applets } = await exec(busybox, ['--list']);
  return cpioArchive([
    ...FOLDERS.map((path) => ({ path, directory: true }) as const),
    { path: 'bin/busybox', data: await readFile(busybox), mode: 0o755 },
    // The list names busybox itself; linking that would replace the program with a link to itself.
    ...applets
      .split('\n')
      .filter((name) => name !== '' && name !== 'busybox')
      .map((name) => ({ path: `bin/${name}`, target: 'busybox' })),
    await script('init', 'init'),
    await script('etc/dhcp-event', 'dhcp-event'),
    await script('etc/agent', 'agent'),
    ...modules.map(({ name, data }) => ({ path: `modules/${name}.ko`, data, mode: 0o644 })),
    { path: 'modules/load-order', data: Buffer.from(modules.map(({ name }) => `${name}.ko\n`).join('')), mode: 0o644 },
  ]);
}

if (process.argv[1] === import.meta.filename) {
  const image = await guestImage((line) => process.stderr.write(`${line} ...\n`));
  process.stdout.write(`${image.kernel}\n${image.initrd}\n`);
}
