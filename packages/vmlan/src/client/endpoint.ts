/**
 * Where the daemon listens: `--host` or VMLAN_HOST, else this user's socket, else the system's.
 *
 * Zone: control.  `unix:///path` or `http://127.0.0.1:port`.  The default is the one of model/paths.ts.  Over TCP the token
 * is VMLAN_TOKEN, else what VMLAN_TOKEN_FILE names, else, for a daemon of this host, the file of this user's own one.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isLoopback } from '../model/listen-address.ts';
import { resolvePaths } from '../model/paths.ts';
import type { Environment } from '../model/paths.ts';
import { VmlanError } from './errors.ts';

export type Endpoint =
  | { readonly kind: 'unix'; readonly path: string }
  | {
      readonly kind: 'http';
      readonly hostname: string;
      readonly port: number;
      readonly token?: string | undefined;
    };

const ROOT = { uid: 0, home: '/root' };

export function resolveEndpoint(
  host: string | undefined,
  env: Environment,
  uid: number,
  exists: (path: string) => boolean = existsSync,
): Endpoint {
  const wanted = host ?? env['VMLAN_HOST'];
  if (!wanted) return { kind: 'unix', path: defaultSocketPath(env, uid, exists) };
  const endpoint = parseEndpoint(wanted);
  return endpoint.kind === 'unix' ? endpoint : { ...endpoint, token: tokenFor(endpoint.hostname, env, uid) };
}

function tokenFor(hostname: string, env: Environment, uid: number): string | undefined {
  if (env['VMLAN_TOKEN']) return env['VMLAN_TOKEN'].trim();
  const named = env['VMLAN_TOKEN_FILE'];
  if (!named && !isLoopback(hostname)) return undefined;
  const file = named || join(resolvePaths(env, { uid, home: env['HOME'] ?? '/' }).state, 'token');
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (cause) {
    if (!named) return undefined; // the daemon says what is missing
    throw new VmlanError('usage', `the token in ${file} cannot be read: ${(cause as Error).message}`, {
      hint: 'VMLAN_TOKEN_FILE names it; `vmlan token` prints it',
      cause,
    });
  }
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
