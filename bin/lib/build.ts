/**
 * The JavaScript that runs: the sources without their types, file by file, every line and column where it was.
 *
 *   node build.ts PACKAGE OUTPUT      PACKAGE/src becomes OUTPUT/dist, as if OUTPUT were the installed package
 *
 * A process that strips types by itself holds a parser of some 20 MB in each thread, and starts later. Zone: control.
 */
import { copyFileSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join } from 'node:path';

/** A relative import; its `.ts` becomes `.js`. */
const RELATIVE_IMPORT = /(\b(?:from|import)\s*\(?\s*'\.{1,2}\/[^'\n]+)\.ts'/g;
const NO_PROGRAM = /\.(?:test|fixture)\.ts$/;

const [home, output] = process.argv.slice(2);
if (home === undefined || output === undefined) throw new Error('usage: build.ts PACKAGE OUTPUT');

mkdirSync(output, { recursive: true });
copyFileSync(join(home, 'package.json'), join(output, 'package.json'));
for (const file of globSync('**/*.ts', { cwd: join(home, 'src') })) {
  if (NO_PROGRAM.test(file)) continue;
  const source = readFileSync(join(home, 'src', file), 'utf8');
  const target = join(output, 'dist', file.replace(/\.ts$/, '.js'));
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, stripTypeScriptTypes(source).replace(RELATIVE_IMPORT, "$1.js'"));
}
