/**
 * Whether a daemon would take a networks.yaml: the daemon's program judges the file and ends.
 *
 * Zone: control.
 */
import { execFile } from 'node:child_process';
import { VmlanError } from '../client/errors.ts';
import type { ErrorCode } from '../client/errors.ts';
import { daemonCommand } from './daemon-command.ts';

const CHECK_TIMEOUT_MS = 30_000;
const MAX_ANSWER_BYTES = 1 << 20;

/** What the daemon's program answers: daemon/config-check.ts. */
export interface Verdict {
  readonly file: string;
  readonly networks: readonly string[];
  readonly warnings: readonly string[];
  readonly error: { readonly code: ErrorCode } | null;
  readonly problems: readonly { readonly message: string; readonly hint: string | null }[];
}

/** `env`: that of the daemon. */
export async function judgeConfig(env: NodeJS.ProcessEnv, file: string): Promise<Verdict> {
  const [program, ...args] = [...daemonCommand(), '--check', file] as const;
  const options = { env, timeout: CHECK_TIMEOUT_MS, maxBuffer: MAX_ANSWER_BYTES };
  const { stdout, stderr } = await new Promise<{ stdout: string; stderr: string }>((done) => {
    execFile(program, args, options, (_error, out, err) => done({ stdout: out, stderr: err }));
  });
  try {
    return JSON.parse(stdout) as Verdict;
  } catch (cause) {
    throw new VmlanError('internal', `${file} could not be checked: ${stderr.trim() || 'no answer'}`, { cause });
  }
}
