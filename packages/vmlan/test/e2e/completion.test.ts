/**
 * Completion in the hands of real shells on a real terminal: keys go in, and what the shell made of them is what a
 * program is called with. A stand-in for vmlan prints its arguments, and asks the real one about completion alone.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { needs } from '../support/needs.ts';
import { run } from '../support/process.ts';
import { CHECKOUT } from '../support/source-files.ts';
import { Vmlan } from '../support/vmlan.ts';

const CONFIG = `networks:
  lab:
    mode: user-v2
    autostart: true
  dev:
    mode: user-v2
`;
const SHELL_TIMEOUT_MS = 60_000;

/** What is typed, with tabs, and the arguments that come of it. */
const TYPED: readonly (readonly [keys: string, args: readonly string[]])[] = [
  ['netw\tsh\tde\t', ['network', 'show', 'dev']],
  ['network show dev gatew\t', ['network', 'show', 'dev', 'gateway']],
  ['show alp\tnet\tma\t', ['show', 'alpha', 'network', 'mac']],
  ['attach --kind=qemu-so\t', ['attach', '--kind=qemu-socket-tcp']],
  ['attach --kind qemu-so\talp\t', ['attach', '--kind', 'qemu-socket-tcp', 'alpha']],
  ['list --outp\ty\t--netw\tde\t', ['list', '--output', 'yaml', '--network', 'dev']],
  ['forward add 8080 alp\t80', ['forward', 'add', '8080', 'alpha:80']],
  ["run 'a b' --netw\tde\t", ['run', 'a b', '--network', 'dev']],
  ['run x --kernel /proc/vers\t', ['run', 'x', '--kernel', '/proc/version']],
  ['run x --kernel=/proc/vers\t', ['run', 'x', '--kernel=/proc/version']],
  ['help netw\tlea\t', ['help', 'network', 'leases']],
];

/** How each shell becomes ready: no files of the user, a prompt, and the script. */
const SHELLS = {
  bash: { argv: 'bash --norc --noprofile -i', setup: 'source <(vmlan completion bash)' },
  zsh: { argv: 'zsh -f -i', setup: 'autoload -U compinit; compinit -u -D; source <(vmlan completion zsh)' },
} as const;

describe('completion', () => {
  let vmlan: Vmlan;
  let env: Readonly<Record<string, string>> = {};
  before(async () => {
    vmlan = await Vmlan.create({ config: CONFIG });
    await vmlan.ok('up');
    await vmlan.ok('attach', 'alpha', '--network', 'dev');
    const bin = join(vmlan.folder, 'bin');
    await mkdir(bin);
    const real = join(CHECKOUT, 'bin/vmlan');
    await writeFile(
      join(bin, 'vmlan'),
      `#!/bin/sh
case $1 in __complete | completion) exec '${real}' "$@" ;; esac
printf 'called'
printf ' <%s>' "$@"
printf '\\n'
`,
    );
    await chmod(join(bin, 'vmlan'), 0o755);
    env = { ...vmlan.env, PATH: `${bin}:${process.env['PATH'] ?? ''}`, TERM: 'xterm', XDG_CONFIG_HOME: vmlan.folder };
  });
  after(() => vmlan.close());

  for (const [shell, { argv, setup }] of Object.entries(SHELLS)) {
    test(`${shell} on a terminal`, async (t) => {
      if (!needs(t, shell, 'script')) return;
      const lines = TYPED.map(([keys]) => `vmlan ${keys}\n`).join('');
      const { stdout } = await run(['script', '-qfc', argv, '/dev/null'], {
        input: `PS1='> '; ${setup}\n${lines}exit\n`,
        env,
        timeoutMs: SHELL_TIMEOUT_MS,
      });
      const called = [...stdout.matchAll(/called( <[^\r\n]*>)/g)].map(([, args]) => args);
      assert.deepEqual(
        called,
        TYPED.map(([, args]) => args.map((arg) => ` <${arg}>`).join('')),
        stdout,
      );
    });
  }

  test('fish, with descriptions', async (t) => {
    if (!needs(t, 'fish')) return;
    const complete = async (line: string): Promise<string> => {
      const script = 'vmlan completion fish | source; complete -C $argv[1]';
      const { code, stdout, stderr } = await run(['fish', '--no-config', '-c', script, line], { env });
      assert.deepEqual([code, stderr], [0, ''], line);
      return stdout;
    };
    assert.match(await complete('vmlan netw'), /^network\t\S.*\n$/);
    assert.match(await complete('vmlan network sh'), /^show\tshow one network\n/);
    assert.match(await complete('vmlan show al'), /^alpha\t.*dev\n$/);
    assert.match(await complete('vmlan list --netw'), /^--network\tonly the guests of this network\n$/);
    assert.equal(await complete('vmlan attach --kind=qemu-so'), '--kind=qemu-socket-tcp\n');
    assert.match(await complete('vmlan run x --kernel /proc/vers'), /^\/proc\/version\b/);
    assert.match(await complete('vmlan run x --kernel=/proc/vers'), /^--kernel=\/proc\/version\b/);
    assert.match(await complete("vmlan run 'a b' --network de"), /^dev\tuser-v2/);
    assert.equal(await complete('vmlan list '), '');
  });

  test('zsh shows what each word is', async (t) => {
    if (!needs(t, 'zsh', 'script')) return;
    const { stdout } = await run(['script', '-qfc', SHELLS.zsh.argv, '/dev/null'], {
      input: `PS1='> '; ${SHELLS.zsh.setup}\nvmlan network s\t\n\nexit\n`,
      env,
      timeoutMs: SHELL_TIMEOUT_MS,
    });
    assert.match(stdout, /start +-- start networks/);
  });
});
