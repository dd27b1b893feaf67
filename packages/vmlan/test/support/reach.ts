/**
 * Who answers where, asked from inside a namespace: many probes at once, in one process.
 *
 *   const answers = await reach(guest, { web: tcp('203.0.113.10', 80), gateway: ping('192.168.77.1') });
 *   // { web: 'hello from web', gateway: 'pong' }
 *
 * A TCP probe reads what the server says first, an HTTP probe its page, a UDP probe what comes back, a DNS probe asks for an IPv4 address; a
 * failure is the errno, or `timeout`.
 *
 * Zone: control.  Run as a program: reach.ts 'PROBES AS JSON'.
 */
import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { request } from 'node:http';
import { Resolver } from 'node:dns/promises';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import type { Namespace } from './netns.ts';

export type Probe =
  | { readonly kind: 'tcp' | 'udp' | 'http'; readonly host: string; readonly port: number }
  | { readonly kind: 'ping'; readonly host: string }
  | { readonly kind: 'dns'; readonly server: string; readonly name: string };

export const tcp = (host: string, port: number): Probe => ({ kind: 'tcp', host, port });
export const udp = (host: string, port: number): Probe => ({ kind: 'udp', host, port });
export const http = (host: string, port: number): Probe => ({ kind: 'http', host, port });
export const ping = (host: string): Probe => ({ kind: 'ping', host });
export const dns = (server: string, name: string): Probe => ({ kind: 'dns', server, name });

/** An answer that was to come has come by then, and one that was not has had its chance. */
const PATIENCE_MS = 1500;
const REACH_TIMEOUT_MS = 30_000;

function probeTcp({ host, port }: { host: string; port: number }): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, autoSelectFamily: false });
    const done = (answer: string): void => {
      socket.destroy();
      resolve(answer);
    };
    setTimeout(() => done('timeout'), PATIENCE_MS);
    socket.on('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message));
    socket.on('data', (data) => done(data.toString().trim()));
    socket.on('end', () => done('closed'));
  });
}

function probeHttp({ host, port }: { host: string; port: number }): Promise<string> {
  return new Promise((resolve) => {
    const asked = request({ host, port, timeout: PATIENCE_MS }, (response) => {
      text(response).then(
        (page) => resolve(page.trim()),
        (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message),
      );
    });
    asked.on('timeout', () => {
      resolve('timeout');
      asked.destroy();
    });
    asked.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    asked.end();
  });
}

function probeUdp({ host, port }: { host: string; port: number }): Promise<string> {
  return new Promise((resolve) => {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    const timer = setTimeout(() => done('timeout'), PATIENCE_MS);
    const done = (answer: string): void => {
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    const failed = (error: NodeJS.ErrnoException): void => done(error.code ?? error.message);
    socket.once('error', failed);
    socket.once('message', (message) => done(message.toString()));
    // Where no route leads there, connecting fails, and is told to the callback alone.
    socket.connect(port, host, ((error?: NodeJS.ErrnoException) => {
      if (error === undefined) socket.send('hello');
      else failed(error);
    }) as () => void);
  });
}

function probePing({ host }: { host: string }): Promise<string> {
  return new Promise((resolve) => {
    execFile('ping', ['-n', '-c', '1', '-W', String(PATIENCE_MS / 1000), host], (error, stdout) => {
      const said = /(prohibited|unreachable|filtered)/i.exec(stdout)?.[1]?.toLowerCase();
      resolve(error === null ? 'pong' : (said ?? 'timeout'));
    });
  });
}

async function probeDns({ server, name }: { server: string; name: string }): Promise<string> {
  const resolver = new Resolver({ timeout: PATIENCE_MS, tries: 1 });
  resolver.setServers([server]);
  return resolver.resolve4(name).then(
    (addresses) => addresses.join(' '),
    (error: NodeJS.ErrnoException) => error.code ?? error.message,
  );
}

function probe(target: Probe): Promise<string> {
  switch (target.kind) {
    case 'tcp':
      return probeTcp(target);
    case 'http':
      return probeHttp(target);
    case 'udp':
      return probeUdp(target);
    case 'ping':
      return probePing(target);
    default:
      return probeDns(target);
  }
}

export async function reach<K extends string>(
  from: Namespace,
  probes: Readonly<Record<K, Probe>>,
): Promise<Record<K, string>> {
  const program = [process.execPath, '--disable-warning=ExperimentalWarning', import.meta.filename];
  const text = await from.output([...program, JSON.stringify(probes)], { timeoutMs: REACH_TIMEOUT_MS });
  return JSON.parse(text) as Record<K, string>;
}

if (process.argv[1] === import.meta.filename) {
  const probes = Object.entries(JSON.parse(process.argv[2] ?? '{}') as Record<string, Probe>);
  const answers = await Promise.all(probes.map(async ([name, target]) => [name, await probe(target)] as const));
  process.stdout.write(`${JSON.stringify(Object.fromEntries(answers))}\n`);
}
