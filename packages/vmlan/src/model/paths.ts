/**
 * Where vmlan keeps its files: per user by the XDG base directories, for root in /etc, /var/lib and /run.
 *
 * Zone: control.  Pure: the caller passes its environment.  `VMLAN_CONFIG` (a file), `VMLAN_STATE_DIR`,
 * `VMLAN_RUNTIME_DIR` and `VMLAN_HOST` (unix:///PATH) override.
 */
export interface Paths {
  /** networks.yaml; it need not exist unless `configRequired`. */
  readonly config: string;
  /** The file was named by the user, so that its absence is an error. */
  readonly configRequired: boolean;
  readonly state: string;
  readonly runtime: string;
  /** The daemon's API. */
  readonly socket: string;
}

export type Environment = Readonly<Record<string, string | undefined>>;

const UNIX_SCHEME = 'unix://';

export function resolvePaths(environment: Environment, user: { readonly uid: number; readonly home: string }): Paths {
  const set = (name: string): string | undefined => environment[name] || undefined;
  // XDG Base Directory Specification: relative paths in these are to be ignored.
  const setXdg = (name: string): string | undefined => (set(name)?.startsWith('/') === true ? set(name) : undefined);
  const isRoot = user.uid === 0;
  const config = isRoot ? '/etc' : (setXdg('XDG_CONFIG_HOME') ?? `${user.home}/.config`);
  const stateHome = isRoot ? '/var/lib' : (setXdg('XDG_STATE_HOME') ?? `${user.home}/.local/state`);
  const state = set('VMLAN_STATE_DIR') ?? `${stateHome}/vmlan`;
  const runtimeHome = isRoot ? '/run' : setXdg('XDG_RUNTIME_DIR');
  // A session without a runtime directory; the daemon makes this one 0700 and refuses it when it is another's.
  const temporary = `${set('TMPDIR') ?? '/tmp'}/vmlan-${user.uid}`;
  const runtime = set('VMLAN_RUNTIME_DIR') ?? (runtimeHome === undefined ? temporary : `${runtimeHome}/vmlan`);
  const host = set('VMLAN_HOST');
  return {
    config: set('VMLAN_CONFIG') ?? `${config}/vmlan/networks.yaml`,
    configRequired: set('VMLAN_CONFIG') !== undefined,
    state,
    runtime,
    socket: host?.startsWith(UNIX_SCHEME) === true ? host.slice(UNIX_SCHEME.length) : `${runtime}/vmlan.sock`,
  };
}
