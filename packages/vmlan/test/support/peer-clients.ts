/**
 * The clients that tests run inside a guest's namespace; each returns what it saw as plain data. They run in a process of
 * their own (peer.ts); tests call them through peers.ts.
 *
 * Zone: control.
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { within } from './deadline.ts';
import { compareRuns, type DatagramRun } from './peer-datagrams.ts';
import { clientSide, type Exchange, failedSide, type Side } from './peer-exchange.ts';
import { digestOf, knownDigest, knownStream, type Digest } from './peer-stream.ts';

export interface Target {
  readonly host: string;
  readonly port: number;
  /** A unix socket instead. */
  readonly path?: string;
}

export interface Outcome {
  /** The error's code (ECONNREFUSED, EHOSTUNREACH, ECONNRESET …), or null when all went well. */
  readonly errno: string | null;
  readonly ms: number;
}

export interface Tally {
  readonly ok: number;
  readonly failed: number;
  /** How often each error came. */
  readonly errors: Readonly<Record<string, number>>;
  readonly ms: number;
}

const UDP_PATIENCE_MS = 5000;

const errnoOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? String(error);

async function open(target: Target & { localPort?: number }): Promise<Socket> {
  const { path, ...address } = target;
  const at = path === undefined ? { ...address, autoSelectFamily: false } : { path };
  const socket = connect({ ...at, allowHalfOpen: true });
  await once(socket, 'connect');
  return socket;
}

async function repeat(count: number, parallel: number, once_: (index: number) => Promise<void>): Promise<Tally> {
  const started = performance.now();
  const errors: Record<string, number> = {};
  let ok = 0;
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      try {
        await once_(next++);
        ok++;
      } catch (error) {
        const errno = errnoOf(error);
        errors[errno] = (errors[errno] ?? 0) + 1;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(parallel, count) }, worker));
  return { ok, failed: count - ok, errors, ms: performance.now() - started };
}

function get(url: string, agent: Agent): Promise<Digest> {
  return new Promise((resolve, reject) => {
    request(url, { agent }, (response) => {
      if (response.statusCode === 200) resolve(digestOf(response));
      else reject(new Error(`HTTP ${response.statusCode ?? 0}`));
    })
      .on('error', reject)
      .end();
  });
}

