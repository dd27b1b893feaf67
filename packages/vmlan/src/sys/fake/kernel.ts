/**
 * An operating system's network in memory: for tests, fuzzing and simulation, with virtual time.
 *
 * Zone: control.  `sys` is the syscall table over it; everything else here is for the test: hosts and their behaviour,
 * time, failures on order, and a look at what was left open.  Nothing sleeps and nothing is random: the same calls give
 * the same run.  What differs from Linux is listed in fake-sys.ts.
 *
 *   const kernel = new FakeKernel({ arenaBytes: 1 << 20 });
 *   const web = kernel.host('198.51.100.7').listenTcp(80, echo());
 *   … connect with kernel.sys …
 *   assert.equal(web.connections[0]?.received, 5);
 */
import { EBADF, EMFILE } from '../constants.ts';
import type { Sys } from '../sys.ts';
import { parseIp } from './address.ts';
import { FakeSys } from './fake-sys.ts';
import { FrameFile } from './frame-file.ts';
import type { FakeHost } from './host.ts';
import { Network, type NetworkOptions } from './network.ts';
import type { OpenFile } from './open-file.ts';
import { ScriptedConnection, type StreamService } from './scripted-stream.ts';
import { TcpSocket } from './tcp-socket.ts';
import { Timeline } from './timeline.ts';
import type { UnixPaths } from './unix-socket.ts';

export interface FakeKernelOptions extends NetworkOptions {
  readonly arenaBytes?: number;
  /** Descriptors that may be open at once (RLIMIT_NOFILE). */
  readonly maxFds?: number;
  /** Whether ping sockets are allowed. */
  readonly pingAllowed?: boolean;
  readonly startMs?: number;
  readonly startEpochMs?: number;
}

/** Names of the calls that can be made to fail. */
export type CallName = Exclude<keyof Sys, 'arena'>;

export interface Failure {
  readonly errno: number;
  /** The first call that fails, counted from 1 and from now; 1 if left out. */
  readonly nth?: number;
  /** How many calls fail, 1 if left out. */
  readonly times?: number;
}

interface PendingFailure {
  readonly errno: number;
  skip: number;
  times: number;
}

export interface ClientOptions {
  readonly from: string;
  readonly fromPort?: number;
  readonly to: string;
  readonly port: number;
}

const FIRST_FD = 3;
const FIRST_CLIENT_PORT = 20_000;
const LAST_CLIENT_PORT = 29_999;

export class FakeKernel {
  readonly timeline: Timeline;
  readonly network: Network;
  readonly sys: FakeSys;
  readonly unixPaths: UnixPaths = new Map();
  readonly pingAllowed: boolean;
  readonly startEpochMs: number;
  readonly startMs: number;
  maxFds: number;
  /** Called when epoll_wait would sleep for ever: nothing is scheduled. */
  onIdle: () => void = () => {
    throw new Error('fake kernel: epoll_wait would sleep for ever');
  };
  readonly #files: (OpenFile | undefined)[] = [];
  readonly #failures = new Map<CallName, PendingFailure>();
  #lowestFree = FIRST_FD; // no descriptor below it is free
  #nextClientPort = FIRST_CLIENT_PORT;

  constructor(options: FakeKernelOptions = {}) {
    this.startMs = options.startMs ?? 1000;
    this.startEpochMs = options.startEpochMs ?? Date.UTC(2026, 0, 1);
    this.timeline = new Timeline(this.startMs);
    this.network = new Network(this.timeline, options);
    this.pingAllowed = options.pingAllowed ?? true;
    this.maxFds = options.maxFds ?? 4096;
    this.sys = new FakeSys(this, options.arenaBytes ?? 1 << 20);
  }

  // Time

  get now(): number {
    return this.timeline.now;
  }

  advance(ms: number): void {
    this.timeline.advance(ms);
  }

  after(delayMs: number, action: () => void): void {
    this.timeline.after(delayMs, action);
  }

  // The world around

  host(ip: string): FakeHost {
    return this.network.host(ip);
  }

  /** Adds or withdraws a default route. */
  setRoute(family: 'ipv4' | 'ipv6', isThere: boolean): void {
    this.network.routes[family] = isThere;
  }

  /** A program on another host, or on this one, connects. */
  connectTcp(options: ClientOptions, service: StreamService): ScriptedConnection {
    const ip = parseIp(options.from);
    const socket = new TcpSocket(this.network, ip.family, true);
    socket.localIp = ip;
    socket.localPort = options.fromPort ?? this.#nextClientPort++;
    if (this.#nextClientPort > LAST_CLIENT_PORT) this.#nextClientPort = FIRST_CLIENT_PORT;
    const to = parseIp(options.to);
    if (to.family !== ip.family) throw new Error(`${options.from} cannot reach ${options.to}`);
    socket.open({ ip: to, port: options.port });
    return new ScriptedConnection(this.network, socket, service);
  }

  /** A datagram from elsewhere reaches this host; false when nobody receives there. */
  sendUdp(from: string, fromPort: number, to: string, port: number, payload: Uint8Array): boolean {
    return this.network.deliverUdp({ ip: parseIp(from), port: fromPort }, { ip: parseIp(to), port }, payload);
  }

  /** A descriptor of whole frames, as of a TAP, and the test's side of it. */
  openFrames(): { fd: number; frames: FrameFile } {
    const frames = new FrameFile();
    return { fd: this.install(frames), frames };
  }

  /** Removes a unix socket's path. */
  unlink(path: string): void {
    this.unixPaths.delete(path);
  }

  // Failures

  /** Makes calls of this name answer -errno without doing anything. */
  fail(call: CallName, failure: Failure): void {
    this.#failures.set(call, { errno: failure.errno, skip: (failure.nth ?? 1) - 1, times: failure.times ?? 1 });
  }

  /** 0, or the -errno that was ordered for this call. */
  injected(call: CallName): number {
    if (this.#failures.size === 0) return 0;
    const failure = this.#failures.get(call);
    if (failure === undefined) return 0;
    if (failure.skip > 0) {
      failure.skip--;
      return 0;
    }
    if (--failure.times <= 0) this.#failures.delete(call);
    return -failure.errno;
  }

  // Descriptors

  get openCount(): number {
    return this.#files.reduce((count, file) => (file === undefined ? count : count + 1), 0);
  }

  /** One line for each open descriptor. */
  openFds(): string[] {
    return this.#files.flatMap((file, fd) => (file === undefined ? [] : [`${fd}: ${file.describe()}`]));
  }

  file(fd: number): OpenFile | undefined {
    return this.#files[fd];
  }

  /** The lowest free descriptor, or -EMFILE. */
  freeFd(): number {
    while (this.#files[this.#lowestFree] !== undefined) this.#lowestFree++;
    return this.#lowestFree < this.maxFds ? this.#lowestFree : -EMFILE;
  }

  install(file: OpenFile): number {
    const fd = this.freeFd();
    if (fd >= 0) this.#files[fd] = file;
    return fd;
  }

  close(fd: number): number {
    const file = this.#files[fd];
    if (file === undefined) return -EBADF;
    this.#files[fd] = undefined;
    this.#lowestFree = Math.min(this.#lowestFree, fd);
    file.release();
    return 0;
  }
}
