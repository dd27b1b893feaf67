/**
 * The conformance suite on every driver: the fake, and the userspace driver over a stand-in and over the real datapath.
 *
 * Zone: control.  The userspace driver runs in a process per network; as root that process becomes an ordinary user.
 */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { FakeDriver } from '../../src/drivers/fake/driver.ts';
import { UserspaceDriver } from '../../src/drivers/userspace/driver.ts';
import { unprivilegedUser } from '../../src/sys/privileges.ts';
import { until } from '../support/deadline.ts';
import { driverSuite } from './driver-suite.ts';
import type { DriverUnderTest } from './driver-suite.ts';

driverSuite('fake', () => {
  const driver = new FakeDriver();
  return Promise.resolve({
    driver,
    sockets: '/run',
    lose: (network) => Promise.resolve(driver.crash(network)),
    occupy: (port) => {
      const busy = driver.occupy(port);
      return Promise.resolve({ [Symbol.asyncDispose]: () => Promise.resolve(busy[Symbol.dispose]()) });
    },
    again: () => driver,
    [Symbol.asyncDispose]: () => driver.close(),
  });
});

const PROGRAMS = {
  'userspace (stand-in datapath)': '../../src/drivers/userspace/stand-in-engine.fixture.ts',
  userspace: '../../src/daemon/network-main.ts',
};

for (const [name, program] of Object.entries(PROGRAMS)) {
  driverSuite(name, () => Promise.resolve(userspace(join(import.meta.dirname, program))));
}

function userspace(program: string): DriverUnderTest {
  const directory = mkdtempSync('/tmp/vmlan-conformance-');
  const user = process.getuid!() === 0 ? unprivilegedUser(undefined) : null;
  if (user !== null) chmodSync(directory, 0o711);
  const sockets = join(directory, 'sockets');
  mkdirSync(sockets);
  chmodSync(sockets, 0o777); // for whoever the network process becomes
  const options = { runtime: join(directory, 'run'), state: join(directory, 'state'), program, user };
  const drivers = [new UserspaceDriver(options)];
  return {
    driver: drivers[0]!,
    sockets,
    lose: async (network) => {
      const { pid } = JSON.parse(readFileSync(join(options.runtime, 'networks', network, 'process.json'), 'utf8')) as {
        pid: number;
      };
      process.kill(pid, 'SIGKILL');
      await until('the end of the process', 5000, () => (isAlive(pid) ? undefined : true));
    },
    occupy: async (port) => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
      return server;
    },
    again: () => {
      drivers.push(new UserspaceDriver(options));
      return drivers.at(-1)!;
    },
    [Symbol.asyncDispose]: async () => {
      const last = drivers.at(-1)!;
      for (const network of await last.list()) await last.apply({ network, steps: [{ action: 'stop' }] });
      await Promise.all(drivers.map((driver) => driver.close()));
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** A process that only waits to be reaped does not run. */
function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
