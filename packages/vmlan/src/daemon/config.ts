/**
 * Loads networks.yaml: all networks that exist, complete and free of contradictions, or what is wrong with it and where.
 *
 * Zone: control.  Nothing is started or changed here.  Networks that vmlan itself brings (no file, or beside one) do
 * not stop the others when the host leaves no room for them: they are listed as unusable, with the reason.
 */
import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { VmlanError } from '../core/errors.ts';
import { DEFAULT_NETWORKS, IMPLICIT_NETWORKS, PREFERRED_NETWORKS, withDefaultAddresses } from '../model/defaults.ts';
import { clashingListen } from '../model/forward.ts';
import { ConfigIssue } from '../model/issue.ts';
import type { IssuePath } from '../model/issue.ts';
import type { Network } from '../model/network.ts';
import { resolveNetwork } from '../model/resolve.ts';
import { networksFileSchema } from '../model/schema.ts';
import type { NetworkInput } from '../model/schema.ts';
import { freeSubnet, routeInTheWay, subnetsOverlap } from '../model/subnet.ts';
import type { HostRoute } from '../model/subnet.ts';
import { parseCidr4, formatCidr4, parseIpv4, prefixOfMask4 } from '../wire/address.ts';
import { ConfigDocument } from './config-document.ts';
import { ConfigError, byPlace, throwTogether } from './config-error.ts';
import { shapeErrors } from './config-issues.ts';

const MAX_FILE_BYTES = 4_194_304; // 4 MiB
const NEWLINE = 0x0a;

export interface ConfigContext {
  readonly file: string;
  /** The file was asked for by name: its absence is an error. */
  readonly required: boolean;
  readonly identify: (text: string) => Uint8Array;
  readonly hostRoutes: readonly HostRoute[];
  /** Subnets that networks without one were given before. */
  readonly picked: ReadonlyMap<string, string>;
  /** Networks that run already: a route in their way is not news. */
  readonly running: ReadonlySet<string>;
  /** What holds until now: a route in the way of addresses that stay is not news either. */
  readonly before?: Config | undefined;
}

export interface Config {
  /** null: there is no file. */
  readonly file: string | null;
  /** What the file says; null: there is none. */
  readonly text: string | null;
  /** The file with its places; null: there is none. */
  readonly document: ConfigDocument | null;
  /** What is configured about each network, before defaults are filled in. */
  readonly inputs: ReadonlyMap<string, NetworkInput>;
  readonly networks: ReadonlyMap<string, Network>;
  /** Why networks that vmlan itself brings cannot be started here. */
  readonly unusable: ReadonlyMap<string, VmlanError>;
  /** Subnets of networks that name none, to be remembered. */
  readonly picked: ReadonlyMap<string, string>;
  readonly defaultNetwork: string | null;
  /** Whose members may use the daemon, too; null: nobody's. */
  readonly group: string | null;
}

export const loadConfig = (context: ConfigContext): Config => parseConfig(readConfigText(context), context);

/** The configuration that the file would give with this text; null: without a file. */
export function parseConfig(text: string | null, context: ConfigContext): Config {
  if (text !== null && Buffer.byteLength(text) > MAX_FILE_BYTES) {
    throw new VmlanError('invalid-config', `${context.file}: the file is too large`);
  }
  const document = text === null ? null : new ConfigDocument(context.file, text);
  const written = document === null ? {} : checkShape(document);
  const implicit = implicitNetworks(document === null ? null : written);
  const picker = new SubnetPicker(context, { ...implicit, ...written });
  const networks = new Map<string, Network>();
  const faults: ConfigError[] = [];
  for (const [name, input] of Object.entries(written)) {
    const network = locate(document!, name, faults, () => resolveNetwork(name, input, picker.contextFor(context)));
    if (network !== undefined) networks.set(name, network);
  }
  const unusable = new Map<string, VmlanError>();
  const onRoute = ({ name }: Network, { key, message, hint }: RouteProblem): ConfigError | null => {
    if (!isBuiltIn(name, written[name])) return document!.fail(placeOf(document!, name, [key]), message, hint);
    unusable.set(name, new VmlanError('conflict', message, { hint }));
    return null;
  };
  if (document !== null) faults.push(...checkTogether(document, [...networks.values()], context, onRoute));
  throwTogether(faults.sort(byPlace));
  const inputs = new Map<string, NetworkInput>(Object.entries(written));
  for (const [name, input] of Object.entries(implicit)) {
    const network = resolveNetwork(name, input, picker.contextFor(context));
    const clash = [...networks.values()].find((other) => overlap(network, other) !== null);
    if (clash !== undefined) continue;
    networks.set(name, network);
    inputs.set(name, input);
    const problem = context.running.has(name) ? null : routeProblem(network, context.hostRoutes);
    if (problem !== null) unusable.set(name, new VmlanError('conflict', problem.message, { hint: problem.hint }));
  }
  return {
    file: document === null ? null : context.file,
    text,
    document,
    inputs,
    networks,
    unusable,
    picked: picker.picked,
    defaultNetwork: PREFERRED_NETWORKS.find((name) => networks.has(name)) ?? networks.keys().next().value ?? null,
    group: (document?.value as { readonly group?: string } | undefined)?.group ?? null,
  };
}

