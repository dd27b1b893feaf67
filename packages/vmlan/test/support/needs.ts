/**
 * What a test needs from the machine. Each returns false after marking the test as skipped, with the reason, so that
 * nothing is left out silently:  if (!needs(t, 'dig')) return;
 *
 * Zone: control.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { TestContext } from 'node:test';
import { asUser, NOBODY } from './netns.ts';

/** The whole of what is demanded, where a build server is content with a part: VMLAN_LONG=1. */
export const LONG: boolean = (process.env['VMLAN_LONG'] ?? '') !== '';

function executable(command: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

export function needs(t: TestContext, ...commands: readonly string[]): boolean {
  const missing = commands.filter((command) => !executable(command));
  if (missing.length > 0) t.skip(`not installed: ${missing.join(', ')}`);
  return missing.length === 0;
}

/** For a whole suite in namespaces, as its `skip`: false, or why it cannot run here. */
export function missing(...commands: readonly string[]): string | false {
  if (process.getuid?.() !== 0) return 'needs root';
  const absent = commands.filter((command) => !executable(command));
  return absent.length > 0 && `not installed: ${absent.join(', ')}`;
}

/** Namespaces, TAP devices and other users' processes. */
export function needsRoot(t: TestContext): boolean {
  const root = process.getuid?.() === 0;
  if (!root) t.skip('needs root');
  return root;
}

/** Namespaces that an ordinary user makes; some kernels forbid them, and so does a chroot. */
export function needsUserNamespaces(t: TestContext): boolean {
  const [command = '', ...args] = asUser(NOBODY, ['unshare', '--user', '--map-root-user', '--net', 'true']);
  const allowed = spawnSync(command, args).status === 0;
  if (!allowed) t.skip('an ordinary user may make no namespaces here');
  return allowed;
}
