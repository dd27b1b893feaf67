/**
 * A driver without a datapath: networks live in memory and behave, towards the control plane, as real ones do.
 *
 * Zone: control.  For tests of everything above the driver interface, and the measure of that interface: it passes the
 * same conformance suite.  `crash`, `refuse` and `guestArrives` make happen what a test needs to happen.
 */
import { PassThrough } from 'node:stream';
import { VmlanError } from '../../core/errors.ts';
import type {
  AllocatedAddress,
  EngineEvent,
  EngineSnapshot,
  FlowSnapshot,
  ForwardSnapshot,
  GuestSnapshot,
  NicConfig,
  ProbeOutcome,
} from '../../engine/control-messages.ts';
import type { Lookup } from '../../model/lookups.ts';
import { MODES } from '../../model/network.ts';
import type { Network } from '../../model/network.ts';
import { formatIpv4, parseIpv4 } from '../../wire/address.ts';
import * as pcapng from '../../wire/pcapng.ts';
import { afterSteps } from '../applied-state.ts';
import { applySteps, oneByOne } from '../apply.ts';
import type {
  AppliedState,
  ApplyOptions,
  Capabilities,
  CaptureRequest,
  CaptureStream,
  Driver,
  DriverEvent,
  FailedStep,
  FlowRequest,
  Observed,
  Plan,
  Step,
  WantedNetwork,
} from '../driver.ts';
import { NOTHING, planNetwork, settingsOf } from '../plan.ts';

interface FakeNetwork {
  readonly network: Network;
  readonly startedMs: number;
  state: AppliedState;
}

interface FakeLease {
  readonly nic: string;
  readonly mac: string;
  readonly address: string;
}

type Listener = (network: string, event: DriverEvent) => void;

const NO_TRAFFIC = {
  framesFromGuest: 0,
  framesToGuest: 0,
  bytesFromGuest: 0,
  bytesToGuest: 0,
  dropsToGuest: 0,
  dropsFromGuest: 0,
  flows: 0,
};

export class FakeDriver implements Driver {
  readonly capabilities: Capabilities = { type: 'fake', modes: MODES, privileged: false };
  readonly #running = new Map<string, FakeNetwork>();
  readonly #leases = new Map<string, FakeLease[]>();
  readonly #connected = new Map<string, Set<string>>();
  readonly #listeners = new Set<Listener>();
  readonly #occupied = new Set<string>();
  #refusals: { readonly action: Step['action']; readonly error: VmlanError }[] = [];

