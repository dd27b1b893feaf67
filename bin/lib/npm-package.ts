/**
 * The npm package: OUTPUT/vmlan-VERSION.tgz, the same bytes from the same checkout, wherever and whenever it is made.
 *
 *   node npm-package.ts OUTPUT      prints the path of what it made
 *
 * Our own sources are joined, the dependencies stay dependencies (docs/decisions/0011). VMLAN_REPOSITORY is the address
 * of the repository: who publishes with provenance gives it, for npm compares the two.
 * Zone: control.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
} from 'node:fs';
import { rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { joinSources } from './build.ts';
import { writeManual } from './manual.ts';

const CHECKOUT = resolve(import.meta.dirname, '../..');
const HOME = join(CHECKOUT, 'packages/vmlan');
const RELATIVE_TS = /(from |import\()'(\.[^']*)\.ts'/g;

/** All that the tarball holds, in FOLDER. */
export async function stageNpmPackage(folder: string): Promise<void> {
  await joinSources(HOME, folder, { dependencies: 'beside', sourceMaps: false });
  if (existsSync(join(HOME, 'src/index.ts'))) stageTypes(folder);
  const manual = await writeManual(join(folder, 'man'));
  copyFileSync(join(HOME, 'README.md'), join(folder, 'README.md'));
  copyFileSync(join(CHECKOUT, 'LICENSE'), join(folder, 'LICENSE'));
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest(manual), null, 2)}\n`);
  setModes(folder);
}

/** The manifest of the workspace without what is of use in the workspace alone, and with the manual pages. */
function manifest(manual: readonly string[]): object {
  const { scripts: _, ...kept } = JSON.parse(readFileSync(join(HOME, 'package.json'), 'utf8')) as Manifest;
  const url = process.env['VMLAN_REPOSITORY'];
  return {
    ...kept,
    man: manual.map((file) => `./man/${file}`),
    files: [...kept.files, 'man'],
    ...(url === undefined ? {} : { repository: { type: 'git', url, directory: 'packages/vmlan' } }),
  };
}

interface Manifest {
  readonly files: readonly string[];
  readonly scripts?: unknown;
}

/** Types of the library, and of what they refer to; nobody can import the others. */
function stageTypes(folder: string): void {
  const types = mkdtempSync(join(tmpdir(), 'vmlan-types-'));
  try {
    const options = ['--declaration', '--emitDeclarationOnly', '--outDir', types];
    execFileSync('tsc', ['-p', join(HOME, 'tsconfig.build.json'), ...options], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    const wanted = ['index.d.ts'];
    for (const name of wanted) {
      const text = readFileSync(join(types, name), 'utf8');
      for (const [, , target = ''] of text.matchAll(RELATIVE_TS)) {
        const next = join(dirname(name), `${target}.d.ts`);
        if (!wanted.includes(next)) wanted.push(next);
      }
      const path = join(folder, 'dist', name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text.replaceAll(RELATIVE_TS, "$1'$2.js'"));
    }
  } finally {
    rmSync(types, { recursive: true });
  }
}

/** Whatever the umask of who builds. */
function setModes(folder: string): void {
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const path = join(folder, name);
    const program = statSync(path).isDirectory() || name === join('dist', 'cli', 'main.js');
    chmodSync(path, program ? 0o755 : 0o644);
  }
}

async function main(output: string | undefined): Promise<void> {
  if (output === undefined) throw new Error('usage: npm-package.ts OUTPUT');
  const stage = mkdtempSync(join(tmpdir(), 'vmlan-npm-'));
  try {
    await stageNpmPackage(stage);
    const options = ['--ignore-scripts', '--loglevel=error', '--pack-destination', stage];
    const name = execFileSync('npm', ['pack', ...options], { cwd: stage, encoding: 'utf8' }).trim();
    mkdirSync(output, { recursive: true });
    cpSync(join(stage, name), join(output, name));
    process.stdout.write(`${join(output, name)}\n`);
  } finally {
    rmSync(stage, { recursive: true });
  }
}

if (process.argv[1] === import.meta.filename) await main(process.argv[2]);
