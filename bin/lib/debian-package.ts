/**
 * The Debian package: OUTPUT/vmlan_VERSION-1_ARCH.deb, with everything vmlan needs but Debian's own libraries.
 *
 *   node debian-package.ts [--quick] OUTPUT      prints the path of what it made
 *
 * Sources and dependencies are joined as in a checkout; koffi, which is native, and Node.js lie beside them. Control
 * files and maintainer scripts are those of packaging/debian.
 * Zone: control.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { COMPLETION_SCRIPTS } from '../../packages/vmlan/src/cli/completion-scripts.ts';
import { joinSources } from './build.ts';
import { changelog, control, copyright } from './debian-texts.ts';
import { writeManual } from './manual.ts';
import { sourceDate } from './source-date.ts';

const CHECKOUT = resolve(import.meta.dirname, '../..');
const HOME = join(CHECKOUT, 'packages/vmlan');
const DEBIAN = join(CHECKOUT, 'packaging/debian');
const UNITS = join(CHECKOUT, 'systemd');
const MODULES = join(CHECKOUT, 'node_modules');
/** By Node's name of the architecture. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };
const REVISION = 1;
const SCRIPTS = ['postinst', 'prerm', 'postrm'];
/** What developers read is not for who installs a package. */
const NOT_FOR_USERS = /^(architecture|datapath|performance)\.md$/;

async function stage(root: string, date: Date): Promise<{ readonly version: string; readonly architecture: string }> {
  const architecture = ARCHITECTURES[process.arch];
  if (architecture === undefined) throw new Error(`no Node.js is pinned for ${process.arch}`);
  const { version } = JSON.parse(readFileSync(join(HOME, 'package.json'), 'utf8')) as { version: string };
  const put = (path: string, content: string | Buffer): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  };
  const joined = await stageProgram(root, put);
  await stageManual(root, put);
  stageCompletion(put);
  stageUnits(put);
  stageDocuments(put, { version, date, joined });
  const maintainer = process.env['VMLAN_MAINTAINER'] ?? 'vmlan maintainers <root@localhost>';
  setModes(root);
  const sums = checksums(root);
  const kib = Math.ceil(totalBytes(root) / 1024);
  put('DEBIAN/control', control({ version: `${version}-${REVISION}`, architecture, maintainer, kib }));
  put('DEBIAN/md5sums', sums);
  for (const name of SCRIPTS) put(`DEBIAN/${name}`, readFileSync(join(DEBIAN, name)));
  for (const name of SCRIPTS) chmodSync(join(root, 'DEBIAN', name), 0o755);
  return { version, architecture };
}

type Put = (path: string, content: string | Buffer) => void;

