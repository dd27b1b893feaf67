/**
 * The JavaScript that runs: sources without their types, joined into few files.
 *
 *   node build.ts PACKAGE OUTPUT      PACKAGE/src becomes OUTPUT/dist, as if OUTPUT were the installed package
 *
 * To find and read a file costs more than what is in it, and a start would read 900. Nothing is shortened: names are the
 * sources', a comment names the file that a part came from, and `node --enable-source-maps` finds the line in it.
 * Zone: control.
 */
import { build } from 'esbuild';
import type { Plugin } from 'esbuild';
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';

/** What is started by its path, and what is imported by the package's name. */
const ENTRIES = [
  'cli/main',
  'daemon/main',
  'daemon/network-main',
  'drivers/userspace/netns-tap',
  'engine/worker',
  'index',
];
/** Before each file: what dependencies written for CommonJS call, and the folder of all files. */
const BANNER = [
  "import { createRequire as $createRequire } from 'node:module'; const require = $createRequire(import.meta.url);",
  "const $dist = import.meta.url.slice(0, import.meta.url.lastIndexOf('/dist/') + '/dist/'.length);",
].join('\n');

export interface JoinOptions {
  /** `inside`: joined like our own files. `beside`: left in node_modules, for who installs by npm and looks there. */
  readonly dependencies: 'inside' | 'beside';
  /** They name the sources, so they are of use only where those lie. */
  readonly sourceMaps: boolean;
}

/** HOME/src becomes OUTPUT/dist. Resolves with the paths of all files that went in, relative to HOME. */
export async function joinSources(home: string, output: string, options: JoinOptions): Promise<string[]> {
  const source = resolve(home, 'src');
  const { metafile } = await build({
    absWorkingDir: resolve(home),
    entryPoints: ENTRIES.map((name) => join(source, `${name}.ts`)).filter((path) => existsSync(path)),
    outbase: source,
    outdir: resolve(output, 'dist'),
    chunkNames: 'parts/[hash]',
    platform: 'node',
    target: 'node22.18',
    format: 'esm',
    bundle: true,
    splitting: true,
    ...(options.dependencies === 'beside' ? { packages: 'external' } : { external: ['koffi'] }), // koffi is native
    banner: { js: BANNER },
    plugins: [ownPlace(source)],
    sourcemap: options.sourceMaps && 'linked',
    sourcesContent: false,
    metafile: true,
    logLevel: 'warning',
  });
  return Object.keys(metafile.inputs);
}

/** Who names a neighbour by where it is itself gets the answer it would have as a file of its own. */
const ownPlace = (source: string): Plugin => ({
  name: 'own place',
  setup(joining) {
    joining.onLoad({ filter: /\.ts$/ }, ({ path }) => {
      const place = `($dist + '${relative(source, path).replace(/ts$/, 'js')}')`;
      const contents = readFileSync(path, 'utf8').replaceAll('import.meta.url', place);
      return { contents, loader: 'ts' };
    });
  },
});

async function main([home, output]: readonly string[]): Promise<void> {
  if (home === undefined || output === undefined) throw new Error('usage: build.ts PACKAGE OUTPUT');
  mkdirSync(output, { recursive: true });
  copyFileSync(join(home, 'package.json'), join(output, 'package.json'));
  await joinSources(home, output, { dependencies: 'inside', sourceMaps: true });
}

if (process.argv[1] === import.meta.filename) await main(process.argv.slice(2));
