/**
 * The command line as a process of its own; main.ts has looked at the version of Node.js.
 *
 * Zone: control.
 */
import { readFileSync } from 'node:fs';
import { processIo } from './io.ts';
import { runCli } from './run-cli.ts';

/** What a shell reports for a program whose reader has gone: 128 + SIGPIPE. */
const BROKEN_PIPE_EXIT_CODE = 141;

const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(BROKEN_PIPE_EXIT_CODE);
  throw error;
});
process.exitCode = await runCli(process.argv.slice(2), processIo(), manifest.version);