/** null: there is no file, and none was asked for by name. */
export function readConfigText(context: Pick<ConfigContext, 'file' | 'required'>): string | null {
  try {
    const bytes = readFileSync(context.file);
    if (bytes.length > MAX_FILE_BYTES) throw new VmlanError('invalid-config', `${context.file}: the file is too large`);
    if (!isUtf8(bytes)) throw notUtf8(context.file, bytes);
    return bytes.toString('utf8');
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (cause instanceof VmlanError) throw cause;
    if (code !== 'ENOENT' && code !== 'ENOTDIR') {
      throw new VmlanError('invalid-config', `${context.file} cannot be read: ${message}`, { cause });
    }
    if (!context.required) return null;
    throw new VmlanError('invalid-config', `${context.file} does not exist`, {
      hint: '--config or VMLAN_CONFIG names this file; without it the default networks apply',
    });
  }
}

/** Read as if it were, its comments would be damaged by the next change. */
function notUtf8(file: string, bytes: Buffer): ConfigError {
  let line = 1;
  let start = 0;
  for (;;) {
    const end = bytes.indexOf(NEWLINE, start);
    if (end < 0 || !isUtf8(bytes.subarray(start, end))) break;
    start = end + 1;
    line++;
  }
  return new ConfigError(file, { line, column: 1 }, 'this line is not UTF-8', 'save the file as UTF-8');
}

function checkShape(document: ConfigDocument): Readonly<Record<string, NetworkInput>> {
  const value = document.value ?? {};
  const result = networksFileSchema.safeParse(value);
  if (!result.success) throwTogether(shapeErrors(document, result.error.issues, value));
  return result.data!.networks;
}

/** What there is beside the file's own: everything without one, else Lima's networks that need no configuration. */
function implicitNetworks(
  written: Readonly<Record<string, NetworkInput>> | null,
): Readonly<Record<string, NetworkInput>> {
  if (written === null) return DEFAULT_NETWORKS;
  const modes = new Set(Object.values(written).map((input) => input.mode));
  const names = IMPLICIT_NETWORKS.filter((name) => !(name in written) && !modes.has(DEFAULT_NETWORKS[name]!.mode));
  return Object.fromEntries(names.map((name) => [name, DEFAULT_NETWORKS[name]!]));
}

/** The result of `resolve`; undefined where it finds something wrong, which is given its place in the file. */
function locate<T>(document: ConfigDocument, network: string, faults: ConfigError[], resolve: () => T): T | undefined {
  try {
    return resolve();
  } catch (error) {
    if (!(error instanceof ConfigIssue)) throw error;
    for (const { path, message, hint } of [error, ...error.others])
      faults.push(document.fail(['networks', network, ...path], message, hint));
    return undefined;
  }
}

/** Gives subnets to networks that name none: the one they had before, else the first that is free. */
class SubnetPicker {
  readonly picked = new Map<string, string>();
  readonly #before: ReadonlyMap<string, string>;
  readonly #written: readonly string[];
  readonly #routes: readonly string[];

  constructor(context: ConfigContext, inputs: Readonly<Record<string, NetworkInput>>) {
    this.#before = context.picked;
    this.#written = Object.entries(inputs).flatMap(([name, input]) => writtenSubnet(withDefaultAddresses(name, input)));
    this.#routes = context.hostRoutes.map((route) => route.subnet);
  }

