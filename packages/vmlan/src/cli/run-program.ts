/**
 * Runs a program in the foreground: the terminal is handed over, signals are passed on, its exit code is ours.
 *
 * Zone: control.  An argument vector, never a shell.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { isatty } from 'node:tty';
import { VmlanError } from '../client/errors.ts';
import { shellQuote } from './shell-quote.ts';

const FORWARDED_SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'];
const KEY_SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGQUIT'];
/** What shells report for a program that a signal ended. */
const SIGNAL_EXIT_BASE = 128;

export async function runProgram(argv: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<number> {
  const [program = '', ...args] = argv;
  const child = spawn(program, args, { stdio: 'inherit', env });
  const fromTerminal = isatty(0);
  const forward = (signal: NodeJS.Signals): void => {
    // A terminal sends its keys' signals to the child as well: twice would be once too often.
    if (!(fromTerminal && KEY_SIGNALS.includes(signal))) child.kill(signal);
  };
  for (const signal of FORWARDED_SIGNALS) process.on(signal, forward);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', (cause: NodeJS.ErrnoException) => reject(startError(program, cause)));
      child.once('exit', (code, signal) => {
        resolve(code ?? SIGNAL_EXIT_BASE + (signal === null ? 0 : constants.signals[signal]));
      });
    });
  } finally {
    for (const signal of FORWARDED_SIGNALS) process.off(signal, forward);
  }
}

function startError(program: string, cause: NodeJS.ErrnoException): VmlanError {
  if (cause.code === 'ENOENT') {
    return new VmlanError('not-found', `there is no program "${program}"`, {
      hint: program.includes('/')
        ? `see: ls -l ${shellQuote([program])}`
        : 'programs are looked for in PATH: echo "$PATH"',
      cause,
    });
  }
  const code = cause.code === 'EACCES' ? 'not-permitted' : 'internal';
  return new VmlanError(code, `cannot start "${program}": ${cause.message}`, {
    hint: `may it be run? See: ls -l ${shellQuote([program])}`,
    cause,
  });
}