  list(): Promise<readonly string[]> {
    return Promise.resolve([...this.#running.keys()].sort());
  }

  observe(network: string): Promise<Observed> {
    const running = this.#running.get(network);
    return Promise.resolve({
      network,
      pid: running === undefined ? null : process.pid,
      startedMs: running?.startedMs ?? null,
      applied: running?.state ?? null,
      trouble: null,
      warnings: [],
      notices: [],
    });
  }

  plan(network: string, wanted: WantedNetwork | null, observed: Observed): Plan {
    return planNetwork(network, wanted, observed);
  }

  apply(plan: Plan, options?: ApplyOptions): Promise<readonly FailedStep[]> {
    return applySteps(
      plan,
      oneByOne((step) => this.#run(plan.network, step)),
      options,
    );
  }

  async #run(network: string, step: Step): Promise<void> {
    const refusal = this.#refusals.findIndex(({ action }) => action === step.action);
    if (refusal >= 0) throw this.#refusals.splice(refusal, 1)[0]!.error;
    if (step.action === 'start') return this.#start(network, step.wanted);
    const running = this.#mustRun(network);
    if (step.action === 'stop') {
      this.#running.delete(network);
      this.#connected.delete(network);
      return undefined;
    }
    if (step.action === 'add-forward') this.#checkPort(step.forward.protocol, JSON.stringify(step.forward.listen));
    running.state = afterSteps(running.state, [step]);
    return undefined;
  }

  #start(network: string, wanted: WantedNetwork): void {
    if (this.#running.has(network)) throw new VmlanError('already-running', `network "${network}" runs already`);
    const { closed, reservations } = wanted;
    const state = { ...NOTHING, settings: settingsOf(wanted), closed, reservations };
    this.#running.set(network, { network: wanted.network, startedMs: Date.now(), state });
  }

  #checkPort(protocol: string, listen: string): void {
    if (this.#occupied.has(listen)) throw new VmlanError('address-in-use', `${listen} is in use`);
    for (const [name, { state }] of this.#running) {
      const taken = state.forwards.some((one) => one.protocol === protocol && JSON.stringify(one.listen) === listen);
      if (taken) throw new VmlanError('address-in-use', `${listen} is in use by network "${name}"`);
    }
  }

  #mustRun(network: string): FakeNetwork {
    const running = this.#running.get(network);
    if (running === undefined) throw new VmlanError('unavailable', `network "${network}" does not run`);
    return running;
  }

  async allocate(network: string, nicKey: string, mac: string): Promise<AllocatedAddress> {
    const { network: config, state } = this.#mustRun(network);
    const lease = config.ipv4 === null ? null : this.#lease(config, nicKey, mac, reservedFor(state.nics, nicKey));
    return {
      address4: lease?.address ?? null,
      prefix4: config.ipv4?.prefix ?? 0,
      gateway4: config.ipv4?.gateway ?? null,
      dns: config.ipv4?.dns ?? null,
      gateway6: config.ipv6?.gateway ?? null,
      prefix6: config.ipv6?.prefix ?? null,
      mtu: config.mtu,
      searchDomains: config.dns.searchDomains,
    };
  }

  #lease(config: Network, nic: string, mac: string, reserved: string | null): FakeLease {
    const leases = this.#leases.get(config.name) ?? [];
    this.#leases.set(config.name, leases);
    const known = leases.find((lease) => lease.nic === nic);
    if (known !== undefined) return known;
    const address = reserved ?? freeAddress(config, leases);
    if (address === null) throw new VmlanError('exhausted', `network "${config.name}": no address is free`);
    const lease = { nic, mac, address };
    leases.push(lease);
    return lease;
  }

  async snapshot(network: string): Promise<EngineSnapshot> {
    const { state } = this.#mustRun(network);
    return {
      guests: state.nics.map((nic) => this.#guestSnapshot(network, nic)),
      forwards: state.forwards.map((forward): ForwardSnapshot => ({ ...forward, state: 'listening', connections: 0 })),
      leases: this.#storedLeases(network),
      counters: {},
      flows: { tcp: 0, udp: 0, icmp: 0 },
      memory: { heap: 0, arena: 0, receiveQueues: 0 },
      ipv6Reachable: false,
      capabilities: { peekOffset: true, ping: true, ipv6: true },
    };
  }

  #guestSnapshot(network: string, nic: NicConfig): GuestSnapshot {
    const lease = this.#leases.get(network)?.find((one) => one.nic === nic.key);
    const isHere = this.#connected.get(network)?.has(nic.key) ?? false;
    return {
      guest: nic.guest,
      nic: nic.key,
      mac: nic.mac,
      aliasMac: null,
      link: isHere ? 'stream' : 'none',
      state: nic.connected ? (isHere ? 'connected' : 'waiting') : 'disconnected',
      address4: lease === undefined ? [] : [lease.address],
      address6: [],
      hostname: nic.guest,
      sinceMs: 0,
      ...NO_TRAFFIC,
    };
  }

  /** Who is connected talks to a server on the internet. */
  async flows(network: string, { guest, limit }: FlowRequest): Promise<readonly FlowSnapshot[]> {
    const { guests } = await this.snapshot(network);
    const talking = guests.filter((one) => one.link !== 'none' && (guest === null || one.guest === guest));
    return talking.slice(0, limit).map((one) => fakeFlow(one));
  }

  /** Who is connected is open at every port. */
  async probe(network: string, guest: string): Promise<ProbeOutcome> {
    const nic = (await this.snapshot(network)).guests.find((one) => one.guest === guest && one.link !== 'none');
    return nic === undefined ? { address: null, state: 'absent' } : { address: nic.address4[0] ?? null, state: 'open' };
  }

  /** Knows no name. */
  async lookUp(network: string): Promise<Lookup> {
    this.#mustRun(network);
    return { status: 'NXDOMAIN', authoritative: true, answers: [] };
  }

