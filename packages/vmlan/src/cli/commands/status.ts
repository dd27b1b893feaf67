/**
 * `vmlan status`: the daemon, its networks and what it warns about.
 *
 * Zone: control.
 */
import type { StatusView } from '../../model/api.ts';
import type { DefineCommand } from '../context.ts';
import { addExamples } from '../examples.ts';
import { formatDetails } from '../output/table.ts';
import { networkTable } from '../views/networks.ts';
import { formatAge } from '../views/time.ts';

export const define: DefineCommand = (command, context) => {
  command.action(async () => {
    const status = await context.client.call('status');
    await context.output.show(status, {
      table: (coloured) => statusText(status, coloured, Date.now()),
      ids: () => status.networks.filter(({ state }) => state === 'running').map(({ name }) => name),
    });
    for (const warning of status.warnings) context.output.warn(warning);
    for (const { name, warnings } of status.networks) {
      for (const warning of warnings) context.output.warn(`network "${name}": ${warning}`);
    }
  });
  addExamples(command, [
    ['what runs', 'vmlan status'],
    ['the names of the networks that run', 'vmlan status -q'],
  ]);
};

export function statusText(status: StatusView, coloured: boolean, nowMs: number): string {
  const { paths } = status;
  const connected = status.guests.filter(({ nics }) => nics.some(({ state }) => state === 'connected')).length;
  const details = formatDetails([
    ['daemon', `vmlan ${status.version}, pid ${status.pid}, up ${formatAge(status.startedMs, nowMs)}`],
    ['runs as', status.privileged ? 'root' : 'an ordinary user'],
    ['config', paths.config ?? 'none: the default networks apply'],
    ['state', paths.state],
    ['socket', paths.socket],
    ...(status.address === null ? [] : [['address', status.address] as const]),
    ['default network', status.defaultNetwork],
    ['guests', `${connected} of ${status.guests.length} connected`],
  ]);
  return `${details}\n${networkTable(status.networks, coloured)}`;
}
