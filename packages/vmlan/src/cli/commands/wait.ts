/**
 * `vmlan wait GUEST --for CONDITION`: until it holds.
 *
 * Zone: control.  Looks once, and again with each event of the daemon; only ports, of which no event tells, are tried again
 * and again.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { InvalidArgumentError } from 'commander';
import { VmlanError } from '../../client/errors.ts';
import { parseDuration } from '../../model/duration.ts';
import type { Context, DefineCommand } from '../context.ts';
import { addExamples } from '../examples.ts';
import { CONDITION_HELP, type Condition, type Holding, type Subject, parseCondition } from '../wait-conditions.ts';

interface WaitOptions {
  readonly for?: readonly Condition[];
  /** Seconds. */
  readonly timeout: number;
  readonly network?: string;
}

export const define: DefineCommand = (command, context) => {
  command
    .argument('<guest>', 'name of the guest; a network for --for running')
    .option('--for <condition>', `what to wait for: ${CONDITION_HELP}; several must hold (default: ip)`, addCondition)
    .option('--timeout <duration>', 'give up after this time; 0: look once', parseTimeout, 60)
    .option('--network <network>', 'which of several networks of the guest')
    .action((name: string, options: WaitOptions) => waitFor(context, name, options));
  addExamples(command, [
    ['until the machine has its address, which is printed', 'vmlan wait web'],
    ['until one can log in', 'vmlan wait web --for port:22 --timeout 2m'],
    ['until its name can be asked for', 'vmlan wait web --for dns'],
    ['until it is off', 'vmlan wait web --for down'],
    ['until a network runs', 'vmlan wait lab --for running'],
  ]);
};

async function waitFor(context: Context, name: string, options: WaitOptions): Promise<void> {
  const conditions = options.for ?? [parseCondition('ip')!];
  const subject = { name, network: options.network };
  const startedMs = Date.now();
  const late = AbortSignal.timeout(Math.max(1, options.timeout * 1000));
  const held: Holding[] = [];
  for (const condition of conditions) {
    held.push(await until(context, condition, subject, options.timeout === 0 ? null : late, options.timeout));
  }
  const last = held.at(-1)!;
  const address = held.findLast((one) => one.address !== null)?.address ?? null;
  const document = {
    name,
    network: last.network,
    address,
    conditions: conditions.map(({ text }) => text),
    waitedMs: Date.now() - startedMs,
  };
  await context.output.show(document, {
    table: () => (address === null ? '' : `${address}\n`),
    ids: () => [address ?? name],
  });
}

/** `late` null: it holds now, or it does not. */
async function until(
  context: Context,
  condition: Condition,
  subject: Subject,
  late: AbortSignal | null,
  timeoutS: number,
): Promise<Holding> {
  const { client, output } = context;
  const stop = new AbortController();
  const news = late === null ? null : new News(client, AbortSignal.any([late, stop.signal]));
  let told = '';
  try {
    for (;;) {
      const seen = news?.count ?? 0;
      const { holds, why } = await condition.look(client, subject);
      if (holds !== null) return holds;
      if (why !== told) output.progress(`waiting for ${condition.text}: ${subject.name} ${why}`);
      told = why;
      if (late === null || news === null || late.aborted) throw tooLate(condition, subject, why, timeoutS);
      await news.next(seen, condition.everyMs);
    }
  } finally {
    stop.abort();
  }
}

function tooLate({ text }: Condition, { name }: Subject, why: string, timeoutS: number): VmlanError {
  const after = timeoutS === 0 ? '' : ` after ${timeoutS} s`;
  return new VmlanError('timeout', `${name} ${why}${after} (waited for ${text})`, {
    hint: text === 'running' ? `see: vmlan network show ${name}` : `see: vmlan show ${name}, and vmlan events`,
  });
}

/** Events of the daemon, of which only the coming matters. */
class News {
  count = 0;
  readonly #signal: AbortSignal;
  #failure: Error | null = null;
  #wake: () => void = () => undefined;

  constructor(client: Context['client'], signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener('abort', () => this.#wake());
    void this.#follow(client);
  }

  /** Until there is more than was seen, or `everyMs` have passed, or time is up. */
  async next(seen: number, everyMs: number): Promise<void> {
    if (everyMs > 0) return delay(everyMs, undefined, { signal: this.#signal }).catch(() => undefined);
    if (this.count === seen && this.#failure === null && !this.#signal.aborted) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    if (this.#failure !== null) throw this.#failure;
    return undefined;
  }

  async #follow(client: Context['client']): Promise<void> {
    try {
      // From the beginning: what happens between a look and the first event must not be missed.
      for await (const _event of client.events({ after: '0' }, this.#signal)) this.#tell();
      if (this.#signal.aborted) return;
      this.#failure = new VmlanError('daemon-unreachable', 'the daemon has ended', { hint: 'start it with: vmlan up' });
    } catch (error) {
      this.#failure = error as Error;
    }
    this.#wake();
  }

  #tell(): void {
    this.count++;
    this.#wake();
  }
}

function addCondition(text: string, before: readonly Condition[] | undefined): readonly Condition[] {
  const condition = parseCondition(text);
  if (condition !== null) return [...(before ?? []), condition];
  throw new InvalidArgumentError(`It must be one of: ${CONDITION_HELP}.`);
}

function parseTimeout(text: string): number {
  const seconds = parseDuration(text);
  if (seconds !== null) return seconds;
  throw new InvalidArgumentError('It must be a duration: a number with s, m, h, d or w.');
}
