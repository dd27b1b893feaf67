/**
 * `vmlan backup`: all that the daemon remembers, in one file.
 *
 * Zone: control.  A daemon that runs takes it; else its program reads the directories.
 */
import { open, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { VmlanError } from '../../client/errors.ts';
import type { Backup } from '../../model/api.ts';
import { askDaemonProgram } from '../ask-daemon-program.ts';
import type { Context, DefineCommand } from '../context.ts';
import { addExamples } from '../examples.ts';
import { fileError } from '../file-error.ts';

const STDOUT = '-';
const FILE_MODE = 0o600;
/** Enough for the first keys of a backup. */
const HEAD_BYTES = 256;

export const define: DefineCommand = (command, context) => {
  command
    .description(
      'Write all that vmlan remembers to one file: networks.yaml, guests, forwards, records, shapes, leases. ' +
        'Nothing has to stop for it.',
    )
    .argument('[file]', 'what to write, `-` for stdout; left out: vmlan-TIME.json here')
    .action(async (name: string | undefined) => {
      const backup = await take(context);
      const text = `${JSON.stringify(backup, null, 2)}\n`;
      for (const warning of backup.content.warnings) context.output.warn(warning);
      if (name === STDOUT) return context.output.write(text);
      const file = name ?? `vmlan-${compactTime(backup.takenMs)}.json`;
      await writeTo(file, text, backup.format);
      const { guests, forwards, records, shapes } = backup.content;
      const counts = {
        guests: guests.length,
        forwards: forwards.length,
        records: records.length,
        shapes: shapes.length,
      };
      return context.output.show(
        { file, takenMs: backup.takenMs, ...counts },
        {
          table: () => `${file} has ${countsText(counts)}\n`,
          ids: () => [file],
        },
      );
    });
  addExamples(command, [
    ['before an experiment', 'vmlan backup before.json'],
    ['every night', 'vmlan backup "/backup/vmlan-$(date +%A).json"'],
    ['to another machine', 'vmlan backup - | ssh elsewhere vmlan restore -'],
  ]);
};

async function take(context: Context): Promise<Backup> {
  try {
    return await context.client.call('takeBackup');
  } catch (error) {
    if (!(error instanceof VmlanError) || error.code !== 'daemon-unreachable') throw error;
    if (context.client.endpoint.kind !== 'unix') throw error;
    return askDaemonProgram<Backup>(context, ['--backup']);
  }
}

export const countsText = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .map(([what, count]) => `${count} ${count === 1 ? what.slice(0, -1) : what}`)
    .join(', ');

const compactTime = (ms: number): string => new Date(ms).toISOString().replaceAll(/[-:]|\.\d+/g, '');

async function writeTo(file: string, text: string, format: string): Promise<void> {
  const found = await stat(file).catch(() => null);
  if (found?.isFile() === true && found.size > 0 && !(await isBackup(file, format))) {
    throw new VmlanError('conflict', `${file} is there, and is no backup`, {
      hint: 'choose another name, or remove the file first',
    });
  }
  try {
    // A pipe or a device is written to; in the place of it there would be a file.
    if (found !== null && !found.isFile()) await writeFile(file, text);
    else await replaceFile(found === null ? file : await realpath(file), text);
  } catch (cause) {
    throw fileError(file, 'written', cause);
  }
}

/** As far as its first lines tell; one that cannot be read is taken for none. */
async function isBackup(file: string, format: string): Promise<boolean> {
  const handle = await open(file).catch(() => null);
  if (handle === null) return false;
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    return buffer.toString('utf8', 0, bytesRead).includes(JSON.stringify(format));
  } finally {
    await handle.close();
  }
}

/** The file that was there stays until the new one is on disk. */
async function replaceFile(file: string, text: string): Promise<void> {
  const beside = `${file}.${process.pid}.tmp`;
  try {
    const handle = await open(beside, 'wx', FILE_MODE);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(beside, file);
  } catch (error) {
    await rm(beside, { force: true }).catch(() => undefined);
    throw error;
  }
}
