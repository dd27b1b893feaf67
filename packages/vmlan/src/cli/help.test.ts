import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { describe, test } from 'node:test';
import type { Command } from 'commander';
import { vmlan } from './capture-io.fixture.ts';
import { processIo } from './io.ts';
import { createProgram } from './program.ts';

describe('help', () => {
  const everyCommand = async (): Promise<Command[]> => {
    const { root, define } = createProgram({ ...processIo(), stdout: new Writable() }, '1.2.3');
    for (const command of root.commands) await define(command);
    const below = (command: Command): Command[] => [command, ...command.commands.flatMap(below)];
    return below(root).filter((each) => !each.name().startsWith('_'));
  };
  const pageOf = (command: Command): string => {
    let page = '';
    command.configureOutput({ writeOut: (text) => (page += text) }).outputHelp();
    return page;
  };

  test('every page has a description and an example', async () => {
    for (const command of await everyCommand()) {
      if (command.name() === 'help' && command.parent?.parent) continue; // commander's own
      assert.match(pageOf(command), /\n\n[A-Z][^]*?\.\n\n/, command.name());
      assert.match(pageOf(command), /\nExamples:\n {2}# .*\n {2}\$ /, command.name());
    }
  });

  test('every page fits a terminal of 80 columns', async () => {
    for (const command of await everyCommand()) {
      const wide = pageOf(command)
        .split('\n')
        .filter((line) => line.length > 80);
      assert.deepEqual(wide, [], command.name());
    }
  });

  test('on stdout, also by the help command', async () => {
    for (const line of ['run --help', 'help run', '-h run', 'help network list', 'help']) {
      const { code, stdout, stderr } = await vmlan(line.split(' '));
      assert.deepEqual([code, stderr], [0, ''], line);
      assert.match(stdout, /^Usage: vmlan/);
    }
    const page = (await vmlan(['network', 'list', '--help'])).stdout;
    assert.equal((await vmlan(['help', 'network', 'ls'])).stdout, page);
    assert.doesNotMatch(page, /only the guests of this network/, 'the options of another command of that name');
  });
});
