/**
 * Covered lines by layer. Node.js reports the files that some test loaded; a file with code that no test even loads counts
 * here as uncovered, so that a missing test lowers the figure.
 *
 * Zone: control.
 */
import { globSync, readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { relative } from 'node:path';

export interface FileCoverage {
  readonly path: string;
  readonly totalLineCount: number;
  readonly coveredLineCount: number;
}

const layerOf = (path: string): string | undefined => /^packages\/vmlan\/src\/([^/]+)\//.exec(path)?.[1];

/** A file of types alone is empty once they are gone. */
function hasCode(source: string): boolean {
  const code = stripTypeScriptTypes(source)
    .replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
    .replaceAll(/^import\s[\s\S]*?;$/gm, '');
  return /\S/.test(code.replaceAll(';', ''));
}

function unloaded(layer: string, loaded: ReadonlySet<string>): FileCoverage[] {
  return globSync(`packages/vmlan/src/${layer}/**/*.ts`)
    .filter((path) => !/\.(test|fixture)\.ts$/.test(path) && !loaded.has(path))
    .flatMap((path) => {
      const source = readFileSync(path, 'utf8');
      return hasCode(source) ? [{ path, totalLineCount: source.split('\n').length, coveredLineCount: 0 }] : [];
    });
}

/** Percent of lines in each of `layers`. Runs in the root of the checkout. */
export function coverageByLayer(layers: readonly string[], reported: readonly FileCoverage[]): Record<string, number> {
  const files = reported.map((file) => ({ ...file, path: relative('', file.path) }));
  const loaded = new Set(files.map(({ path }) => path));
  const percent = layers.flatMap((layer): [string, number][] => {
    const all = [...files.filter(({ path }) => layerOf(path) === layer), ...unloaded(layer, loaded)];
    const total = all.reduce((sum, { totalLineCount }) => sum + totalLineCount, 0);
    const covered = all.reduce((sum, { coveredLineCount }) => sum + coveredLineCount, 0);
    return total === 0 ? [] : [[layer, (100 * covered) / total]];
  });
  return Object.fromEntries(percent);
}
