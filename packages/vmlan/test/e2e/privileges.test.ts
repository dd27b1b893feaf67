/**
 * What the network process may do, as the kernel says it; and vmlan for a user who is not root, from the demo on.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { NetworkView } from '../../src/model/api.ts';
import { missing } from '../support/needs.ts';
import { asUser, NOBODY, type User } from '../support/netns.ts';
import { Process, run } from '../support/process.ts';
import { QEMU } from '../support/qemu-guest.ts';
import { Station } from '../support/station.ts';
import { Vmlan } from '../support/vmlan.ts';

const CHECKOUT = join(import.meta.dirname, '../../../..');
const CONFIG = 'networks:\n  lab: { mode: user-v2, subnet: 192.168.77.0/24, autostart: true }\n';
/** Nobody's number: no entry in passwd, no home, no groups. */
const STRANGER: User = { uid: 54_321, gid: 54_321 };
const DEMO_TIMEOUT_MS = 240_000;
const NO_CAPABILITIES = '0'.repeat(16);

interface Rights {
  readonly uids: string;
  readonly gids: string;
  readonly groups: string;
  readonly capabilities: readonly string[];
  readonly noNewPrivileges: string;
}

function rightsOf(statusFile: string): Rights {
  const text = readFileSync(statusFile, 'utf8');
  const field = (name: string): string => new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(text)?.[1]?.trim() ?? 'absent';
  return {
    uids: field('Uid').replaceAll('\t', ' '),
    gids: field('Gid').replaceAll('\t', ' '),
    groups: field('Groups'),
    capabilities: ['CapInh', 'CapPrm', 'CapEff', 'CapAmb'].map(field),
    noNewPrivileges: field('NoNewPrivs'),
  };
}

/** Every thread is the user, four times over, in no other group, and holds nothing; the process gains nothing. */
function assertOrdinary(pid: number, user: User): void {
  const times4 = (id: number): string => Array.from({ length: 4 }, () => String(id)).join(' ');
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const { noNewPrivileges: _each, ...rights } = rightsOf(`/proc/${pid}/task/${thread}/status`);
    assert.deepEqual(rights, {
      uids: times4(user.uid),
      gids: times4(user.gid),
      groups: '',
      capabilities: [NO_CAPABILITIES, NO_CAPABILITIES, NO_CAPABILITIES, NO_CAPABILITIES],
    });
  }
  assert.equal(rightsOf(`/proc/${pid}/status`).noNewPrivileges, '1');
}

const labOf = (vmlan: Vmlan): Promise<NetworkView> => vmlan.json<NetworkView>('network', 'show', 'lab');

describe('the network process', { skip: missing('setpriv', 'unshare'), concurrency: true }, () => {
  test('of root has become somebody without any right', async () => {
    await using vmlan = await Vmlan.create({ config: CONFIG });
    await vmlan.ok('up');
    const { pid, sockets } = await labOf(vmlan);
    assert.ok(pid !== null && sockets !== null);
    const nobody = /^nobody:[^:]*:(\d+):(\d+):/m.exec(readFileSync('/etc/passwd', 'utf8'));
    const vmlanUser = /^vmlan:[^:]*:(\d+):(\d+):/m.exec(readFileSync('/etc/passwd', 'utf8'));
    const [, uid, gid] = vmlanUser ?? nobody ?? [];
    assertOrdinary(pid, { uid: Number(uid), gid: Number(gid) });
    // And it does its work.
    await using station = await Station.connect(sockets.qemu, '52:54:00:77:00:01');
    assert.match((await station.obtainLease()).address, /^192\.168\.77\./);
    assertOrdinary(pid, { uid: Number(uid), gid: Number(gid) });
  });

  test('of an ordinary user is that user, and gains nothing', async () => {
    await using vmlan = await Vmlan.create({ config: CONFIG, user: NOBODY });
    await vmlan.ok('up');
    const { pid, sockets } = await labOf(vmlan);
    assert.ok(pid !== null && sockets !== null);
    await using station = await Station.connect(sockets.qemu, '52:54:00:77:00:01');
    assert.match((await station.obtainLease()).address, /^192\.168\.77\./);
    assertOrdinary(pid, NOBODY);
  });

  test('gives the sockets of its guests to its owner alone', async () => {
    await using vmlan = await Vmlan.create({ config: CONFIG, user: NOBODY });
    await vmlan.ok('up');
    const { sockets } = await labOf(vmlan);
    const peek = [
      process.execPath,
      '-e',
      'require("net").connect(process.argv[1]).on("error", (e) => console.log(e.code))',
    ];
    const { stdout } = await run(asUser(STRANGER, [...peek, sockets?.qemu ?? '']));
    assert.equal(stdout.trim(), 'EACCES');
  });
});

describe('a user who is not root', { skip: missing('setpriv', 'unshare', 'mount', QEMU) }, () => {
  test('sees the whole demo work, on a checkout that is not theirs', async () => {
    const home = await mkdtemp(join(tmpdir(), 'vmlan-home-'));
    try {
      await chown(home, STRANGER.uid, STRANGER.gid);
      // The checkout may lie in root's home; a mount of its own shows it to everybody, and to nobody to write.
      const show = 'mount --bind "$1" /mnt && mount -o remount,ro,bind /mnt && cd / && shift && exec "$@"';
      const alone = ['unshare', '--mount', 'sh', '-c', show, 'sh', CHECKOUT];
      const demo = asUser(STRANGER, ['env', `HOME=${home}`, '/mnt/bin/demo']);
      await using child = Process.start([...alone, ...demo], { env: { XDG_RUNTIME_DIR: '', TMPDIR: home } });
      await child.waitFor(/All of it worked|steps failed|error:/, DEMO_TIMEOUT_MS);
      const { code, stdout, stderr } = await child.exited;
      assert.equal(code, 0, `${stdout}\n${stderr}`);
      assert.match(stdout, /user uid 54321, without capabilities/);
      assert.match(stdout, /^ ?alice +192\.168\.104\.\d+ +fd[0-9a-f:]+ /m);
    } finally {
      await rm(home, { recursive: true, force: true });
    }
  });
});
