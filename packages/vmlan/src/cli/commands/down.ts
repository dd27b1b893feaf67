/**
 * `vmlan down`: the daemon and, unless told otherwise, its networks stop.
 *
 * Zone: control.  Returns when nobody answers any more.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { VmlanError } from '../../client/errors.ts';
import type { Context, DefineCommand } from '../context.ts';
import { addExamples } from '../examples.ts';

const STOP_TIMEOUT_MS = 30_000;
const POLL_INTERVAL_MS = 50;

export const define: DefineCommand = (command, context) => {
  command
    .option('--keep-networks', 'let the networks run; the next daemon takes them over')
    .action(async ({ keepNetworks = false }: { keepNetworks?: boolean }) => {
      context.output.progress('stopping …');
      await context.client.call('shutdown', { body: { networks: !keepNetworks } });
      await untilGone(context);
      context.output.done(keepNetworks ? 'vmlan stopped; its networks run on' : 'vmlan stopped');
    });
  addExamples(command, [
    ['stop everything', 'vmlan down'],
    ['replace the daemon without interrupting a guest', 'vmlan down --keep-networks && vmlan up'],
  ]);
};

async function untilGone(context: Context): Promise<void> {
  const deadline = Date.now() + STOP_TIMEOUT_MS;
  while (Date.now() < deadline) {
    if (!(await answers(context))) return;
    await delay(POLL_INTERVAL_MS);
  }
  throw new VmlanError('timeout', `the daemon still answers after ${STOP_TIMEOUT_MS / 1000} s`);
}

async function answers(context: Context): Promise<boolean> {
  try {
    await context.client.call('health', undefined, { timeoutMs: 1000 });
    return true;
  } catch (error) {
    if (error instanceof VmlanError && error.code === 'daemon-unreachable') return false;
    if (error instanceof VmlanError && error.code === 'timeout') return true;
    throw error;
  }
}
