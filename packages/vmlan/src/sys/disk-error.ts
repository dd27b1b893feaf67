/**
 * What a disk's refusal means to a person: the file, the reason, and what to do.
 *
 * Zone: control.
 */
import { dirname } from 'node:path';
import { VmlanError } from '../core/errors.ts';
import type { ErrorCode } from '../core/errors.ts';
import { openFileLimit } from './open-file-limit.ts';

interface Reason {
  readonly code: ErrorCode;
  readonly text: string | (() => string);
  readonly hint: (directory: string) => string;
}

const space = (directory: string): string => `free space on the disk of ${directory}, then try again`;
const rights = (directory: string): string => `see to whom ${directory} and what is in it belong`;

const REASONS: Readonly<Record<string, Reason>> = {
  ENOSPC: { code: 'unavailable', text: 'the disk is full', hint: space },
  EDQUOT: { code: 'unavailable', text: 'the quota is used up', hint: space },
  EACCES: { code: 'not-permitted', text: 'permission denied', hint: rights },
  EPERM: { code: 'not-permitted', text: 'permission denied', hint: rights },
  EROFS: {
    code: 'not-permitted',
    text: 'the file system is read-only',
    hint: (directory) => `mount the disk of ${directory} for writing, then try again`,
  },
  EIO: {
    code: 'unavailable',
    text: 'the disk reports an error',
    hint: (directory) => `see the log of the kernel (dmesg) about the disk of ${directory}`,
  },
  EMFILE: {
    code: 'exhausted',
    text: () => `all descriptors that this process may open are in use (${openFileLimit()})`,
    hint: () => 'raise its limit: `ulimit -n` where vmlan is started, LimitNOFILE= in its unit',
  },
  ENFILE: {
    code: 'exhausted',
    text: 'all descriptors of the system are in use',
    hint: () => 'raise the limit of the system: sysctl fs.file-max',
  },
  ENOTDIR: { code: 'unavailable', text: 'a part of the path is no directory', hint: rights },
};

/** The code of a system call's error; empty for any other. */
export const errnoOf = (error: unknown): string => (error as NodeJS.ErrnoException | null)?.code ?? '';

/** `PATH cannot be VERB: REASON`. */
export function diskError(path: string, verb: string, cause: unknown): VmlanError {
  if (cause instanceof VmlanError) return cause;
  const reason = REASONS[errnoOf(cause)];
  const message = `${path} cannot be ${verb}: ${reasonText(cause)}`;
  if (reason === undefined) return new VmlanError('unavailable', message, { cause });
  return new VmlanError(reason.code, message, { hint: reason.hint(dirname(path)), cause });
}

/** Why, in a few words. */
export function reasonText(cause: unknown): string {
  const text = REASONS[errnoOf(cause)]?.text;
  if (text !== undefined) return typeof text === 'string' ? text : text();
  return cause instanceof Error ? cause.message.split('\n')[0]! : String(cause);
}
