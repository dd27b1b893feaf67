/**
 * Where the sockets and files of one network lie.
 *
 * Zone: control.  `runtime` and `state` are the directories of model/paths.ts.  Names were checked when they came in;
 * a dot never stands in a guest's name, so that `web.1.sock` is NIC 1 of guest web and nobody else.
 */
import { join } from 'node:path';
import { VmlanError } from '../core/errors.ts';
import { MAX_SOCKET_PATH_BYTES } from '../model/forward.ts';

export interface NetworkPaths {
  /** Sockets and the process file; gone when the network stops. */
  readonly directory: string;
  readonly guests: string;
  readonly control: string;
  readonly process: string;
  readonly qemu: string;
  readonly dgram: string;
  /** Leases and the log; these stay. */
  readonly state: string;
  readonly leases: string;
  readonly log: string;
}

export const networksDirectory = (runtime: string): string => join(runtime, 'networks');

export function networkPaths(runtime: string, state: string, network: string): NetworkPaths {
  const directory = join(networksDirectory(runtime), network);
  const kept = join(state, 'networks', network);
  return {
    directory,
    guests: join(directory, 'guests'),
    control: join(directory, 'control.sock'),
    process: join(directory, 'process.json'),
    qemu: join(directory, 'qemu.sock'),
    dgram: join(directory, 'dgram.sock'),
    state: kept,
    leases: join(kept, 'leases.json'),
    log: join(kept, 'network.log'),
  };
}

/** Sockets that VMMs bind. */
export const PEER_SUFFIX = '.peer';

export interface NicSockets {
  /** QEMU stream framing; we listen. */
  readonly stream: string;
  /** Datagrams; we are bound here. */
  readonly dgram: string;
  /** Datagrams; the VMM binds here. */
  readonly peer: string;
}

export function nicSockets(guests: string, guest: string, index: number): NicSockets {
  const stem = join(guests, index === 0 ? guest : `${guest}.${index}`);
  return { stream: `${stem}.sock`, dgram: `${stem}.dgram`, peer: `${stem}${PEER_SUFFIX}` };
}

/** Throws when a path is longer than a unix socket's address may be (man 7 unix). */
export function checkSocketPath(path: string, owner: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes <= MAX_SOCKET_PATH_BYTES) return;
  throw new VmlanError(
    'invalid',
    `${owner}: its socket path has ${bytes} bytes, and the system allows ${MAX_SOCKET_PATH_BYTES}: ${path}`,
    { hint: 'use a shorter name, or a shorter directory in VMLAN_RUNTIME_DIR' },
  );
}