  contextFor(context: ConfigContext): Parameters<typeof resolveNetwork>[2] {
    return { identify: context.identify, pickSubnet: (name) => this.#pick(name) };
  }

  #pick(name: string): string | null {
    const others = [...this.#before].flatMap(([other, subnet]) => (other === name ? [] : [subnet]));
    const taken = [...this.#written, ...this.picked.values()];
    const before = this.#before.get(name);
    const subnet =
      before !== undefined && !taken.some((other) => subnetsOverlap(other, before))
        ? before
        : freeSubnet([...taken, ...others, ...this.#routes]);
    if (subnet !== null) this.picked.set(name, subnet);
    return subnet;
  }
}

function writtenSubnet(input: NetworkInput): readonly string[] {
  if (input.subnet !== undefined) return [input.subnet];
  const prefix = prefixOfMask4(parseIpv4(input.netmask ?? '255.255.255.0')!);
  const cidr = input.gateway === undefined || prefix === null ? null : parseCidr4(`${input.gateway}/${prefix}`);
  return cidr === null ? [] : [formatCidr4(cidr.network, cidr.prefix)];
}

/** A network that vmlan brings and a file only names: the host may leave no room for it. */
const isBuiltIn = (name: string, input: NetworkInput | undefined): boolean =>
  input !== undefined && input.mode === DEFAULT_NETWORKS[name]?.mode && Object.keys(input).length === 1;

/** What each network is right about by itself, but not beside the others and the host. */
function checkTogether(
  document: ConfigDocument,
  networks: readonly Network[],
  context: ConfigContext,
  onRoute: (network: Network, problem: RouteProblem) => ConfigError | null,
): readonly ConfigError[] {
  const faults: ConfigError[] = [];
  for (const [i, network] of networks.entries()) {
    const fail = (path: readonly (string | number)[], message: string, hint?: string): void => {
      const place = placeOf(document, network.name, path);
      faults.push(document.fail(place, `network "${network.name}": ${message}`, hint));
    };
    for (const other of networks.slice(0, i)) {
      const clash = overlap(network, other);
      if (clash !== null)
        fail(
          [clash.key],
          `${clash.subnet} overlaps network "${other.name}" (${clash.other})`,
          `choose another \`${clash.key}\`, or leave it out: a free one is picked`,
        );
      checkForwards(network, other, fail);
    }
    const problem = isKnown(network, context) ? null : routeProblem(network, context.hostRoutes);
    const error = problem === null ? null : onRoute(network, problem);
    if (error !== null) faults.push(error);
  }
  return faults;
}

function isKnown(network: Network, { running, before }: ConfigContext): boolean {
  const known = before?.networks.get(network.name);
  const isSame = known?.ipv4?.subnet === network.ipv4?.subnet && known?.ipv6?.prefix === network.ipv6?.prefix;
  return running.has(network.name) || (known !== undefined && isSame);
}

/** A subnet may be written as Lima does, by its gateway. */
function placeOf(document: ConfigDocument, network: string, path: IssuePath): IssuePath {
  const place = ['networks', network, ...path];
  return path[0] === 'subnet' && !document.has(place) ? ['networks', network, 'gateway'] : place;
}

function checkForwards(
  network: Network,
  other: Network,
  fail: (path: readonly (string | number)[], message: string, hint: string) => void,
): void {
  for (const [i, forward] of network.forwards.entries()) {
    for (const rival of other.forwards) {
      const clash = clashingListen(forward, rival);
      if (clash !== null)
        fail(
          ['forwards', i, 'host'],
          `${clash} is forwarded by network "${other.name}" already`,
          'choose another port',
        );
    }
  }
}

interface Overlap {
  readonly key: string;
  readonly subnet: string;
  readonly other: string;
}

function overlap(a: Network, b: Network): Overlap | null {
  if (a.ipv4 !== null && b.ipv4 !== null && subnetsOverlap(a.ipv4.subnet, b.ipv4.subnet)) {
    return { key: 'subnet', subnet: a.ipv4.subnet, other: b.ipv4.subnet };
  }
  if (a.ipv6 !== null && b.ipv6 !== null && subnetsOverlap(a.ipv6.prefix, b.ipv6.prefix)) {
    return { key: 'subnet6', subnet: a.ipv6.prefix, other: b.ipv6.prefix };
  }
  return null;
}

interface RouteProblem {
  readonly key: string;
  readonly message: string;
  readonly hint: string;
}

/** Guests of an overlapping network could not tell the host's neighbours from their own. */
export function routeProblem(network: Network, routes: readonly HostRoute[]): RouteProblem | null {
  const subnets = [
    { key: 'subnet', subnet: network.ipv4?.subnet },
    { key: 'subnet6', subnet: network.ipv6?.prefix },
  ];
  for (const { key, subnet } of subnets) {
    const route = subnet === undefined ? null : routeInTheWay(subnet, routes);
    if (route === null) continue;
    return {
      key,
      message: `network "${network.name}": ${subnet!} overlaps the host's route ${route.subnet} on ${route.interface}`,
      hint: `give network "${network.name}" another \`${key}\` in networks.yaml`,
    };
  }
  return null;
}
