/**
 * One bench at a time on a machine: a name in the abstract socket namespace (man 7 unix), which the kernel frees however
 * its holder ends.
 *
 * Zone: control.
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

const NAME = '\0vmlan-bench';

/** Throws when another bench runs. The lock lasts until the server is closed or the process ends. */
export async function lock(name: string = NAME): Promise<Server> {
  const server = createServer().listen(name);
  try {
    await once(server, 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') {
      throw new Error('another bench runs on this machine; two at once measure each other', { cause: error });
    }
    throw error;
  }
  server.unref();
  return server;
}
