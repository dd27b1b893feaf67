/**
 * `vmlan capture GUEST|NETWORK`: frames as they come by, as lines for people or as a pcapng file.
 *
 * Zone: control.  Ctrl-C ends it in order: what is under way and the statistics are still written.
 */
import { createInterface } from 'node:readline';
import { InvalidArgumentError } from 'commander';
import { BlockSplitter, isPacket, isStatistics, lostOf } from '../../client/capture-blocks.ts';
import type { ClientCapture } from '../../client/client.ts';
import { VmlanError } from '../../client/errors.ts';
import type { CapturedLine, CaptureQuery } from '../../model/api.ts';
import { parseDuration } from '../../model/duration.ts';
import { type FileRing, openSink } from '../capture-files.ts';
import type { Context, DefineCommand } from '../context.ts';
import { addExamples } from '../examples.ts';
import { capturedLine } from '../views/captures.ts';

interface CaptureOptions {
  readonly network?: string;
  readonly write?: string;
  readonly filter?: string;
  readonly peer?: string;
  readonly port?: string;
  readonly proto?: string;
  readonly count?: string;
  /** Seconds. */
  readonly duration?: number;
  readonly snaplen?: string;
  readonly drops?: boolean;
  readonly ring?: FileRing;
}

/** What was written, and what found no room on the way. */
interface Tally {
  frames: number;
  lost: number;
}

export const define: DefineCommand = (command, context) => {
  command
    .argument('<guest-or-network>', 'whose frames')
    .option('--network <network>', 'which of several networks of the guest')
    .option('-w, --write <file>', 'a pcapng file; - is standard output, for another program to read')
    .optionsGroup('Which frames:')
    .option('--filter <expression>', 'in the words of pcap-filter, e.g. "tcp and port 80 and not host 10.0.0.5"')
    .option('--peer <address|guest>', 'to or from this one')
    .option('--port <port>', 'to or from this port')
    .option('--proto <protocol>', 'tcp, udp, icmp, icmp6, arp, ip or ip6')
    .option('--drops', 'only what vmlan drops, with the reason')
    .option('--snaplen <bytes>', 'keep so much of each', parseAbove0)
    .optionsGroup('How long:')
    .option('-c, --count <frames>', 'end after so many', parseAbove0)
    .option('--duration <duration>', 'end after this time, e.g. 30s, 5m', parseSeconds)
    .option(
      '--ring <files,size>',
      'with --write: so many files of this size, e.g. 5,10M; the oldest is replaced',
      parseRing,
    )
    .action((name: string, options: CaptureOptions) => capture(context, name, options));
  addExamples(command, [
    ['see what a guest says and hears', 'vmlan capture web'],
    ['look at it in Wireshark, live', 'vmlan capture web -w - | wireshark -k -i -'],
    ['keep the last 50 MB of a network', 'vmlan capture lab -w lab.pcapng --ring 5,10M'],
    ['one kind of conversation', 'vmlan capture web --filter "tcp port 80 and not host 192.168.104.7"'],
    ['what is dropped, and why', 'vmlan capture lab --drops'],
  ]);
};

async function capture(context: Context, name: string, options: CaptureOptions): Promise<void> {
  check(context, options);
  const format = options.write === undefined ? 'lines' : 'pcapng';
  const query: CaptureQuery = {
    ...(await subjectOf(context, name, options.network)),
    filter: filterOf(options),
    count: options.count,
    durationMs: options.duration === undefined ? undefined : String(options.duration * 1000),
    snaplen: options.snaplen,
    drops: options.drops === true ? 'true' : undefined,
    format,
  };
  const running = await context.client.capture(query);
  const signals = endOnSignals(context, running);
  context.output.progress(`capturing ${name}; Ctrl-C ends it`);
  const tally = { frames: 0, lost: 0 };
  try {
    if (options.write === undefined) await printLines(context, running, tally);
    else await writeFile(context, running, options.write, options.ring, tally);
  } finally {
    signals[Symbol.dispose]();
    running.stream.destroy();
  }
  const lost = tally.lost === 0 ? '' : `, ${tally.lost} lost: vmlan was faster than who reads them`;
  context.output.note(`${tally.frames} frames captured${lost}`);
}

