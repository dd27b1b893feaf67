/**
 * A network with guests by the thousand, and forwards by the ten thousand, that lead to them.
 *
 *   await using crowd = await Crowd.open(namespace, { guests: 1000, forwards: 10_000 });
 *   await crowd.boot();
 *
 * Zone: control.  Needs root, to hand the state to the daemon.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { chmod, chown } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from '../../src/client/client.ts';
import { forwardId } from '../../src/daemon/desired.ts';
import { Store } from '../../src/daemon/store.ts';
import { isForwardProblem, parseForward } from '../../src/model/forward.ts';
import type { StoredGuest } from '../../src/model/guest.ts';
import type { StoredForward } from '../../src/model/stored.ts';
import type { Namespace } from './netns.ts';
import { Station } from './station.ts';
import { Vmlan } from './vmlan.ts';

/** Guests that ask for their leases at a time. */
const AT_A_TIME = 50;
const CONFIG = 'networks:\n  lab: { mode: user-v2, subnet: 10.90.0.0/16, subnet6: off, autostart: true }\n';
const FIRST_PORT = 20_000;

export interface CrowdSize {
  readonly guests: number;
  readonly forwards: number;
}

const hex = (byte: number): string => byte.toString(16).padStart(2, '0');
const macOf = (i: number): string => `52:54:00:90:${hex(i >> 8)}:${hex(i & 255)}`;

const guest = (i: number): StoredGuest => ({
  name: `g${i}`,
  nics: [{ index: 0, network: 'lab', mac: macOf(i), ip: null, connected: true, attachment: null }],
});

function forward(i: number, guests: number): StoredForward {
  const parsed = parseForward({ host: `127.0.0.1:${FIRST_PORT + i}`, guest: `g${i % guests}:80` });
  assert.ok(!isForwardProblem(parsed));
  const { protocol, direction, host, guest: target } = parsed;
  return { id: forwardId('lab', parsed), network: 'lab', protocol, direction, host, guest: target };
}

const numbered = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));

/** What a listener of each forward and a link of each guest take, and the rest; null when the system grants that. */
export function crowdMissing({ guests, forwards }: CrowdSize): string | null {
  const limit = /Max open files\s+\d+\s+(\d+|unlimited)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return Number(limit) < forwards + 2 * guests ? `ulimit -Hn is ${limit}` : null;
}

export class Crowd implements AsyncDisposable {
  readonly vmlan: Vmlan;
  readonly api: Client;
  readonly #guests: number;
  readonly #stack: AsyncDisposableStack;

  private constructor(vmlan: Vmlan, guests: number, stack: AsyncDisposableStack) {
    this.vmlan = vmlan;
    this.api = new Client({ kind: 'unix', path: join(vmlan.folder, 'run', 'vmlan.sock') });
    this.#guests = guests;
    this.#stack = stack;
  }

  /** Registered, and the daemon not started yet. `owned` ends with it. */
  static async open(
    namespace: Namespace,
    { guests, forwards }: CrowdSize,
    owned: AsyncDisposableStack = new AsyncDisposableStack(),
  ): Promise<Crowd> {
    await using stack = owned.move();
    const vmlan = stack.use(await Vmlan.create({ namespace, config: CONFIG }));
    const state = join(vmlan.folder, 'state');
    const store = await Store.open(state);
    await store.change({
      guests: { put: numbered(guests, guest) },
      forwards: { put: numbered(forwards, (i) => forward(i, guests)) },
    });
    await chown(state, 0, 0);
    await chmod(state, 0o711);
    return new Crowd(vmlan, guests, stack.move());
  }

  /** Every guest connects and gets its lease; each of their broadcasts reaches all that came before. */
  async boot(): Promise<void> {
    for (let first = 0; first < this.#guests; first += AT_A_TIME) {
      const count = Math.min(AT_A_TIME, this.#guests - first);
      await Promise.all(numbered(count, (i) => this.#bootOne(first + i)));
    }
  }

  async #bootOne(i: number): Promise<void> {
    const socket = join(this.vmlan.folder, 'run', 'networks', 'lab', 'guests', `g${i}.sock`);
    await this.#stack.use(await Station.connect(socket, macOf(i))).obtainLease();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}
