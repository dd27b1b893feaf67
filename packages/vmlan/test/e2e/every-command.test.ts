/**
 * Every command of the command line, against a real daemon: it does what its exit code says, and what it prints for
 * programs is JSON and YAML with the same keys. A command that nobody runs here fails the last test.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Command } from 'commander';
import { parse as parseYaml } from 'yaml';
import { processIo } from '../../src/cli/io.ts';
import { createProgram } from '../../src/cli/program.ts';
import { missing } from '../support/needs.ts';
import { Lab } from '../support/netns.ts';
import { Vmlan } from '../support/vmlan.ts';

const CONFIG = '# mine\nnetworks:\n  lab: { mode: user-v2, subnet: 192.168.77.0/24 } # the one\n';

/**
 * `data`: a document, asked for in every format. `text`: something for people. `done`: what it did, on stderr or stdout.
 * FOLDER is a folder for files, NETNS the path of a namespace.
 */
const LINES: readonly (readonly [line: string, prints: 'data' | 'text' | 'done'])[] = [
  ['up', 'done'],
  ['status', 'data'],
  ['version', 'data'],
  ['help network create', 'text'],
  ['network create dev --mode user-v2 --subnet 192.168.78.0/24 --dry-run', 'text'],
  ['network create dev --mode user-v2 --subnet 192.168.78.0/24', 'done'],
  ['network edit dev --set dns.domain=dev.test', 'done'],
  ['network autostart dev on', 'done'],
  ['network reservation add lab web 192.168.77.10', 'done'],
  ['network reservation list lab', 'data'],
  ['network start lab dev', 'done'],
  ['config show', 'data'],
  ['config path', 'text'],
  ['config check FOLDER/networks.yaml', 'text'],
  ['config schema', 'text'],
  ['config reload', 'done'],
  ['network list', 'data'],
  ['network show lab', 'data'],
  ['run web --network lab --netns NETNS --config-net', 'done'],
  ['attach db --network lab', 'data'],
  ['wait web --for ip --timeout 30s', 'text'],
  ['list', 'data'],
  ['show web', 'data'],
  ['show web network', 'data'],
  ['show web port', 'data'],
  ['network leases lab', 'data'],
  ['forward add auto web:80 --network lab', 'done'],
  ['forward add 127.0.0.1:28080 web:80 --network lab', 'done'],
  ['forward list', 'data'],
  ['flows', 'data'],
  ['rename db store', 'done'],
  ['dns add api.lab.internal A 192.168.77.10 --network lab', 'done'],
  ['dns list', 'data'],
  ['dns query web.lab.internal --network lab', 'data'],
  ['dns query web.vmlan.internal', 'data'],
  ['dns query host.vmlan.internal AAAA --network lab', 'data'],
  ['shape web --delay 1ms', 'done'],
  ['shape list', 'data'],
  ['capture lab --duration 1s -w FOLDER/lab.pcapng', 'done'],
  ['flows', 'data'],
  ['top --once --delay 1s', 'data'],
  ['events', 'data'],
  ['logs --daemon --lines 1', 'text'],
  ['backup FOLDER/backup.json', 'done'],
  ['restore FOLDER/backup.json --dry-run', 'text'],
  ['completion bash', 'text'],
  ['__complete -- network ""', 'text'],
  ['shape clear web', 'done'],
  ['dns remove api.lab.internal', 'done'],
  ['forward remove 127.0.0.1:28080', 'done'],
  ['network reservation remove lab web', 'done'],
  ['detach web', 'done'],
  ['network stop dev', 'done'],
  ['network delete dev', 'done'],
  ['down', 'done'],
  ['backup -', 'text'],
  ['restore FOLDER/backup.json --force', 'done'],
];

/** Tried where they belong: the address needs a listener, service a systemd. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  token: 'api-tcp.test.ts',
  'service install': 'service.test.ts',
  'service uninstall': 'service.test.ts',
  'service status': 'service.test.ts',
};

interface Tree {
  readonly leaves: readonly string[];
  /** The command that a line calls. */
  readonly leafOf: (line: string) => string;
}

async function commandTree(): Promise<Tree> {
  const { root, define } = createProgram(processIo(), '0');
  for (const command of root.commands) await define(command);
  const below = (command: Command): readonly Command[] =>
    command.commands.filter((each) => command === root || each.name() !== 'help'); // commander's own
  const leavesOf = (command: Command, path: readonly string[]): string[] =>
    below(command).length === 0
      ? [path.join(' ')]
      : below(command).flatMap((each) => leavesOf(each, [...path, each.name()]));
  const leaves = root.commands.flatMap((command) => leavesOf(command, [command.name()]));
  const leafOf = (line: string): string => {
    const path: string[] = [];
    let command: Command = root;
    for (const word of line.split(' ')) {
      // Without a word of its own the first one is meant: `shape web` is `shape set web`.
      const child =
        below(command).find((each) => each.name() === word) ?? (path.length > 0 ? below(command)[0] : undefined);
      if (child === undefined) break;
      path.push(child.name());
      command = child;
    }
    return path.join(' ');
  };
  return { leaves, leafOf };
}

/** Keys at every depth, without what lies in lists of changing length. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? [] : [shapeOf(value[0])];
  if (typeof value !== 'object' || value === null) return typeof value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, shapeOf(part)]));
}

describe('every command', { skip: missing('ip') }, () => {
  let lab: Lab;
  let vmlan: Vmlan;
  let netns = '';
  const tried = new Set<string>();

  before(async () => {
    lab = await Lab.create();
    vmlan = await Vmlan.create({ namespace: lab.host, config: CONFIG });
    netns = (await lab.guest('web')).path;
    await writeFile(join(vmlan.folder, 'empty.yaml'), 'networks: {}\n');
  });
  after(async () => {
    await vmlan[Symbol.asyncDispose]();
    await lab[Symbol.asyncDispose]();
  });

  const words = (line: string): string[] =>
    line.split(' ').map((word) => word.replace('FOLDER', vmlan.folder).replace('NETNS', netns).replace('""', ''));

  for (const [line, prints] of LINES) {
    test(`vmlan ${line}`, async () => {
      const { leafOf } = await commandTree();
      tried.add(leafOf(line));
      const text = await vmlan.ok(...words(line));
      if (prints === 'done') return;
      assert.notEqual(text, '');
      if (prints === 'text') return;
      const json: unknown = JSON.parse(await vmlan.ok(...words(line), '--output', 'json'));
      const yaml: unknown = parseYaml(await vmlan.ok(...words(line), '--output', 'yaml'));
      assert.deepEqual(shapeOf(yaml), shapeOf(json));
      assert.doesNotMatch(await vmlan.ok(...words(line), '--quiet'), / {2}/, 'identifiers alone, one a line');
    });
  }

  test('none is left out', async () => {
    const { leaves } = await commandTree();
    assert.deepEqual(
      leaves.filter((leaf) => !tried.has(leaf) && !(leaf in ELSEWHERE)),
      [],
    );
    for (const leaf of Object.keys(ELSEWHERE)) assert.ok(leaves.includes(leaf), `${leaf} is no command`);
  });
});
