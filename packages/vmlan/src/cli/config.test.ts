import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parse } from 'yaml';
import { vmlan } from './capture-io.fixture.ts';
import type { Ran } from './capture-io.fixture.ts';
import { StubDaemon } from './stub-daemon.fixture.ts';

let daemon: StubDaemon;
const directory = mkdtempSync('/tmp/vmlan-config-cli-');
before(async () => {
  daemon = await StubDaemon.start();
});
after(async () => {
  await daemon[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

const ask = (...words: readonly string[]): Promise<Ran> =>
  vmlan(['config', ...words], { env: { VMLAN_HOST: `unix://${daemon.socket}` } });

describe('show', () => {
  test('prints values, with their origin when asked', async () => {
    assert.match((await ask('show')).stdout, /^KEY +VALUE\npaths\.config +\/etc\/vmlan\/networks\.yaml\n/);
    const { stdout } = await ask('show', '--origin');
    assert.match(stdout, /^networks\.lab\.mtu +9000 +file +\/etc\/vmlan\/networks\.yaml:5$/m);
    assert.match(stdout, /^networks\.lab2\.mtu +1500 +default +-$/m);
  });

  test('prints one part', async () => {
    assert.equal((await ask('show', 'networks.lab', '-q')).stdout, 'networks.lab.mtu\n');
    const { entries } = parse((await ask('show', 'networks.lab', '-o', 'yaml')).stdout) as { entries: unknown[] };
    assert.equal(entries.length, 1);
    const { code, stderr } = await ask('show', 'networks.nowhere');
    assert.deepEqual([code, stderr.split('\n')[1]], [3, 'hint: see what there is: vmlan config show']);
  });
});

describe('check', () => {
  const check = async (text: string, ...words: readonly string[]): Promise<Ran & { file: string }> => {
    const file = join(directory, 'networks.yaml');
    writeFileSync(file, text);
    const env = { ...process.env, VMLAN_RUNTIME_DIR: join(directory, 'run'), VMLAN_HOST: `unix://${directory}/none` };
    return { ...(await vmlan(['config', 'check', file, ...words], { env })), file };
  };

  test('of a right file names its networks and what cannot start here', async () => {
    const { code, stdout, stderr, file } = await check('networks:\n  lab: { mode: bridged, interface: eth0 }\n');
    assert.deepEqual([code, stdout], [0, `${file}: nothing is wrong; networks are lab, user, user-v2\n`]);
    assert.match(stderr, /^vmlan: warning: network "lab": mode bridged needs/);
    const { stdout: json } = await check('networks: {}\n', '-o', 'json');
    assert.partialDeepStrictEqual(JSON.parse(json), { file, networks: ['user', 'user-v2'], error: null });
  });

  test('of a wrong one names place and hint, and ends with 2', async () => {
    const { code, stdout, stderr, file } = await check('networks:\n  lab:\n    mode: shard\n');
    assert.deepEqual([code, stdout], [2, '']);
    assert.equal(
      stderr,
      `vmlan: ${file}:3:11: network "lab": mode: "shard" is none of user, user-v2, shared, nat, host, bridged, routed, isolated, unmanaged\nhint: did you mean \`shared\`?\n`,
    );
  });

  test('of one with several faults tells them all; for programs, too', async () => {
    const text = 'networks:\n  a: { mode: shard }\n  b: { mode: host, mtu: 1 }\n';
    const { code, stdout, stderr, file } = await check(text);
    assert.deepEqual([code, stdout], [2, '']);
    assert.match(stderr, /^vmlan: \S+:2:14: .*\nhint: did you mean `shared`\?\nvmlan: \S+:3:25: .*\nhint: .*\n$/);
    const json = await check(text, '-o', 'json');
    assert.equal(json.code, 2);
    assert.partialDeepStrictEqual(JSON.parse(json.stdout), {
      file,
      error: { code: 'invalid-config' },
      problems: [
        { line: 2, column: 14, hint: 'did you mean `shared`?' },
        { line: 3, column: 25 },
      ],
    });
  });

  test('of none says so', async () => {
    const { code, stderr } = await vmlan(['config', 'check', join(directory, 'none.yaml')], { env: process.env });
    assert.equal(code, 2);
    assert.match(stderr, /none\.yaml does not exist\nhint: /);
  });
});

describe('path, schema, reload', () => {
  test('path is that of the daemon, else the one it would have', async () => {
    assert.equal((await ask('path')).stdout, '/etc/vmlan/networks.yaml\n');
    const env = { VMLAN_HOST: 'unix:///tmp/nobody.sock', VMLAN_CONFIG: '/x/y.yaml' };
    assert.equal((await vmlan(['config', 'path'], { env })).stdout, '/x/y.yaml\n');
  });

  test('schema is the one of the documentation', async () => {
    const page = join(import.meta.dirname, '../../../../docs/networks.schema.json');
    assert.deepEqual(JSON.parse((await ask('schema')).stdout), JSON.parse(readFileSync(page, 'utf8')));
  });

  test('reload says what changed', async () => {
    assert.equal((await ask('reload')).stdout, '/etc/vmlan/networks.yaml: nothing has changed\n');
    daemon.reload = {
      ...daemon.reload,
      added: ['a', 'b'],
      removed: ['c'],
      restartNeeded: ['d'],
      warnings: ['careful'],
    };
    const { stdout, stderr } = await ask('reload');
    assert.equal(stdout, 'added: a, b\nremoved: c\n');
    assert.match(
      stderr,
      /^vmlan: warning: careful\nvmlan: warning: network "d" runs on with its older settings: vmlan/,
    );
  });
});