/** One client call per key: the argument is what peers.ts sends, the result what it gets back. */
export const clients = {
  /** Connects, waits until the server has closed or reset, and says how it ended. */
  async connect(target: Target): Promise<Outcome> {
    const started = performance.now();
    const outcome = (errno: string | null): Outcome => ({ errno, ms: performance.now() - started });
    try {
      const socket = await open(target);
      socket.end();
      await digestOf(socket);
      return outcome(null);
    } catch (error) {
      return outcome(errnoOf(error));
    }
  },

  /** All that the server sends by itself. */
  async download(target: Target): Promise<Digest & { ms: number }> {
    const started = performance.now();
    const socket = await open(target);
    const digest = await digestOf(socket);
    socket.end();
    return { ...digest, ms: performance.now() - started };
  },

  /** Sends the known stream to a sink, ends its half, and returns the sink's digest. */
  async upload({ bytes, ...target }: Target & { bytes: number }): Promise<Digest & { ms: number }> {
    const started = performance.now();
    const socket = await open(target);
    let answer = '';
    socket.setEncoding('utf8').on('data', (text: string) => (answer += text));
    const ended = once(socket, 'end');
    await pipeline(knownStream(bytes), socket);
    await ended;
    return { ...(JSON.parse(answer) as Digest), ms: performance.now() - started };
  },

  /** A download that reads nothing for a while: the server must wait, and nothing may be lost. */
  async pausedDownload({ pauseMs, ...target }: Target & { pauseMs: number }): Promise<Digest> {
    const socket = connect({ ...target, allowHalfOpen: true, autoSelectFamily: false, noDelay: true });
    socket.pause();
    await once(socket, 'connect');
    await delay(pauseMs);
    const digest = await digestOf(socket);
    socket.end();
    return digest;
  },

  /** Waits for the server's end, and sends the known stream only then; returns what the server had said. */
  async outlast({ bytes, ...target }: Target & { bytes: number }): Promise<string> {
    const socket = await open(target);
    let said = '';
    socket.setEncoding('utf8').on('data', (text: string) => (said += text));
    await once(socket, 'end');
    await pipeline(knownStream(bytes), socket);
    return said;
  },

  /** Sends the known stream, then resets. */
  async abandon({ bytes, ...target }: Target & { bytes: number }): Promise<null> {
    const socket = await open(target);
    await pipeline(knownStream(bytes), socket, { end: false });
    socket.resetAndDestroy();
    return null;
  },

  /** Speaks, and says what came before the reset, and its errno. */
  async untilReset(target: Target): Promise<Digest & { errno: string | null }> {
    const socket = await open(target);
    socket.write('go');
    const parts: Buffer[] = [];
    let errno: string | null = null;
    try {
      for await (const chunk of socket as AsyncIterable<Buffer>) parts.push(chunk);
    } catch (error) {
      errno = errnoOf(error);
    }
    return { ...(await digestOf(Readable.from(parts))), errno };
  },

  /** Stays connected, silent, to `count` servers' connections until it is killed. */
  async linger({ count, ...target }: Target & { count: number }): Promise<never> {
    for (let i = 0; i < count; i++) (await open(target)).write('here');
    process.stdout.write('lingering\n');
    return new Promise<never>(() => setInterval(() => undefined, 1000));
  },

  /** Downloads from several servers and uploads several sizes, one after the other. */
  async transfers({
    host,
    downloads,
    sink,
    uploads,
  }: {
    host: string;
    downloads: readonly number[];
    sink: number;
    uploads: readonly number[];
  }): Promise<{ down: (Digest & { ms: number })[]; up: (Digest & { ms: number })[] }> {
    const down: (Digest & { ms: number })[] = [];
    const up: (Digest & { ms: number })[] = [];
    for (const port of downloads) down.push(await clients.download({ host, port }));
    for (const bytes of uploads) up.push(await clients.upload({ host, port: sink, bytes }));
    return { down, up };
  },

  /** Exchanges with servers of that kind, `parallel` of them at a time; reports in the order of the list. */
  async exchanges({
    list,
    parallel,
    limitMs,
  }: {
    list: readonly { target: Target; exchange: Exchange }[];
    parallel: number;
    limitMs: number;
  }): Promise<Side[]> {
    const sides: Side[] = [];
    await repeat(list.length, parallel, async (index) => {
      const { target, exchange } = list[index]!;
      const socket = connect({ ...target, allowHalfOpen: true, autoSelectFamily: false });
      try {
        sides[index] = await within('the exchange', limitMs, clientSide(socket, exchange));
      } catch (error) {
        sides[index] = failedSide(exchange, errnoOf(error));
      } finally {
        socket.destroy();
      }
    });
    return sides;
  },

  /** Several connections side by side; how each ended. */
  async connects({ targets }: { targets: readonly Target[] }): Promise<Outcome[]> {
    return Promise.all(targets.map((target) => clients.connect(target)));
  },

  /** Sends `text`, ends its half, and returns everything the server sent, before and after. */
  async converse({ text, ...target }: Target & { text: string }): Promise<string> {
    const socket = await open(target);
    socket.end(text);
    let answer = '';
    for await (const chunk of socket.setEncoding('utf8')) answer += String(chunk);
    return answer;
  },

  http({
    url,
    count,
    parallel,
    keepAlive,
  }: {
    url: string;
    count: number;
    parallel: number;
    keepAlive: boolean;
  }): Promise<Tally> {
    const agent = new Agent({ keepAlive, maxSockets: parallel });
    return repeat(count, parallel, async () => void (await get(url, agent))).finally(() => agent.destroy());
  },

  /** One connection after the other (or `parallel` side by side) to an echo server, each sending and comparing 1 KiB. */
  echoes({ count, parallel, ...target }: Target & { count: number; parallel: number }): Promise<Tally> {
    return repeat(count, parallel, async (index) => {
      const text = `${index} `.padEnd(1024, 'x');
      if ((await clients.converse({ ...target, text })) !== text) throw new Error('the echo differs');
    });
  },

  /** `count` connections that are all open at the same time before the first is used. */
  async crowd({ count, ...target }: Target & { count: number }): Promise<Tally> {
    const sockets: Socket[] = [];
    const opening = await repeat(count, 64, async () => void sockets.push(await open(target)));
    if (opening.failed > 0) return opening;
    return repeat(count, count, async (index) => {
      const socket = sockets[index];
      if (socket === undefined) throw new Error('no socket');
      socket.end(`${index}`);
      let answer = '';
      for await (const chunk of socket.setEncoding('utf8')) answer += String(chunk);
      if (answer !== `${index}`) throw new Error('the echo differs');
    });
  },

  /**
   * Keeps `count` connections to an echo server in use until stdin ends, each asking every `pauseMs`; says `holding` when
   * all are open. `ok`: connections that never failed; `longestMs`: the slowest answer.
   */
  async hold({
    count,
    pauseMs,
    ...target
  }: Target & { count: number; pauseMs: number }): Promise<Tally & { exchanges: number; longestMs: number }> {
    const over = new AbortController();
    process.stdin.resume().once('end', () => over.abort());
    const sockets = await Promise.all(Array.from({ length: count }, () => open(target)));
    process.stdout.write('holding\n');
    let exchanges = 0;
    let longestMs = 0;
    const tally = await repeat(count, count, async (index) => {
      const socket = sockets[index]!;
      for (let i = 0; !over.signal.aborted; i++) {
        const began = performance.now();
        await exchange(socket, Buffer.alloc(1024, (index * 31 + i) & 0xff));
        longestMs = Math.max(longestMs, performance.now() - began);
        exchanges++;
        await delay(pauseMs);
      }
      socket.destroy();
    });
    return { ...tally, exchanges, longestMs };
  },

  /** `flows` sockets, each sending `count` datagrams of `size` bytes to an echo server, one at a time. */
  async udp({
    flows,
    count,
    size,
    ...target
  }: Target & { flows: number; count: number; size: number }): Promise<Tally> {
    const type = target.host.includes(':') ? 'udp6' : 'udp4';
    return repeat(flows, flows, async (flow) => {
      const socket = createSocket({ type, recvBufferSize: 1 << 20, sendBufferSize: 1 << 20 });
      try {
        socket.connect(target.port, target.host);
        await once(socket, 'connect');
        for (let i = 0; i < count; i++) {
          const sent = Buffer.alloc(size, (flow * 31 + i) & 0xff);
          if (!(await datagram(socket, sent)).equals(sent)) throw new Error('the echo differs');
        }
      } finally {
        socket.close();
      }
    });
  },

  /** Runs of datagrams to a `udp-runs` server and back; what differs, or null. */
  datagramRuns({ runs, ...target }: Target & { runs: readonly DatagramRun[] }): Promise<string | null> {
    return compareRuns(target.host, target.port, runs);
  },

  /** One datagram and its answer, or the error that ICMP brought. */
  async datagram({ text, ...target }: Target & { text: string }): Promise<Outcome & { answer: string }> {
    const started = performance.now();
    const socket = createSocket(target.host.includes(':') ? 'udp6' : 'udp4');
    try {
      socket.connect(target.port, target.host);
      await once(socket, 'connect');
      const answer = await datagram(socket, Buffer.from(text));
      return { errno: null, answer: answer.toString(), ms: performance.now() - started };
    } catch (error) {
      return { errno: errnoOf(error), answer: '', ms: performance.now() - started };
    } finally {
      socket.close();
    }
  },

  /** One socket that asks several servers in turn; what each of them answered. */
  async askAll({ targets, text }: { targets: readonly Target[]; text: string }): Promise<string[]> {
    const socket = createSocket(targets[0]?.host.includes(':') === true ? 'udp6' : 'udp4');
    const answers: string[] = [];
    try {
      for (const { host, port } of targets) {
        const answer = once(socket, 'message');
        socket.send(text, port, host);
        const [received] = (await within(`an answer of ${host}`, UDP_PATIENCE_MS, answer)) as [Buffer];
        answers.push(received.toString());
      }
    } finally {
      socket.close();
    }
    return answers;
  },

  digest({ bytes }: { bytes: number }): Promise<Digest> {
    return Promise.resolve(knownDigest(bytes));
  },
};

async function datagram(socket: UdpSocket, message: Buffer): Promise<Buffer> {
  const answer = once(socket, 'message');
  socket.send(message, (error) => error !== null && socket.emit('error', error));
  const [received] = (await within('a datagram back', UDP_PATIENCE_MS, answer)) as [Buffer];
  return received;
}

async function exchange(socket: Socket, sent: Buffer): Promise<void> {
  socket.write(sent);
  let received = Buffer.alloc(0);
  while (received.length < sent.length) {
    const chunk = socket.read() as Buffer | null;
    if (chunk !== null) received = Buffer.concat([received, chunk]);
    else if (socket.readableEnded || socket.destroyed) throw new Error('closed by the server');
    else await Promise.race([once(socket, 'readable'), once(socket, 'end')]);
  }
  if (!received.equals(sent)) throw new Error('the echo differs');
}

export type Clients = typeof clients;
