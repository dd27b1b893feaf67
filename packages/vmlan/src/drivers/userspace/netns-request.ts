/**
 * What the helper program is asked, as an argument vector and back; and what it answers.
 *
 * Zone: control.  Plain flags, so that `ps` shows what runs.  The answer is one line of JSON on stdout.
 */
import { parseArgs } from 'node:util';
import { VmlanError } from '../../core/errors.ts';
import type { ErrorData } from '../../core/errors.ts';

export interface TapRequest {
  /** The unix socket at which `receiveFd` listens. */
  readonly socket: string;
  /** Name of the interface, at most 15 bytes. */
  readonly interface: string;
  /** aa:bb:cc:dd:ee:ff */
  readonly mac: string;
  readonly mtuBytes: number;
  /** With prefix length, e.g. 192.168.104.5/24. */
  readonly addresses: readonly string[];
  /** Default routes. */
  readonly gateways: readonly string[];
  /** Also brings the loopback interface up. */
  readonly loopback: boolean;
  /** False for an interface of the host itself, which must not follow the advertisements of its own network. */
  readonly routerAdverts: boolean;
}

export interface TapAnswer {
  readonly error: ErrorData | null;
}

const OPTIONS = {
  socket: { type: 'string' },
  interface: { type: 'string' },
  mac: { type: 'string' },
  mtu: { type: 'string' },
  address: { type: 'string', multiple: true },
  gateway: { type: 'string', multiple: true },
  loopback: { type: 'boolean' },
  'no-router-adverts': { type: 'boolean' },
  namespace: { type: 'string' },
} as const;

/** `namespace`: where the interface is moved to; null leaves it where the program runs. */
export function toArguments(request: TapRequest, namespace: string | null): string[] {
  return [
    ...['--socket', request.socket, '--interface', request.interface],
    ...['--mac', request.mac, '--mtu', String(request.mtuBytes)],
    ...request.addresses.flatMap((address) => ['--address', address]),
    ...request.gateways.flatMap((gateway) => ['--gateway', gateway]),
    ...(request.loopback ? ['--loopback'] : []),
    ...(request.routerAdverts ? [] : ['--no-router-adverts']),
    ...(namespace === null ? [] : ['--namespace', namespace]),
  ];
}

/** Throws `usage` for anything that `toArguments` would not write. */
export function fromArguments(argv: readonly string[]): {
  readonly request: TapRequest;
  readonly namespace: string | null;
} {
  const { values } = parseOrThrow(argv);
  const { socket = '', interface: name = '', mac = '', mtu = '' } = values;
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$/.test(name))
    throw new VmlanError('usage', `"${name}" is no name of an interface`);
  for (const address of values.address ?? []) assertAddress(address, /^[0-9a-fA-F.:]+\/\d{1,3}$/);
  for (const gateway of values.gateway ?? []) assertAddress(gateway, /^[0-9a-fA-F.:]+$/);
  if (socket === '' || mac === '' || !/^\d{3,5}$/.test(mtu))
    throw new VmlanError('usage', '--socket, --mac and --mtu are needed');
  const request: TapRequest = {
    socket,
    interface: name,
    mac,
    mtuBytes: Number(mtu),
    addresses: values.address ?? [],
    gateways: values.gateway ?? [],
    loopback: values.loopback ?? false,
    routerAdverts: !(values['no-router-adverts'] ?? false),
  };
  return { request, namespace: values.namespace ?? null };
}

function parseOrThrow(argv: readonly string[]): ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>> {
  try {
    return parseArgs({ args: [...argv], options: OPTIONS });
  } catch (cause) {
    throw new VmlanError('usage', (cause as Error).message, { cause });
  }
}

function assertAddress(text: string, pattern: RegExp): void {
  if (!pattern.test(text)) throw new VmlanError('usage', `"${text}" is no address`);
}
