/**
 * Forwards and DNS records that are made live and kept.
 *
 * Zone: control.  As with guests: a change that the running network refuses leaves everything as it was.
 */
import { VmlanError } from '../core/errors.ts';
import type { ForwardInput, RecordInput } from '../model/api.ts';
import { anyPortAt, clashingListen, formatSocketAddress, isForwardProblem, parseForward } from '../model/forward.ts';
import type { Forward } from '../model/forward.ts';
import type { Network } from '../model/network.ts';
import { forwardTargetProblem } from '../model/resolve-services.ts';
import { parseIpv4, parseIpv6 } from '../wire/address.ts';
import { freePort } from '../sys/free-port.ts';
import type { Context } from './context.ts';
import { forwardId, forwardsOf, recordId } from './desired.ts';
import type { NamedForward } from './desired.ts';
import type { Networks } from './networks.ts';
import { Serial } from '../core/serial.ts';
import type { ShelfChange } from './shelf.ts';
import type { StoredForward, StoredRecord } from './store.ts';

const QUEUE = 'all';
/** Free ports that other forwards wait for are passed over; so many in a row are chance no more. */
const MAX_PORT_TRIES = 64;

export class Forwards {
  readonly #context: Context;
  readonly #networks: Networks;
  readonly #serial = new Serial();

  constructor(context: Context, networks: Networks) {
    this.#context = context;
    this.#networks = networks;
  }

  of(network: Network): readonly NamedForward[] {
    return forwardsOf(network, this.#context.store.forwards);
  }

  /** With the network it belongs to. */
  get(id: string): NamedForward & { readonly network: Network } {
    for (const network of this.#networks.all) {
      const found = this.of(network).find((entry) => entry.id === id);
      if (found !== undefined) return { ...found, network };
    }
    throw new VmlanError('not-found', `no forward "${id}"`, { hint: 'vmlan forward list shows their ids' });
  }

  add(input: ForwardInput): Promise<StoredForward> {
    return this.#serial.run(QUEUE, async () => {
      const forward = parseForward({ ...input, host: await this.#listener(input) });
      if (isForwardProblem(forward)) throw new VmlanError('invalid', `${forward.field}: ${forward.message}`);
      const network = this.#networkFor(input, forward);
      this.#check(network, forward);
      const { protocol, direction, host, guest } = forward;
      const stored = { id: forwardId(network.name, forward), network: network.name, protocol, direction, host, guest };
      await this.#change({ put: [stored] }, network.name);
      const text = `${protocol} ${host} ${direction === 'host' ? 'to' : 'from'} ${guest}`;
      this.#context.events.publish('forward-added', { network: network.name }, `forward of ${text}`);
      return stored;
    });
  }

  /** `auto` is a port of the host that is free, and that no forward waits for. */
  async #listener({ host, direction, protocol = 'tcp' }: ForwardInput): Promise<string> {
    const address = direction === 'reverse' ? null : anyPortAt(host);
    if (address === null) return host;
    const taken = new Set(this.#networks.all.flatMap((network) => this.of(network)).flatMap(portsOf));
    for (let tries = 0; tries < MAX_PORT_TRIES; tries++) {
      const port = await freePort(protocol, address).catch((cause: unknown) => {
        throw new VmlanError('invalid', `host: ${address}: ${(cause as Error).message}`, { cause });
      });
      if (!taken.has(port)) return formatSocketAddress({ host: address, port });
    }
    throw new VmlanError('exhausted', `no port of ${address} is free`, {
      hint: 'vmlan forward list shows who has them',
    });
  }

  /** The named one, else that of the guest or its address, else the default. */
  #networkFor(input: ForwardInput, forward: Forward): Network {
    const guest = forward.guestName === null ? undefined : this.#context.store.guests.get(forward.guestName);
    return this.#networks.getOrDefault(input.network ?? guest?.nics[0]?.network ?? this.#networkWith(forward)?.name);
  }

