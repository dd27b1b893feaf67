/**
 * `vmlan forward`: list, add, remove.
 *
 * Zone: control.
 */
import { VmlanError } from '../../client/errors.ts';
import type { ForwardInput, ForwardView } from '../../model/api.ts';
import type { DefineCommand } from '../context.ts';
import { addExamples } from '../examples.ts';
import { forwardTable } from '../views/forwards.ts';

export const define: DefineCommand = (command, context) => {
  defineList(command, context);
  defineAdd(command, context);
  defineRemove(command, context);
  addExamples(command, [
    ["the host's port 8080 leads to the guest's port 80", 'vmlan forward add 8080 web:80'],
    ['all forwards', 'vmlan forward list'],
  ]);
};

const defineList: DefineCommand = (command, context) => {
  const list = command
    .command('list')
    .alias('ls')
    .description('List the port forwards.')
    .summary('list the port forwards');
  list.option('--network <network>', 'only those of this network').action(async ({ network }: { network?: string }) => {
    const forwards = await context.client.call('listForwards', { query: { network } });
    await context.output.show(forwards, {
      table: (coloured) => forwardTable(forwards, coloured),
      ids: () => forwards.map(({ id }) => id),
    });
  });
  addExamples(list, [['all forwards', 'vmlan forward list']]);
};

interface AddOptions {
  readonly udp?: boolean;
  readonly reverse?: boolean;
  readonly network?: string;
}

const defineAdd: DefineCommand = (command, context) => {
  const add = command
    .command('add')
    .description('Add a port forward; it holds at once and is kept.')
    .summary('add a port forward');
  add
    .argument(
      '<host>',
      'PORT or `auto` for a free one, ADDRESS:PORT, *:PORT, a range FIRST-LAST of ports, or the path of a unix socket',
    )
    .argument('<target>', "GUEST:PORT or ADDRESS:PORT; with --reverse the gateway's PORT that guests connect to")
    .option('--udp', 'UDP instead of TCP; /udp behind a port says the same')
    .option('--reverse', 'from the guests to the host')
    .option('--network <network>', "the network; the guest's own, or that of the address, without it")
    .action(async (host: string, guest: string, options: AddOptions) => {
      const written = [host, guest].map(withoutProtocol);
      const body: ForwardInput = {
        host: written[0]!.text,
        guest: written[1]!.text,
        network: options.network,
        protocol: options.udp === true || written.some(({ protocol }) => protocol === 'udp') ? 'udp' : 'tcp',
        direction: options.reverse === true ? 'reverse' : 'host',
      };
      const forward = await context.client.call('createForward', { body });
      const forwards = [forward];
      await context.output.show(forward, {
        table: (coloured) => forwardTable(forwards, coloured),
        ids: () => [forward.id],
      });
    });
  addExamples(add, [
    ["the host's port 8080 leads to the guest's port 80", 'vmlan forward add 8080 web:80'],
    ['reachable from other machines too', 'vmlan forward add 0.0.0.0:8080 web:80'],
    ['a port of the host that is free', 'vmlan forward add auto web:22'],
    ['a UDP port', 'vmlan forward add 5353 dns:53/udp'],
    ['a range of UDP ports', 'vmlan forward add --udp 6000-6010 web:6000-6010'],
    [
      'guests reach a unix socket of the host at port 5000 of the gateway',
      'vmlan forward add --reverse /run/app.sock 5000',
    ],
  ]);
};

/** `53/udp` is port 53 of UDP; the path of a socket, which may end like this, has its slash first. */
function withoutProtocol(word: string): { readonly text: string; readonly protocol: string | undefined } {
  const [, text = word, protocol] = /^([^/]+)\/(tcp|udp)$/.exec(word) ?? [];
  return { text, protocol };
}

const defineRemove: DefineCommand = (command, context) => {
  const remove = command
    .command('remove')
    .alias('rm')
    .description('Remove port forwards; their connections end.')
    .summary('remove port forwards');
  remove
    .argument('<forward...>', 'identifiers, or where they listen: PORT, ADDRESS:PORT or the path of a socket')
    .action(async (words: string[]) => {
      const forwards = await context.client.call('listForwards');
      for (const { id, host } of words.flatMap((word) => forwardsNamed(forwards, word))) {
        await context.client.call('deleteForward', { params: { id } });
        context.output.done(`forward ${id} of ${host} removed`);
      }
    });
  addExamples(remove, [
    ['what listens at port 8080', 'vmlan forward remove 8080'],
    ['one forward by its identifier', 'vmlan forward remove fwd-5e0c1a'],
  ]);
};

function forwardsNamed(forwards: readonly ForwardView[], word: string): readonly ForwardView[] {
  const listener = /^\d+(-\d+)?$/.test(word)
    ? `127.0.0.1:${word}`
    : word.replace(/^localhost:/, '127.0.0.1:').replace(/^\*:/, '0.0.0.0:');
  const named = forwards.filter(({ id, host }) => id === word || host === listener);
  if (named.length > 0) return named;
  throw new VmlanError('not-found', `no forward has the identifier or listens at "${word}"`, {
    hint: 'see: vmlan forward list',
  });
}
