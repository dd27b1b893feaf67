/**
 * The difference between what is wanted and what runs, as steps. Pure: the same for every driver.
 *
 * Zone: control.  Things go before things come, so that a forward may move its port to another guest in one plan.
 */
import { canonicalJson } from '../core/canonical-json.ts';
import type { Network } from '../model/network.ts';
import { formatSocketAddress } from '../model/forward.ts';
import { describeShape } from '../model/shape-units.ts';
import type { ForwardSpec, ShapeSpec } from '../engine/control-messages.ts';
import type { AppliedState, Observed, Plan, Step, WantedLink, WantedNetwork } from './driver.ts';

export function planNetwork(network: string, wanted: WantedNetwork | null, observed: Observed): Plan {
  const { applied } = observed;
  if (wanted === null) return { network, steps: isThere(observed) ? [{ action: 'stop' }] : [] };
  if (applied === null) return { network, steps: stepsFromNothing(wanted) };
  if (applied.settings !== settingsOf(wanted)) {
    return { network, steps: [{ action: 'stop' }, ...stepsFromNothing(wanted)] };
  }
  return { network, steps: difference(wanted, applied) };
}

const isThere = ({ applied, trouble }: Observed): boolean => applied !== null || trouble !== null;

/** What a network holds that has just been started. */
export const NOTHING: Omit<AppliedState, 'settings'> = {
  closed: [],
  reservations: [],
  nics: [],
  links: [],
  records: [],
  forwards: [],
  shapes: [],
};

const stepsFromNothing = (wanted: WantedNetwork): readonly Step[] => [
  { action: 'start', wanted },
  // It is started with what it keeps and closes.
  ...difference(wanted, { ...NOTHING, closed: wanted.closed, reservations: wanted.reservations }),
];

function difference(wanted: WantedNetwork, applied: Omit<AppliedState, 'settings'>): readonly Step[] {
  const forwards = changes(wanted.forwards, applied.forwards, (forward) => forward.id);
  const links = changes(wanted.links, applied.links, (link) => link.id);
  const nics = changes(wanted.nics, applied.nics, (nic) => nic.key);
  const shapes = changes(wanted.shapes, applied.shapes, (shape) => shape.id);
  const kept = new Set(wanted.nics.map((nic) => nic.key));
  const shaped = new Set(wanted.shapes.map((shape) => shape.id));
  const steps: Step[] = [];
  if (!isSame(wanted.closed, applied.closed)) {
    steps.push({ action: 'set-closed', closed: wanted.closed, before: applied.closed });
  }
  if (!isSame(wanted.reservations, applied.reservations)) {
    steps.push({ action: 'set-reservations', reservations: wanted.reservations, before: applied.reservations });
  }
  for (const forward of forwards.gone) steps.push({ action: 'remove-forward', forward });
  for (const link of links.gone) steps.push({ action: 'remove-link', link });
  for (const nic of nics.gone) if (!kept.has(nic.key)) steps.push({ action: 'remove-nic', nic });
  for (const shape of shapes.gone) if (!shaped.has(shape.id)) steps.push({ action: 'remove-shape', shape });
  // Before links: no frame gets past a shape.
  for (const shape of shapes.come) steps.push({ action: 'set-shape', shape, before: shapes.before(shape) });
  for (const nic of nics.come) steps.push({ action: 'set-nic', nic, before: nics.before(nic) });
  for (const link of links.come) steps.push({ action: 'add-link', link });
  if (!isSame(wanted.records, applied.records)) {
    steps.push({ action: 'set-records', records: wanted.records, before: applied.records });
  }
  for (const forward of forwards.come) steps.push({ action: 'add-forward', forward });
  return steps;
}

interface Changes<T> {
  readonly gone: readonly T[];
  readonly come: readonly T[];
  readonly before: (item: T) => T | null;
}

/** Where two lists begin to differ and, counted from their ends, where they cease to: few of thousands change at once. */
function differingPart<T extends object>(wanted: readonly T[], applied: readonly T[]): readonly [T[], T[]] {
  const shorter = Math.min(wanted.length, applied.length);
  let head = 0;
  while (head < shorter && isSameItem(applied[head]!, wanted[head]!)) head++;
  let tail = 0;
  while (tail < shorter - head && isSameItem(applied.at(-1 - tail)!, wanted.at(-1 - tail)!)) tail++;
  return [wanted.slice(head, wanted.length - tail), applied.slice(head, applied.length - tail)];
}

