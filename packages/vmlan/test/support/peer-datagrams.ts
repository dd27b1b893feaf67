/**
 * Datagrams in runs, as programs send and receive them that know UDP_SEGMENT and UDP_GRO (man 7 udp): a server that sends
 * back what came as it came, and a client that compares.
 *
 * Zone: control.
 */
import { setTimeout as delay } from 'node:timers/promises';
import * as C from '../../src/sys/constants.ts';
import { DatagramReader, MESSAGES_MAX, RunWriter } from '../../src/sys/datagram-io.ts';
import { openLibc } from '../../src/sys/libc.ts';
import { SockAddr } from '../../src/sys/sockaddr.ts';
import type { Sys } from '../../src/sys/sys.ts';
import { parseIpv4, parseIpv6 } from '../../src/wire/address.ts';

const ARENA_BYTES = 16 << 20;
const ROOM = 65_536;
const BUFFER_BYTES = 4 << 20;
const PATIENCE_MS = 3000;

export interface DatagramRun {
  /** Bytes of each datagram but the last. */
  readonly size: number;
  readonly bytes: number;
  /** One call for each datagram instead of one for all. */
  readonly apart?: boolean;
}

interface Opened {
  readonly sys: Sys;
  readonly fd: number;
  readonly address: SockAddr;
}

function open(host: string, port: number, call: 'bind' | 'connect'): Opened {
  const sys = openLibc({ arenaBytes: ARENA_BYTES });
  const v4 = parseIpv4(host);
  const [w0 = 0, w1 = 0, w2 = 0, w3 = 0] = v4 === null ? parseIpv6(host)! : [];
  const address = new SockAddr(sys.arena);
  if (v4 === null) address.setIpv6(w0, w1, w2, w3, port);
  else address.setIpv4(v4, port);
  const fd = sys.socket(v4 === null ? C.AF_INET6 : C.AF_INET, C.SOCK_DGRAM | C.SOCK_CLOEXEC, 0);
  sys.setsockopt(fd, C.SOL_SOCKET, C.SO_RCVBUF, BUFFER_BYTES);
  sys.setsockopt(fd, C.SOL_SOCKET, C.SO_SNDBUF, BUFFER_BYTES);
  sys.setsockopt(fd, C.SOL_UDP, C.UDP_GRO, 1);
  const result = sys[call](fd, address.off, address.len);
  if (result < 0) throw new Error(`${call} ${host}: errno ${-result}`);
  return { sys, fd, address };
}

/** Sends back what comes, runs as runs; never ends. */
export function echoRuns(host: string, port: number): void {
  const { sys, fd, address } = open(host, port, 'bind');
  const reader = new DatagramReader(sys, true);
  const writer = new RunWriter(sys);
  const first = sys.arena.alloc(ROOM);
  const { len: nameLen } = address;
  setInterval(() => {
    const n = reader.receive(fd, first, ROOM, MESSAGES_MAX);
    for (let i = 0; i < n; i++) {
      const [off = 0, len = 0, segment = 0] = [reader.off[i], reader.len[i], reader.segment[i]];
      if (segment > 0) writer.send(fd, off, len, segment, reader.name(i), nameLen);
      else sys.sendto(fd, off, len, C.MSG_DONTWAIT, reader.name(i), nameLen);
    }
  }, 1);
}

/** Byte `at` of run `number`: no two datagrams are equal. */
const byteOf = (number: number, at: number): number => (number * 41 + at * 7 + (at >> 8)) & 0xff;

/** Sends each run, and names the first whose datagrams do not come back one by one as they were; null: all did. */
export async function compareRuns(host: string, port: number, runs: readonly DatagramRun[]): Promise<string | null> {
  const { sys, fd } = open(host, port, 'connect');
  const reader = new DatagramReader(sys, false);
  const writer = new RunWriter(sys);
  const out = sys.arena.alloc(ROOM);
  const first = sys.arena.alloc(ROOM);
  for (const [number, { size, bytes, apart = false }] of runs.entries()) {
    for (let at = 0; at < bytes; at++) sys.arena.u8[out + at] = byteOf(number, at);
    if (apart) {
      for (let at = 0; at < bytes; at += size) sys.send(fd, out + at, Math.min(size, bytes - at), 0);
    } else {
      const sent = writer.send(fd, out, bytes, size, 0, 0);
      if (sent !== bytes) return `run ${number}: sending answered ${sent}`;
    }
    const lengths: number[] = [];
    const end = performance.now() + PATIENCE_MS;
    for (let at = 0; at < bytes && performance.now() < end;) {
      const n = reader.receive(fd, first, ROOM, MESSAGES_MAX);
      if (n < 0) await delay(1);
      for (let i = 0; i < n; i++) {
        const [off = 0, len = 0, segment = 0] = [reader.off[i], reader.len[i], reader.segment[i]];
        for (let j = 0; j < len; j++, at++) {
          if (sys.arena.u8[off + j] !== byteOf(number, at)) return `run ${number}: byte ${at} differs`;
        }
        for (let j = 0; j < len; j += segment || len) lengths.push(Math.min(segment || len, len - j));
      }
    }
    const wanted = Array.from({ length: Math.ceil(bytes / size) }, (_, i) => Math.min(size, bytes - i * size));
    if (lengths.join() !== wanted.join()) return `run ${number}: ${wanted.join()} came back as ${lengths.join()}`;
  }
  sys.close(fd);
  return null;
}