async function stageProgram(root: string, put: Put): Promise<string[]> {
  const home = join(root, 'usr/lib/vmlan');
  const inputs = await joinSources(HOME, home, { dependencies: 'inside', sourceMaps: false });
  // Nobody starts it by its own name here, and by that it would look for another Node.js.
  const main = join(home, 'dist/cli/main.js');
  writeFileSync(main, readFileSync(main, 'utf8').replace(/^#!.*\n/, ''));
  put('usr/lib/vmlan/package.json', readFileSync(join(HOME, 'package.json')));
  const native = `@koromix/koffi-linux-${process.arch}`;
  for (const file of readdirSync(join(MODULES, 'koffi'), { recursive: true, encoding: 'utf8' }).filter(isLoaded))
    put(`usr/lib/vmlan/node_modules/koffi/${file}`, readFileSync(join(MODULES, 'koffi', file)));
  for (const file of ['package.json', 'index.js', `linux_${process.arch}/koffi.node`])
    put(`usr/lib/vmlan/node_modules/${native}/${file}`, readFileSync(join(MODULES, native, file)));
  copyFileSync(join(MODULES, `node-linux-${process.arch}/bin/node`), join(home, 'node'));
  put('usr/bin/vmlan', readFileSync(join(DEBIAN, 'vmlan')));
  return packagesOf(inputs);
}

/** Of koffi's files, which are its sources for the most part. */
const isLoaded = (file: string): boolean =>
  file === 'package.json' || (file.endsWith('.cjs') && !/^(doc|vendor)|(cnoke|indirect|trampolines)\.cjs$/.test(file));

/** Names of the dependencies among joined files: `../../node_modules/@fastify/error/index.js` is of `@fastify/error`. */
function packagesOf(inputs: readonly string[]): string[] {
  const names = inputs.map((path) => /^.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]);
  return [...new Set(names.filter((name) => name !== undefined))].sort();
}

async function stageManual(root: string, put: Put): Promise<void> {
  const drafts = join(root, 'manual');
  for (const name of await writeManual(drafts))
    put(`usr/share/man/man${name.at(-1)}/${name}.gz`, gzipSync(readFileSync(join(drafts, name)), { level: 9 }));
  rmSync(drafts, { recursive: true });
}

function stageCompletion(put: Put): void {
  put('usr/share/bash-completion/completions/vmlan', COMPLETION_SCRIPTS.bash);
  put('usr/share/zsh/vendor-completions/_vmlan', COMPLETION_SCRIPTS.zsh);
  put('usr/share/fish/vendor_completions.d/vmlan.fish', COMPLETION_SCRIPTS.fish);
}

function stageUnits(put: Put): void {
  for (const [place, file] of [
    ['system', 'vmlan.service'],
    ['user', 'user/vmlan.service'],
  ] as const) {
    put(`lib/systemd/${place}/vmlan.service`, readFileSync(join(UNITS, file)));
  }
}

interface Provenance {
  readonly version: string;
  readonly date: Date;
  readonly joined: readonly string[];
}

function stageDocuments(put: Put, { version, date, joined }: Provenance): void {
  const folder = 'usr/share/doc/vmlan';
  const licensed = [...joined, 'koffi', `node-linux-${process.arch}`].map((name) => join(MODULES, name));
  put(`${folder}/copyright`, copyright(licensed));
  put(`${folder}/changelog.gz`, gzipSync(readFileSync(join(CHECKOUT, 'CHANGELOG.md')), { level: 9 }));
  const maintainer = process.env['VMLAN_MAINTAINER'] ?? 'vmlan maintainers <root@localhost>';
  const entry = changelog({ version: `${version}-${REVISION}`, date, maintainer });
  put(`${folder}/changelog.Debian.gz`, gzipSync(entry, { level: 9 }));
  put(`${folder}/README.Debian`, readFileSync(join(DEBIAN, 'README.Debian')));
  put('usr/share/lintian/overrides/vmlan', readFileSync(join(DEBIAN, 'lintian-overrides')));
  for (const name of readdirSync(join(CHECKOUT, 'docs')))
    if (name.endsWith('.md') && !NOT_FOR_USERS.test(name))
      put(`${folder}/${name}`, readFileSync(join(CHECKOUT, 'docs', name)));
}

/** Whatever the umask of who builds. */
function setModes(root: string): void {
  chmodSync(root, 0o755);
  for (const path of below(root)) {
    const program = /\/(bin\/vmlan|lib\/vmlan\/node)$/.test(path);
    chmodSync(path, program || statSync(path).isDirectory() ? 0o755 : 0o644);
  }
}

const below = (root: string): string[] =>
  readdirSync(root, { recursive: true, encoding: 'utf8' }).map((name) => join(root, name));

/** What `dpkg --verify` compares with. */
const checksums = (root: string): string =>
  below(root)
    .filter((path) => statSync(path).isFile())
    .sort()
    .map((path) => `${createHash('md5').update(readFileSync(path)).digest('hex')}  ${relative(root, path)}\n`)
    .join('');

const totalBytes = (root: string): number => below(root).reduce((sum, path) => sum + statSync(path).size, 0);

async function main(args: readonly string[]): Promise<void> {
  const quick = args[0] === '--quick';
  const output = args[quick ? 1 : 0];
  if (output === undefined) throw new Error('usage: debian-package.ts [--quick] OUTPUT');
  const work = mkdtempSync(join(tmpdir(), 'vmlan-deb-'));
  try {
    const root = join(work, 'root');
    const date = sourceDate();
    const { version, architecture } = await stage(root, date);
    mkdirSync(output, { recursive: true });
    const file = join(output, `vmlan_${version}-${REVISION}_${architecture}.deb`);
    // More threads would cut what is compressed elsewhere.
    const compression = quick ? ['-Zgzip', '-z1'] : ['-Zxz', '--threads-max=1'];
    execFileSync('dpkg-deb', ['--root-owner-group', ...compression, '--build', root, file], {
      env: { ...process.env, SOURCE_DATE_EPOCH: String(date.getTime() / 1000) },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    process.stdout.write(`${file}\n`);
  } finally {
    rmSync(work, { recursive: true });
  }
}

if (process.argv[1] === import.meta.filename) await main(process.argv.slice(2));
