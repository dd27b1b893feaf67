/**
 * Options that describe a network, as the document that networks.yaml would hold.
 *
 * Zone: control.  Only what is written on the command line is judged here; what it means beside the rest, by the daemon.
 */
import { VmlanError } from '../client/errors.ts';
import type { ForwardEntryInput, ReservationInput } from '../model/schema.ts';

/** `HOST=GUEST`, as `vmlan forward add HOST GUEST`; `/udp` and `/reverse` behind it. */
export function parseForwardOption(text: string): ForwardEntryInput {
  const [, host, guest, flags = ''] = /^(.+)=([^=]+?)((?:\/(?:tcp|udp|reverse))*)$/.exec(text) ?? [];
  if (host === undefined || guest === undefined) {
    throw new VmlanError('usage', `--forward ${text}: not HOST=GUEST:PORT`, { hint: 'e.g. --forward 8080=web:80' });
  }
  return {
    host,
    guest,
    ...(flags.includes('/udp') ? { protocol: 'udp' as const } : {}),
    ...(flags.includes('/reverse') ? { direction: 'reverse' as const } : {}),
  };
}

const MAC = /^[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}$/i;

/** A guest, by its name or its MAC address. */
export const parseOwner = (text: string): { readonly mac: string } | { readonly guest: string } =>
  MAC.test(text) ? { mac: text.toLowerCase().replaceAll('-', ':') } : { guest: text };

/** `GUEST=ADDRESS` or `MAC=ADDRESS`. */
export function parseReservationOption(text: string): ReservationInput {
  const [, owner, ip] = /^(.+)=([^=]+)$/.exec(text) ?? [];
  if (owner === undefined || ip === undefined) {
    throw new VmlanError('usage', `--reserve ${text}: not GUEST=ADDRESS`, {
      hint: 'e.g. --reserve db=192.168.105.10',
    });
  }
  return { ...parseOwner(owner), ip };
}

export function parseHostAccess(text: string): 'all' | 'none' | number[] {
  if (text === 'all' || text === 'none') return text;
  const ports = text.split(',').map(Number);
  if (ports.every((port) => Number.isInteger(port) && port > 0)) return ports;
  throw new VmlanError('usage', `--host-access ${text}: not all, none or ports`, {
    hint: 'e.g. --host-access 5432,6379',
  });
}

export function parseMtu(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw new VmlanError('usage', `--mtu ${text}: not a number of bytes`, { hint: 'e.g. --mtu 9000' });
}

export type Settings = Readonly<Record<string, unknown>>;

/** `mtu=9000`, `dns.domain=lab.test`, `hostAccess=[80, 443]`: a key with dots, and a value of YAML. */
export async function parseSettings(
  set: readonly string[],
  unset: readonly string[],
  onto: Settings = {},
): Promise<Settings> {
  const settings: Record<string, unknown> = structuredClone({ ...onto });
  for (const text of set) {
    const [, key, value] = /^([^=]+)=([^]*)$/.exec(text) ?? [];
    if (key === undefined || value === undefined) {
      throw new VmlanError('usage', `--set ${text}: not KEY=VALUE`, { hint: 'e.g. --set mtu=9000' });
    }
    put(settings, key, await parseValue(text, value));
  }
  for (const key of unset) put(settings, key, null);
  return settings;
}

async function parseValue(text: string, value: string): Promise<unknown> {
  const { parse } = await import('./yaml.ts');
  try {
    return parse(value) as unknown;
  } catch (cause) {
    throw new VmlanError('usage', `--set ${text}: the value is not YAML: ${(cause as Error).message.split('\n')[0]!}`, {
      hint: "quote it for the shell, e.g. --set 'hostAccess=[80, 443]'",
      cause,
    });
  }
}

function put(target: Record<string, unknown>, key: string, value: unknown): void {
  const steps = key.split('.');
  const last = steps.pop()!;
  if ([...steps, last].some((step) => step === '' || step === '__proto__')) {
    throw new VmlanError('usage', `"${key}" is no key`, { hint: 'keys are listed by: vmlan config schema' });
  }
  let node = target;
  for (const step of steps) {
    const next = node[step];
    const map = typeof next === 'object' && next !== null && !Array.isArray(next) ? next : {};
    node[step] = map;
    node = map as Record<string, unknown>;
  }
  node[last] = value;
}

/** Adds an option that may come several times. */
export const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];
