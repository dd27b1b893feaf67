/**
 * `vmlan dns`: list, add, remove, query.
 *
 * Zone: control.
 */
import { InvalidArgumentError } from 'commander';
import { VmlanError } from '../../client/errors.ts';
import type { RecordInput, RecordView } from '../../model/api.ts';
import type { Context, DefineCommand } from '../context.ts';
import { askNetworks } from '../dns-query.ts';
import { addExamples } from '../examples.ts';
import { formatTable } from '../output/table.ts';
import { recordTable } from '../views/forwards.ts';

export const define: DefineCommand = (command, context) => {
  defineList(command, context);
  defineAdd(command, context);
  defineRemove(command, context);
  defineQuery(command, context);
  addExamples(command, [
    ['a name for an address', 'vmlan dns add registry.lab.internal A 192.168.105.10 --network lab'],
    ['what guests get for a name', 'vmlan dns query web.vmlan.internal'],
  ]);
};

const defineList: DefineCommand = (command, context) => {
  const list = command.command('list').alias('ls').description('List the DNS records.').summary('list the DNS records');
  list.option('--network <network>', 'only those of this network').action(async ({ network }: { network?: string }) => {
    const records = await context.client.call('listRecords', { query: { network } });
    await context.output.show(records, {
      table: (coloured) => recordTable(records, coloured),
      ids: () => records.map(({ id }) => id),
    });
  });
  addExamples(list, [['all records, those of guests included', 'vmlan dns list']]);
};

interface AddOptions {
  readonly network?: string;
  readonly ttl?: number;
}

const defineAdd: DefineCommand = (command, context) => {
  const add = command
    .command('add')
    .description('Add a DNS record; it holds at once and is kept.')
    .summary('add a DNS record');
  add
    .argument('<name>', 'the full name, e.g. registry.lab.internal')
    .argument('<type>', 'A, AAAA, CNAME, TXT, NS, MX, SRV, PTR, CAA, HTTPS, SVCB, NAPTR, or TYPE123 with octets in hex')
    .argument('<value...>', 'as in a zone file, e.g. 10 mail.lab.internal for MX')
    .option('--network <network>', 'the network; without it the one whose domain has the name, else the default one')
    .option('--ttl <seconds>', 'how long answers may be kept', parseSeconds)
    .action(async (name: string, type: string, value: string[], { network, ttl }: AddOptions) => {
      const body: RecordInput = {
        network,
        name,
        type: type.toUpperCase() as RecordInput['type'],
        value: value.join(' '),
        ttl,
      };
      const record = await context.client.call('createRecord', { body });
      await context.output.show(record, {
        table: (coloured) => recordTable([record], coloured),
        ids: () => [record.id],
      });
    });
  addExamples(add, [
    ['an address', 'vmlan dns add registry.lab.internal A 192.168.105.10'],
    ['a mail exchanger', 'vmlan dns add lab.internal MX 10 mail.lab.internal'],
  ]);
};

const defineRemove: DefineCommand = (command, context) => {
  const remove = command
    .command('remove')
    .alias('rm')
    .description('Remove DNS records, by identifier or every record of a name.')
    .summary('remove DNS records');
  remove
    .argument('<record...>', 'identifiers or names')
    .option('--network <network>', 'only in this network')
    .action(async (words: string[], { network }: { network?: string }) => {
      const records = await context.client.call('listRecords', { query: { network } });
      const chosen = words.flatMap((word) => chooseRecords(records, word));
      for (const record of chosen) await removeRecord(context, record);
    });
  addExamples(remove, [
    ['one record', 'vmlan dns remove r3'],
    ['all records of a name', 'vmlan dns remove registry.lab.internal'],
  ]);
};

function chooseRecords(records: readonly RecordView[], word: string): RecordView[] {
  const name = word.toLowerCase().replace(/\.$/, '');
  const found = records.filter((record) => record.id === word || record.name === name);
  const own = found.filter(({ origin }) => origin === 'api');
  if (own.length > 0) return own;
  if (found[0] !== undefined) throw notRemovable(found[0]);
  throw new VmlanError('not-found', `no DNS record has the identifier or name "${word}"`, {
    hint: 'see: vmlan dns list',
  });
}

/** Records of networks.yaml and of guests go where they came from. */
function notRemovable({ name, type, value, network, origin }: RecordView): VmlanError {
  const record = `record ${name} ${type} ${value}`;
  if (origin === 'config') {
    return new VmlanError('conflict', `${record} stands in networks.yaml`, {
      hint: `take it out of \`dns\` there: vmlan network edit ${network}`,
    });
  }
  return new VmlanError('conflict', `${record} is a guest's own`, {
    hint: 'it goes with the guest: vmlan rename GUEST NAME, or vmlan detach GUEST --forget',
  });
}

async function removeRecord(context: Context, { id, name, type, value }: RecordView): Promise<void> {
  await context.client.call('deleteRecord', { params: { id } });
  context.output.done(`${name} ${type} ${value} removed`);
}

const defineQuery: DefineCommand = (command, context) => {
  const query = command
    .command('query')
    .description(
      'Ask the DNS of a network as its guests do: it knows records, guests and the host, and asks the resolver of this host ' +
        'for all else. Without --network those that run are asked, until one has an answer.',
    )
    .summary('look a name up as guests do');
  query
    .argument('<name>', 'a name, or an address for the names that it has')
    .argument('[type]', 'type of the records; A, or PTR of an address, without it')
    .option('--network <network>', 'as a guest of this network')
    .action(async (name: string, type: string | undefined, { network }: { network?: string }) => {
      const answers = await askNetworks(context.client, { name, type, network });
      await context.output.show(answers, {
        table: (coloured) =>
          formatTable(
            [
              { title: 'name', value: (answer) => answer.name },
              { title: 'type', value: (answer) => answer.type },
              { title: 'value', value: (answer) => answer.value },
              { title: 'from', value: (answer) => answer.from },
            ],
            answers,
            coloured,
          ),
        ids: () => answers.map(({ value }) => value),
      });
    });
  addExamples(query, [
    ['the addresses of a guest', 'vmlan dns query web.vmlan.internal AAAA'],
    ['whose address is it?', 'vmlan dns query 192.168.104.2'],
    ['a name of the outside', 'vmlan dns query example.com MX'],
  ]);
};

/** RFC 2181 §8: a TTL is 31 bits. */
const MAX_TTL_SECONDS = 0x7fffffff;

function parseSeconds(text: string): number {
  if (/^\d{1,10}$/.test(text) && Number(text) <= MAX_TTL_SECONDS) return Number(text);
  throw new InvalidArgumentError(`It must be a number of seconds from 0 to ${MAX_TTL_SECONDS}.`);
}
