/**
 * `vmlan status`: the daemon, its networks, what is broken and what it warns about.  Ends with 1 when something is broken.
 *
 * Zone: control.
 */
import type { HealthProblem, StatusView } from '../../model/api.ts';
import type { DefineCommand } from '../context.ts';
import { addExamples } from '../examples.ts';
import { formatDetails } from '../output/table.ts';
import { networkTable } from '../views/networks.ts';
import { formatAge } from '../views/time.ts';

const BROKEN_EXIT_CODE = 1;

export const define: DefineCommand = (command, context) => {
  command.action(async () => {
    const status = await context.client.call('status');
    const shapes = await context.client.call('listShapes');
    await context.output.show(status, {
      table: (coloured) => statusText(status, shapes.length, coloured, Date.now()),
      ids: () => status.networks.filter(({ state }) => state === 'running').map(({ name }) => name),
    });
    const { problems } = status;
    for (const warning of status.warnings) context.output.warn(warning);
    for (const { name, warnings } of status.networks) {
      const told = problems.filter(({ network }) => network === name).map(warningOf);
      for (const warning of warnings) {
        if (!told.includes(warning)) context.output.warn(`network "${name}": ${warning}`);
      }
    }
    for (const problem of problems) context.output.warn(problemLine(problem));
    if (problems.length > 0) context.exitCode = BROKEN_EXIT_CODE;
  });
  addExamples(command, [
    ['is all well? for scripts and monitors', 'vmlan status --quiet >/dev/null || echo broken'],
    ['what runs', 'vmlan status'],
    ['the names of the networks that run', 'vmlan status -q'],
  ]);
};

/** As the network itself warns of it. */
const warningOf = ({ part, detail }: HealthProblem): string => (part === null ? detail : `${part}: ${detail}`);

const problemLine = ({ network, part, detail, hint }: HealthProblem): string =>
  `broken: network "${network}"${part === null ? '' : `, ${part}`}: ${detail}${hint === undefined ? '' : `; ${hint}`}`;

function statusText(status: StatusView, shapes: number, coloured: boolean, nowMs: number): string {
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
    // Who forgot one would look for the fault elsewhere.
    ...(shapes === 0 ? [] : [['shapes', `${shapes} in force, see: vmlan shape list`] as const]),
  ]);
  return `${details}\n${networkTable(status.networks, coloured)}`;
}
