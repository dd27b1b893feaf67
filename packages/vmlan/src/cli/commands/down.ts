/**
 * `vmlan down`: the daemon and, unless told otherwise, its networks stop.
 *
 * Zone: control.  Returns when nobody answers any more.
 */
import { readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { VmlanError } from '../../client/errors.ts';
import { resolvePaths } from '../../model/paths.ts';
import type { Context, DefineCommand } from '../context.ts';
import { addExamples } from '../examples.ts';
import { stopDaemon } from '../start-daemon.ts';

export const define: DefineCommand = (command, context) => {
  command
    .option('--keep-networks', 'let the networks run; the next daemon takes them over')
    .action(async ({ keepNetworks = false }: { keepNetworks?: boolean }) => {
      context.output.progress('stopping …');
      await stopDaemon(context, !keepNetworks).catch((error: unknown) => {
        throw isUnreachable(error) ? nothingToStop(context, error) : error;
      });
      context.output.done(keepNetworks ? 'vmlan stopped; its networks run on' : 'vmlan stopped');
    });
  addExamples(command, [
    ['stop everything', 'vmlan down'],
    ['stop the daemon, and interrupt no guest', 'vmlan down --keep-networks'],
  ]);
};

const isUnreachable = (error: unknown): error is VmlanError =>
  error instanceof VmlanError && error.code === 'daemon-unreachable';

function nothingToStop({ io, client }: Context, { code, message }: VmlanError): VmlanError {
  const left = client.endpoint.kind === 'unix' ? leftIn(`${runtimeOf(io)}/networks`) : [];
  const hint =
    left.length === 0
      ? 'it does not run, so there is nothing to stop'
      : `it left its networks (${left.join(', ')}); to end them, too: vmlan up && vmlan down`;
  return new VmlanError(code, message, { hint });
}

const runtimeOf = ({ env, uid }: Context['io']): string => resolvePaths(env, { uid, home: homedir() }).runtime;

function leftIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
