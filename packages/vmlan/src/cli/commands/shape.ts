/**
 * `vmlan shape`: delay, lose, slow down or cut what a guest sends and receives; list, clear.
 *
 * Zone: control.  `set` may be left out: `vmlan shape web --delay 50ms`. It is there for a guest called `list` or `clear`.
 */
import { InvalidArgumentError, Option } from 'commander';
import { VmlanError } from '../../client/errors.ts';
import type { Distribution, ShapeInput, ShapeView } from '../../model/api.ts';
import { parseDelayMs, parsePercent, parseRateBps, parseSizeBytes } from '../../model/shape-units.ts';
import type { Context, DefineCommand } from '../context.ts';
import { asDefault } from '../default-command.ts';
import { addExamples } from '../examples.ts';
import { shapeTable } from '../views/shapes.ts';

export const define: DefineCommand = (command, context) => {
  defineSet(command, context);
  defineList(command, context);
  defineClear(command, context);
  addExamples(command, [
    ['a bad radio link: 50 ms each way, one frame in a hundred lost', 'vmlan shape web --delay 50ms --loss 1%'],
    ['two guests that cannot reach each other, but all else', 'vmlan shape web --peer db --partition'],
    ['what is shaped', 'vmlan shape list'],
    ['all as it was', 'vmlan shape clear --all'],
  ]);
};

interface SetOptions {
  readonly from?: boolean;
  readonly to?: boolean;
  readonly peer?: string;
  readonly network?: string;
  readonly delay?: number;
  readonly jitter?: number;
  readonly distribution?: Distribution;
  readonly loss?: number;
  readonly lossBurst?: number;
  readonly duplicate?: number;
  readonly reorder?: number;
  readonly corrupt?: number;
  readonly rate?: number;
  readonly limit?: number;
  readonly partition?: boolean;
  readonly seed?: number;
}

/** As a peer: all beyond the network. */
const GATEWAY = 'gateway';

const time = parsedBy(parseDelayMs, 'It must be a time with its unit, such as 50ms, 1.5s or 200us.');
const share = parsedBy(parsePercent, 'It must be a share, such as 1% or 0.1%.');
const rate = parsedBy(parseRateBps, 'It must be bits in a second, such as 10mbit, 64kbit or 1gbit.');
const size = parsedBy(parseSizeBytes, 'It must be a size, such as 64kb, 1mb or 3000b.');
const number = parsedBy((text) => (/^\d{1,10}(\.\d+)?$/.test(text) ? Number(text) : null), 'It must be a number.');

const defineSet: DefineCommand = (command, context) => {
  const set = asDefault(command.command('set', { isDefault: true }))
    .description(
      'Shape what a guest sends and receives. It replaces an earlier shape of the same guest and peer, holds at once, also for ' +
        'conversations under way, and is kept until it is cleared.',
    )
    .summary('shape what a guest sends and receives; "set" may be left out');
  set
    .argument('<guest>', 'name of the guest')
    .option('--from', 'only what the guest sends')
    .option('--to', 'only what the guest receives')
    .option(
      '--peer <peer>',
      'only what passes between the guest and this other guest, or "gateway" for all beyond the network',
    )
    .option('--network <network>', 'which of several networks of the guest')
    .option('--delay <time>', 'each frame comes so much later', time)
    .option('--jitter <time>', 'the delay strays by so much, and frames overtake each other', time)
    .addOption(new Option('--distribution <name>', 'how it strays').choices(['uniform', 'normal', 'pareto']))
    .option('--loss <percent>', 'so many frames are lost', share)
    .option('--loss-burst <frames>', 'losses come in bursts of so many on average', number)
    .option('--duplicate <percent>', 'so many frames come twice', share)
    .option('--reorder <percent>', 'so many frames are overtaken by up to three others', share)
    .option('--corrupt <percent>', 'so many frames have one bit turned over', share)
    .option('--rate <rate>', 'no more bits in a second', rate)
    .option('--limit <size>', 'how much may wait for the rate; what leaves in 100 ms without it', size)
    .option('--partition', 'nothing passes, and nobody is told')
    .option('--seed <number>', 'the same frames meet the same faults again', number)
    .action(async (guest: string, options: SetOptions) => {
      const shape = await context.client.call('setShape', { body: inputOf(guest, options) });
      await context.output.show(shape, {
        table: (coloured) => shapeTable([shape], coloured),
        ids: () => [shape.id],
      });
    });
  addExamples(set, [
    ['50 ms ± 10 ms each way, one frame in a hundred lost', 'vmlan shape web --delay 50ms --jitter 10ms --loss 1%'],
    ['a slow way out, a fast way in', 'vmlan shape web --from --rate 1mbit\nvmlan shape web --to --rate 10mbit'],
    ['cut off from everybody', 'vmlan shape web --partition'],
    ['cut off from one other guest', 'vmlan shape web --peer db --partition'],
    ['cut off from the outside, but not from other guests', 'vmlan shape web --peer gateway --partition'],
    ['a guest that is called list', 'vmlan shape set list --delay 50ms'],
  ]);
};

