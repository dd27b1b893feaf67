/**
 * The forwards of a network by id, and the reverse forwards that the policy knows.
 *
 * Zone: control.  A target that is an address is always taken to be there; a name is there while its guest has an
 * address and a link.
 */
import { VmlanError } from '../core/errors.ts';
import { type Forward, type ForwardContext, MAX_FORWARDS, TcpForward, UdpForward } from '../nat/forwards.ts';
import type { GuestTarget } from '../nat/guest-path.ts';
import type { ListenAddress } from '../nat/forward-sockets.ts';
import type { ReverseTarget } from '../nat/policy.ts';
import { bindError, checkPath } from './attachments.ts';
import { describe, words } from './config.ts';
import type { ForwardSnapshot, ForwardSpec, ForwardStates, SocketAddress } from './control-messages.ts';

type HostPort = Exclude<SocketAddress, { unix: string }>;

interface Entry {
  readonly spec: ForwardSpec;
  readonly forward: Forward | null;
}

/** Finds guests for forwards. */
export interface GuestFinder {
  byName(name: string): GuestTarget | null;
  byAddress(words: Int32Array): GuestTarget | null;
}

export class ForwardTable {
  readonly #context: ForwardContext;
  readonly #finder: GuestFinder;
  readonly #setReverse: (targets: readonly ReverseTarget[]) => void;
  readonly #entries = new Map<string, Entry>();
  /** Forward ids by the guest they lead to, so that a guest's coming and going touches only its own. */
  readonly #byGuest = new Map<string, Set<string>>();

  constructor(context: ForwardContext, finder: GuestFinder, setReverse: (targets: readonly ReverseTarget[]) => void) {
    this.#context = context;
    this.#finder = finder;
    this.#setReverse = setReverse;
  }

  /** Throws VmlanError; then nothing was changed. */
  add(spec: ForwardSpec, nowMs: number): void {
    if (this.#entries.has(spec.id)) throw new VmlanError('conflict', `forward "${spec.id}" exists already`);
    if (this.#entries.size >= MAX_FORWARDS) {
      throw new VmlanError('exhausted', `a network has at most ${MAX_FORWARDS} forwards`, {
        hint: 'vmlan forward list shows them; vmlan forward remove ID removes one',
      });
    }
    check(spec);
    if (spec.direction === 'reverse') {
      this.#entries.set(spec.id, { spec, forward: null });
      return this.#publishReverse();
    }
    const forward = this.#open(spec);
    this.#entries.set(spec.id, { spec, forward });
    const guest = guestOf(spec);
    if (guest !== null) this.#index(guest).add(spec.id);
    forward.refresh(nowMs);
  }

  remove(id: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) throw new VmlanError('not-found', `no forward "${id}"`);
    this.#entries.delete(id);
    const guest = guestOf(entry.spec);
    if (guest !== null) this.#index(guest).delete(id);
    entry.forward?.close();
    if (entry.forward === null) this.#publishReverse();
  }

  /** A guest has come, gone or changed its address. */
  refresh(guest: string, nowMs: number): void {
    for (const id of this.#byGuest.get(guest) ?? []) this.#entries.get(id)?.forward?.refresh(nowMs);
  }

  closeAll(): void {
    for (const id of [...this.#entries.keys()]) this.remove(id);
  }

  /** All, none, or those with these ids. */
  snapshot(which: boolean | readonly string[] = true): ForwardSnapshot[] {
    if (which === false) return [];
    const entries = which === true ? [...this.#entries.values()] : which.flatMap((id) => this.#entries.get(id) ?? []);
    return entries.map(({ spec, forward }) => ({
      ...spec,
      state: forward !== null && forward.muted ? 'waiting-for-guest' : 'listening',
      connections: forward?.connections ?? 0,
    }));
  }

  states(): ForwardStates {
    const entries = [...this.#entries.values()];
    return {
      ids: entries.map(({ spec }) => spec.id),
      waiting: entries.map(({ forward }) => forward !== null && forward.muted),
      connections: entries.map(({ forward }) => forward?.connections ?? 0),
    };
  }

  /** The reverse forward at this port of the gateway; empty when there is none. */
  reverseAt(protocol: string, port: number): string {
    for (const { spec } of this.#entries.values()) {
      const isIt =
        spec.direction === 'reverse' && spec.protocol === protocol && (spec.listen as HostPort).port === port;
      if (isIt) return spec.id;
    }
    return '';
  }

  #index(guest: string): Set<string> {
    let ids = this.#byGuest.get(guest);
    if (ids === undefined) this.#byGuest.set(guest, (ids = new Set()));
    return ids;
  }

  #open(spec: ForwardSpec): Forward {
    const address = listenAddress(spec.listen);
    const target = this.#target(spec.target as HostPort);
    const { sockets } = this.#context;
    const fd = spec.protocol === 'tcp' ? sockets.openTcp(address) : sockets.openUdp(address);
    if (fd < 0) throw bindError(describe(spec.listen), -fd);
    return spec.protocol === 'tcp'
      ? new TcpForward(this.#context, spec.id, fd, address, target)
      : new UdpForward(this.#context, spec.id, fd, target);
  }

  #target(target: HostPort): { find: () => GuestTarget | null; port: number } {
    const literal = words(target.host);
    const find =
      literal === null
        ? (): GuestTarget | null => this.#finder.byName(target.host)
        : (): GuestTarget | null => this.#finder.byAddress(literal);
    return { find, port: target.port };
  }

  #publishReverse(): void {
    const targets: ReverseTarget[] = [];
    for (const { spec } of this.#entries.values()) {
      if (spec.direction !== 'reverse') continue;
      targets.push({
        protocol: spec.protocol,
        gatewayPort: (spec.listen as HostPort).port,
        words: 'unix' in spec.target ? null : words(spec.target.host),
        port: 'unix' in spec.target ? 0 : spec.target.port,
        path: 'unix' in spec.target ? spec.target.unix : null,
      });
    }
    this.#setReverse(targets);
  }
}

/** The guest a forward names, or null for an address or a reverse forward. */
function guestOf(spec: ForwardSpec): string | null {
  if (spec.direction === 'reverse' || 'unix' in spec.target || words(spec.target.host) !== null) return null;
  return spec.target.host;
}

/** Which sides may be unix sockets, and which names. Throws VmlanError. */
function check({ protocol, direction, listen, target }: ForwardSpec): void {
  const [host, guest] = direction === 'host' ? [listen, target] : [target, listen];
  if ('unix' in guest) throw new VmlanError('invalid', 'a guest’s side is a port, not a unix socket');
  if (!('unix' in host)) {
    if (words(host.host) !== null) return;
    throw new VmlanError('invalid', `"${host.host}" is not an IP address`, {
      hint: 'write an address of this host, such as 127.0.0.1',
    });
  }
  if (protocol === 'udp') throw new VmlanError('invalid', 'a forward of a unix socket is tcp, not udp');
  checkPath(host.unix);
}

function listenAddress(listen: SocketAddress): ListenAddress {
  if ('unix' in listen) return { words: null, port: 0, path: listen.unix };
  return { words: words(listen.host), port: listen.port, path: null };
}
