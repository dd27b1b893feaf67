/**
 * The command line as a process of its own; main.ts has looked at the version of Node.js.
 *
 * Zone: control.
 */
import { readFileSync } from 'node:fs';
import { processIo } from './io.ts';
import { reportError } from './report-error.ts';
import { runCli } from './run-cli.ts';

/** What a shell reports for a program whose reader has gone: 128 + SIGPIPE. */
const BROKEN_PIPE_EXIT_CODE = 141;
const FAILURE_EXIT_CODE = 1;

const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? BROKEN_PIPE_EXIT_CODE : FAILURE_EXIT_CODE);
  });
}
process.on('uncaughtException', (error: unknown) => {
  process.exit(reportError(error, processIo()));
});
process.exitCode = await runCli(process.argv.slice(2), processIo(), manifest.version);
