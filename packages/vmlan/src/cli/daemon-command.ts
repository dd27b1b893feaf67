/**
 * How the daemon's program is run: by this Node, from the file beside this program.
 *
 * Zone: control.
 */
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A small nursery: the daemon is idle most of its time. */
const NODE_OPTIONS = ['--disable-warning=ExperimentalWarning', '--max-semi-space-size=1'];

export function daemonCommand(): string[] {
  const program = new URL(`../daemon/main${extname(import.meta.url)}`, import.meta.url);
  return [process.execPath, ...NODE_OPTIONS, fileURLToPath(program)];
}