function check(context: Context, { write, ring }: CaptureOptions): void {
  if (ring !== undefined && (write === undefined || write === '-')) {
    throw new VmlanError('usage', '--ring needs a file', { hint: 'add: --write FILE.pcapng' });
  }
  if (write === '-' && context.io.stdout.isTTY === true) {
    throw new VmlanError('usage', 'a capture is no text for a terminal', {
      hint: 'write it to a file, or to a program: vmlan capture … -w - | tshark -r -',
    });
  }
}

/** A guest of that name, else a network. */
async function subjectOf(context: Context, name: string, network: string | undefined): Promise<CaptureQuery> {
  try {
    await context.client.call('getGuest', { params: { name } });
    return { guest: name, network };
  } catch (error) {
    if (!(error instanceof VmlanError) || error.code !== 'not-found' || network !== undefined) throw error;
  }
  try {
    await context.client.call('getNetwork', { params: { name } });
    return { network: name };
  } catch (error) {
    if (!(error instanceof VmlanError) || error.code !== 'not-found') throw error;
    throw new VmlanError('not-found', `there is no guest and no network "${name}"`, {
      hint: 'see: vmlan list, and vmlan network list',
    });
  }
}

/** The simple fields are more of the expression. */
function filterOf({ filter, peer, port, proto }: CaptureOptions): string | undefined {
  const parts = [
    ...(filter === undefined || filter.trim() === '' ? [] : [`(${filter})`]),
    ...(proto === undefined ? [] : [proto]),
    ...(peer === undefined ? [] : [`host ${peer}`]),
    ...(port === undefined ? [] : [`port ${port}`]),
  ];
  return parts.length === 0 ? undefined : filter !== undefined && parts.length === 1 ? filter : parts.join(' and ');
}

function endOnSignals(context: Context, running: ClientCapture): Disposable {
  let isEnding = false;
  const end = (): void => {
    if (isEnding) running.stream.destroy();
    isEnding = true;
    context.client.call('endCapture', { params: { id: running.id } }).catch(() => running.stream.destroy());
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, end);
  return { [Symbol.dispose]: () => signals.forEach((signal) => process.off(signal, end)) };
}

async function printLines(context: Context, { stream }: ClientCapture, tally: Tally): Promise<void> {
  for await (const text of createInterface({ input: stream, crlfDelay: Infinity })) {
    const line = JSON.parse(text) as CapturedLine;
    tally.frames++;
    tally.lost += line.lost;
    await context.output.add(line, {
      table: (coloured) => capturedLine(line, coloured),
      ids: () => [line.summary],
    });
  }
}

async function writeFile(
  context: Context,
  { stream }: ClientCapture,
  path: string,
  ring: FileRing | undefined,
  tally: Tally,
): Promise<void> {
  const sink = await openSink(path, context.io.stdout, ring);
  const splitter = new BlockSplitter();
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    for (const block of splitter.push(chunk)) {
      if (isPacket(block)) tally.frames++;
      else if (isStatistics(block)) tally.lost += lostOf(block);
      await sink.write(block);
    }
  }
  await sink.close();
}

function parseAbove0(text: string): string {
  if (/^[1-9]\d{0,8}$/.test(text)) return text;
  throw new InvalidArgumentError('It must be a whole number above 0.');
}

function parseSeconds(text: string): number {
  const seconds = parseDuration(text);
  if (seconds !== null && seconds > 0) return seconds;
  throw new InvalidArgumentError('It must be a duration: a number with s, m, h, d or w.');
}

const UNITS: Readonly<Record<string, number>> = { '': 1, k: 1 << 10, m: 1 << 20, g: 1 << 30 };

function parseRing(text: string): FileRing {
  const [, files, size, unit = ''] = /^(\d{1,4}),(\d{1,9})([kmg]?)$/i.exec(text) ?? [];
  const ring = { files: Number(files), size: Number(size) * UNITS[unit.toLowerCase()]! };
  if (ring.files >= 2 && ring.size >= 65_536) return ring;
  throw new InvalidArgumentError('Write FILES,SIZE: two files or more, of 64K or more, e.g. 5,10M.');
}
