/**
 * The servers that tests talk to, each a few lines on node:net, node:dgram and node:http. They run in a process of their
 * own inside a namespace (peer.ts); tests start them through peers.ts.
 *
 * Zone: control.
 */
import { createHash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { networkInterfaces } from 'node:os';
import { createServer, type Server, type Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { echoRuns } from './peer-datagrams.ts';
import { serverSide, type Exchange } from './peer-exchange.ts';
import { digestOf, knownDigest, knownStream } from './peer-stream.ts';

interface Listen {
  /** All addresses of both families by default. */
  readonly host?: string;
  /** 0 = any free one; Peers.port tells which. */
  readonly port: number;
  /** A unix socket instead, for servers on streams. */
  readonly path?: string;
}

export type ServerSpec = Listen &
  (
    | {
        /** `/` a greeting, `/bytes/N` the known stream, `/digest/N` its digest, POST `/upload` → digest, `/peer` who asks. */
        readonly kind: 'http';
        readonly name?: string;
      }
    /** Sends back what comes; ends when the client ends. */
    | { readonly kind: 'tcp-echo' }
    /** Speaks first, then echoes. */
    | { readonly kind: 'greeter'; readonly banner: string }
    /** Sends N bytes of the known stream, then ends. */
    | { readonly kind: 'source'; readonly bytes: number }
    /** Reads until the client's end, then answers with the digest as JSON: works only if half-close does. */
    | { readonly kind: 'sink' }
    /** A sink that accepts, and reads nothing before Peers.resume(). */
    | { readonly kind: 'stalled' }
    /** Reads to the end and prints `witness` with the digest and how it ended; `farewell`: ends its own half first. */
    | { readonly kind: 'witness'; readonly farewell?: string }
    /** Accepts and resets; with `banner` once the client has spoken, and behind that text. */
    | { readonly kind: 'reset'; readonly banner?: string }
    /** The server's part of an exchange; prints `exchanged` with its report. */
    | { readonly kind: 'exchange'; readonly exchange: Exchange }
    | { readonly kind: 'udp-echo' }
    /** Answers each datagram with `ADDRESS PORT` of its sender. */
    | { readonly kind: 'udp-mirror' }
    /** Sends back what comes, runs of datagrams as runs; `host` must be told. */
    | { readonly kind: 'udp-runs' }
  );

const UDP_BUFFER_BYTES = 4 << 20;

type TcpKind = Exclude<ServerSpec['kind'], 'http' | 'udp-echo' | 'udp-mirror' | 'udp-runs'>;

/** Resolves when the test says so; see `stalled`. */
const released = Promise.withResolvers<void>();
export const release = (): void => released.resolve();

async function sink(socket: Socket): Promise<void> {
  socket.end(JSON.stringify(await digestOf(socket)));
}

async function witness(socket: Socket, farewell: string | undefined): Promise<void> {
  if (farewell !== undefined) socket.end(farewell);
  const hash = createHash('sha256');
  let bytes = 0;
  let errno: string | null = null;
  try {
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      hash.update(chunk);
      bytes += chunk.length;
    }
  } catch (error) {
    errno = (error as NodeJS.ErrnoException).code ?? String(error);
  }
  process.stdout.write(`witness ${JSON.stringify({ bytes, sha256: hash.digest('hex'), errno })}\n`);
  socket.end();
}

async function serveTcp(socket: Socket, spec: ServerSpec & { kind: TcpKind }): Promise<void> {
  switch (spec.kind) {
    case 'tcp-echo':
      return pipeline(socket, socket);
    case 'greeter':
      socket.write(spec.banner);
      return pipeline(socket, socket);
    case 'source':
      return pipeline(knownStream(spec.bytes), socket);
    case 'sink':
      return sink(socket);
    case 'stalled':
      await released.promise;
      return sink(socket);
    case 'witness':
      return witness(socket, spec.farewell);
    case 'reset':
      if (spec.banner !== undefined) {
        await once(socket, 'data');
        await new Promise((resolve) => socket.write(spec.banner ?? '', resolve));
      }
      socket.resetAndDestroy();
      return;
    case 'exchange':
      process.stdout.write(`exchanged ${JSON.stringify(await serverSide(socket, spec.exchange))}\n`);
  }
}

function tcpServer(spec: ServerSpec & { kind: TcpKind }): Server {
  return createServer({ allowHalfOpen: true, pauseOnConnect: spec.kind === 'stalled' }, (socket) => {
    // A client that goes away is the client's business: the test sees it there.
    socket.on('error', () => socket.destroy());
    serveTcp(socket, spec).catch(() => socket.destroy());
  });
}

async function serveHttp(request: IncomingMessage, response: ServerResponse, name: string): Promise<void> {
  const [, verb = '', argument = ''] = (request.url ?? '/').split('/');
  const json = (value: unknown): void => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(value));
  };
  if (verb === 'bytes') {
    response.setHeader('content-length', Number(argument));
    await pipeline(knownStream(Number(argument)), response);
  } else if (verb === 'digest') json(knownDigest(Number(argument)));
  else if (verb === 'upload') json(await digestOf(request));
  else if (verb === 'peer') json({ address: request.socket.remoteAddress, port: request.socket.remotePort });
  else response.end(`hello from ${name}\n`);
}

async function listenTcp(server: Server, spec: Listen): Promise<number> {
  const at = spec.path === undefined ? { port: spec.port, host: spec.host ?? '::' } : { path: spec.path };
  server.listen({ ...at, backlog: 4096 });
  await once(server, 'listening');
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : spec.port;
}

async function bindUdp(address: string, port: number, mirror: boolean): Promise<number> {
  const type = address.includes(':') ? 'udp6' : 'udp4';
  const socket = createSocket({ type, recvBufferSize: UDP_BUFFER_BYTES, sendBufferSize: UDP_BUFFER_BYTES });
  socket.on('message', (message, from) => {
    socket.send(mirror ? Buffer.from(`${from.address} ${from.port}`) : message, from.port, from.address);
  });
  socket.bind(port, address);
  await once(socket, 'listening');
  return socket.address().port;
}

/** One socket per address: a wildcard socket would answer from whichever address the route prefers. */
async function listenUdp(spec: ServerSpec): Promise<number> {
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const addresses = own.filter(({ address }) => !address.startsWith('fe80:')).map(({ address }) => address);
  let port = spec.port;
  for (const address of spec.host === undefined ? addresses : [spec.host]) {
    port = await bindUdp(address, port, spec.kind === 'udp-mirror');
  }
  return port;
}

/** Starts one server and returns its port. */
export async function listen(spec: ServerSpec): Promise<number> {
  if (spec.kind === 'udp-echo' || spec.kind === 'udp-mirror') return listenUdp(spec);
  if (spec.kind === 'udp-runs') {
    echoRuns(spec.host!, spec.port);
    return spec.port;
  }
  if (spec.kind !== 'http') return listenTcp(tcpServer(spec), spec);
  const { name = 'peer' } = spec;
  const server = createHttpServer((request, response) => {
    serveHttp(request, response, name).catch(() => response.destroy());
  });
  return listenTcp(server, spec);
}
