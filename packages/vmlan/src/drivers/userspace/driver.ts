/**
 * The userspace driver: one network process per running network, spoken to over its control socket.
 *
 * Zone: control.  Steps are carried out by the process; starting it, ending it, and making TAPs (for which the daemon
 * has the rights, not the process) is done here.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { VmlanError, fromErrorData, toErrorData } from '../../core/errors.ts';
import type { ErrorCode } from '../../core/errors.ts';
import type {
  AllocatedAddress,
  EngineEvent,
  EngineSnapshot,
  FlowSnapshot,
  ProbeOutcome,
  SnapshotScope,
} from '../../engine/control-messages.ts';
import { readText } from '../../sys/durable-file.ts';
import type { UserIds } from '../../sys/privileges.ts';
import type { Lookup } from '../../model/lookups.ts';
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
  WantedLink,
  WantedLinkSpec,
  WantedNetwork,
} from '../driver.ts';
import { networkPaths, networksDirectory } from '../network-paths.ts';
import type { NetworkPaths } from '../network-paths.ts';
import { NOTHING, planNetwork, settingsOf } from '../plan.ts';
import { nameOwner } from './busy-address.ts';
import { openCapture } from './capture-client.ts';
import { ENGINE_MODES, engineConfig } from './engine-config.ts';
import { parseLeases } from './lease-file.ts';
import { createTap } from './netns-attach.ts';
import type { NamespaceTarget, TapRequest } from './netns-attach.ts';
import { removeResolver, writeResolver } from './netns-resolver.ts';
import { nameOfNamespace } from './netns-target.ts';
import { watchProcess } from './netns-watch.ts';
import { NetworkClient } from './network-client.ts';
import { sharePeerSockets } from './peer-sockets.ts';
import { runningProcess } from './process-file.ts';
import { PROTOCOL_VERSION, EVENT, WARNINGS } from './protocol.ts';
import type { LiveStep } from './protocol.ts';

const TAP_TIMEOUT_MS = 30_000;
/** How often each network is asked whether it is there. */
const HEARTBEAT_MS = 10_000;
const PEER_SOCKETS = 'peer sockets';
/** Of a process that is there, and cannot be asked. */
const TROUBLES: readonly ErrorCode[] = ['timeout', 'incompatible'];

export interface UserspaceOptions {
  readonly runtime: string;
  readonly state: string;
  /** The main program of network processes. */
  readonly program: string;
  /** Whom network processes become; null when the daemon is an ordinary user. */
  readonly user: UserIds | null;
  readonly heartbeatMs?: number;
}

interface RunningNetwork {
  readonly client: NetworkClient;
  /** What it holds, as of a revision: asked for again only when somebody else has changed it. */
  known: { readonly revision: number; readonly applied: AppliedState } | null;
  /** What is watched for the network: ends of namespaces, by link, and sockets that VMMs bind. */
  readonly watches: Map<string, Disposable>;
}

type Listener = (network: string, event: DriverEvent) => void;

export class UserspaceDriver implements Driver {
  readonly capabilities: Capabilities = { type: 'userspace', modes: ENGINE_MODES, privileged: false };
  readonly #options: UserspaceOptions;
  readonly #running = new Map<string, RunningNetwork>();
  /** Their files are there already; nobody else may connect to them. */
  readonly #starting = new Set<string>();
  readonly #adopting = new Map<string, Promise<RunningNetwork | null>>();
  readonly #listeners = new Set<Listener>();
  /** Who was named as a network's process, and is none of it. */
  readonly #strangers = new Map<string, number>();
  readonly #heartbeat: NodeJS.Timeout;
  #taps = 0;
  #isClosed = false;

