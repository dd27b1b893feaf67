/**
 * Another user of the same host: reaches neither the API nor a file of vmlan, unless a group was named.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { chmodSync, lstatSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import type { TokenView } from '../../src/model/api.ts';
import { missing } from '../support/needs.ts';
import { asUser, type User } from '../support/netns.ts';
import { run } from '../support/process.ts';
import { Vmlan } from '../support/vmlan.ts';

const CONFIG = 'networks:\n  lab: { mode: user-v2, subnet: 192.168.77.0/24, autostart: true }\n';
const OWNER: User = { uid: 54_321, gid: 54_321 };
const STRANGER: User = { uid: 54_322, gid: 54_322 };
const CURL = ['curl', '--silent', '--show-error', '--max-time', '10'];

interface Found {
  readonly path: string;
  readonly kind: 'directory' | 'file' | 'socket';
}

/** All that vmlan made, as root sees it. */
function everything(folder: string): Found[] {
  return readdirSync(folder).flatMap((name): Found[] => {
    const path = join(folder, name);
    const stat = lstatSync(path);
    if (stat.isDirectory()) return [{ path, kind: 'directory' }, ...everything(path)];
    return [{ path, kind: stat.isSocket() ? 'socket' : 'file' }];
  });
}

const attempt = (user: User, ...argv: readonly string[]): ReturnType<typeof run> => run(asUser(user, argv));

const TRIES: Readonly<Record<Found['kind'], (path: string) => readonly (readonly string[])[]>> = {
  directory: (path) => [
    ['ls', path],
    ['touch', join(path, 'mine')],
  ],
  file: (path) => [
    ['cat', path],
    ['sh', '-c', `: >> "$1"`, 'sh', path],
    ['rm', '-f', path],
  ],
  socket: (path) => [
    [...CURL, '--unix-socket', path, 'http://vmlan/healthz'],
    ['rm', '-f', path],
  ],
};

async function assertClosed(vmlan: Vmlan): Promise<void> {
  const found = ['run', 'state'].flatMap((name) => everything(join(vmlan.folder, name)));
  const kinds = new Set(found.map(({ kind }) => kind));
  assert.deepEqual([...kinds].sort(), ['directory', 'file', 'socket']);
  for (const { path, kind } of found) {
    for (const argv of TRIES[kind](path)) {
      const { code, stdout } = await attempt(STRANGER, ...argv);
      assert.ok(code !== 0 && stdout === '', `${argv.join(' ')}: ${code} ${stdout}`);
    }
  }
}

async function up(user: User | null, ...options: readonly string[]): Promise<Vmlan> {
  const vmlan = await Vmlan.create({ config: CONFIG, ...(user === null ? {} : { user }) });
  await vmlan.ok('up', ...options);
  chmodSync(vmlan.folder, 0o755); // what lies below has to protect itself
  return vmlan;
}

describe('another user', { skip: missing('curl', 'setpriv') }, () => {
  for (const [whose, user] of [
    ['an ordinary user', OWNER],
    ['root', null],
  ] as const) {
    test(`has no way into a vmlan of ${whose}`, async () => {
      await using vmlan = await up(user, '--listen', '127.0.0.1:0');
      await vmlan.ok('attach', 'web');
      const { token, address, file } = await vmlan.json<TokenView>('token');
      assert.equal(lstatSync(file).mode & 0o777, 0o600);
      await assertClosed(vmlan);
      const asked = await attempt(STRANGER, ...CURL, `${address!}/v1/status`);
      assert.match(asked.stdout, /"code":"unauthorized"/);
      const line = await attempt(
        STRANGER,
        'sh',
        '-c',
        'cat /proc/*/cmdline /proc/*/environ 2>/dev/null | tr "\\0" "\\n"',
      );
      assert.ok(!line.stdout.includes(token), 'no command line tells the token');
      const known = await attempt(STRANGER, ...CURL, '-H', `authorization: Bearer ${token}`, `${address!}/healthz`);
      assert.match(known.stdout, /"version"/, 'who was told the token has a way in');
    });
  }

  for (const [whose, user, group] of [
    ['an ordinary user', OWNER, OWNER.gid],
    ['root', null, 54_400],
  ] as const) {
    test(`has one to the API of ${whose}, and to nothing else, as a member of the group that was named`, async () => {
      await using vmlan = await up(user, '--socket-group', String(group));
      const { socket, state } = (await vmlan.status()).paths;
      const { mode, gid } = lstatSync(socket);
      assert.deepEqual([mode & 0o777, gid], [0o660, group]);
      const member: User = { uid: 54_323, gid: group };
      const ask = [...CURL, '--unix-socket', socket, 'http://vmlan/healthz'];
      assert.match((await attempt(member, ...ask)).stdout, /"version"/);
      assert.equal((await attempt(STRANGER, ...ask)).stdout, '');
      assert.notEqual((await attempt(member, 'ls', state)).code, 0);
      for (const argv of [
        ['ls', dirname(socket)],
        ['touch', join(dirname(socket), 'mine')],
        ['rm', '-f', socket],
      ])
        assert.notEqual((await attempt(member, ...argv)).code, 0, argv.join(' '));
    });
  }
});
