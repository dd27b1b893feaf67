/**
 * What is shown live, on a real pseudo terminal and in pipes: drawn, resized, sorted, and the terminal as it was afterwards.
 *
 * Zone: control.  script(1) makes the terminal; stty(1) tells its settings, and changes its size from outside.
 */
/* oxlint-disable no-control-regex -- what terminals are told begins with one */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { missing } from '../support/needs.ts';
import { Process, output } from '../support/process.ts';
import { Vmlan } from '../support/vmlan.ts';

const CONFIG = 'networks:\n  lab: { mode: user-v2, subnet: 192.168.77.0/24, autostart: true }\n';
const ENTER = '\u001B[?1049h\u001B[?25l';
const LEAVE = '\u001B[?25h\u001B[?1049l';
const CTRL_C = '\u0003';

describe('a terminal', { skip: missing('script', 'stty', 'bash') }, () => {
  let vmlan: Vmlan;

  before(async () => {
    vmlan = await Vmlan.create({ config: CONFIG });
    await vmlan.ok('up');
    for (const name of ['zoe', 'adam']) await vmlan.ok('attach', name, '--network', 'lab');
  });
  after(() => vmlan[Symbol.asyncDispose]());

  const path = (name: string): string => join(vmlan.folder, name);
  const quoted = (args: readonly string[]): string => vmlan.argv(...args).join(' ');

  /** A shell on a terminal of 24 lines that runs the command between two looks at the terminal. */
  const onTerminal = (args: readonly string[], env: Readonly<Record<string, string>> = {}): Process => {
    const shell = [
      `tty > ${path('tty')}; stty rows 24 cols 80`,
      `stty -a > ${path('before')}`,
      `echo begun; ${quoted(args)}; echo "code $?"`,
      `stty -a > ${path('after')}; echo left`,
    ].join('\n');
    return Process.start(['script', '-qec', `bash -c '${shell}'`, '/dev/null'], {
      env: { ...vmlan.env, TERM: 'xterm', ...env },
    });
  };

  const assertAsItWas = (terminal: Process): void => {
    assert.equal(readFileSync(path('after'), 'utf8'), readFileSync(path('before'), 'utf8'));
    const text = terminal.stdout;
    assert.equal(text.split(ENTER).length, text.split(LEAVE).length, 'as often left as entered');
    assert.ok(text.lastIndexOf(LEAVE) > text.lastIndexOf(ENTER));
  };

  /** Names in the order of the newest picture. */
  const order = (terminal: Process): string =>
    [...(terminal.stdout.split('\u001B[H').at(-1) ?? '').matchAll(/adam|zoe/g)].join(' ');

  test('top draws, sorts by a key, follows the size, and leaves the terminal as it was', async () => {
    await using terminal = onTerminal(['top', '--sort', 'traffic', '--delay', '200s']);
    await terminal.waitFor(/\u001B\[H[^]*zoe/);
    assert.ok(terminal.stdout.includes(ENTER));
    terminal.write('x\u001B[Bn'); // neither a key of its own, nor an arrow
    terminal.write('n');
    await terminal.waitFor(/\u001B\[H[^]*\u001B\[H[^]*zoe/);
    assert.equal(order(terminal), 'adam zoe');
    const pictures = terminal.stdout.split('\u001B[H').length;
    await output(['stty', '-F', readFileSync(path('tty'), 'utf8').trim(), 'rows', '3', 'cols', '20']);
    await terminal.waitFor(new RegExp(`(?:\\u001B\\[H[^]*){${pictures}}\\u001B\\[J`));
    const last = terminal.stdout.split('\u001B[H').at(-1)!;
    const lines = last.replaceAll(/\u001B\[[\d;?]*[a-zA-Z]/g, '').split(/\r+\n/);
    assert.ok(lines.length <= 3 && lines.every((line) => line.length <= 20), JSON.stringify(lines));
    await output(['stty', '-F', readFileSync(path('tty'), 'utf8').trim(), 'rows', '24', 'cols', '80']);
    terminal.write('q');
    await terminal.waitFor(/code 0\r\nleft/);
    assertAsItWas(terminal);
  });

  test('Ctrl-C and signals end it the same way', async () => {
    for (const args of [['top'], ['flows', '--watch']]) {
      await using terminal = onTerminal(args);
      await terminal.waitFor(/\u001B\[\?1049h[^]*\u001B\[H/);
      terminal.write(CTRL_C);
      await terminal.waitFor(/code 0\r\nleft/);
      assertAsItWas(terminal);
    }
  });

  test('colours are for those who want them', async () => {
    const colour = /\u001B\[[\d;]*m/;
    for (const [env, isColoured] of [
      [{ NO_COLOR: '' }, true],
      [{ NO_COLOR: '1' }, false],
    ] as const) {
      await using terminal = onTerminal(['top', '--count', '1'], env);
      await terminal.waitFor(/code 0\r\nleft/);
      assert.equal(colour.test(terminal.stdout), isColoured, JSON.stringify(terminal.stdout));
      assertAsItWas(terminal);
    }
  });

  test('a pipe gets plain lines', async () => {
    for (const args of [
      ['top', '--count', '2', '--delay', '1s'],
      ['top', '--once', '--delay', '1s'],
    ]) {
      const text = await vmlan.ok(...args);
      assert.match(text, /adam/);
      assert.ok(!text.includes('\u001B'), JSON.stringify(text));
    }
  });

  test('a reader that has enough ends what follows, without a word', async () => {
    const follow: readonly (readonly string[])[] = [
      ['events', '--follow'],
      ['logs', '--follow'],
      ['flows', '--watch', '--delay', '1s'],
      ['top', '--delay', '1s'],
    ];
    for (const args of follow) {
      const pipe = `set -o pipefail; ${quoted(args)} | head -n 1 > ${path('head')}; echo "\${PIPESTATUS[0]}"`;
      await using shell = Process.start(['bash', '-c', pipe], { env: vmlan.env });
      while (shell.running) {
        // What comes after `head` has ended tells so.
        await vmlan.run(['network', 'stop', 'lab']);
        await vmlan.run(['network', 'start', 'lab']);
      }
      const { stdout, stderr } = await shell.exited;
      assert.deepEqual([stdout.trim(), stderr], ['141', ''], args.join(' '));
      assert.equal(readFileSync(path('head'), 'utf8').split('\n').length, 2);
    }
  });
});
