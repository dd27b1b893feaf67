/**
 * Where the daemon listens: `--host` or VMLAN_HOST, else this user's socket, else the system's.
 *
 * Zone: control.  `unix:///path` or `http://127.0.0.1:port`.  The default follows the XDG base directory
 * specification: $XDG_RUNTIME_DIR/vmlan/vmlan.sock, or /run/vmlan/vmlan.sock for root.
 */
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VmlanError } from './errors.ts';

export type Endpoint =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'http'; readonly hostname: string; readonly port: number };

const SYSTEM_SOCKET = '/run/vmlan/vmlan.sock';

/** The socket that a daemon of this user listens at. */
export function ownSocketPath(env: NodeJS.ProcessEnv, uid: number): string {
  if (uid === 0) return SYSTEM_SOCKET;
  const runtime = env['XDG_RUNTIME_DIR'];
  return runtime ? join(runtime, 'vmlan', 'vmlan.sock') : join(tmpdir(), `vmlan-${uid}`, 'vmlan.sock');
}

/** A user without a daemon of their own uses the system's, when there is one. */
function defaultSocketPath(env: NodeJS.ProcessEnv, uid: number, exists: (path: string) => boolean): string {
  const own = ownSocketPath(env, uid);
  return !exists(own) && exists(SYSTEM_SOCKET) ? SYSTEM_SOCKET : own;
}

export function resolveEndpoint(
  host: string | undefined,
  env: NodeJS.ProcessEnv,
  uid: number,
  exists: (path: string) => boolean = existsSync,
): Endpoint {
  const wanted = host ?? env['VMLAN_HOST'];
  return wanted ? parseEndpoint(wanted) : { kind: 'unix', path: defaultSocketPath(env, uid, exists) };
}

export function parseEndpoint(text: string): Endpoint {
  if (text.startsWith('unix://')) {
    const path = decodeURI(text.slice('unix://'.length));
    if (path.startsWith('/')) return { kind: 'unix', path };
  } else if (text.startsWith('http://') && URL.canParse(text)) {
    const { hostname, port } = new URL(text);
    return { kind: 'http', hostname: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? 80 : Number(port) };
  }
  throw new VmlanError('usage', `"${text}" is not an address of a daemon`, {
    hint: 'write unix:///run/vmlan/vmlan.sock or http://127.0.0.1:PORT',
  });
}

export function describeEndpoint(endpoint: Endpoint): string {
  return endpoint.kind === 'unix' ? endpoint.path : `http://${endpoint.hostname}:${endpoint.port}`;
}
