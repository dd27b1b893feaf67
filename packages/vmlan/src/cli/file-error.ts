/**
 * What the system says of a file that the command line was told of, in words, with what to do about it.
 *
 * Zone: control.
 */
import { dirname } from 'node:path';
import { VmlanError } from '../client/errors.ts';
import type { ErrorCode } from '../client/errors.ts';
import { shellQuote } from './shell-quote.ts';

interface Reason {
  readonly code: ErrorCode;
  readonly text: string;
  readonly hint: (path: string) => string;
}

const quoted = (path: string): string => shellQuote([path]);
const rights = (path: string): string => `see who may: ls -ld ${quoted(dirname(path))} ${quoted(path)}`;
const space = (path: string): string => `free space there: df -h ${quoted(dirname(path))}`;

const REASONS: Readonly<Record<string, Reason>> = {
  EACCES: { code: 'not-permitted', text: 'permission denied', hint: rights },
  EPERM: { code: 'not-permitted', text: 'permission denied', hint: rights },
  EROFS: { code: 'not-permitted', text: 'the file system is read-only', hint: () => 'choose a file elsewhere' },
  EISDIR: { code: 'invalid', text: 'it is a directory', hint: (path) => `name a file in it: ${quoted(path)}/NAME` },
  ENOTDIR: { code: 'invalid', text: 'a part of the path is no directory', hint: rights },
  ENOSPC: { code: 'unavailable', text: 'the disk is full', hint: space },
  EDQUOT: { code: 'unavailable', text: 'the quota is used up', hint: space },
};

const NO_FOLDER: Reason = {
  code: 'not-found',
  text: 'its folder does not exist',
  hint: (path) => `make it first: mkdir -p ${quoted(dirname(path))}`,
};

const NO_FILE: Reason = {
  code: 'not-found',
  text: 'there is no such file',
  hint: (path) => `see what is there: ls ${quoted(dirname(path))}`,
};

/** `path` as the user wrote it, or in full; `kind` names what it is to hold. */
export function fileError(path: string, what: 'read' | 'written', cause: unknown, kind = ''): VmlanError {
  const subject = `${kind === '' ? '' : `${kind} `}${path} cannot be ${what}`;
  const { code = '', message } = cause as NodeJS.ErrnoException;
  const reason = code === 'ENOENT' ? (what === 'read' ? NO_FILE : NO_FOLDER) : REASONS[code];
  if (reason === undefined) {
    return new VmlanError('unavailable', `${subject}: ${message}`, { hint: rights(path), cause });
  }
  return new VmlanError(reason.code, `${subject}: ${reason.text}`, { hint: reason.hint(path), cause });
}
