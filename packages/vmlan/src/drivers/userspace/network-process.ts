/**
 * The main program of a network process: one running network, without privileges, outliving the daemon.
 *
 * Zone: control.  Its argument is the network's directory, by which it is recognised.  Standard input gives a
 * StartRequest; descriptor 3 takes one StartAnswer; stderr is the log.  Order matters: no_new_privs before any thread of
 * ours, the group before the engine (it probes what its group may do), the user after the engine has loaded its code
 * (which the user may not be able to read).  Ends with exit code 0 when told to, 1 when the engine or the start fails, 70
 * (EX_SOFTWARE) on a broken invariant.
 */
import { closeSync, rmSync, writeSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import { text } from 'node:stream/consumers';
import { VmlanError, toErrorData } from '../../core/errors.ts';
import { boundOwnOutput } from '../../sys/bounded-log.ts';
import { writeDurable } from '../../sys/durable-file.ts';
import { openLibc } from '../../sys/libc.ts';
import { assertUnprivileged, becomeGroup, becomeUser, setNoNewPrivileges } from '../../sys/privileges.ts';
import { ownIdentity } from '../../sys/process-identity.ts';
import { releaseProgramPages } from '../../sys/resident.ts';
import { prepareFiles } from './confine.ts';
import type { StartEngine } from '../../engine/control-messages.ts';
import { LeaseFile } from './lease-file.ts';
import { NetworkService, writeLog } from './network-service.ts';
import { makeResolver } from './network-resolver.ts';
import { processRecord, processTitle } from './process-file.ts';
import { END_CAPTURE, EVENT, PROTOCOL_MINOR, PROTOCOL_VERSION, WARNINGS } from './protocol.ts';
import type { HelloResult, Methods, StartAnswer, StartRequest } from './protocol.ts';
import { RpcPeer } from './rpc.ts';
import { clearPath } from './socket-path.ts';

const ANSWER_FD = 3;
const LOG_FD = 2;
const LOG_CHECK_MS = 10_000;
const ARENA_BYTES = 1 << 18;
const SOCKET_MODE_MASK = 0o177;
const EXIT_FAILURE = 1;
const EXIT_BROKEN = 70;
const STOP_TIMEOUT_MS = 5000;
/** When what only the start needed is given back: not while the first guests wait. */
const SETTLED_AFTER_MS = 500;

export async function runNetworkProcess(startEngine: StartEngine): Promise<void> {
  process.on('uncaughtException', (error) => die(EXIT_BROKEN, error.stack ?? error.message));
  try {
    const request = JSON.parse(await text(process.stdin)) as StartRequest;
    await start(request, startEngine);
    answer({ pid: process.pid });
    setTimeout(releaseProgramPages, SETTLED_AFTER_MS).unref();
    setInterval(() => boundOwnOutput(LOG_FD), LOG_CHECK_MS).unref();
  } catch (error) {
    answer({ error: toErrorData(error) });
    die(EXIT_FAILURE, error instanceof Error ? error.message : String(error));
  }
}

async function start(request: StartRequest, startEngine: StartEngine): Promise<void> {
  const { paths, user, config } = request;
  if (request.protocol !== PROTOCOL_VERSION) {
    throw new VmlanError('unavailable', `the daemon speaks protocol ${request.protocol}, not ${PROTOCOL_VERSION}`);
  }
  setNoNewPrivileges();
  prepareFiles(paths, user);
  await clearPath(paths.control);
  const leases = await LeaseFile.open(paths.leases, config.network);
  const sys = openLibc({ arenaBytes: ARENA_BYTES });
  let onResolverChange = (): void => undefined;
  const resolver = makeResolver(config, () => onResolverChange());
  if (user !== null) becomeGroup(user);
  const engine = await startEngine({ ...config, leases: leases.leases, duid: leases.duid });
  if (user !== null) becomeUser(user);
  assertUnprivileged();
  process.title = processTitle(config.network); // who bears it is no longer root (process-file.ts)

  const peers = new Set<RpcPeer>();
  const notify = (method: string, params: unknown): void => {
    for (const peer of peers) peer.notify(method, params);
  };
  const service = new NetworkService({
    engine,
    leases,
    resolver,
    sys,
    network: config.network,
    settings: request.settings,
    closed: config.closed,
    reservations: config.reservations,
    notices: leases.warning === null ? [] : [leases.warning],
    onEvent: (event) => notify(EVENT, event),
    onWarnings: (warnings) => notify(WARNINGS, warnings),
    onFatal: (reason) => die(EXIT_FAILURE, `the engine ended: ${reason}`),
  });
  onResolverChange = () => service.onResolverChange();
  const server = serve(service, config.network, peers, () => void stop(service, server, peers, request));
  await listen(server, paths.control);
  await writeDurable(paths.process, processRecord(ownIdentity()));
  process.on('SIGTERM', () => void stop(service, server, peers, request));
  process.on('SIGINT', () => undefined); // the terminal's Ctrl-C is meant for the daemon
  process.on('SIGHUP', () => undefined);
  writeLog('info', `network ${config.network} runs`);
}

function serve(service: NetworkService, network: string, peers: Set<RpcPeer>, stopped: () => void): Server {
  return createServer((socket) => {
    let isGreeted = false;
    let endCapture = (): void => undefined;
    const peer = new RpcPeer(socket, {
      onRequest: async (method, params) => {
        if (method === 'hello') {
          isGreeted = true;
          return hello(service, network, params as Methods['hello']['params']);
        }
        if (!isGreeted) throw new VmlanError('unavailable', 'the first request is `hello`');
        if (method === 'capture') {
          const capture = await service.capture(params as Methods['capture']['params']);
          endCapture = capture.finish;
          peers.delete(peer); // from now on this connection carries nothing else
          setImmediate(() => capture.begin(socket)); // behind the answer
          return null;
        }
        if (method !== 'stop') return dispatch(service, method, params);
        setImmediate(stopped);
        return null;
      },
      onNotification: (method) => {
        if (method === END_CAPTURE) endCapture();
      },
      onClose: () => peers.delete(peer),
    });
    peers.add(peer);
  });
}

function hello(service: NetworkService, network: string, { protocol }: Methods['hello']['params']): HelloResult {
  if (protocol !== PROTOCOL_VERSION) {
    throw new VmlanError(
      'unsupported',
      `network process of "${network}" speaks protocol ${PROTOCOL_VERSION}, not ${protocol}`,
    );
  }
  const { pid } = process;
  return { protocol: PROTOCOL_VERSION, minor: PROTOCOL_MINOR, network, pid, startedMs: service.startedMs };
}

function dispatch(service: NetworkService, method: string, params: unknown): Promise<unknown> {
  switch (method) {
    case 'observe':
      return Promise.resolve(service.observe(params as Methods['observe']['params']));
    case 'step':
      return service.step(params as Methods['step']['params']);
    case 'steps':
      return service.steps(params as Methods['steps']['params']);
    case 'receive-tap':
      return service.receiveTap(params as Methods['receive-tap']['params']);
    case 'cancel-tap':
      return service.cancelTap(params as Methods['cancel-tap']['params']);
    case 'allocate':
      return service.allocate(params as Methods['allocate']['params']);
    case 'flows':
      return service.flows(params as Methods['flows']['params']);
    case 'probe':
      return service.probe(params as Methods['probe']['params']);
    case 'pulse':
      return service.pulse();
    case 'look-up':
      return service.lookUp(params as Methods['look-up']['params']);
    case 'snapshot':
      return service.snapshot(params as Methods['snapshot']['params']);
    default:
      throw new VmlanError('unsupported', `no method "${method}"`);
  }
}

async function listen(server: Server, path: string): Promise<void> {
  const before = process.umask(SOCKET_MODE_MASK);
  try {
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve));
  } finally {
    process.umask(before);
  }
}

let isStopping = false;

async function stop(
  service: NetworkService,
  server: Server,
  peers: ReadonlySet<RpcPeer>,
  request: StartRequest,
): Promise<void> {
  if (isStopping) return;
  isStopping = true;
  setTimeout(() => die(EXIT_FAILURE, 'the engine did not stop in time'), STOP_TIMEOUT_MS).unref();
  try {
    await service.close();
    server.close();
    rmSync(request.paths.process, { force: true });
    writeLog('info', `network ${request.config.network} stopped`);
    await Promise.all([...peers].map((peer) => peer.end()));
    process.exit(0);
  } catch (error) {
    die(EXIT_FAILURE, `stopping failed: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function answer(line: StartAnswer): void {
  try {
    writeSync(ANSWER_FD, `${JSON.stringify(line)}\n`);
    closeSync(ANSWER_FD);
  } catch {
    // The daemon is gone; the next one finds the process by its file.
  }
}

function die(code: number, reason: string): never {
  writeLog('error', reason);
  process.exit(code);
}
