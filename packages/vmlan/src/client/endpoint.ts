/**
 * Where the daemon listens: `--host` or VMLAN_HOST, else this user's socket, else the system's.
 *
 * Zone: control.  `unix:///path` or `http://127.0.0.1:port`.  The default is the one of model/paths.ts.
 */
import { existsSync } from 'node:fs';
import { resolvePaths } from '../model/paths.ts';
import type { Environment } from '../model/paths.ts';
import { VmlanError } from './errors.ts';

export type Endpoint =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'http'; readonly hostname: string; readonly port: number };

const ROOT = { uid: 0, home: '/root' };

export function resolveEndpoint(
  host: string | undefined,
  env: Environment,
  uid: number,
  exists: (path: string) => boolean = existsSync,
): Endpoint {
  const wanted = host ?? env['VMLAN_HOST'];
  return wanted ? parseEndpoint(wanted) : { kind: 'unix', path: defaultSocketPath(env, uid, exists) };
}

/** A user without a daemon of their own uses the system's, when there is one. */
function defaultSocketPath(env: Environment, uid: number, exists: (path: string) => boolean): string {
  const own = resolvePaths(env, { uid, home: env['HOME'] ?? '/' }).socket;
  const system = resolvePaths({}, ROOT).socket;
  return !env['VMLAN_RUNTIME_DIR'] && !exists(own) && exists(system) ? system : own;
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
