/**
 * `vmlan restore`: a backup takes the place of what is there.
 *
 * Zone: control.  The daemon's program does it, while no daemon runs.
 */
import { resolve } from 'node:path';
import { describeEndpoint } from '../../client/endpoint.ts';
import { VmlanError } from '../../client/errors.ts';
import { askDaemonProgram } from '../ask-daemon-program.ts';
import type { DefineCommand } from '../context.ts';
import { addExamples } from '../examples.ts';
import { countsText } from './backup.ts';

interface Report {
  readonly file: string;
  readonly dryRun: boolean;
  readonly vmlan: string;
  readonly takenMs: number;
  readonly networks: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
  readonly replaced: readonly string[];
  readonly aside: string | null;
  readonly warnings: readonly string[];
}

interface Options {
  readonly dryRun?: boolean;
  readonly force?: boolean;
}

export const define: DefineCommand = (command, context) => {
  command
    .description(
      'Put a backup in the place of what is there, all of it or nothing. The daemon must not run; what was there before ' +
        'is kept beside.',
    )
    .argument('<file>', 'what `vmlan backup` wrote, `-` for stdin')
    .option('--dry-run', 'judge the backup and say what would be replaced; change nothing')
    .option('--force', 'also where there is state already: it is set aside')
    .action(async (name: string, { dryRun = false, force = false }: Options) => {
      if (context.client.endpoint.kind !== 'unix') {
        throw new VmlanError('usage', `a backup is not restored through ${describeEndpoint(context.client.endpoint)}`, {
          hint: 'call vmlan on that machine: it works on the directories',
        });
      }
      const file = name === '-' ? name : resolve(name);
      const flags = [...(dryRun ? ['--dry-run'] : []), ...(force ? ['--force'] : [])];
      const report = await askDaemonProgram<Report>(context, ['--restore', file, ...flags]);
      await context.output.show(report, { table: () => reportText(report), ids: () => report.networks });
      for (const warning of report.warnings) context.output.warn(warning);
      if (dryRun && !force && report.replaced.length > 0) context.output.warn('there is state already: add --force');
    });
  addExamples(command, [
    ['is it whole, and what would it replace?', 'vmlan restore before.json --dry-run'],
    ['on a new machine', 'vmlan restore before.json'],
    ['back to what was', 'vmlan down; vmlan restore before.json --force'],
  ]);
};

function reportText({ file, dryRun, vmlan, takenMs, networks, counts, replaced, aside }: Report): string {
  const lines = [
    `${file}: taken ${new Date(takenMs).toISOString()} by vmlan ${vmlan}`,
    `networks ${networks.join(', ')}; ${countsText(counts)}`,
    ...(dryRun ? replaced.map((path) => `would replace ${path}`) : []),
    ...(aside === null ? [] : [`what was there before is kept in ${aside}`]),
    dryRun ? 'nothing was changed' : 'restored: `vmlan up` starts it',
  ];
  return `${lines.join('\n')}\n`;
}
