/**
 * `vmlan token`: what programs send to the API over TCP.
 *
 * Zone: control.  Told on the unix socket alone.
 */
import type { DefineCommand } from '../context.ts';
import { addExamples } from '../examples.ts';

export const define: DefineCommand = (command, context) => {
  command
    .option('--rotate', 'make a new one; the old one is void at once')
    .action(async ({ rotate = false }: { readonly rotate?: boolean }) => {
      const view = await context.client.call(rotate ? 'rotateToken' : 'getToken');
      await context.output.show(view, { table: () => `${view.token}\n`, ids: () => [view.token] });
      if (view.address === null) {
        context.output.warn('the daemon does not listen over TCP: start it with `vmlan up --listen 127.0.0.1:7117`');
      }
    });
  addExamples(command, [
    ['ask the API over TCP', 'curl -H "Authorization: Bearer $(vmlan token)" 127.0.0.1:7117/healthz'],
    ['the command line over TCP', 'VMLAN_HOST=http://127.0.0.1:7117 VMLAN_TOKEN=$(vmlan token) vmlan status'],
    ['after it was seen by others', 'vmlan token --rotate'],
  ]);
};