function inputOf(guest: string, options: SetOptions): ShapeInput {
  const { from = false, to = false, peer, network, delay, jitter, distribution, loss, lossBurst } = options;
  const body: ShapeInput = {
    guest,
    network,
    peer,
    direction: from === to ? 'both' : from ? 'from' : 'to',
    delayMs: delay,
    jitterMs: jitter,
    distribution,
    lossPercent: loss,
    lossBurst,
    duplicatePercent: options.duplicate,
    reorderPercent: options.reorder,
    corruptPercent: options.corrupt,
    rateBps: options.rate,
    limitBytes: options.limit,
    partition: options.partition,
    seed: options.seed,
  };
  const { guest: _guest, network: _network, peer: _peer, direction: _direction, ...settings } = body;
  if (Object.values(settings).some((value) => value !== undefined)) return body;
  throw new VmlanError('usage', `nothing to shape "${guest}" by`, {
    hint: `e.g. vmlan shape ${guest} --delay 50ms --loss 1%, or vmlan shape list ${guest}`,
  });
}

const defineList: DefineCommand = (command, context) => {
  const list = command.command('list').alias('ls').description('List the shapes.').summary('list the shapes');
  list
    .argument('[guest]', 'only those that this guest takes part in')
    .option('--network <network>', 'only those of this network')
    .action(async (guest: string | undefined, { network }: { network?: string }) => {
      const all = await context.client.call('listShapes', { query: { network } });
      const shapes = guest === undefined ? all : all.filter((shape) => takesPart(shape, guest));
      // An unshaped guest is an answer; a name that nobody has is a slip.
      if (guest !== undefined && guest !== GATEWAY && shapes.length === 0) {
        await context.client.call('getGuest', { params: { name: guest } });
      }
      await context.output.show(shapes, {
        table: (coloured) => shapeTable(shapes, coloured),
        ids: () => shapes.map(({ id }) => id),
      });
    });
  addExamples(list, [
    ['all shapes', 'vmlan shape list'],
    ['those of one guest', 'vmlan shape list web'],
  ]);
};

interface ClearOptions {
  readonly all?: boolean;
  readonly peer?: string;
  readonly network?: string;
}

const defineClear: DefineCommand = (command, context) => {
  const clear = command
    .command('clear')
    .description('End shapes. What still waits leaves at once, in its order.')
    .summary('end shapes');
  clear
    .argument('[guest...]', 'all that these guests take part in; or identifiers of shapes')
    .option('--all', 'all shapes')
    .option('--peer <peer>', 'only those with this guest, or "gateway"')
    .option('--network <network>', 'only those of this network')
    .action(async (words: string[], options: ClearOptions) => clearShapes(context, words, options));
  addExamples(clear, [
    ['the guest is as it was', 'vmlan shape clear web'],
    ['the two see each other again', 'vmlan shape clear web --peer db'],
    ['everything is as it was', 'vmlan shape clear --all'],
  ]);
};

async function clearShapes(context: Context, words: readonly string[], options: ClearOptions): Promise<void> {
  const { all = false, peer, network } = options;
  if (words.length > 0 === all) {
    throw new VmlanError('usage', all ? 'name guests, or --all, not both' : 'which shapes?', {
      hint: 'vmlan shape clear GUEST, or vmlan shape clear --all',
    });
  }
  const known = (await context.client.call('listShapes', { query: { network } })).filter(
    (shape) => peer === undefined || takesPart(shape, peer),
  );
  const chosen = all ? known : [...new Set(words.flatMap((word) => chooseShapes(known, word)))];
  for (const { id, guest, peer: other } of chosen) {
    await context.client.call('deleteShape', { params: { id } });
    context.output.done(`shape of ${guest}${other === null ? '' : ` and ${other}`} cleared`);
  }
}

function chooseShapes(shapes: readonly ShapeView[], word: string): ShapeView[] {
  const found = shapes.filter((shape) => shape.id === word || takesPart(shape, word));
  if (found.length > 0) return found;
  throw new VmlanError('not-found', `nothing shapes "${word}"`, { hint: 'see: vmlan shape list' });
}

const takesPart = ({ guest, peer }: ShapeView, name: string): boolean => guest === name || peer === name;

function parsedBy(parse: (text: string) => number | null, message: string): (text: string) => number {
  return (text) => {
    const value = parse(text);
    if (value === null) throw new InvalidArgumentError(message);
    return value;
  };
}
