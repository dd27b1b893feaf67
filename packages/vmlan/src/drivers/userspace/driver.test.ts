/** TAPs of the userspace driver: into namespaces and for the host, over the stand-in datapath. Root only. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { until } from '../../core/deadline.fixture.ts';
import { resolveNetwork } from '../../model/resolve.ts';
import { unprivilegedUser } from '../../sys/privileges.ts';
import type { DriverEvent, NetnsTarget, WantedLink, WantedNetwork } from '../driver.ts';
import { NOTHING } from '../plan.ts';
import { UserspaceDriver } from './driver.ts';

const skip = process.getuid!() !== 0 || !existsSync('/dev/net/tun') ? 'needs root and /dev/net/tun' : false;
const NAMESPACE = `vmldrv${process.pid}`;
const ip = (...args: readonly string[]): string => execFileSync('ip', args, { encoding: 'utf8' });

const netns = (target: Partial<NetnsTarget>): WantedLink => ({
  id: 'attach box/0',
  link: {
    kind: 'netns',
    nic: 'box/0',
    mac: '52:54:00:00:00:0b',
    mtu: 1400,
    target: { pid: null, path: null, interface: 'eth0', configure: true, ...target },
  },
});

function wanted(links: readonly WantedLink[]): WantedNetwork {
  const context = { identify: () => new Uint8Array(16), pickSubnet: () => null };
  const network = resolveNetwork('lab', { mode: 'user-v2', subnet: '10.67.0.0/24' }, context);
  return { network, ...NOTHING, links };
}

class Bed implements AsyncDisposable {
  readonly directory: string = mkdtempSync('/tmp/vmlan-driver-');
  driver: UserspaceDriver = this.open();

  open(): UserspaceDriver {
    chmodSync(this.directory, 0o711);
    const program = join(import.meta.dirname, 'stand-in-engine.fixture.ts');
    const [runtime, state] = [join(this.directory, 'run'), join(this.directory, 'state')];
    return new UserspaceDriver({ runtime, state, program, user: unprivilegedUser(undefined) });
  }

  async make(target: WantedNetwork | null): Promise<void> {
    await this.driver.apply(this.driver.plan('lab', target, await this.driver.observe('lab')));
  }

  async links(): Promise<readonly string[]> {
    return (await this.driver.observe('lab')).applied?.links.map(({ id }) => id) ?? [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.make(null);
    await this.driver.close();
    rmSync(this.directory, { recursive: true });
  }
}

describe('a namespace', { skip }, () => {
  test('gets its interface, addresses and resolver, and loses the resolver when it leaves', async () => {
    ip('netns', 'add', NAMESPACE);
    const resolver = `/etc/netns/${NAMESPACE}/resolv.conf`;
    try {
      await using bed = new Bed();
      await bed.make(wanted([netns({ path: `/run/netns/${NAMESPACE}` })]));
      const shown = ip('-n', NAMESPACE, 'address', 'show', 'dev', 'eth0');
      assert.match(shown, /mtu 1400[^]*52:54:00:00:00:0b[^]*inet 10\.67\.0\.100\/24/);
      assert.match(ip('-n', NAMESPACE, 'route'), /default via 10\.67\.0\.1 dev eth0/);
      assert.ok(existsSync(resolver));
      await bed.make(wanted([]));
      assert.ok(!existsSync(resolver));
    } finally {
      ip('netns', 'del', NAMESPACE);
    }
  });

  test('of a process leaves its network when the process ends, whoever watches', async () => {
    await using bed = new Bed();
    const child = spawn('unshare', ['--net', 'sleep', '600']);
    const target = { pid: child.pid!, configure: false };
    const namespaceOf = (pid: number | string): string => readlinkSync(`/proc/${pid}/ns/net`);
    await until('unshare to be inside', 10_000, () => namespaceOf(child.pid!) !== namespaceOf('self'));
    await bed.make(wanted([netns(target)]));
    assert.deepEqual(await bed.links(), ['attach box/0']);
    await bed.driver.close();
    bed.driver = bed.open();
    assert.deepEqual(await bed.links(), ['attach box/0']);
    child.kill('SIGKILL');
    await until('the link to go', 10_000, async () => (await bed.links()).length === 0);
  });

  test('that is not there is an error, and changes nothing', async () => {
    await using bed = new Bed();
    await bed.make(wanted([]));
    await assert.rejects(bed.make(wanted([netns({ path: '/run/netns/vmlan-none' })])), { code: 'not-found' });
    assert.deepEqual(await bed.links(), []);
  });
});

describe('the host', { skip }, () => {
  const hostSide: WantedLink = {
    id: 'host',
    link: {
      kind: 'host-side',
      interface: `vml-${process.pid % 100_000}`,
      mac: '02:76:68:00:00:01',
      mtu: 1500,
      addresses: ['10.67.0.254/24'],
    },
  };
  const name = hostSide.link.kind === 'host-side' ? hostSide.link.interface : '';

  test('has an interface of its own while the network runs', async () => {
    await using bed = new Bed();
    const exited: DriverEvent[] = [];
    bed.driver.onEvent((_network, event) => exited.push(event));
    await bed.make(wanted([hostSide]));
    assert.match(ip('address', 'show', 'dev', name), /inet 10\.67\.0\.254\/24/);
    await bed.make(null);
    assert.doesNotMatch(ip('link'), new RegExp(name));
    assert.deepEqual(exited, []);
  });

  test('does without when it cannot have it', async () => {
    await using bed = new Bed();
    ip('tuntap', 'add', 'dev', name, 'mode', 'tap');
    try {
      const plan = bed.driver.plan('lab', wanted([hostSide]), await bed.driver.observe('lab'));
      const failed = await bed.driver.apply(plan);
      assert.deepEqual(
        failed.map(({ step, error }) => [step.action, error.code]),
        [['add-link', 'conflict']],
      );
    } finally {
      ip('link', 'del', name);
    }
  });
});

test('a driver that closes while a network starts lets go of it, and leaves it to the next', async () => {
  await using bed = new Bed();
  const making = bed.make(wanted([]));
  await until('the process runs', 10_000, () =>
    Promise.resolve(existsSync(join(bed.directory, 'run/networks/lab/process.json'))),
  );
  await bed.driver.close();
  await assert.rejects(making, { code: 'unavailable', message: /left to the next daemon/ });
  bed.driver = bed.open();
  await until('the next driver takes it over', 10_000, async () => (await bed.driver.observe('lab')).pid !== null);
});
