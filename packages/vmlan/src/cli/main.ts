#!/usr/bin/env node
/**
 * Entry point of `vmlan`: says which Node.js it needs before anything is read that an older one cannot read.
 *
 * Zone: control.  Imports nothing at its top, for the same reason.
 */
const MIN_NODE: readonly [major: number, minor: number] = [22, 18];

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < MIN_NODE[0] || (major === MIN_NODE[0] && minor < MIN_NODE[1])) {
  process.stderr.write(
    `vmlan: Node.js >= ${MIN_NODE.join('.')} is needed, this is ${process.versions.node} (${process.execPath})\n` +
      'hint: install a newer Node.js, and put it first in PATH\n',
  );
  process.exitCode = 1;
} else {
  await import('./start.ts');
}
