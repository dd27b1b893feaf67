import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { assertUnprivileged, parseStatus, unprivilegedUser } from './privileges.ts';

const directory = mkdtempSync('/tmp/vmlan-privileges-');
after(() => rmSync(directory, { recursive: true }));

const status = (uid: number, caps: string, nnp: number): string =>
  [
    `Uid:\t${uid}\t${uid}\t${uid}\t${uid}`,
    'CapInh:\t0000000000000000',
    `CapPrm:\t${caps}`,
    `CapEff:\t${caps}`,
    'CapAmb:\t0000000000000000',
    `NoNewPrivs:\t${nnp}`,
  ].join('\n');
const NONE = '0000000000000000';

describe('what a thread may', () => {
  test('is read from its status', () => {
    assert.deepEqual(parseStatus('7', status(65_534, NONE, 1)), {
      thread: '7',
      uids: ['65534', '65534', '65534', '65534'],
      noNewPrivileges: true,
      held: [],
    });
    assert.deepEqual(parseStatus('7', status(0, '000001ffffffffff', 0)).held, ['CapPrm', 'CapEff']);
  });

  test('must be nothing, in every thread', () => {
    const good = parseStatus('1', status(65_534, NONE, 1));
    assertUnprivileged([good, parseStatus('2', status(65_534, NONE, 0))]);
    assert.throws(() => assertUnprivileged([good, parseStatus('2', status(0, NONE, 1))]), /thread 2 is root/);
    assert.throws(
      () => assertUnprivileged([good, parseStatus('2', status(5, '0000000000002000', 1))]),
      /thread 2 has CapPrm, CapEff/,
    );
    assert.throws(() => assertUnprivileged([parseStatus('1', status(5, NONE, 0))]), /no_new_privs is not set/);
    assert.throws(() => assertUnprivileged([]), /cannot be inspected/);
  });
});

test('giving up privileges is for good', { skip: process.getuid!() !== 0 }, () => {
  const module = new URL('./privileges.ts', import.meta.url).href;
  const program = `
    import { assertUnprivileged, becomeUser, readPrivileges, setNoNewPrivileges } from ${JSON.stringify(module)};
    setNoNewPrivileges();
    becomeUser({ uid: 65534, gid: 65534, name: 'nobody' });
    assertUnprivileged();
    let back = 'refused';
    try { process.setuid(0); back = 'root again'; } catch {}
    console.log(JSON.stringify({ back, uid: process.getuid(), gid: process.getgid(), groups: process.getgroups(), threads: readPrivileges().length }));`;
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
  const result = JSON.parse(output) as { back: string; uid: number; groups: number[]; threads: number };
  assert.partialDeepStrictEqual(result, { back: 'refused', uid: 65_534, gid: 65_534 });
  assert.ok(!result.groups.includes(0));
  assert.ok(result.threads > 1);
});

describe('the account of network processes', () => {
  const passwd = (...lines: readonly string[]): string => {
    const path = join(directory, `passwd-${lines.length}`);
    writeFileSync(path, ['root:x:0:0:root:/root:/bin/sh', ...lines].join('\n'));
    return path;
  };
  const nobody = 'nobody:x:65534:65533::/:/bin/false';
  const vmlan = 'vmlan:x:900:901::/:/bin/false';

  test('is vmlan, else nobody, or the one that is named', () => {
    assert.deepEqual(unprivilegedUser(undefined, passwd(nobody, vmlan)), { name: 'vmlan', uid: 900, gid: 901 });
    assert.deepEqual(unprivilegedUser(undefined, passwd(nobody)), { name: 'nobody', uid: 65_534, gid: 65_533 });
    assert.equal(unprivilegedUser('nobody', passwd(nobody, vmlan)).uid, 65_534);
  });
  test('is not root, and exists', () => {
    assert.throws(() => unprivilegedUser('root', passwd(nobody)), /root is unknown or root/);
    assert.throws(() => unprivilegedUser('somebody', passwd(nobody)), /somebody is unknown or root/);
    assert.throws(() => unprivilegedUser(undefined, passwd()), /vmlan, nobody is unknown or root/);
  });
});
