/**
 * A small program of its own: makes a TAP where the privileges for it are, and hands its descriptor to the process that
 * moves the frames.  Started by netns-attach.ts, alone or behind `nsenter` and `unshare`.
 *
 * Zone: control.  Answers one line of JSON (`TapAnswer`); ends once the descriptor has arrived.
 */
import { toErrorData } from '../../core/errors.ts';
import { openLibc } from '../../sys/libc.ts';
import { fromArguments } from './netns-request.ts';
import type { TapAnswer } from './netns-request.ts';
import { setUpTap } from './netns-setup.ts';

const ARENA_BYTES = 1 << 18; // an event buffer of the syscall table and a few structures

async function answer(): Promise<TapAnswer> {
  try {
    const { request, namespace } = fromArguments(process.argv.slice(2));
    await setUpTap(openLibc({ arenaBytes: ARENA_BYTES }), request, namespace);
    return { error: null };
  } catch (error) {
    return { error: toErrorData(error) };
  }
}

const result = await answer();
process.stdout.write(`${JSON.stringify(result)}\n`);
process.exitCode = result.error === null ? 0 : 1;
