/** The network process as it really runs: its privileges, its files, its end. Over the stand-in datapath. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, test } from 'node:test';
import { until } from '../../core/deadline.fixture.ts';
import { identityOf, isRunning } from '../../sys/process-identity.ts';
import { readPrivileges, unprivilegedUser } from '../../sys/privileges.ts';
import type { DriverEvent, WantedNetwork } from '../driver.ts';
import { NOTHING } from '../plan.ts';
import { networkPaths } from '../network-paths.ts';
import type { NetworkPaths } from '../network-paths.ts';
import { resolveNetwork } from '../../model/resolve.ts';
import { UserspaceDriver } from './driver.ts';
import { ANSWER_TIMEOUT_MS, NetworkClient } from './network-client.ts';
import { isOfNetwork, runningProcess, writeProcessFile } from './process-file.ts';
import { RpcPeer } from './rpc.ts';

const PROGRAM = join(import.meta.dirname, 'stand-in-engine.fixture.ts');
const USER = process.getuid!() === 0 ? unprivilegedUser(undefined) : null;

function wanted(parts: Partial<WantedNetwork> = {}): WantedNetwork {
  const context = { identify: () => new Uint8Array(16), pickSubnet: () => null };
  const network = resolveNetwork('lab', { mode: 'user-v2', subnet: '10.66.0.0/24' }, context);
  return { network, ...NOTHING, ...parts };
}

class Bed implements AsyncDisposable {
  readonly directory: string = mkdtempSync('/tmp/vmlan-process-');
  readonly paths: NetworkPaths;
  driver: UserspaceDriver;
  readonly #open: () => UserspaceDriver;
  readonly events: DriverEvent[] = [];

  constructor(program: string = PROGRAM, heartbeatMs = 10_000) {
    if (USER !== null) chmodSync(this.directory, 0o711);
    const [runtime, state] = [join(this.directory, 'run'), join(this.directory, 'state')];
    this.paths = networkPaths(runtime, state, 'lab');
    this.#open = () => {
      const driver = new UserspaceDriver({ runtime, state, program, user: USER, heartbeatMs });
      driver.onEvent((_network, event) => this.events.push(event));
      return driver;
    };
    this.driver = this.#open();
  }

  async make(target: WantedNetwork | null): Promise<void> {
    await this.driver.apply(this.driver.plan('lab', target, await this.driver.observe('lab')));
  }

  /** As the next daemon has it: of what runs it knows nothing yet. */
  async reopen(): Promise<void> {
    await this.driver.close();
    this.driver = this.#open();
  }

  get pid(): number {
    return (JSON.parse(readFileSync(this.paths.process, 'utf8')) as { pid: number }).pid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.make(null);
    await this.driver.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

test('the process is an ordinary user without capabilities, and cannot gain any', async () => {
  await using bed = new Bed();
  await bed.make(wanted());
  const threads = readPrivileges(`/proc/${bed.pid}/task`);
  const uid = String(USER?.uid ?? process.getuid!());
  for (const { uids, held } of threads) assert.deepEqual([uids, held], [[uid, uid, uid, uid], []]);
  assert.ok(threads.find(({ thread }) => thread === String(bed.pid))?.noNewPrivileges);
  assert.match(readFileSync(`/proc/${bed.pid}/status`, 'utf8'), /^Groups:\s*$/m);
});

test('nobody but its user and root gets to its sockets', async () => {
  await using bed = new Bed();
  const link = { id: 'qemu', link: { kind: 'stream-listen', address: { unix: bed.paths.qemu }, nic: null } } as const;
  await bed.make(wanted({ links: [link] }));
  assert.equal(statSync(bed.paths.directory).mode & 0o777, 0o700);
  assert.equal(statSync(bed.paths.control).mode & 0o777, 0o600);
  assert.equal(statSync(bed.paths.qemu).uid, USER?.uid ?? process.getuid!());
});

test('SIGTERM ends it cleanly', async () => {
  await using bed = new Bed();
  const listen = { unix: join(bed.paths.guests, 'app.sock') };
  const forward = { id: 'f', protocol: 'tcp', direction: 'host', listen, target: { host: 'web', port: 80 } } as const;
  await bed.make(wanted({ forwards: [forward] }));
  const identity = JSON.parse(readFileSync(bed.paths.process, 'utf8')) as { pid: number; startTime: string };
  const ended = exited(bed);
  process.kill(identity.pid, 'SIGTERM');
  assert.match(await ended, /network lab stopped/);
  await until('the process to be gone', 10_000, () => !isRunning(identity));
  assert.deepEqual(
    [existsSync(bed.paths.process), existsSync(listen.unix), existsSync(bed.paths.control)],
    [false, false, false],
  );
});

test('SIGINT and SIGHUP are for the daemon, not for it', async () => {
  await using bed = new Bed();
  await bed.make(wanted());
  const { pid } = bed;
  for (const signal of ['SIGINT', 'SIGHUP'] as const) process.kill(pid, signal);
  assert.equal((await bed.driver.observe('lab')).pid, pid);
});

test('when the datapath dies it dies loudly', async () => {
  await using bed = new Bed();
  await bed.make(wanted());
  const ended = exited(bed);
  const nic = { key: 'crash/0', guest: 'crash', mac: null, connected: true };
  await bed.make(wanted({ nics: [nic] })).catch(() => undefined);
  assert.match(await ended, /the engine ended: assertion failed/);
  assert.match(readFileSync(bed.paths.log, 'utf8'), /error the engine ended: assertion failed/);
});

test('leases are on disk before they are confirmed, and read by the next one', async () => {
  await using bed = new Bed();
  await bed.make(wanted());
  const { address4 } = await bed.driver.allocate('lab', 'web/0', '52:54:00:00:00:01');
  process.kill(bed.pid, 'SIGKILL');
  await exited(bed);
  await bed.make(wanted());
  assert.equal((await bed.driver.allocate('lab', 'web/0', '52:54:00:00:00:01')).address4, address4);
});

test('a damaged lease file is reported and kept', async () => {
  await using bed = new Bed();
  mkdirSync(bed.paths.state, { recursive: true });
  writeFileSync(bed.paths.leases, '{"version":1,"du');
  await bed.make(wanted());
  const { warnings, notices } = await bed.driver.observe('lab');
  assert.deepEqual(warnings, [], 'it is written anew');
  assert.match(notices.join(), /leases\.json was damaged and is kept as/);
  assert.ok(readdirSync(bed.paths.state).some((name) => name.startsWith('leases.json.damaged-')));
});

test('a datapath that hangs is noticed when nobody asks, and once', async () => {
  await using bed = new Bed(PROGRAM, 50);
  await bed.make(wanted());
  await bed.make(wanted({ nics: [{ key: 'hang/0', guest: 'hang', mac: null, connected: true }] }));
  const answering = (): unknown[] => bed.events.filter(({ kind }) => kind === 'answering');
  await until('the silence', 3 * ANSWER_TIMEOUT_MS, () => answering().length > 0);
  const { pid, trouble } = await bed.driver.observe('lab');
  assert.deepEqual([pid, trouble?.code], [bed.pid, 'timeout']);
  await delay(500); // ten beats
  assert.deepEqual(answering(), [{ kind: 'answering', answers: false }]);
});

test('a state directory that its user cannot reach is refused', { skip: USER === null }, async () => {
  await using bed = new Bed();
  chmodSync(bed.directory, 0o700);
  await assert.rejects(bed.make(wanted()), { code: 'not-permitted', message: /is closed to user nobody/ });
  assert.deepEqual(await bed.driver.list(), []);
  chmodSync(bed.directory, 0o711);
});

test('the first request must be the greeting, of a protocol that both speak', async () => {
  await using bed = new Bed();
  await bed.make(wanted());
  const peer = new RpcPeer(await connected(bed.paths.control));
  await assert.rejects(peer.request('snapshot'), { code: 'unavailable', message: /first request is `hello`/ });
  await assert.rejects(peer.request('hello', { protocol: 99 }), {
    code: 'unsupported',
    message: /speaks protocol 2, not 99/,
  });
  assert.deepEqual(Object.keys((await peer.request('hello', { protocol: 2, minor: 99 })) as object), [
    'protocol',
    'minor',
    'network',
    'pid',
    'startedMs',
  ]);
  await assert.rejects(peer.request('dance'), { code: 'unsupported', message: /no method "dance"/ });
  peer.close();
});

test('two daemons may look at it at once', async () => {
  await using bed = new Bed();
  await bed.make(wanted());
  const other = await NetworkClient.adopt(bed.paths, { onNotification: () => undefined, onLost: () => undefined });
  assert.equal(other?.pid, bed.pid);
  other?.release();
});

test('one of another protocol is left alone, shown with its pid, and ended when it is told to stop', async () => {
  await using bed = new Bed();
  await bed.make(wanted());
  const { pid } = bed;
  await bed.reopen();
  const record = JSON.parse(readFileSync(bed.paths.process, 'utf8')) as { startTime: string };
  writeFileSync(bed.paths.process, JSON.stringify({ ...record, pid, protocol: 99 }));
  const observed = await bed.driver.observe('lab');
  assert.deepEqual([observed.pid, observed.applied, observed.trouble?.code], [pid, null, 'incompatible']);
  assert.match(observed.trouble!.message, /^network "lab" is run by another version .* protocol 99 instead of \d+\)$/);
  assert.match(observed.trouble!.hint!, /vmlan network stop lab, vmlan network start lab/);
  await assert.rejects(bed.driver.snapshot('lab'), { code: 'incompatible' });
  assert.ok(isRunning({ pid, startTime: record.startTime }));
  await bed.make(null);
  assert.ok(!isRunning({ pid, startTime: record.startTime }));
  assert.ok(!existsSync(bed.paths.directory));
});

