/**
 * A Debian of its own for a test, of the release of this machine: the smallest one that mmdebstrap makes, and QEMU. It is
 * fetched once, kept under .cache/debian, and unpacked anew for each test; commands run in it by chroot.
 *
 *   await using debian = await DebianRoot.create();
 *   await debian.ok('dpkg', '-i', '/package.deb');
 *
 * Zone: control. Needs root and mmdebstrap. Processes that are left in it end with it.
 */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { output, run, type RunOptions, type RunResult } from './process.ts';
import { CHECKOUT } from './source-files.ts';

const CACHE = join(CHECKOUT, '.cache/debian');
const PACKAGES = 'qemu-system-x86';
const FETCH_TIMEOUT_MS = 280_000; // 150 MB of packages, and their installation
const COMMAND_TIMEOUT_MS = 60_000;
/** Where a command finds the checkout, to read it. */
export const CHECKOUT_INSIDE = '/src';

/** A mount namespace for each command, so that nothing is left mounted; argument 0 is the root. */
const ENTER = `
mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" &&
mount --bind -o ro '${CHECKOUT}' "$0${CHECKOUT_INSIDE}" && exec chroot "$@"
`;

export class DebianRoot implements AsyncDisposable {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async create(): Promise<DebianRoot> {
    const archive = await cachedArchive();
    const debian = new DebianRoot(await mkdtemp(join(tmpdir(), 'vmlan-debian-')));
    await output(['tar', '-C', debian.folder, '--exclude=./dev/*', '-xf', archive], { timeoutMs: COMMAND_TIMEOUT_MS });
    await output(['chmod', '755', debian.folder]);
    await mkdir(join(debian.folder, CHECKOUT_INSIDE));
    return debian;
  }

  /** Puts a file there. */
  copy(file: string, path: string): Promise<void> {
    return copyFile(file, join(this.folder, path));
  }

  /** A command as root, or as `user:group`, whatever its exit status. */
  run(argv: readonly string[], options: RunOptions & { readonly as?: string } = {}): Promise<RunResult> {
    const { as = '0:0', ...rest } = options;
    const env = {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: '/root',
      LC_ALL: 'C.UTF-8',
      DEBIAN_FRONTEND: 'noninteractive',
    };
    const enter = ['unshare', '--mount', 'sh', '-c', ENTER, this.folder, `--userspec=${as}`, this.folder];
    return run([...enter, ...argv], { timeoutMs: COMMAND_TIMEOUT_MS, ...rest, env: { ...env, ...rest.env } });
  }

  /** stdout of a command that must succeed. */
  async ok(...argv: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(argv);
    if (code !== 0) throw new Error(`${argv.join(' ')} in Debian: exit status ${code}\n${stdout}${stderr}`);
    return stdout;
  }

  /** Processes whose root is this one. */
  processes(): number[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .filter((pid) => {
        try {
          return readlinkSync(join('/proc', pid, 'root')) === this.folder;
        } catch {
          return false; // it ended just now
        }
      })
      .map(Number);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const pid of this.processes()) process.kill(pid, 'SIGKILL');
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Two that make it at once do the work twice, and either result is good. */
async function cachedArchive(): Promise<string> {
  const release = /^VERSION_CODENAME=(.*)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'stable';
  const archive = join(CACHE, `${release}.tar`);
  if (existsSync(archive)) return archive;
  await mkdir(CACHE, { recursive: true });
  const draft = join(CACHE, `${release}.${process.pid}.draft.tar`);
  try {
    const options = ['--variant=minbase', `--include=${PACKAGES}`, '--aptopt=APT::Install-Recommends "false"'];
    await output(['mmdebstrap', ...options, release, draft], { timeoutMs: FETCH_TIMEOUT_MS });
    await rename(draft, archive);
  } finally {
    await rm(draft, { force: true });
  }
  return archive;
}