  constructor(options: UserspaceOptions) {
    this.#options = options;
    this.#heartbeat = setInterval(() => {
      for (const { client } of this.#running.values()) client.beat();
    }, options.heartbeatMs ?? HEARTBEAT_MS).unref();
  }

  list(): Promise<readonly string[]> {
    const directory = networksDirectory(this.#options.runtime);
    try {
      const entries = readdirSync(directory, { withFileTypes: true });
      const names = entries.flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
      return Promise.resolve(names.filter((name) => this.#hasRun(name)).sort());
    } catch {
      return Promise.resolve([]);
    }
  }

  /** Either tells: a crash or a hand may have taken the other. */
  #hasRun(network: string): boolean {
    const { process: file, control } = this.#paths(network);
    return existsSync(file) || existsSync(control);
  }

  async observe(network: string): Promise<Observed> {
    const nothing = { network, pid: null, startedMs: null, applied: null, trouble: null, warnings: [], notices: [] };
    try {
      const running = await this.#connected(network);
      if (running === null) return nothing;
      return { ...nothing, pid: running.client.pid, ...(await observed(running)) };
    } catch (error) {
      if (!(error instanceof VmlanError) || !TROUBLES.includes(error.code)) throw error;
      const pid = runningProcess(this.#paths(network))?.pid ?? null;
      return { ...nothing, pid, trouble: toErrorData(error) };
    }
  }

  plan(network: string, wanted: WantedNetwork | null, observed: Observed): Plan {
    return planNetwork(network, wanted, observed);
  }

  apply(plan: Plan, options?: ApplyOptions): Promise<readonly FailedStep[]> {
    return applySteps(plan, (steps) => this.#runAll(plan.network, steps), options);
  }

  async #runAll(network: string, steps: readonly Step[]): Promise<readonly unknown[]> {
    if (this.#isClosed) return steps.map(() => leftToTheNext(network)); // and nothing is taken back
    const eachAlone = oneByOne((step) => this.#run(network, step));
    const live = steps.filter(isCarriedOutThere);
    if (steps.length === 1 || live.length < steps.length) return eachAlone(steps);
    try {
      return await this.#runTogether(network, live);
    } catch (error) {
      // A process of an older minor version takes them singly.
      const isUnknown = error instanceof VmlanError && error.code === 'unsupported';
      return isUnknown ? eachAlone(steps) : steps.map(() => error);
    }
  }

  async #runTogether(network: string, steps: readonly LiveStep[]): Promise<readonly unknown[]> {
    const running = await this.#mustRun(network);
    const { revision, errors } = await running.client.call('steps', { steps });
    onStepped(
      running,
      steps.filter((_step, i) => errors[i] === null),
      revision,
    );
    return errors.map((error, i) => (error === null ? null : nameOwner(fromErrorData(error), steps[i]!)));
  }

  async #run(network: string, step: Step): Promise<void> {
    if (step.action === 'start') return this.#start(network, step.wanted);
    if (step.action === 'stop') return this.#stop(network);
    try {
      await this.#runLive(network, step);
    } catch (error) {
      throw nameOwner(error, step);
    }
    return undefined;
  }

  async #runLive(network: string, step: LiveStep): Promise<void> {
    const running = await this.#mustRun(network);
    const hasTap = 'link' in step && isTap(step.link);
    if (hasTap && step.action === 'add-link') return this.#addTap(network, running, step.link);
    if (hasTap && step.action === 'remove-link') this.#forgetNamespace(running, step.link);
    const result = await running.client.call('step', { step });
    onStepped(running, [step], result?.revision ?? null);
    return undefined;
  }

  async #start(network: string, wanted: WantedNetwork): Promise<void> {
    this.#starting.add(network);
    try {
      this.#keep(network, await this.#startProcess(network, wanted));
    } finally {
      this.#starting.delete(network);
    }
  }

  #startProcess(network: string, wanted: WantedNetwork): Promise<NetworkClient> {
    return NetworkClient.start(
      this.#options.program,
      {
        protocol: PROTOCOL_VERSION,
        paths: this.#paths(network),
        config: engineConfig(wanted),
        user: this.#options.user,
        settings: settingsOf(wanted),
      },
      this.#listenerFor(network),
    );
  }

  async #stop(network: string): Promise<void> {
    const running = await this.#connected(network).catch(() => null);
    this.#drop(network);
    await (running === null ? NetworkClient.end(this.#paths(network)) : running.client.stop());
  }

  /** What was being started or taken over when the driver closed runs on without us, for the next daemon to find. */
  #keep(network: string, client: NetworkClient): RunningNetwork {
    if (this.#isClosed) {
      client.release();
      throw leftToTheNext(network);
    }
    this.#running.get(network)?.client.release();
    const { user } = this.#options;
    const running: RunningNetwork = { client, known: null, watches: new Map<string, Disposable>() };
    if (user !== null) running.watches.set(PEER_SOCKETS, sharePeerSockets(this.#paths(network).guests, user));
    this.#running.set(network, running);
    return running;
  }

  /** The network's connection, made anew where a process runs without one. */
  #connected(network: string): Promise<RunningNetwork | null> {
    const running = this.#running.get(network);
    if (running !== undefined || this.#starting.has(network)) return Promise.resolve(running ?? null);
    const adopting = this.#adopting.get(network) ?? this.#adopt(network).finally(() => this.#adopting.delete(network));
    this.#adopting.set(network, adopting);
    return adopting;
  }

  async #adopt(network: string): Promise<RunningNetwork | null> {
    const client = await NetworkClient.adopt(this.#paths(network), this.#listenerFor(network));
    if (client === null) return null;
    if (this.#starting.has(network) || this.#running.has(network)) {
      client.release();
      return this.#running.get(network) ?? null;
    }
    const running = this.#keep(network, client);
    await this.#watchNamespaces(network, running);
    return running;
  }

  /** Those of a silent process are watched when it answers. */
  async #watchNamespaces(network: string, running: RunningNetwork): Promise<void> {
    const state = await observed(running).catch((error: unknown) => {
      if (error instanceof VmlanError && error.code === 'timeout') return null;
      throw error;
    });
    for (const link of state?.applied.links ?? []) this.#watchNamespace(network, running, link);
  }

  /** Told once of each, however often somebody looks. */
  #onStranger(network: string, pid: number): void {
    if (this.#strangers.get(network) === pid) return;
    this.#strangers.set(network, pid);
    const { process: file } = this.#paths(network);
    const message = `network "${network}": ${file} names process ${pid}, which is none of the network: it is left alone`;
    this.#emit(network, { kind: 'notice', message });
  }

  #onAnswering(network: string, answers: boolean): void {
    const running = this.#running.get(network);
    if (answers && running !== undefined) this.#watchNamespaces(network, running).catch(() => undefined); // lost again
    this.#emit(network, { kind: 'answering', answers });
  }

  async #mustRun(network: string): Promise<RunningNetwork> {
    const running = await this.#connected(network);
    if (running === null) throw new VmlanError('unavailable', `network "${network}" does not run`);
    return running;
  }

  #listenerFor(network: string): Parameters<typeof NetworkClient.adopt>[1] {
    return {
      onNotification: (method, params) => {
        if (method === EVENT) this.#emit(network, params as EngineEvent);
        if (method === WARNINGS) this.#emit(network, { kind: 'warnings', warnings: params as readonly string[] });
      },
      onLost: (reason) => {
        this.#drop(network);
        this.#emit(network, { kind: 'exited', reason });
      },
      onAnswering: (answers) => this.#onAnswering(network, answers),
      onStranger: (pid) => this.#onStranger(network, pid),
    };
  }

  #drop(network: string): void {
    for (const watch of this.#running.get(network)?.watches.values() ?? []) watch[Symbol.dispose]();
    this.#running.delete(network);
  }

  async #addTap(network: string, running: RunningNetwork, link: WantedLink): Promise<void> {
    const socket = join(this.#paths(network).directory, `tap-${process.pid}-${++this.#taps}.sock`);
    const wanted = await this.#tapFor(running, link, socket);
    const received = running.client.call('receive-tap', { link, socket }, TAP_TIMEOUT_MS);
    received.catch(() => undefined); // looked at below, or not at all when the helper failed
    try {
      await createTap(wanted.request, wanted.target);
    } catch (error) {
      await running.client.call('cancel-tap', { socket }).catch(() => undefined);
      throw error;
    }
    await received;
    if (wanted.resolver !== null) writeResolver(wanted.resolver.namespace, wanted.resolver);
    this.#watchNamespace(network, running, link);
  }

  async #tapFor(running: RunningNetwork, { link }: WantedLink, socket: string): Promise<WantedTap> {
    if (link.kind === 'host-side') return { request: hostTap(link, socket), target: null, resolver: null };
    if (link.kind !== 'netns') throw new VmlanError('internal', `a link of kind ${link.kind} needs no TAP`);
    const { target, nic, mac, mtu } = link;
    const address = target.configure ? await running.client.call('allocate', { nic, mac }) : null;
    const namespace = process.getuid?.() === 0 ? nameOfNamespace(target) : null;
    const dns = address?.dns ?? null;
    return {
      request: {
        socket,
        interface: target.interface,
        mac,
        mtuBytes: mtu,
        addresses: (address?.address4 ?? null) === null ? [] : [`${address!.address4}/${address!.prefix4}`],
        gateways: (address?.gateway4 ?? null) === null ? [] : [address!.gateway4!],
        loopback: true,
        routerAdverts: true,
      },
      target,
      resolver: namespace === null || dns === null ? null : { namespace, dns, searchDomains: address!.searchDomains },
    };
  }

  #watchNamespace(network: string, running: RunningNetwork, link: WantedLink): void {
    if (link.link.kind !== 'netns' || link.link.target.pid === null) return;
    running.watches.get(link.id)?.[Symbol.dispose]();
    const watch = watchProcess(link.link.target.pid, () => {
      running.watches.delete(link.id);
      this.#runLive(network, { action: 'remove-link', link }).catch(() => undefined);
    });
    running.watches.set(link.id, watch);
  }

  #forgetNamespace(running: RunningNetwork, { id, link }: WantedLink): void {
    running.watches.get(id)?.[Symbol.dispose]();
    running.watches.delete(id);
    const name = link.kind === 'netns' ? nameOfNamespace(link.target) : null;
    if (name !== null && process.getuid?.() === 0) removeResolver(name);
  }

  async allocate(network: string, nicKey: string, mac: string): Promise<AllocatedAddress> {
    return (await this.#mustRun(network)).client.call('allocate', { nic: nicKey, mac });
  }

  async snapshot(network: string, only?: SnapshotScope): Promise<EngineSnapshot> {
    const { client } = await this.#mustRun(network);
    const snapshot = await client.call('snapshot', only === undefined ? {} : { only });
    if (only?.forwardStates !== true || snapshot.forwardStates !== undefined) return snapshot;
    // A process of an older minor version knows the long list alone.
    return client.call('snapshot', { only: { ...only, forwards: true } });
  }

  async flows(network: string, request: FlowRequest): Promise<readonly FlowSnapshot[]> {
    return (await this.#mustRun(network)).client.call('flows', request);
  }

  async probe(network: string, guest: string, protocol: 'tcp' | 'udp', port: number): Promise<ProbeOutcome> {
    return (await this.#mustRun(network)).client.call('probe', { guest, protocol, port });
  }

  async lookUp(network: string, name: string, type: string): Promise<Lookup> {
    return (await this.#mustRun(network)).client.call('look-up', { name, type });
  }

  async capture(network: string, request: CaptureRequest): Promise<CaptureStream> {
    await this.#mustRun(network);
    return openCapture(this.#paths(network).control, request);
  }

  async leases(network: string): Promise<readonly unknown[]> {
    const running = await this.#connected(network);
    if (running !== null) return (await running.client.call('snapshot', { only: { leases: true } })).leases;
    try {
      const path = this.#paths(network).leases;
      const text = await readText(path);
      return text === null ? [] : parseLeases(path, text);
    } catch {
      return []; // damaged: the network says so when it starts
    }
  }

  onEvent(listener: Listener): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#heartbeat);
    for (const [network, { client }] of this.#running) {
      client.release();
      this.#drop(network);
    }
    this.#listeners.clear();
    return Promise.resolve();
  }

  #paths(network: string): NetworkPaths {
    return networkPaths(this.#options.runtime, this.#options.state, network);
  }

  #emit(network: string, event: DriverEvent): void {
    for (const listener of this.#listeners) listener(network, event);
  }
}

const leftToTheNext = (network: string): VmlanError =>
  new VmlanError('unavailable', `network "${network}" is left to the next daemon: this one stops`);

interface Known {
  readonly applied: AppliedState;
  readonly startedMs: number;
  readonly warnings: readonly string[];
  readonly notices: readonly string[];
}

async function observed(running: RunningNetwork): Promise<Known> {
  const { known } = running;
  const answer = await running.client.call('observe', known === null ? {} : { known: known.revision });
  // A process of an older minor version has fewer lists.
  const applied = answer.applied === undefined ? known!.applied : { ...NOTHING, ...answer.applied };
  running.known = answer.revision === undefined ? null : { revision: answer.revision, applied };
  const { startedMs, warnings, notices = [] } = answer;
  return { applied, startedMs, warnings, notices };
}

/** `revision` is what the process has come to by these steps, or null where it does not count. */
function onStepped(running: RunningNetwork, steps: readonly LiveStep[], revision: number | null): void {
  const { known } = running;
  const isNext = known !== null && revision === known.revision + 1;
  running.known = isNext ? { revision, applied: afterSteps(known.applied, steps) } : null;
}

/** By the process alone: for a TAP the daemon has its part. */
const isCarriedOutThere = (step: Step): step is LiveStep =>
  step.action !== 'start' && step.action !== 'stop' && !('link' in step && isTap(step.link));

const isTap = ({ link }: WantedLink): boolean => link.kind === 'netns' || link.kind === 'host-side';

interface WantedTap {
  readonly request: TapRequest;
  readonly target: NamespaceTarget | null;
  readonly resolver: {
    readonly namespace: string;
    readonly dns: string;
    readonly searchDomains: readonly string[];
  } | null;
}

/** The interface by which the host itself is a neighbour on the segment. */
const hostTap = (link: Extract<WantedLinkSpec, { readonly kind: 'host-side' }>, socket: string): TapRequest => ({
  socket,
  interface: link.interface,
  mac: link.mac,
  mtuBytes: link.mtu,
  addresses: link.addresses,
  gateways: [],
  loopback: false,
  routerAdverts: false,
});