  /** The one whose subnet has the address that is the target. */
  #networkWith(forward: Forward): Network | undefined {
    if (forward.direction === 'reverse' || forward.guestName !== null) return undefined;
    return this.#networks.all.find(({ ipv4, ipv6 }) => forwardTargetProblem(forward, ipv4, ipv6) === null);
  }

  #check(network: Network, forward: Forward): void {
    if (network.mode === 'isolated') {
      throw new VmlanError(
        'invalid',
        `network "${network.name}" is isolated: nothing is forwarded to or from the host`,
      );
    }
    const problem = forwardTargetProblem(forward, network.ipv4, network.ipv6);
    if (problem !== null) {
      throw new VmlanError('invalid', `guest: ${problem}`, {
        hint: `it is asked of network "${network.name}"; the subnets of all: vmlan network list`,
      });
    }
    const id = forwardId(network.name, forward);
    for (const { name, other } of this.#all()) {
      const clash = other.id === id ? forward.host : clashingListen(forward, other.forward);
      if (clash === null) continue;
      throw new VmlanError('conflict', `${clash} is forwarded to ${other.forward.guest} on network "${name}" already`, {
        hint:
          other.origin === 'api'
            ? `vmlan forward remove ${other.id}, or choose another address or port`
            : `take it out of \`forwards\` in networks.yaml: vmlan network edit ${name}`,
      });
    }
  }

  *#all(): Generator<{ readonly name: string; readonly other: NamedForward }> {
    for (const network of this.#networks.all) {
      for (const other of this.of(network)) yield { name: network.name, other };
    }
  }

  remove(id: string): Promise<void> {
    return this.#serial.run(QUEUE, async () => {
      const stored = this.#context.store.forwardsById.get(id);
      if (stored === undefined) throw this.#notRemovable(id);
      await this.#change({ remove: [id] }, stored.network);
      this.#context.events.publish('forward-removed', { network: stored.network }, `forward of ${stored.host} ended`);
    });
  }

  #notRemovable(id: string): VmlanError {
    const { network } = this.get(id);
    return new VmlanError('conflict', `forward "${id}" stands in the configuration of network "${network.name}"`, {
      hint: `take it out of \`forwards\` there: vmlan network edit ${network.name}`,
    });
  }

  /** Forgets those of a network that is no more. */
  dropNetwork(network: string): Promise<void> {
    return this.#serial.run(QUEUE, async () => {
      const gone = this.#context.store.forwards.filter((entry) => entry.network === network);
      if (gone.length > 0) await this.#context.store.change({ forwards: { remove: gone.map(({ id }) => id) } });
    });
  }

  #change(forwards: ShelfChange<StoredForward>, network: string): Promise<void> {
    return this.#context.store.change({ forwards }, () => this.#networks.updateConfigured(network));
  }
}

const portsOf = ({ forward }: NamedForward): readonly number[] =>
  forward.pairs.flatMap(({ listen }) => ('port' in listen ? [listen.port] : []));

export class Records {
  readonly #context: Context;
  readonly #networks: Networks;
  readonly #serial = new Serial();

  constructor(context: Context, networks: Networks) {
    this.#context = context;
    this.#networks = networks;
  }

  add(input: RecordInput): Promise<StoredRecord> {
    return this.#serial.run(QUEUE, async () => {
      const network = this.#networks.getOrDefault(input.network ?? this.#networkOf(input.name)?.name);
      checkValue(input);
      const { name, type, value } = input;
      const stored = {
        id: recordId(network.name, input),
        network: network.name,
        name,
        type,
        value,
        ttl: input.ttl ?? null,
      };
      const isConfigured = this.configured(network).some((record) => record.id === stored.id);
      if (isConfigured || this.#context.store.recordsById.has(stored.id)) {
        throw new VmlanError('conflict', `network "${network.name}" has the record ${name} ${type} ${value} already`, {
          hint: isConfigured
            ? `take it out of \`dns\` in networks.yaml first: vmlan network edit ${network.name}`
            : `vmlan dns remove ${stored.id} takes it away`,
        });
      }
      await this.#change({ put: [stored] }, network.name);
      this.#context.events.publish('record-added', { network: network.name }, `${name} ${type} ${value}`);
      return stored;
    });
  }

  /** The network whose domain the name lies in, the closest one. */
  #networkOf(name: string): Network | undefined {
    return this.#networks.all
      .filter(({ dns: { domain } }) => name === domain || name.endsWith(`.${domain}`))
      .sort((a, b) => b.dns.domain.length - a.dns.domain.length)[0];
  }

  configured(network: Network): readonly (Omit<StoredRecord, 'type'> & { readonly type: string })[] {
    return network.dns.records.map((record) => ({
      ...record,
      id: recordId(network.name, record),
      network: network.name,
      ttl: record.ttl ?? null,
    }));
  }

  remove(id: string): Promise<void> {
    return this.#serial.run(QUEUE, async () => {
      const stored = this.#context.store.recordsById.get(id);
      if (stored === undefined) {
        throw this.#notRemovable(id);
      }
      await this.#change({ remove: [id] }, stored.network);
      this.#context.events.publish(
        'record-removed',
        { network: stored.network },
        `${stored.name} ${stored.type} ended`,
      );
    });
  }

  #notRemovable(id: string): VmlanError {
    for (const network of this.#networks.all) {
      const record = this.configured(network).find((one) => one.id === id);
      if (record === undefined) continue;
      return new VmlanError('conflict', `record ${record.name} ${record.type} (${id}) stands in networks.yaml`, {
        hint: `take it out of \`dns\` there: vmlan network edit ${network.name}`,
      });
    }
    return new VmlanError('not-found', `no record "${id}"`, { hint: 'vmlan dns list shows their ids' });
  }

  /** Forgets those of a network that is no more. */
  dropNetwork(network: string): Promise<void> {
    return this.#serial.run(QUEUE, async () => {
      const gone = this.#context.store.records.filter((entry) => entry.network === network);
      if (gone.length > 0) await this.#context.store.change({ records: { remove: gone.map(({ id }) => id) } });
    });
  }

  #change(records: ShelfChange<StoredRecord>, network: string): Promise<void> {
    return this.#context.store.change({ records }, () => this.#networks.updateConfigured(network));
  }
}

/** The types whose value can be judged without the zone; the datapath judges the others. */
function checkValue({ type, value }: RecordInput): void {
  const isGood = type === 'A' ? parseIpv4(value) !== null : type !== 'AAAA' || parseIpv6(value) !== null;
  if (!isGood)
    throw new VmlanError('invalid', `value: ${JSON.stringify(value)} is no address for a record of type ${type}`);
}
