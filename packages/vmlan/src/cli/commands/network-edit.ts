/**
 * `vmlan network edit`: in an editor, from a file, or key by key.
 *
 * Zone: control.  What was read carries its version, so that nobody else's change is overwritten.  A text that the
 * daemon refuses is never lost: the editor opens again, or the file stays and is named.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { VmlanError } from '../../client/errors.ts';
import type { NetworkChange } from '../../model/api.ts';
import type { Context, DefineCommand } from '../context.ts';
import { addExamples } from '../examples.ts';
import { fileError } from '../file-error.ts';
import { collect, parseSettings } from '../network-options.ts';
import { runProgram } from '../run-program.ts';
import { showChange } from '../views/changes.ts';
import { DRY_RUN, dryRunQuery } from './network-create.ts';

const DEFAULT_EDITOR = 'vi';
/** Lines of ours in the editor's file; they are taken out again. */
const NOTE = '#| ';
const STDIN = '-';

interface EditOptions {
  readonly set?: readonly string[];
  readonly unset?: readonly string[];
  readonly file?: string;
  readonly restart?: boolean;
  readonly dryRun?: boolean;
}

export const defineEdit: DefineCommand = (command, context) => {
  const edit = command
    .command('edit')
    .description('Change the configuration of a network: in an editor, or with --set and --unset.')
    .summary('change the configuration of a network');
  edit
    .argument('<network>', 'name of the network')
    .option('--set <key=value>', 'set a key, e.g. mtu=9000 or dns.domain=lab.test; may come again', collect)
    .option('--unset <key>', 'take a key out, so that its default holds; may come again', collect)
    .option('--file <file>', 'take the YAML of the network from a file; - for stdin')
    .option('--restart', 'start the network again where the change needs it; its guests lose their link for a moment')
    .option(...DRY_RUN)
    .action((name: string, options: EditOptions) => editNetwork(context, name, options));
  addExamples(edit, [
    ['in the editor that VISUAL or EDITOR names', 'vmlan network edit lab'],
    ['one key, without an editor', 'vmlan network edit lab --set dns.domain=lab.test'],
    ['a new subnet, at once', 'vmlan network edit lab --set subnet=10.82.0.0/24 --restart'],
    ['back to the default', 'vmlan network edit lab --unset mtu'],
  ]);
};

async function editNetwork(context: Context, name: string, options: EditOptions): Promise<void> {
  const { set = [], unset = [], file } = options;
  const isBySetting = set.length > 0 || unset.length > 0;
  if (isBySetting && file !== undefined) throw new VmlanError('usage', '--file and --set exclude each other');
  const query = { ...dryRunQuery(options.dryRun), ...(options.restart === true ? { restart: 'true' as const } : {}) };
  if (isBySetting) {
    const body = await parseSettings(set, unset);
    return showEdited(context, await context.client.call('updateNetwork', { params: { name }, body, query }));
  }
  const { result, etag } = await context.client.callTagged('getNetworkConfig', { params: { name } });
  const put = (yaml: string): Promise<NetworkChange> =>
    context.client.call(
      'replaceNetworkConfig',
      { params: { name }, body: { yaml }, query },
      etag === null ? {} : { ifMatch: etag },
    );
  if (file !== undefined) return showEdited(context, await put(readText(file)));
  const place = result.place ?? 'networks.yaml, where it does not stand yet';
  const change = await editText(context, name, `${result.yaml.trimEnd()}\n`, place, put);
  if (change === null) return context.output.done(`network "${name}" stays as it is`);
  return showEdited(context, change);
}

const showEdited = (context: Context, change: NetworkChange): Promise<void> =>
  showChange(context, change, `network "${change.name}" ${change.diff === '' ? 'stays as it is' : 'changed'}`);

/** Without our notes: it may be what an editor left. */
function readText(file: string): string {
  try {
    return withoutNotes(readFileSync(file === STDIN ? 0 : file, 'utf8'));
  } catch (cause) {
    throw fileError(file, 'read', cause);
  }
}

/** Edits until the daemon takes it; null: nothing was changed. */
async function editText(
  context: Context,
  name: string,
  text: string,
  place: string,
  put: (yaml: string) => Promise<NetworkChange>,
): Promise<NetworkChange | null> {
  const directory = mkdtempSync(join(tmpdir(), 'vmlan-edit-'));
  const file = join(directory, `${name}.yaml`);
  let written = text;
  let notes = [`network "${name}", from ${place}`, 'Save and leave the editor; without a change nothing happens.'];
  for (;;) {
    writeFileSync(file, notes.map((note) => `${NOTE}${note}\n`).join('') + written, { mode: 0o600 });
    await runEditor(context, name, file);
    const edited = readEdited(name, file);
    const isUnchanged = edited === written;
    if (isUnchanged && written === text) {
      rmSync(directory, { recursive: true });
      return null;
    }
    try {
      const change = await put(edited);
      rmSync(directory, { recursive: true });
      return change;
    } catch (error) {
      if (!(error instanceof VmlanError)) throw error;
      // The same text again, or nobody there to mend it, or a change that must be read first.
      if (isUnchanged || !context.io.stdinIsTerminal || error.code !== 'invalid-config') throw kept(error, name, file);
      notes = [...error.message.split('\n'), ...(error.hint === undefined ? [] : [`hint: ${error.hint}`])];
      notes.push('Mend it, or leave the editor without a change to give up.');
      written = edited;
    }
  }
}

async function runEditor(context: Context, name: string, file: string): Promise<void> {
  const { env } = context.io;
  const editor = env['VISUAL'] || env['EDITOR'] || DEFAULT_EDITOR;
  // Words, as in EDITOR="code --wait"; never a shell.
  const words = editor.split(/\s+/).filter((word) => word !== '');
  const code = await runProgram([...words, file], env).catch((cause: unknown) => {
    rmSync(dirname(file), { recursive: true });
    throw new VmlanError('not-found', `the editor does not start: ${(cause as Error).message}`, {
      hint: `name another: EDITOR=nano vmlan network edit ${name}; or: vmlan network edit ${name} --set KEY=VALUE`,
      cause,
    });
  });
  if (code !== 0) {
    throw new VmlanError('internal', `the editor "${editor}" ended with code ${code}; nothing was changed`, {
      hint: retry(name, file),
    });
  }
}

function readEdited(name: string, file: string): string {
  try {
    return withoutNotes(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new VmlanError('not-found', `the editor left no file ${file}; nothing was changed`, {
      hint: `again: vmlan network edit ${name}`,
      cause,
    });
  }
}

const retry = (name: string, file: string): string =>
  `what it wrote is kept; to go on with it: vmlan network edit ${name} --file ${file}`;

const withoutNotes = (text: string): string =>
  text
    .split('\n')
    .filter((line) => !line.startsWith(NOTE.trimEnd()))
    .join('\n');

const kept = (error: VmlanError, name: string, file: string): VmlanError =>
  new VmlanError(error.code, error.message, {
    hint: `${error.hint === undefined ? '' : `${error.hint}; `}your text is kept: mend it, then: vmlan network edit ${name} --file ${file}`,
    cause: error,
  });
