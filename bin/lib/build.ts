/**
 * The JavaScript that runs: sources and dependencies without their types, joined into few files.
 *
 *   node build.ts PACKAGE OUTPUT      PACKAGE/src becomes OUTPUT/dist, as if OUTPUT were the installed package
 *
 * To find and read a file costs more than what is in it, and a start would read 900. Nothing is shortened: names are the
 * sources', a comment names the file that a part came from, and `node --enable-source-maps` finds the line in it.
 * Zone: control.
 */
import { build } from 'esbuild';
import type { Plugin } from 'esbuild';
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';

/** What is started by its path. */
const PROGRAMS = ['cli/main', 'daemon/main', 'daemon/network-main', 'drivers/userspace/netns-tap', 'engine/worker'];
/** Before each file: what dependencies written for CommonJS call, and the folder of all files. */
const BANNER = [
  "import { createRequire as $createRequire } from 'node:module'; const require = $createRequire(import.meta.url);",
  "const $dist = import.meta.url.slice(0, import.meta.url.lastIndexOf('/dist/') + '/dist/'.length);",
].join('\n');

const [home, output] = process.argv.slice(2);
if (home === undefined || output === undefined) throw new Error('usage: build.ts PACKAGE OUTPUT');
const source = resolve(home, 'src');

/** Who names a neighbour by where it is itself gets the answer it would have as a file of its own. */
const OWN_PLACE: Plugin = {
  name: 'own place',
  setup(joining) {
    joining.onLoad({ filter: /\.ts$/ }, ({ path }) => {
      const place = `($dist + '${relative(source, path).replace(/ts$/, 'js')}')`;
      const contents = readFileSync(path, 'utf8').replaceAll('import.meta.url', place);
      return { contents, loader: 'ts' };
    });
  },
};

mkdirSync(output, { recursive: true });
copyFileSync(join(home, 'package.json'), join(output, 'package.json'));
await build({
  entryPoints: PROGRAMS.map((name) => join(source, `${name}.ts`)),
  outbase: source,
  outdir: resolve(output, 'dist'),
  chunkNames: 'parts/[hash]',
  platform: 'node',
  target: 'node22.18',
  format: 'esm',
  bundle: true,
  splitting: true,
  external: ['koffi'], // native
  banner: { js: BANNER },
  plugins: [OWN_PLACE],
  sourcemap: 'linked',
  sourcesContent: false,
  logLevel: 'warning',
});
