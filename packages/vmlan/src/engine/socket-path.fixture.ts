/**
 * A path where a unix socket may be bound.
 *
 * Zone: control.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The kernel in memory makes no files: one stands for the socket's, so that its mode and its end can be seen. */
export function withSocketPath(run: (path: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'vmlan-engine-'));
  const path = join(folder, 'web.sock');
  writeFileSync(path, '', { mode: 0o666 });
  try {
    run(path);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
