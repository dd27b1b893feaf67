/**
 * Name resolution of the host over files of its own and name servers of the test, with a clock that stands still.
 *
 * Zone: control.
 */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TYPE } from '../../wire/dns.ts';
import { makeQuery, makeReply, showReply } from '../../wire/dns.fixture.ts';
import { NameServer, type Handler } from './name-server.fixture.ts';
import { UpstreamDns, type UpstreamDnsOptions } from './upstream-dns.ts';

/** Configuration files in a folder of their own, a clock that stands still, and an `UpstreamDns` over both. */
export class Bench implements Disposable {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'vmlan-dns-'));
  readonly upstream: UpstreamDns;
  changes = 0;
  nowMs = 0;

  constructor(port: number, options: UpstreamDnsOptions & { files?: Record<string, string> } = {}) {
    const { files = {}, ...rest } = options;
    for (const [name, text] of Object.entries({
      'resolv.conf': 'nameserver 127.0.0.1',
      hosts: '',
      'nsswitch.conf': '',
      ...files,
    })) {
      this.write(name, text);
    }
    this.upstream = new UpstreamDns({
      resolvConfPath: this.path('resolv.conf'),
      hostsPath: this.path('hosts'),
      nsswitchPath: this.path('nsswitch.conf'),
      port,
      timeoutMs: 5000,
      onChange: () => this.changes++,
      nowMs: () => this.nowMs,
      ...rest,
    });
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** As editors and network managers do: another file takes the name. */
  write(name: string, text: string): void {
    writeFileSync(this.path('new'), text);
    renameSync(this.path('new'), this.path(name));
  }

  /** Past the time after which the files are looked at again. */
  later(): void {
    this.nowMs += 1000;
  }

  async ask(name: string, type: number = TYPE.A): Promise<string> {
    return showReply(await this.upstream.resolve(makeQuery(name, type)));
  }

  [Symbol.dispose](): void {
    this.upstream.close();
    rmSync(this.folder, { recursive: true });
  }
}

export const answerWith =
  (...records: string[]): Handler =>
  ({ bytes }) => [makeReply(bytes, records)];
export const failWith =
  (rcode: number): Handler =>
  ({ bytes }) => [makeReply(bytes, [], { rcode })];
export const silence: Handler = () => [];

/** Servers on one port of 127.0.0.1, 127.0.0.2, …; Linux has the whole of 127/8. */
export async function startServers(...handlers: Handler[]): Promise<NameServer[] & AsyncDisposable> {
  const servers: NameServer[] = [];
  for (const [i, handler] of handlers.entries()) {
    servers.push(await NameServer.start(handler, `127.0.0.${i + 1}`, servers[0]?.port));
  }
  const stop = async (): Promise<void> => {
    for (const server of servers) await server[Symbol.asyncDispose]();
  };
  return Object.assign(servers, { [Symbol.asyncDispose]: stop });
}

export const BOTH = 'nameserver 127.0.0.1\nnameserver 127.0.0.2';
