/**
 * Which methods a path has: for the answers to the others (RFC 9110 §9.3.7, §15.5.6).
 *
 * Zone: control.
 */
import { API_ROUTES } from '../model/api.ts';

/** What is served beside the table of routes. */
export const PLAIN_PATHS: readonly ['/metrics', '/openapi.json'] = ['/metrics', '/openapi.json'];
/** Streams have no HEAD: it would open one. */
const STREAM_PATHS: readonly string[] = [API_ROUTES.events.path, API_ROUTES.capture.path, API_ROUTES.logs.path];

interface Pattern {
  readonly path: RegExp;
  readonly methods: readonly string[];
}

const toPattern = (path: string): RegExp => new RegExp(`^${path.replaceAll(/:\w+/g, '[^/]+')}$`);

const PATTERNS: readonly Pattern[] = [
  ...Object.values(API_ROUTES).map(({ method, path }: { readonly method: string; readonly path: string }) => ({
    path: toPattern(path),
    methods: method === 'GET' && !STREAM_PATHS.includes(path) ? ['GET', 'HEAD'] : [method],
  })),
  ...PLAIN_PATHS.map((path) => ({ path: toPattern(path), methods: ['GET', 'HEAD'] })),
];

/** Empty: there is no such path. */
export function allowedMethods(path: string): readonly string[] {
  const methods = PATTERNS.flatMap((pattern) => (pattern.path.test(path) ? pattern.methods : []));
  return methods.length === 0 ? [] : [...new Set([...methods, 'OPTIONS'])].sort();
}