test('one that waits for a request which never comes is waited for, and found ended', async () => {
  await using bed = new Bed();
  mkdirSync(bed.paths.directory, { recursive: true });
  const argv = ['-e', 'process.stdin.resume()', bed.paths.directory];
  const child = spawn(process.execPath, argv, { stdio: ['pipe', 'ignore', 'ignore'] });
  writeProcessFile(bed.paths.process, child.pid!);
  const observed = bed.driver.observe('lab');
  child.stdin.end(); // which it hears when Node.js has started in it
  assert.equal((await observed).applied, null);
  assert.equal(child.exitCode ?? 0, 0);
});

test('one that accepts and lets go is left alone: its guests may be served', async () => {
  await using bed = new Bed();
  mkdirSync(bed.paths.directory, { recursive: true });
  const child = bystander(bed.paths.directory);
  writeProcessFile(bed.paths.process, child.pid!);
  const server = createServer((socket) => socket.destroy());
  await once(server.listen(bed.paths.control), 'listening');
  const { pid, trouble } = await bed.driver.observe('lab');
  assert.deepEqual([pid, trouble?.code], [child.pid, 'timeout']);
  assert.deepEqual([child.exitCode, child.signalCode], [null, null]);
  server.close();
  await bed.make(null);
  assert.equal(child.signalCode, 'SIGTERM', 'it is ended when the network is stopped');
});

