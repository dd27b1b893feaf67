/**
 * The program that runs inside a namespace, for peers.ts:
 *
 *   peer.ts serve '[ServerSpec, …]'     prints "listening [PORT, …]"; a line "resume" on stdin releases stalled servers
 *   peer.ts client NAME 'ARGUMENT'      prints the result as JSON
 *
 * Zone: control.
 */
import { createInterface } from 'node:readline';
import { clients } from './peer-clients.ts';
import { listen, release, type ServerSpec } from './peer-servers.ts';

const [mode = '', first = '', second = 'null'] = process.argv.slice(2);

if (mode === 'serve') {
  const ports = await Promise.all((JSON.parse(first) as ServerSpec[]).map(listen));
  process.stdout.write(`listening ${JSON.stringify(ports)}\n`);
  createInterface(process.stdin).on('line', (line) => line === 'resume' && release());
} else if (mode === 'client' && first in clients) {
  const client = clients[first as keyof typeof clients] as (argument: unknown) => Promise<unknown>;
  process.stdout.write(`${JSON.stringify(await client(JSON.parse(second)))}\n`);
} else {
  process.stderr.write(`peer: unknown mode ${mode} ${first}\n`);
  process.exitCode = 2;
}
