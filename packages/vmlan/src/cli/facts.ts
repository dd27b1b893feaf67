/**
 * What holds for every command and stands on the pages about them: output, exit codes, environment and files.
 *
 * Zone: control.  Texts mark what is written literally by backticks.
 */
export type Fact = readonly [term: string, meaning: string];

export const OUTPUT_FACTS: string =
  'Data goes to stdout, messages to stderr. `--output json` and `--output yaml` print the documents of the API and are ' +
  'stable; tables are for people and may change. `--quiet` prints identifiers alone, one a line.';

export const EXIT_CODES: readonly Fact[] = [
  ['0', 'done'],
  ['1', 'failure'],
  ['2', 'wrong usage or invalid value'],
  ['3', 'not found'],
  ['4', 'conflict'],
  ['5', 'not permitted'],
  ['6', 'the daemon cannot be reached'],
];

export const EXIT_CODE_OF_PROGRAMS: string =
  '`vmlan attach --exec` ends with the exit code of the program it ran, or 128 plus the number of the signal that ended it.';

export const ENVIRONMENT: readonly Fact[] = [
  ['VMLAN_HOST', 'the daemon: `unix:///path` or `http://127.0.0.1:port`'],
  ['VMLAN_TOKEN, VMLAN_TOKEN_FILE', 'the token for a daemon at `http://`, or the file that holds it'],
  ['VMLAN_LISTEN, VMLAN_SOCKET_GROUP', 'as --listen and --socket-group of `vmlan up`'],
  ['VMLAN_CONFIG', 'networks.yaml that `vmlan up` uses'],
  ['VMLAN_STATE_DIR, VMLAN_RUNTIME_DIR', 'where the daemon keeps its files'],
  ['VMLAN_LOG_LEVEL', 'what the daemon logs: `trace`, `debug`, `info`, `warn`, `error` or `fatal`'],
  ['VMLAN_QEMU', 'the QEMU that `vmlan run` starts'],
  ['NO_COLOR, CLICOLOR=0', 'no colours'],
  ['CLICOLOR_FORCE', 'colours in a pipe, too'],
];

export const FILES: readonly Fact[] = [
  ['~/.config/vmlan/networks.yaml', 'the networks; `/etc/vmlan/networks.yaml` for root'],
  ['~/.local/state/vmlan/', 'guests, forwards, records, leases and logs; `/var/lib/vmlan/` for root'],
  ['$XDG_RUNTIME_DIR/vmlan/', 'sockets; `/run/vmlan/` for root'],
];
