/**
 * `vmlan version`: of the command line and, when one answers, of the daemon.
 *
 * Zone: control.
 */
import { VmlanError } from '../../client/errors.ts';
import type { Context, DefineCommand } from '../context.ts';
import { addExamples } from '../examples.ts';
import { formatDetails } from '../output/table.ts';

export const define: DefineCommand = (command, context) => {
  command.action(async () => {
    const client = command.parent?.version() ?? '';
    const daemon = await daemonVersion(context);
    await context.output.show(
      { client, daemon, node: process.versions.node },
      {
        table: () =>
          formatDetails([
            ['client', client],
            ['daemon', daemon ?? 'not running'],
            ['node', process.versions.node],
          ]),
        ids: () => [client],
      },
    );
  });
  addExamples(command, [['both versions', 'vmlan version']]);
};

async function daemonVersion(context: Context): Promise<string | null> {
  try {
    return (await context.client.call('health')).version;
  } catch (error) {
    if (error instanceof VmlanError && error.code === 'daemon-unreachable') return null;
    throw error;
  }
}