test('a process file of a process that is gone means nothing', async () => {
  await using bed = new Bed();
  mkdirSync(bed.paths.directory, { recursive: true });
  writeFileSync(bed.paths.process, '{"pid":1,"startTime":"999999999999"}');
  assert.equal((await bed.driver.observe('lab')).applied, null);
  assert.deepEqual(await bed.driver.list(), ['lab'], 'it ran once, and shall run again');
  await bed.make(wanted());
  assert.notEqual((await bed.driver.observe('lab')).applied, null);
});

/** Who runs, and has nothing to do with any network. */
function bystander(...argv: readonly string[]): ChildProcess {
  return spawn('sh', ['-c', 'read _', 'sh', ...argv], { stdio: ['pipe', 'ignore', 'ignore'] });
}

describe('a process that names another as itself', () => {
  const recordOf = (pid: number): string => JSON.stringify({ ...identityOf(pid), protocol: 2 });

  test('in its record is found all the same, and the other one lives', async () => {
    await using bed = new Bed();
    await bed.make(wanted());
    const { pid } = bed;
    const identity = identityOf(pid);
    await bed.reopen();
    const victim = bystander();
    writeFileSync(bed.paths.process, recordOf(victim.pid!));
    assert.equal((await bed.driver.observe('lab')).pid, pid);
    const told = bed.events.filter(({ kind }) => kind === 'notice').map((event) => JSON.stringify(event));
    assert.match(
      told.join('\n'),
      new RegExp(`^[^\n]*names process ${victim.pid}, which is none of the network[^\n]*$`),
    );
    assert.equal(bed.pid, pid, 'the record is right again');
    await bed.reopen();
    writeFileSync(bed.paths.process, recordOf(victim.pid!));
    await bed.make(null);
    assert.ok(!isRunning(identity));
    assert.deepEqual([victim.exitCode, victim.signalCode], [null, null]);
    victim.kill();
  });

  test('in its record, and keeps no socket, is nobody', async () => {
    await using bed = new Bed();
    mkdirSync(bed.paths.directory, { recursive: true });
    const victim = bystander();
    writeFileSync(bed.paths.process, recordOf(victim.pid!));
    const { pid, applied, trouble } = await bed.driver.observe('lab');
    assert.deepEqual([pid, applied, trouble], [null, null, null]);
    await bed.make(null);
    assert.deepEqual([victim.exitCode, victim.signalCode], [null, null]);
    victim.kill();
  });

  for (const [what, record] of Object.entries({
    'everybody (-1)': '{"pid":-1,"startTime":""}',
    'the group of the daemon (0)': '{"pid":0,"startTime":""}',
    'half a process (1.5)': '{"pid":1.5,"startTime":""}',
    'process 1 without a start': '{"pid":1,"startTime":""}',
    'more than fits': `{"pid":${process.pid},${' '.repeat(5000)}"startTime":"1"}`,
  })) {
    test(`${what} is nobody`, async () => {
      await using bed = new Bed();
      mkdirSync(bed.paths.directory, { recursive: true });
      writeFileSync(bed.paths.process, record);
      assert.equal(runningProcess(bed.paths), null);
      await bed.make(null);
    });
  }

  test('at its socket is not ended, and neither is the other one', async () => {
    await using bed = new Bed();
    mkdirSync(bed.paths.directory, { recursive: true });
    const victim = bystander();
    const result = { protocol: 2, minor: 1, network: 'lab', pid: victim.pid, startedMs: 1 };
    const peers: RpcPeer[] = [];
    const server = createServer((socket) => {
      peers.push(new RpcPeer(socket, { onRequest: () => Promise.resolve(result) }));
    });
    await once(server.listen(bed.paths.control), 'listening');
    assert.equal((await bed.driver.observe('lab')).pid, null);
    await bed.make(null);
    await NetworkClient.end(bed.paths);
    assert.deepEqual([victim.exitCode, victim.signalCode], [null, null]);
    assert.ok(!existsSync(bed.paths.process));
    server.close();
    victim.kill();
  });
});

