/**
 * Port forwards that are made and ended while the network runs.
 *
 * Zone: control.
 */
import { VmlanError } from '../core/errors.ts';
import type { EngineRequest } from '../engine/control-messages.ts';
import { anyPortAt, formatSocketAddress, isForwardProblem, parseForward } from '../model/forward.ts';
import type { Forward as ParsedForward } from '../model/forward.ts';
import type { Network as ResolvedNetwork } from '../model/network.ts';
import { forwardTargetProblem } from '../model/resolve-services.ts';
import { freePort } from '../sys/free-port.ts';
import { checkKeys } from './option-keys.ts';

/** A port that was free a moment ago may be taken by now. */
const MAX_TRIES = 8;

export interface ForwardOptions {
  /** Where the host listens: a port, `ADDRESS:PORT` or the path of a socket. Port 0 chooses a free one. */
  readonly host: number | string;
  /** `GUEST:PORT`, e.g. `web:80`; with `direction: 'reverse'` the gateway's port that guests see. */
  readonly guest: number | string;
  /** Default `tcp`. */
  readonly protocol?: 'tcp' | 'udp';
  /** `host` (default): from the host to a guest; `reverse`: from guests to the host. */
  readonly direction?: 'host' | 'reverse';
}

/** A forward that is in force. */
export interface Forward extends AsyncDisposable {
  readonly protocol: 'tcp' | 'udp';
  readonly direction: 'host' | 'reverse';
  /** Where the host listens, written in full. */
  readonly host: string;
  /** The host's port; 0 for the path of a socket. */
  readonly port: number;
  readonly guest: string;
  /** Ends it, and its connections. */
  close(): Promise<void>;
}

type Ask = (message: EngineRequest) => Promise<unknown>;

export class Forwards {
  readonly #network: ResolvedNetwork;
  readonly #ask: Ask;
  #made = 0;

  constructor(network: ResolvedNetwork, ask: Ask) {
    this.#network = network;
    this.#ask = ask;
  }

  async add(options: ForwardOptions): Promise<Forward> {
    checkKeys('forward', options, ['host', 'guest', 'protocol', 'direction']);
    const { host, guest, protocol = 'tcp', direction = 'host' } = options;
    const address = direction === 'host' ? anyPortAt(String(host).replace(/(?<=^|:)0$/, 'auto')) : null;
    for (let tries = 1; ; tries++) {
      const listen =
        address === null
          ? String(host)
          : formatSocketAddress({ host: address, port: await freePort(protocol, address) });
      try {
        return await this.open(this.#parse({ host: listen, guest: String(guest), protocol, direction }));
      } catch (error) {
        const isTaken = error instanceof VmlanError && error.code === 'address-in-use';
        if (!isTaken || address === null || tries === MAX_TRIES) throw error;
      }
    }
  }

  /** All ports of a forward, or none. */
  async open(forward: ParsedForward): Promise<Forward> {
    const ids: string[] = [];
    const close = async (): Promise<void> => {
      for (const id of ids.splice(0)) await this.#ask({ type: 'remove-forward', forwardId: id }).catch(ignoreClosed);
    };
    const { protocol, direction, host, guest } = forward;
    try {
      for (const { listen, target } of forward.pairs) {
        const id = `forward-${++this.#made}`;
        await this.#ask({ type: 'add-forward', forward: { id, protocol, direction, listen, target } });
        ids.push(id);
      }
    } catch (error) {
      await close();
      throw error;
    }
    const port = Number(/:(\d+)$/.exec(host)?.[1] ?? 0);
    return { protocol, direction, host, port, guest, close, [Symbol.asyncDispose]: close };
  }

  #parse(options: Parameters<typeof parseForward>[0]): ParsedForward {
    const { mode, name, ipv4, ipv6 } = this.#network;
    if (mode === 'isolated') {
      throw new VmlanError('invalid', `network "${name}" is isolated: nothing is forwarded to or from the host`);
    }
    const forward = parseForward(options);
    if (isForwardProblem(forward)) throw new VmlanError('invalid', `forward: ${forward.field}: ${forward.message}`);
    const problem = forwardTargetProblem(forward, ipv4, ipv6);
    if (problem !== null) throw new VmlanError('invalid', `forward: guest: ${problem}`);
    return forward;
  }
}

/** What is closed with its network needs no closing of its own. */
export function ignoreClosed(error: unknown): void {
  if (!(error instanceof VmlanError) || error.code !== 'unavailable') throw error;
}
