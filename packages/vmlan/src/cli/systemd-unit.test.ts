import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { UNIT_NAME, unitText } from './systemd-unit.ts';
import type { UnitScope } from './systemd-unit.ts';

/** For packages; VMLAN_UPDATE_DOCS=1 writes them instead of comparing. */
const FILES: Readonly<Record<UnitScope, string>> = {
  system: join(import.meta.dirname, '../../../../systemd/vmlan.service'),
  user: join(import.meta.dirname, '../../../../systemd/user/vmlan.service'),
};
const hasAnalyze = spawnSync('systemd-analyze', ['--version']).status === 0;

describe('unit files', () => {
  for (const scope of ['system', 'user'] as const) {
    test(`of the ${scope}, as packages bring them`, () => {
      const text = unitText({ scope, program: ['/usr/bin/vmlan'], environment: {}, mark: null });
      if (process.env['VMLAN_UPDATE_DOCS'] === '1') writeFileSync(FILES[scope], text);
      assert.equal(readFileSync(FILES[scope], 'utf8'), text, 'run: VMLAN_UPDATE_DOCS=1 ./bin/test cli/systemd-unit');
    });

    test(`of the ${scope} pass systemd's own check`, { skip: hasAnalyze ? false : 'no systemd-analyze' }, (t) => {
      const directory = mkdtempSync('/tmp/vmlan-unit-');
      t.after(() => rmSync(directory, { recursive: true }));
      const path = join(directory, UNIT_NAME);
      const program = [process.execPath, '/a path/with "quotes", 100% and $HOME'];
      const environment = { VMLAN_CONFIG: '/etc/my networks.yaml' };
      writeFileSync(path, unitText({ scope, program, environment, mark: '# mark' }));
      const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', `--${scope}`, path], {
        encoding: 'utf8',
        env: { ...process.env, XDG_RUNTIME_DIR: directory },
      });
      const own = stderr.split('\n').filter((line) => line.includes(UNIT_NAME));
      assert.deepEqual([status, own], [0, []], stderr);
    });
  }

  test('have words that systemd leaves as they are', () => {
    const text = unitText({
      scope: 'user',
      program: ['/opt/my node', '--x=$HOME', 'a"b\\c', '50%'],
      environment: { VMLAN_CONFIG: '/etc/%n' },
      mark: '# first',
    });
    assert.match(text, /^# first\n\[Unit\]\n/);
    assert.ok(text.includes(String.raw`ExecStart="/opt/my node" --x=$$HOME "a\"b\\c" 50%% up --foreground` + '\n'));
    assert.ok(text.includes('\nEnvironment=VMLAN_CONFIG=/etc/%%n\n'));
  });
});
