/**
 * Bulk TCP over a stream socket by `FrameTcp`, for a time, in one direction.
 *
 * Zone: control. Blocks until it is over.
 */
import { parseMac } from '../../packages/vmlan/src/wire/address.ts';
import type { Sys } from '../../packages/vmlan/src/sys/sys.ts';
import { FrameTcp } from './frame-tcp.ts';
import { SINK_PORT, SOURCE_PORT } from './ports.ts';
import { ipv4Of } from './sockets.ts';

export interface FrameBulkLoad {
  readonly socket: string;
  readonly mac: string;
  readonly own: string;
  readonly gateway: string;
  readonly server: string;
  readonly mtuBytes: number;
  readonly seconds: number;
  /** From the server to us. */
  readonly reverse: boolean;
}

export interface FrameBulkRate {
  readonly gbitPerSecond: number;
  /** With the warm-up: what CPU time is set against. */
  readonly gbit: number;
  /** Of what was sent, how much was sent more than once. */
  readonly resentShare: number;
}

const WARM_UP = 0.25; // of the time, before anything counts
const FIRST_PORT = 20_000;
let connections = 0;

export function frameBulk(sys: Sys, load: FrameBulkLoad): FrameBulkRate {
  const mac = parseMac(load.mac);
  if (mac === null) throw new Error(`not a MAC address: ${load.mac}`);
  const addresses = { own: ipv4Of(load.own), gateway: ipv4Of(load.gateway), server: ipv4Of(load.server) };
  const ports = { own: FIRST_PORT + (connections++ % 40_000), server: load.reverse ? SOURCE_PORT : SINK_PORT };
  const connection = new FrameTcp(sys, load.socket, { ...addresses, mac, mtuBytes: load.mtuBytes }, ports);
  try {
    connection.connect();
    const step = load.reverse ? () => connection.pullData() : () => connection.pushData();
    const counted = (): number => (load.reverse ? connection.receivedBytes : connection.sentBytes);
    const begin = performance.now() + load.seconds * 1000 * WARM_UP;
    while (performance.now() < begin) step();
    const [before, started] = [counted(), performance.now()];
    const end = started + load.seconds * 1000;
    while (performance.now() < end) step();
    const seconds = (performance.now() - started) / 1000;
    const resentShare = connection.resentBytes / Math.max(1, connection.sentBytes + connection.resentBytes);
    return { gbitPerSecond: ((counted() - before) * 8) / seconds / 1e9, gbit: (counted() * 8) / 1e9, resentShare };
  } finally {
    connection.close();
  }
}