  /** One frame, whatever was asked for: the capture ends with it, or when it is told to. */
  async capture(network: string, request: CaptureRequest): Promise<CaptureStream> {
    this.#mustRun(network);
    const stream = new PassThrough();
    const card = { network, guest: request.guest ?? 'web', nic: `${request.guest ?? 'web'}/0` };
    const frame = { direction: 'inbound', length: 60, lost: 0, summary: request.filter, dropped: null };
    stream.write(
      request.format === 'lines'
        ? `${JSON.stringify({ timeMs: Date.now(), ...card, ...frame })}\n`
        : pcapng.sectionHeader({ application: 'fake' }),
    );
    if (request.count !== null || request.durationMs !== null) stream.end();
    return { stream, end: () => void stream.end() };
  }

  leases(network: string): Promise<readonly unknown[]> {
    return Promise.resolve(this.#storedLeases(network));
  }

  #storedLeases(network: string): readonly unknown[] {
    return (this.#leases.get(network) ?? []).map((lease) => ({
      family: 4,
      address: lease.address,
      nic: lease.nic,
      client: `hw:1:${lease.mac}`,
      guest: lease.nic.split('/')[0]!,
      mac: lease.mac,
      clientId: null,
      hostname: null,
      state: 'bound',
      startMs: 0,
      expiresMs: Number.MAX_SAFE_INTEGER,
      goneMs: null,
    }));
  }

  onEvent(listener: Listener): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  close(): Promise<void> {
    this.#listeners.clear();
    return Promise.resolve();
  }

  /** The datapath of this network ends by itself. */
  crash(network: string): void {
    this.#running.delete(network);
    this.#connected.delete(network);
    this.emit(network, { kind: 'exited', reason: 'crashed' });
  }

  /** The next step of this kind fails. */
  refuse(action: Step['action'], error: VmlanError): void {
    this.#refusals = [...this.#refusals, { action, error }];
  }

  /** Somebody else listens at this port of 127.0.0.1. */
  occupy(port: number): Disposable {
    const listen = JSON.stringify({ host: '127.0.0.1', port });
    this.#occupied.add(listen);
    return { [Symbol.dispose]: () => void this.#occupied.delete(listen) };
  }

  /** A registered guest connects and is given its address. */
  async guestArrives(network: string, nicKey: string): Promise<void> {
    const nic = this.#mustRun(network).state.nics.find((one) => one.key === nicKey);
    if (nic === undefined) throw new VmlanError('not-found', `no NIC ${nicKey}`);
    await this.allocate(network, nicKey, nic.mac ?? '02:00:00:00:00:01');
    this.#connected.set(network, (this.#connected.get(network) ?? new Set()).add(nicKey));
    this.emit(network, { kind: 'guest-up', guest: this.#guestSnapshot(network, nic) } satisfies EngineEvent);
  }

  emit(network: string, event: DriverEvent): void {
    for (const listener of this.#listeners) listener(network, event);
  }
}

const fakeFlow = ({ guest, nic, address4 }: GuestSnapshot): FlowSnapshot => ({
  ...{ protocol: 'tcp', state: 'ESTABLISHED', guest, nic },
  ...{ guestAddress: address4[0] ?? '0.0.0.0', guestPort: 40_000, remoteAddress: '192.0.2.1', remotePort: 443 },
  ...{ hostAddress: '127.0.0.1:50000', peerAddress: null, forward: null, ageMs: 1000, idleMs: 10 },
  ...{ bytesFromGuest: 100, bytesToGuest: 1000, packetsFromGuest: 3, packetsToGuest: 4 },
  ...{ rttMs: 1, retransmissions: 0 },
});

const reservedFor = (nics: readonly NicConfig[], key: string): string | null =>
  nics.find((nic) => nic.key === key)?.ip ?? null;

function freeAddress(config: Network, leases: readonly FakeLease[]): string | null {
  if (config.ipv4 === null) return null;
  if (config.ipv4.fixedGuest !== null) return config.ipv4.fixedGuest;
  const taken = new Set([...leases.map((lease) => lease.address), ...config.ipv4.excluded]);
  const end = parseIpv4(config.ipv4.poolEnd)!;
  for (let ip = parseIpv4(config.ipv4.poolStart)!; ip <= end; ip++) {
    const address = formatIpv4(ip);
    if (!taken.has(address)) return address;
  }
  return null;
}