/** A changed item both goes and comes. */
function changes<T extends object>(all: readonly T[], allApplied: readonly T[], key: (item: T) => string): Changes<T> {
  const [wanted, applied] = differingPart(all, allApplied);
  const appliedByKey = new Map(applied.map((item) => [key(item), item]));
  const kept = new Set<T>();
  const come = wanted.filter((item) => {
    const before = appliedByKey.get(key(item));
    if (before === undefined || !isSameItem(before, item)) return true;
    kept.add(before);
    return false;
  });
  return {
    gone: applied.filter((item) => !kept.has(item)),
    come,
    before: (item) => appliedByKey.get(key(item)) ?? null,
  };
}

/** What was found to be the same as an applied item: of thousands, those that were looked at before are not again. */
const $same = new WeakMap<object, object>();

function isSameItem(applied: object, wanted: object): boolean {
  if (applied === wanted || $same.get(applied) === wanted) return true;
  const result = isSame(applied, wanted);
  if (result) $same.set(applied, wanted);
  return result;
}

/** Deep equality of plain data, whatever the order of keys; what is undefined is not there. */
export function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [left, right] = [a as Readonly<Record<string, unknown>>, b as Readonly<Record<string, unknown>>];
  for (const key of Object.keys(left)) if (!isSame(left[key], right[key])) return false;
  for (const key of Object.keys(right)) if (left[key] === undefined && right[key] !== undefined) return false;
  return true;
}

/** What of a network its datapath is started with; the rest is changed while it runs. */
export function settingsOf(wanted: WantedNetwork): string {
  const { forwards: _forwards, listen: _listen, autostart: _autostart, reservations: _kept, ...rest } = wanted.network;
  const { dns, ...fixed } = rest;
  const { records: _records, ...fixedDns } = dns;
  return canonicalJson({ ...fixed, dns: fixedDns } satisfies Fixed);
}

type Fixed = Omit<Network, 'forwards' | 'listen' | 'autostart' | 'reservations' | 'dns'> & {
  readonly dns: Omit<Network['dns'], 'records'>;
};

/** One line a person can read. */
export function describeStep(step: Step): string {
  switch (step.action) {
    case 'start':
      return `start network ${step.wanted.network.name}`;
    case 'stop':
      return 'stop network';
    case 'set-nic':
      return `${step.before === null ? 'add' : 'change'} NIC ${step.nic.key}${step.nic.connected ? '' : ' (link down)'}`;
    case 'remove-nic':
      return `remove NIC ${step.nic.key}`;
    case 'add-link':
      return `open link ${step.link.id}: ${describeLink(step.link)}`;
    case 'remove-link':
      return `close link ${step.link.id}: ${describeLink(step.link)}`;
    case 'set-reservations':
      return `keep ${step.reservations.length} addresses for guests`;
    case 'set-closed':
      return `close ${step.closed.length} subnets to guests`;
    case 'set-records':
      return `serve ${step.records.length} DNS records`;
    case 'add-forward':
      return `open ${describeForward(step.forward)}`;
    case 'set-shape':
      return describeShapeSpec(step.shape);
    case 'remove-shape':
      return `end the shape of ${shapedBy(step.shape)}`;
    default:
      return `close ${describeForward(step.forward)}`;
  }
}

const shapedBy = ({ nic, peer }: ShapeSpec): string => (peer === null ? nic : `${nic} and ${peer}`);

function describeShapeSpec(shape: ShapeSpec): string {
  const { fromGuest, toGuest } = shape;
  const ways = [
    ...(fromGuest === null ? [] : [`from ${shape.nic} ${describeShape(fromGuest)}`]),
    ...(toGuest === null ? [] : [`to ${shape.nic} ${describeShape(toGuest)}`]),
  ];
  return `shape ${shapedBy(shape)}: ${ways.join('; ')}`;
}

function describeForward({ id, protocol, direction, listen, target }: ForwardSpec): string {
  const kind = direction === 'host' ? 'forward' : 'reverse forward';
  return `${kind} ${id}: ${protocol} ${formatSocketAddress(listen)} to ${formatSocketAddress(target)}`;
}

function describeLink({ link }: WantedLink): string {
  switch (link.kind) {
    case 'stream-listen':
      return `QEMU stream at ${formatSocketAddress(link.address)}`;
    case 'stream-connect':
      return `QEMU stream to ${formatSocketAddress(link.address)}`;
    case 'dgram':
      return `datagrams at ${link.path}`;
    case 'netns':
      return `TAP ${link.target.interface} in ${link.target.path ?? `the namespace of process ${link.target.pid}`}`;
    default:
      return 'TAP of the host';
  }
}
