/**
 * The ports of one transport protocol on the fake host: who has bound which, and who receives there.
 *
 * Zone: control.  Ephemeral ports are handed out in order, so that a run is the same every time.
 */
import { AF_INET, AF_INET6, EADDRINUSE } from '../constants.ts';
import { type Ip, isAny } from './address.ts';

const EPHEMERAL_FIRST = 32_768;
const EPHEMERAL_LAST = 60_999;

/** A socket as the table sees it. */
export interface PortUser {
  readonly domain: number;
  readonly localIp: Ip;
  readonly localPort: number;
  readonly reuseAddress: boolean;
  readonly v6Only: boolean;
  /** Whether a second socket may have the same port when both set SO_REUSEADDR. */
  readonly sharesPort: boolean;
}

export class PortTable<User extends PortUser> {
  readonly #bound = new Map<number, Set<User>>();
  readonly #receiving = new Map<number, Set<User>>();
  readonly #taken: (ip: Ip, port: number) => boolean;
  #next = EPHEMERAL_FIRST;

  /** `taken` tells of ports that something else than a socket has. */
  constructor(taken: (ip: Ip, port: number) => boolean) {
    this.#taken = taken;
  }

  /** The port, a free one if `port` is 0, or -errno. */
  choose(user: User, ip: Ip, port: number): number {
    if (port !== 0) return this.#isFree(user, ip, port) ? port : -EADDRINUSE;
    for (let tries = EPHEMERAL_FIRST; tries <= EPHEMERAL_LAST; tries++) {
      const candidate = this.#next;
      this.#next = candidate === EPHEMERAL_LAST ? EPHEMERAL_FIRST : candidate + 1;
      if (!this.#bound.has(candidate) && !this.#taken(ip, candidate)) return candidate;
    }
    return -EADDRINUSE;
  }

  #isFree(user: User, ip: Ip, port: number): boolean {
    if (this.#taken(ip, port)) return false;
    for (const other of this.#bound.get(port) ?? []) {
      if (other === user || !overlaps(user, ip, other)) continue;
      if (!(user.reuseAddress && other.reuseAddress && other.sharesPort)) return false;
    }
    return true;
  }

  add(user: User): void {
    addTo(this.#bound, user);
  }

  /** From now on `find` may answer with this socket. */
  receive(user: User): void {
    addTo(this.#receiving, user);
  }

  /** Whether another socket receives what `user` would. */
  isServed(user: User): boolean {
    for (const other of this.#receiving.get(user.localPort) ?? []) {
      if (other !== user && overlaps(user, user.localIp, other)) return true;
    }
    return false;
  }

  stopReceiving(user: User): void {
    removeFrom(this.#receiving, user);
  }

  remove(user: User): void {
    removeFrom(this.#bound, user);
    removeFrom(this.#receiving, user);
  }

  /** The receiver that fits best; `score` ranks those whose address matches, below zero refuses. */
  find(ip: Ip, port: number, score: (user: User) => number): User | undefined {
    let best: User | undefined;
    let bestScore = -1;
    for (const user of this.#receiving.get(port) ?? []) {
      if (!accepts(user, ip)) continue;
      const rank = score(user) + (isAny(user.localIp) ? 0 : 1);
      if (score(user) >= 0 && rank >= bestScore) {
        best = user;
        bestScore = rank;
      }
    }
    return best;
  }
}

function addTo<User extends PortUser>(table: Map<number, Set<User>>, user: User): void {
  const users = table.get(user.localPort) ?? new Set<User>();
  users.add(user);
  table.set(user.localPort, users);
}

function removeFrom<User extends PortUser>(table: Map<number, Set<User>>, user: User): void {
  const users = table.get(user.localPort);
  users?.delete(user);
  if (users?.size === 0) table.delete(user.localPort);
}

function accepts(user: PortUser, ip: Ip): boolean {
  if (!isAny(user.localIp)) return user.localIp.text === ip.text;
  if (ip.family === AF_INET6) return user.domain === AF_INET6;
  return user.domain === AF_INET || (user.localIp.family === AF_INET6 && !user.v6Only);
}

/** Whether a socket bound to `ip` and `other` would both get some packets. */
function overlaps(user: PortUser, ip: Ip, other: PortUser): boolean {
  if (!isAny(ip) && !isAny(other.localIp)) return ip.text === other.localIp.text;
  const coversV4 = (domain: number, at: Ip, v6Only: boolean): boolean =>
    at.family === AF_INET || (domain === AF_INET6 && isAny(at) && !v6Only);
  const coversV6 = (at: Ip): boolean => at.family === AF_INET6;
  return (
    (coversV4(user.domain, ip, user.v6Only) && coversV4(other.domain, other.localIp, other.v6Only)) ||
    (coversV6(ip) && coversV6(other.localIp))
  );
}
