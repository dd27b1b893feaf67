/**
 * The control thread of a network process: carries the daemon's requests to the engine, answers the engine's needs.
 *
 * Zone: control.  Keeps the list of what was applied, so that the next daemon can be told.  Steps run one after the
 * other.
 */
import { writeSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { VmlanError, toErrorData } from '../../core/errors.ts';
import type {
  EngineEvent,
  EngineSnapshot,
  FlowPage,
  FlowSnapshot,
  FromEngine,
  LinkSpec,
  Reservation,
} from '../../engine/control-messages.ts';
import { firstFlows } from '../../model/flows.ts';
import { receiveFd } from '../../sys/fdpass.ts';
import { openFileLimit } from '../../sys/open-file-limit.ts';
import type { Sys } from '../../sys/sys.ts';
import { afterSteps } from '../applied-state.ts';
import type { AppliedState, CaptureRequest, WantedLink } from '../driver.ts';
import { NOTHING } from '../plan.ts';
import { CaptureSession } from './capture-session.ts';
import type { EngineHandle } from '../../engine/control-messages.ts';
import type { LeaseFile } from './lease-file.ts';
import type { LiveStep, Methods, ObserveResult } from './protocol.ts';
import { makeQuestion, readLookup } from './look-up.ts';
import { clearPath, removeSocket } from './socket-path.ts';

/** Longer than the helper that makes the TAP may take. */
const TAP_TIMEOUT_MS = 25_000;
const CAPTURE_END_MS = 1000;
const STDERR = 2;
/** Counters of what guests and clients did not get because nothing more can be opened. */
const NO_DESCRIPTOR = [
  'drop_tcp_no_descriptor',
  'drop_udp_no_descriptor',
  'drop_echo_no_descriptor',
  'forward_no_descriptor',
];
/** Heartbeats without a refusal after which descriptors count as free again. */
const CALM_PULSES = 2;
/** Sorted out when so many more than wanted have been found. */
const MANY_FLOWS = 4096;

export interface Resolver {
  resolve(query: Uint8Array): Promise<Uint8Array | null>;
  close(): void;
}

export interface ServiceOptions {
  readonly engine: EngineHandle;
  readonly leases: LeaseFile;
  readonly resolver: Resolver;
  readonly sys: Sys;
  readonly network: string;
  readonly settings: string;
  /** What the engine was started with. */
  readonly closed: readonly string[];
  readonly reservations: readonly Reservation[];
  /** What was wrong before it began. */
  readonly notices: readonly string[];
  readonly onEvent: (event: EngineEvent) => void;
  readonly onWarnings: (warnings: readonly string[]) => void;
  /** The engine is lost: the process cannot go on. */
  readonly onFatal: (reason: string) => void;
}

type Result<M extends keyof Methods> = Promise<Methods[M]['result']>;

export class NetworkService {
  readonly startedMs: number = Date.now();
  readonly #options: ServiceOptions;
  readonly #engine: EngineHandle;
  readonly #tapReceivers = new Map<string, AbortController>();
  readonly #captures = new Map<number, CaptureSession>();
  #lastCapture = 0;
  #applied: AppliedState;
  #revision = 1;
  /** What is wrong now, by what it is about. */
  readonly #troubles = new Map<'leases' | 'descriptors', string>();
  /** What was refused for want of a descriptor, and for how many heartbeats that has not become more. */
  #refused = 0;
  #calmPulses = 0;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(options: ServiceOptions) {
    this.#options = options;
    this.#engine = options.engine;
    const { settings, closed, reservations } = options;
    this.#applied = { ...NOTHING, settings, closed, reservations };
    options.leases.listen({
      onDurable: (generation) => this.#engine.post({ type: 'leases-durable', generation }),
      onTrouble: (trouble) => this.#tell('leases', trouble, 'leases are stored again'),
    });
    this.#engine.on((message) => this.#onEngineMessage(message));
    void this.#engine.ended.then((why) => (why === null ? undefined : options.onFatal(why.message)));
  }

  /** What upstream answered before means nothing any more. */
  onResolverChange(): void {
    this.#engine.post({ type: 'dns-changed' });
  }

  get warnings(): readonly string[] {
    return [...this.#troubles.values()];
  }

  observe({ known }: Methods['observe']['params'] = {}): ObserveResult {
    const { startedMs, warnings } = this;
    const revision = this.#revision;
    const { notices } = this.#options;
    return { startedMs, revision, ...(known === revision ? {} : { applied: this.#applied }), warnings, notices };
  }

  step({ step }: Methods['step']['params']): Result<'step'> {
    return this.#inTurn(async () => {
      await this.#run(step);
      this.#onApplied([step]);
      return { revision: this.#revision };
    });
  }

  /** Steps of one action, each of which may fail by itself. */
  steps({ steps }: Methods['steps']['params']): Result<'steps'> {
    return this.#inTurn(async () => {
      const errors = await Promise.all(steps.map((step) => this.#run(step).then(() => null, toErrorData)));
      this.#onApplied(steps.filter((_step, i) => errors[i] === null));
      return { revision: this.#revision, errors };
    });
  }

  #onApplied(steps: readonly LiveStep[]): void {
    this.#applied = afterSteps(this.#applied, steps);
    this.#revision++;
  }

  /** Not in turn with the steps: it waits for another process. */
  async receiveTap({ link, socket }: Methods['receive-tap']['params']): Result<'receive-tap'> {
    const { sys } = this.#options;
    const spec = tapSpec(link);
    const abort = new AbortController();
    this.#tapReceivers.set(socket, abort);
    let fd: number;
    try {
      fd = await receiveFd(sys, socket, { timeoutMs: TAP_TIMEOUT_MS, signal: abort.signal });
    } catch (error) {
      throw abort.signal.aborted ? abort.signal.reason : error;
    } finally {
      this.#tapReceivers.delete(socket);
    }
    return this.#inTurn(async () => {
      try {
        await this.#engine.request({ type: 'add-link', linkId: link.id, link: { kind: 'tap', fd, ...spec } });
      } catch (error) {
        sys.close(fd);
        throw error;
      }
      this.#onApplied([{ action: 'add-link', link }]);
      return null;
    });
  }

  cancelTap({ socket }: Methods['cancel-tap']['params']): Result<'cancel-tap'> {
    this.#tapReceivers.get(socket)?.abort(new VmlanError('unavailable', 'no descriptor will come'));
    return Promise.resolve(null);
  }

  async allocate({ nic, mac }: Methods['allocate']['params']): Result<'allocate'> {
    return (await this.#engine.request({ type: 'allocate', nic, mac })) as Methods['allocate']['result'];
  }

  async pulse(): Result<'pulse'> {
    const { counters } = (await this.#engine.request({ type: 'snapshot', only: {} })) as EngineSnapshot;
    const refused = NO_DESCRIPTOR.reduce((sum, name) => sum + (counters[name] ?? 0), 0);
    this.#calmPulses = refused > this.#refused ? 0 : this.#calmPulses + 1;
    this.#refused = refused;
    const isOut = refused > 0 && this.#calmPulses < CALM_PULSES;
    this.#tell('descriptors', isOut ? noDescriptor() : null, 'descriptors are free again');
    return null;
  }

  async snapshot({ only }: Methods['snapshot']['params'] = {}): Result<'snapshot'> {
    return (await this.#engine.request({
      type: 'snapshot',
      ...(only === undefined ? {} : { only }),
    })) as Methods['snapshot']['result'];
  }

  /** Page by page, so that the datapath has its turn in between. */
  async flows({ guest, protocol, sort, limit }: Methods['flows']['params']): Result<'flows'> {
    let found: FlowSnapshot[] = [];
    for (let cursor: number | null = 0; cursor !== null;) {
      const page = (await this.#engine.request({ type: 'flows', cursor, guest, protocol })) as FlowPage;
      found.push(...page.flows);
      if (found.length > 2 * limit + MANY_FLOWS) found = firstFlows(found, sort, limit);
      cursor = page.next;
    }
    return firstFlows(found, sort, limit);
  }

  async probe({ guest, protocol, port }: Methods['probe']['params']): Result<'probe'> {
    const outcome = await this.#engine.request({ type: 'probe', guest, protocol, port });
    return outcome as Methods['probe']['result'];
  }

  async lookUp({ name, type }: Methods['look-up']['params']): Result<'look-up'> {
    const reply = await this.#engine.request({ type: 'look-up', query: makeQuestion(name, type) });
    return readLookup(reply as Uint8Array | null);
  }

  /** Starts to keep frames; `begin` says where they go. */
  async capture(
    request: CaptureRequest,
  ): Promise<{ readonly begin: (to: Writable) => void; readonly finish: () => void }> {
    const session = new CaptureSession(this.#engine, ++this.#lastCapture, this.#options.network, request);
    await session.start();
    this.#captures.set(session.id, session);
    void session.ended.then(() => this.#captures.delete(session.id));
    const { guests } = (await this.#engine.request({ type: 'snapshot' })) as EngineSnapshot;
    return { begin: (to) => session.begin(to, guests), finish: () => session.finish() };
  }

  /** Ends the engine, and leaves no socket and no unwritten lease behind. */
  async close(): Promise<void> {
    for (const abort of this.#tapReceivers.values()) abort.abort(new VmlanError('unavailable', 'the network stops'));
    await this.#tail;
    await this.#endCaptures();
    this.#options.resolver.close();
    await this.#engine.stop();
    await this.#options.leases.flush();
    for (const { link } of this.#applied.links) removeSocketOf(link);
    for (const { listen } of this.#applied.forwards) if ('unix' in listen) removeSocket(listen.unix);
  }

  /** Whoever reads them has a moment to take what there is. */
  async #endCaptures(): Promise<void> {
    if (this.#captures.size === 0) return;
    const sessions = [...this.#captures.values()];
    for (const session of sessions) session.finish();
    const late = delay(CAPTURE_END_MS, undefined, { ref: false });
    await Promise.race([Promise.all(sessions.map(({ ended }) => ended)), late]);
  }

  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(action);
    this.#tail = result.catch(() => undefined);
    return result;
  }

  async #run(step: LiveStep): Promise<void> {
    switch (step.action) {
      case 'set-nic':
        await this.#engine.request({ type: 'set-nic', nic: step.nic });
        return;
      case 'remove-nic':
        await this.#engine.request({ type: 'remove-nic', key: step.nic.key });
        return;
      case 'add-link':
        return this.#addLink(step.link);
      case 'remove-link':
        await this.#engine.request({ type: 'remove-link', linkId: step.link.id });
        removeSocketOf(step.link.link);
        return;
      case 'set-reservations':
        await this.#engine.request({ type: 'set-reservations', reservations: step.reservations });
        return;
      case 'set-closed':
        await this.#engine.request({ type: 'set-closed', closed: step.closed });
        return;
      case 'set-records':
        await this.#engine.request({ type: 'set-records', records: step.records });
        return;
      case 'add-forward':
        if ('unix' in step.forward.listen) await clearPath(step.forward.listen.unix);
        await this.#engine.request({ type: 'add-forward', forward: step.forward });
        return;
      case 'set-shape':
        await this.#engine.request({ type: 'set-shape', shape: step.shape });
        return;
      case 'remove-shape':
        await this.#engine.request({ type: 'remove-shape', shapeId: step.shape.id });
        return;
      default:
        await this.#engine.request({ type: 'remove-forward', forwardId: step.forward.id });
        if ('unix' in step.forward.listen) removeSocket(step.forward.listen.unix);
    }
  }

  async #addLink({ id, link }: WantedLink): Promise<void> {
    if (link.kind === 'netns' || link.kind === 'host-side') {
      throw new VmlanError('internal', `link ${id}: a TAP comes by its descriptor`);
    }
    const path = socketPathOf(link);
    if (path !== null) await clearPath(path);
    await this.#engine.request({ type: 'add-link', linkId: id, link: link satisfies LinkSpec });
  }

  #onEngineMessage(message: FromEngine): void {
    switch (message.type) {
      case 'leases':
        this.#options.leases.store(message.generation, message);
        return;
      case 'dns-query':
        void this.#resolve(message.queryId, message.query);
        return;
      case 'event':
        this.#options.onEvent(message.event);
        if ('guest' in message.event) for (const one of this.#captures.values()) one.tellNames([message.event.guest]);
        return;
      case 'capture-ready':
        this.#captures.get(message.captureId)?.onReady();
        return;
      case 'log':
        writeLog(message.level, message.message);
        return;
      case 'fatal':
        this.#options.onFatal(message.error.message);
        return;
      default: // `ready` and `done` belong to the handle
    }
  }

  async #resolve(queryId: number, query: Uint8Array): Promise<void> {
    const reply = await this.#options.resolver.resolve(query).catch((error: unknown) => {
      writeLog('error', `upstream DNS: ${error instanceof Error ? error.message : String(error)}`);
      return null;
    });
    this.#engine.post({ type: 'dns-reply', queryId, reply });
  }

  #tell(about: 'leases' | 'descriptors', trouble: string | null, over: string): void {
    if (trouble === (this.#troubles.get(about) ?? null)) return;
    if (trouble === null) this.#troubles.delete(about);
    else this.#troubles.set(about, trouble);
    writeLog(trouble === null ? 'info' : 'error', trouble ?? over);
    this.#options.onWarnings(this.warnings);
  }
}

const noDescriptor = (): string =>
  `no descriptor is left for new conversations of guests: the process may open ${openFileLimit()} (ulimit -n, LimitNOFILE=)`;

function tapSpec({ id, link }: WantedLink): Omit<Extract<LinkSpec, { readonly kind: 'tap' }>, 'kind' | 'fd'> {
  if (link.kind === 'host-side') {
    return { nic: null, hostSide: true, addresses: link.addresses.map((address) => address.split('/')[0]!) };
  }
  if (link.kind === 'netns') return { nic: link.nic, hostSide: false };
  throw new VmlanError('internal', `link ${id} is no TAP`);
}

function socketPathOf(link: WantedLink['link']): string | null {
  if (link.kind === 'dgram') return link.path;
  return link.kind === 'stream-listen' && 'unix' in link.address ? link.address.unix : null;
}

function removeSocketOf(link: WantedLink['link']): void {
  const path = socketPathOf(link);
  if (path !== null) removeSocket(path);
}

/** One line on stderr, which is the network's log file. */
export function writeLog(level: string, message: string): void {
  try {
    writeSync(STDERR, `${new Date().toISOString()} ${level} ${message}\n`);
  } catch {
    // A disk that is full is no reason to stop: the line is lost.
  }
}