describe('a process is of the network', () => {
  const title = 'vmlan network lab';
  /** A process that calls itself so. */
  const titled = (as: string, uid?: number): ChildProcess =>
    spawn(
      process.execPath,
      ['-e', `process.title = ${JSON.stringify(as)}; console.log(); setTimeout(() => {}, 60000)`],
      {
        stdio: ['ignore', 'pipe', 'ignore'],
        ...(uid === undefined ? {} : { uid }),
      },
    );

  const judged = async (directory: string, child: ChildProcess): Promise<boolean> => {
    if (child.stdout !== null) await once(child.stdout, 'data');
    const verdict = isOfNetwork(identityOf(child.pid!), directory);
    child.kill();
    return verdict;
  };

  test('by its title, or by its last argument while it starts', async () => {
    await using bed = new Bed();
    const { directory } = bed.paths;
    mkdirSync(directory, { recursive: true });
    assert.ok(await judged(directory, titled(title)));
    assert.ok(await judged(directory, bystander(directory)));
    assert.ok(!(await judged(directory, titled('vmlan network other'))));
    assert.ok(!(await judged(directory, titled(`${title} `))));
    assert.ok(!(await judged(directory, bystander(directory, 'x'))));
    assert.ok(!(await judged(join(directory, 'gone'), titled(title))));
  });

  test('as the same process, and not as a later one with its pid', async () => {
    await using bed = new Bed();
    const { directory } = bed.paths;
    mkdirSync(directory, { recursive: true });
    const child = bystander(directory);
    const identity = identityOf(child.pid!);
    assert.ok(isOfNetwork(identity, directory));
    assert.ok(!isOfNetwork({ ...identity, startTime: String(Number(identity.startTime) - 1) }, directory));
    assert.ok(!isOfNetwork({ ...identity, startTime: '' }, directory));
    child.kill();
    await once(child, 'exit');
    assert.ok(!isOfNetwork(identity, directory));
  });

  test('as the user of its directory, and not as root who has the same title', { skip: USER === null }, async () => {
    await using bed = new Bed();
    const { directory } = bed.paths;
    mkdirSync(directory, { recursive: true });
    chownSync(directory, USER!.uid, USER!.gid);
    assert.ok(await judged(directory, titled(title, USER!.uid)));
    assert.ok(!(await judged(directory, titled(title))));
    assert.ok(!(await judged(directory, titled(title, USER!.uid + 1))));
  });
});

test('a program that says nothing is reported with its last words', async () => {
  await using bed = new Bed(join(import.meta.dirname, 'no-such-program.ts'));
  await assert.rejects(bed.make(wanted()), { code: 'unavailable', message: /ended while it started/ });
  assert.ok(!existsSync(bed.paths.process));
});

function exited(bed: Bed): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  bed.driver.onEvent((_network, event) => event.kind === 'exited' && resolve(event.reason));
  return promise;
}

function connected(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => resolve(socket));
    socket.once('error', reject);
  });
}
