import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { networkPaths } from '../drivers/network-paths.ts';
import { writeProcessFile } from '../drivers/userspace/process-file.ts';
import { resolvePaths } from '../model/paths.ts';
import { removeLitter } from './litter.ts';

const DEAD_PID = 4_194_305; // above the kernel's limit

test('what a killed daemon left goes, what lives stays', async (t) => {
  const directory = mkdtempSync('/tmp/vmlan-litter-');
  t.after(() => rmSync(directory, { recursive: true }));
  const env = { VMLAN_RUNTIME_DIR: join(directory, 'run'), VMLAN_STATE_DIR: join(directory, 'state') };
  const paths = resolvePaths(env, { uid: 1, home: directory });
  const [live, dead, empty] = ['live', 'dead', 'empty'].map((name) => networkPaths(paths.runtime, paths.state, name));
  for (const { guests, state } of [live!, dead!, empty!])
    for (const path of [guests, state]) mkdirSync(path, { recursive: true });
  mkdirSync(join(paths.state, 'guests'));
  writeProcessFile(live!.process, process.pid);
  writeFileSync(dead!.process, `{"pid":${DEAD_PID},"startTime":"1","protocol":2}`);
  const kept = [
    join(paths.runtime, 'daemon.pid'),
    join(paths.runtime, `daemon.pid.${process.pid}`),
    join(paths.state, 'forwards.json'),
    join(paths.state, 'guests', 'web.json'),
    `${live!.leases}.tmp`,
    dead!.leases,
  ];
  const litter = [
    join(paths.runtime, `daemon.pid.${DEAD_PID}`),
    join(paths.runtime, `daemon.pid.stale-${DEAD_PID}`),
    join(paths.state, 'forwards.json.tmp'),
    join(paths.state, 'guests', 'web.json.tmp'),
    `${dead!.leases}.tmp`,
  ];
  for (const path of [...kept, ...litter]) writeFileSync(path, '');
  await removeLitter(paths);
  const all = readdirSync(directory, { recursive: true, withFileTypes: true });
  const files = all.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  assert.deepEqual(files.toSorted(), [...kept, live!.process, dead!.process].toSorted());
  assert.deepEqual(
    readdirSync(join(paths.runtime, 'networks')).toSorted(),
    ['dead', 'live'],
    'dead: to be started again',
  );
});
