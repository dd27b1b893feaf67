/**
 * Where the API listens over TCP: an address of the loopback interface and a port, and nothing else.
 *
 * Zone: control.  Pure.
 */
import { parseIpv4 } from '../wire/address.ts';

export interface ListenAddress {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
}

const LOOPBACK_NET = 127;

/** `7117`, `127.0.0.1:7117`, `localhost:7117`, `[::1]:7117`; null: none of these. */
export function parseListenAddress(text: string): ListenAddress | null {
  const match = /^(?:(\[[\da-f:]+\]|[\w.]+):)?(\d{1,5})$/i.exec(text);
  if (match === null || Number(match[2]) > 0xffff) return null;
  const host = (match[1] ?? '127.0.0.1').replace(/^\[|\]$/g, '').toLowerCase();
  if (host === 'localhost') return { host: '127.0.0.1', port: Number(match[2]) };
  return isLoopback(host) ? { host, port: Number(match[2]) } : null;
}

export function isLoopback(host: string): boolean {
  const address = parseIpv4(host);
  return host === '::1' || host === 'localhost' || (address !== null && address >>> 24 === LOOPBACK_NET);
}

export const listenUrl = ({ host, port }: ListenAddress): string =>
  `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
