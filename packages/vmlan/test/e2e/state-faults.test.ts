/**
 * What holds when the disk of the state is full, read-only or has lost something: a real daemon, real network
 * processes, and a small disk of their own.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Client } from '../../src/client/client.ts';
import type { ForwardView, GuestView, RecordView } from '../../src/model/api.ts';
import { ownIdentity } from '../../src/sys/process-identity.ts';
import { fillDisk, readOnly, smallDisk } from '../support/disks.ts';
import { missing, needsRoot } from '../support/needs.ts';
import { Vmlan } from '../support/vmlan.ts';

const CONFIG = `
networks:
  lab: { mode: user-v2, subnet: 10.89.1.0/24, subnet6: off, autostart: true }
  spare: { mode: user-v2, subnet: 10.89.2.0/24, subnet6: off }
`;
const PORT = 18_431;

class Disk implements AsyncDisposable {
  readonly vmlan: Vmlan;
  readonly state: string;
  readonly api: Client;
  readonly #stack: AsyncDisposableStack;

  private constructor(vmlan: Vmlan, stack: AsyncDisposableStack) {
    this.vmlan = vmlan;
    this.state = join(vmlan.folder, 'state');
    this.api = new Client({ kind: 'unix', path: join(vmlan.folder, 'run', 'vmlan.sock') });
    this.#stack = stack;
  }

  /** A vmlan whose state, with something of everything, is on a disk of its own. */
  static async create(): Promise<Disk> {
    await using stack = new AsyncDisposableStack();
    const vmlan = stack.use(await Vmlan.create({ config: CONFIG }));
    stack.use(await smallDisk(join(vmlan.folder, 'state')));
    await vmlan.ok('up');
    await vmlan.ok('attach', 'web', '--network', 'lab');
    await vmlan.ok('forward', 'add', String(PORT), '10.89.1.9:80', '--network', 'lab');
    await vmlan.ok('dns', 'add', 'a.lab.internal', 'A', '10.89.1.9', '--network', 'lab');
    return new Disk(vmlan, stack.move());
  }

  async everything(): Promise<unknown> {
    const [guests, forwards, records] = await Promise.all([
      this.vmlan.json<GuestView[]>('list'),
      this.vmlan.json<ForwardView[]>('forward', 'list'),
      this.vmlan.json<RecordView[]>('dns', 'list'),
    ]);
    return {
      guests: guests.map(({ name, nics }) => [name, nics.map(({ mac, network }) => [mac, network])]),
      forwards: forwards.map(({ id, host, guest, state }) => [id, host, guest, state]),
      records: records.map(({ id, value }) => [id, value]),
    };
  }

  /** Every change is refused with the file, the reason and the next step, and nothing is different. */
  async assertRefusesChanges(reason: string, hint: RegExp, exitCode: number): Promise<void> {
    const before = await this.everything();
    const changes: [string, string[]][] = [
      ['/forwards/', ['forward', 'add', String(PORT + 1), '10.89.1.9:81', '--network', 'lab']],
      ['/records/', ['dns', 'add', 'b.lab.internal', 'A', '10.89.1.9', '--network', 'lab']],
      ['/guests/db.json', ['attach', 'db', '--network', 'lab']],
      ['/guests/web.json', ['attach', 'web', '--kind', 'qemu-dgram']],
    ];
    for (const [file, args] of changes) {
      const { code, stderr } = await this.vmlan.run(args);
      assert.match(stderr, new RegExp(`${this.state}${file}\\S* cannot be written: ${reason}`), args.join(' '));
      assert.match(stderr, hint);
      assert.equal(code, exitCode, stderr);
    }
    assert.deepEqual(await this.everything(), before);
    assert.equal(listens(PORT + 1), false);
    assert.equal(listens(PORT), true);
  }

  async assertTakesChanges(): Promise<void> {
    await this.vmlan.ok('forward', 'add', String(PORT + 1), '10.89.1.9:81', '--network', 'lab');
    await this.vmlan.ok('dns', 'add', 'b.lab.internal', 'A', '10.89.1.9', '--network', 'lab');
    await this.vmlan.ok('attach', 'db', '--network', 'lab');
    assert.equal(listens(PORT + 1), true);
    const before = await this.everything();
    await this.restart();
    assert.deepEqual(await this.everything(), before);
  }

  async restart(): Promise<void> {
    await this.vmlan.ok('down', '--keep-networks');
    await this.vmlan.ok('up');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/** proc(5): the local address in hex, and 0A for LISTEN. */
const listens = (port: number): boolean =>
  new RegExp(`:${port.toString(16).toUpperCase()} 0+:0+ 0A`).test(readFileSync('/proc/net/tcp', 'utf8'));

describe('a disk', { skip: missing('mount', 'umount') }, () => {
  test('that is full refuses what is new, keeps all that is there, and goes on when there is room', async (t) => {
    if (!needsRoot(t)) return;
    await using disk = await Disk.create();
    const filler = await fillDisk(disk.state);
    await disk.assertRefusesChanges('the disk is full', /hint: free space on the disk of /, 1);
    const before = await disk.everything();
    await disk.restart();
    assert.deepEqual(await disk.everything(), before);
    // What needs no room is done.
    await disk.vmlan.ok('forward', 'remove', (await disk.vmlan.json<ForwardView[]>('forward', 'list'))[0]!.id);
    assert.equal(listens(PORT), false);
    await rm(filler);
    await disk.assertTakesChanges();
  });

  test('that is read-only refuses what is new, keeps all that is there, and goes on when it is not', async (t) => {
    if (!needsRoot(t)) return;
    await using disk = await Disk.create();
    {
      await using _readOnly = await readOnly(disk.state);
      await disk.assertRefusesChanges('the file system is read-only', /hint: mount the disk of \S+ for writing/, 5);
      const before = await disk.everything();
      await disk.restart();
      assert.deepEqual(await disk.everything(), before);
      // A network whose process was lost comes back without writing anything.
      const lab = await disk.api.call('getNetwork', { params: { name: 'lab' } });
      await disk.api.call('stopNetwork', { params: { name: 'lab' } });
      const again = await disk.api.call('startNetwork', { params: { name: 'lab' } });
      assert.notEqual(again.pid, lab.pid);
      assert.deepEqual(await disk.everything(), before);
      // One that never ran has nowhere to keep its leases.
      const { code, stderr } = await disk.vmlan.run(['network', 'start', 'spare']);
      assert.deepEqual([code, /the file system is read-only/.test(stderr)], [5, true], stderr);
    }
    await disk.assertTakesChanges();
  });
});

test('files that were cut off are kept aside and told of, and everything else is there', async (t) => {
  if (!needsRoot(t)) return;
  await using disk = await Disk.create();
  await disk.vmlan.ok('attach', 'db', '--network', 'lab');
  await disk.vmlan.ok('down');
  const files = (readdirSync(disk.state, { recursive: true }) as string[]).filter((name) =>
    /guests\/web\.json|forwards\/..\.json|leases\.json/.test(name),
  );
  assert.equal(files.length, 3);
  for (const file of files) truncateSync(join(disk.state, file), 30);
  writeFileSync(join(disk.state, 'guests', 'left.json.tmp'), '{"half');
  await disk.vmlan.ok('up');
  const { stdout, stderr } = await disk.vmlan.run(['status']);
  const told = `${stdout}\n${stderr}`;
  for (const file of files) {
    const [, aside = ''] = new RegExp(`${file} was damaged and is kept as (\\S+): `).exec(told) ?? [];
    assert.equal(readFileSync(aside).length, 30, `${file}\n${told}`);
  }
  const events = await disk.vmlan.ok('events');
  for (const file of files) assert.ok(events.includes(file), events);
  // All is written anew, so nothing is broken any more; the warnings stay.
  assert.partialDeepStrictEqual(await disk.api.call('health'), { status: 'ok', problems: [] });
  const { guests, forwards, records } = (await disk.everything()) as Record<string, unknown[][]>;
  assert.deepEqual([guests!.map(([name]) => name), forwards, records!.length], [['db'], [], 1]);
  assert.ok(!readdirSync(join(disk.state, 'guests')).some((name) => name.endsWith('.tmp')));
});

describe('a network process', () => {
  for (const [name, damage] of Object.entries({
    'cut off': (path: string) => truncateSync(path, 5),
    'of another process': (path: string) => writeFileSync(path, '{"pid":1,"startTime":"1"}'),
    // Were it believed, `vmlan down` would end this test.
    'that of this test': (path: string) => writeFileSync(path, JSON.stringify({ ...ownIdentity(), protocol: 2 })),
    'that of everybody': (path: string) => writeFileSync(path, '{"pid":-1,"startTime":"","protocol":2}'),
    gone: (path: string) => rmSync(path),
  })) {
    test(`whose file is ${name} is taken over all the same`, async (t) => {
      if (!needsRoot(t)) return;
      await using disk = await Disk.create();
      const { pid, networks } = await disk.vmlan.status();
      const lab = networks.find((network) => network.name === 'lab')!;
      process.kill(pid, 'SIGKILL');
      damage(join(disk.vmlan.folder, 'run', 'networks', 'lab', 'process.json'));
      truncateSync(join(disk.vmlan.folder, 'run', 'daemon.pid'), 3);
      await disk.vmlan.ok('up');
      const after = await disk.api.call('getNetwork', { params: { name: 'lab' } });
      assert.deepEqual([after.pid, after.state, listens(PORT)], [lab.pid, 'running', true]);
      await disk.vmlan.ok('down');
      assert.ok(!existsSync(`/proc/${lab.pid}/exe`));
    });
  }
});
