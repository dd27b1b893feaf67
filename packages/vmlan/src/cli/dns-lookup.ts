/**
 * A name looked up while no network runs: in the records that are kept, else by the host's resolver.
 *
 * Zone: control.  Runs in the command line, so that nothing is asked of a running guest; aliases (CNAME) are followed
 * at most MAX_ALIASES deep, RFC 1034 §3.6.2.
 */
import { promises as resolver } from 'node:dns';
import { VmlanError } from '../client/errors.ts';
import type { RecordView } from '../model/api.ts';

export interface Answer {
  readonly name: string;
  readonly type: string;
  readonly value: string;
  readonly from: 'vmlan' | 'host';
}

const MAX_ALIASES = 8;
const LIST_HINT = 'no network was asked, for none runs: vmlan network start NAME; what vmlan knows: vmlan dns list';
const HOST_TYPES = ['A', 'AAAA', 'CNAME', 'MX', 'NS', 'PTR', 'SRV', 'TXT', 'CAA', 'SOA'] as const;
type HostType = (typeof HOST_TYPES)[number];

export async function lookUp(records: readonly RecordView[], name: string, type: string): Promise<Answer[]> {
  const answers: Answer[] = [];
  let wanted = name.toLowerCase().replace(/\.$/, '');
  for (let depth = 0; depth <= MAX_ALIASES; depth++) {
    const local = records.filter((record) => record.name === wanted);
    if (local.length === 0) return [...answers, ...(await askHost(wanted, type, answers.length > 0))];
    answers.push(...local.filter((record) => record.type === type).map(toAnswer));
    const alias = local.find((record) => record.type === 'CNAME');
    if (alias === undefined || type === 'CNAME') return nonEmpty(answers, wanted, type);
    answers.push(toAnswer(alias));
    wanted = alias.value.toLowerCase().replace(/\.$/, '');
  }
  throw new VmlanError('unavailable', `${name} leads through more than ${MAX_ALIASES} aliases`, { hint: LIST_HINT });
}

const toAnswer = ({ name, type, value }: RecordView): Answer => ({ name, type, value, from: 'vmlan' });

function nonEmpty(answers: Answer[], name: string, type: string): Answer[] {
  if (answers.length > 0) return answers;
  throw new VmlanError('not-found', `${name} exists and has no ${type} record`, { hint: LIST_HINT });
}

async function askHost(name: string, type: string, optional: boolean): Promise<Answer[]> {
  if (!isHostType(type)) {
    throw new VmlanError('unsupported', `the host's resolver cannot be asked for ${type} records from here`, {
      hint: `ask for one of ${HOST_TYPES.join(', ')}`,
    });
  }
  try {
    const found = (await resolver.resolve(name, type)) as unknown;
    return (Array.isArray(found) ? found : [found]).map((value) => ({
      name,
      type,
      value: zoneText(type, value),
      from: 'host',
    }));
  } catch (cause) {
    if (optional) return [];
    throw hostError(`${name} ${type}`, cause as NodeJS.ErrnoException);
  }
}

function hostError(question: string, cause: NodeJS.ErrnoException): VmlanError {
  switch (cause.code) {
    case 'ENOTFOUND':
    case 'ENODATA':
      return new VmlanError('not-found', `${question}: no such record`, { hint: LIST_HINT, cause });
    case 'EBADNAME':
      return new VmlanError('invalid', `${question}: not a name`, { hint: 'e.g. web.vmlan.internal', cause });
    default:
      return new VmlanError('unavailable', `${question}: the host's resolver failed: ${cause.code ?? cause.message}`, {
        hint: 'which one it is: cat /etc/resolv.conf',
        cause,
      });
  }
}

const isHostType = (type: string): type is HostType => (HOST_TYPES as readonly string[]).includes(type);

/** Fields of node:dns in the order of the zone file. */
const FIELDS: Readonly<Record<string, readonly string[]>> = {
  MX: ['priority', 'exchange'],
  SRV: ['priority', 'weight', 'port', 'name'],
  SOA: ['nsname', 'hostmaster', 'serial', 'refresh', 'retry', 'expire', 'minttl'],
};

/** A record of node:dns in zone file notation; the strings of a TXT are joined. */
function zoneText(type: string, value: unknown): string {
  if (Array.isArray(value)) return value.join('');
  if (typeof value !== 'object' || value === null) return String(value);
  const fields = value as Readonly<Record<string, unknown>>;
  const order = FIELDS[type];
  if (order !== undefined) return order.map((field) => String(fields[field])).join(' ');
  // CAA, RFC 8659 §4.1: flags, then the tag, which is the name of its own field.
  const tag = Object.keys(fields).find((field) => field !== 'critical' && field !== 'type') ?? '';
  return `${String(fields['critical'])} ${tag} "${String(fields[tag])}"`;
}
