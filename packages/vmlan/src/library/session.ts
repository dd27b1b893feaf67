/**
 * The engine thread of a network, in this process: leases in memory, names of the outside from the host's resolver.
 *
 * Zone: control.
 */
import { randomBytes } from 'node:crypto';
import { VmlanError } from '../core/errors.ts';
import { ALWAYS_CLOSED } from '../model/defaults.ts';
import type { Network as ResolvedNetwork } from '../model/network.ts';
import { engineConfig } from '../drivers/userspace/engine-config.ts';
import { makeResolver } from '../drivers/userspace/network-resolver.ts';
import type { Resolver } from '../drivers/userspace/network-service.ts';
import { startEngine } from '../engine/client.ts';
import type { EngineHandle, EngineRequest } from '../engine/control-messages.ts';
import type { EngineConfig, FromEngine, LeaseChanges } from '../engine/control-messages.ts';
import { atExit } from './at-exit.ts';
import { EventHub, eventOf } from './events.ts';

type LeaseRecord = NonNullable<LeaseChanges['changes'][number][1]>;

/** RFC 6355: DUID-UUID, type 4 and 16 bytes. */
const DUID_UUID_TYPE = '0004';

export class Session {
  readonly events: EventHub = new EventHub();
  readonly #engine: EngineHandle;
  readonly #resolver: Resolver;
  readonly #leases = new Map<string, LeaseRecord>();
  readonly #exit: Disposable;
  #closing: Promise<void> | null = null;

  private constructor(engine: EngineHandle, resolver: Resolver) {
    this.#engine = engine;
    this.#resolver = resolver;
    engine.on((message) => this.#onMessage(message));
    // A thread that waits in a system call would let the process wait, too.
    this.#exit = atExit(() => engine.request({ type: 'stop' }).catch(() => undefined));
    void engine.ended.then((why) => this.#onEnd(why));
  }

  static async start(network: ResolvedNetwork): Promise<Session> {
    const config: EngineConfig = {
      ...engineConfig({
        ...{ network, closed: ALWAYS_CLOSED, reservations: network.reservations },
        ...{ nics: [], links: [], records: [], forwards: [], shapes: [] },
      }),
      leases: [],
      duid: DUID_UUID_TYPE + randomBytes(16).toString('hex'),
    };
    const engine = await startEngine(config);
    return new Session(
      engine,
      makeResolver(config, () => engine.post({ type: 'dns-changed' })),
    );
  }

  get leases(): readonly LeaseRecord[] {
    return [...this.#leases.values()];
  }

  get closed(): boolean {
    return this.#closing !== null;
  }

  request(message: EngineRequest): Promise<unknown> {
    if (this.#closing !== null) return Promise.reject(new VmlanError('unavailable', 'the network is closed'));
    return this.#engine.request(message);
  }

  /** Ends the thread; what guests say last still goes out. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#resolver.close();
    await this.#engine.stop();
  }

  #onEnd(why: Error | null): void {
    this.#closing ??= Promise.resolve(this.#resolver.close());
    this.#exit[Symbol.dispose]();
    this.events.publish({ type: 'closed', reason: why === null ? null : why.message });
    this.events.end();
  }

  #onMessage(message: FromEngine): void {
    switch (message.type) {
      case 'leases':
        return this.#store(message.generation, message);
      case 'dns-query':
        return void this.#resolve(message.queryId, message.query);
      case 'event':
        return this.events.publish(eventOf(message.event));
      case 'log':
        if (message.level === 'warn' || message.level === 'error') {
          this.events.publish({ type: 'warning', message: message.message });
        }
        return;
      default: // the handle's own
    }
  }

  /** Memory is as durable as this network is. */
  #store(generation: number, { isWhole, changes }: LeaseChanges): void {
    if (isWhole) this.#leases.clear();
    for (const [place, lease] of changes) {
      if (lease === null) this.#leases.delete(place);
      else this.#leases.set(place, lease);
    }
    this.#engine.post({ type: 'leases-durable', generation });
  }

  async #resolve(queryId: number, query: Uint8Array): Promise<void> {
    const reply = await this.#resolver.resolve(query).catch(() => null);
    this.#engine.post({ type: 'dns-reply', queryId, reply });
  }
}
