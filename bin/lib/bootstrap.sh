# shellcheck shell=bash
# Brings a checkout up on a machine that has nothing but Node.js >= 20 and npm. Sourced by bin/vmlan, bin/test and
# bin/demo; safe to run twice, at the same time, from any folder, and on a read-only checkout that is already up.
#
#   bootstrap_node                      node_modules as package-lock.json says; its Node first in PATH
#   bootstrap_build                     the command line as JavaScript; its path in VMLAN_CLI
#   bootstrap_tools CMD:PACKAGE...      Debian packages for the commands that are missing
#   say / done_in / fail                progress on stderr
#
# Sets VMLAN_HOME, the root of the checkout. Written for bash 4. What runs at every start forks little: a program costs
# 2 to 3 ms, and the start of vmlan is waited for.

VMLAN_HOME=$(CDPATH='' cd -- "${BASH_SOURCE[0]%/*}/../.." && pwd -P) || exit 1
readonly MIN_NODE='22.18.0' # type stripping without a flag
readonly MIN_NPM_NODE=20    # what npm itself needs here
# ip, nft and dhclient live in sbin, which an ordinary user's PATH often lacks.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

say() { printf '%s\n' "$*" >&2; }

fail() {
  printf 'error: %s\n' "$1" >&2
  shift
  [ $# -eq 0 ] || printf '       %s\n' "$@" >&2
  exit 1
}

# run_quietly WHAT COMMAND...: one line before, its duration after, the command's own output only when it fails.
run_quietly() {
  local what=$1 log started=$SECONDS
  shift
  log=$(mktemp) || fail 'cannot create a temporary file'
  printf '%s ... ' "$what" >&2
  if "$@" >"$log" 2>&1 </dev/null; then
    printf 'done (%d s)\n' "$((SECONDS - started))" >&2
    rm -f -- "$log"
    return 0
  fi
  printf 'failed\n' >&2
  tail -n 40 -- "$log" >&2
  rm -f -- "$log"
  return 1
}

# What node_modules must match: the lock file, and the platform it was installed for.
install_fingerprint() {
  [ -r "$VMLAN_HOME/package-lock.json" ] && { uname -sm; cat -- "$VMLAN_HOME/package-lock.json"; } | sha256
}

# sha256 as sha256sum prints it: the sum, and the name of standard input behind it.
sha256() { if command -v sha256sum >/dev/null; then exec sha256sum; else exec shasum -a 256; fi; }

# is_installed FINGERPRINT: whether that is what node_modules has.
is_installed() {
  local found=''
  { read -r found <"$VMLAN_HOME/node_modules/.installed"; } 2>/dev/null || return 1
  [ "$found" = "$1" ]
}

# The lock file has the hash of every package: what the cache holds need not be asked for again.
npm_ci() { (cd -- "$VMLAN_HOME" && npm ci --prefer-offline --ignore-scripts --no-audit --no-fund --loglevel=error); }

install_node_modules() {
  command -v npm >/dev/null || fail 'npm is not installed' "Node.js >= $MIN_NPM_NODE with npm is the one thing needed beforehand:" \
    'apt-get install nodejs npm'
  local major
  major=$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null) || fail 'node does not run' 'apt-get install nodejs npm'
  [ "$major" -ge "$MIN_NPM_NODE" ] || fail "node is version $major; npm needs Node.js >= $MIN_NPM_NODE here"
  if ! mkdir -p -- "$VMLAN_HOME/.cache" 2>/dev/null || ! [ -w "$VMLAN_HOME" ]; then
    fail "node_modules is missing or out of date, and $VMLAN_HOME is not writable" \
      'run ./bin/vmlan --version once as the owner of the checkout'
  fi
  (
    # Two first runs at once: the second waits, then finds the work done.
    ! command -v flock >/dev/null || flock 9
    ! is_installed "$1" || exit 0
    run_quietly 'installing Node.js packages (npm ci)' npm_ci || fail 'npm ci failed; its output is above'
    printf '%s\n' "$1" >"$VMLAN_HOME/node_modules/.installed"
  ) 9>"$VMLAN_HOME/.cache/bootstrap.lock"
}

# is_at_least WANTED VERSION: both MAJOR.MINOR.PATCH; what is behind a PATCH that is no number is not looked at.
is_at_least() {
  local -a wanted version
  local i
  IFS=. read -r -a wanted <<<"$1"
  IFS=. read -r -a version <<<"${2%%[!0-9.]*}"
  for i in 0 1 2; do
    [ "${version[i]:-0}" -eq "${wanted[i]}" ] || break
  done
  [ "${version[i]:-0}" -ge "${wanted[i]}" ]
}

bootstrap_node() {
  local wanted
  wanted=$(install_fingerprint) || fail "cannot read package-lock.json in $VMLAN_HOME"
  wanted=${wanted%% *}
  is_installed "$wanted" || install_node_modules "$wanted" || exit 1
  # npm must not run on the Node it is about to delete: this comes after npm ci.
  PATH=$VMLAN_HOME/node_modules/.bin:$PATH
  export PATH
  # To ask takes 30 ms; the pinned one is the same until the next npm ci.
  local runs=$VMLAN_HOME/node_modules/.node-runs
  ! [ -e "$runs" ] || return 0
  local version
  version=$(node -v) || fail "node does not run on this platform; install Node.js >= $MIN_NODE"
  is_at_least "$MIN_NODE" "${version#v}" ||
    fail "Node.js >= $MIN_NODE is needed, this is $version" 'no prebuilt Node.js is pinned for this platform; install one'
  ! [ -x "$VMLAN_HOME/node_modules/.bin/node" ] || { : >"$runs"; } 2>/dev/null || :
}

# What a build must match; the dependencies are in it. A file's time of change, unlike its date, is not in anybody's hands.
sources_fingerprint() {
  local print=(-printf '%p %s %C@\n')
  [[ $OSTYPE == linux* ]] || print=(-exec stat -f '%N %z %Fc' {} +)
  (
    cd -- "$VMLAN_HOME" || exit 1
    find package-lock.json packages/vmlan/package.json packages/vmlan/src bin/lib/build.ts \
      -type f ! -name '*.test.ts' ! -name '*.fixture.ts' "${print[@]}" | LC_ALL=C sort |
      sha256
  )
}

# Builds of other days that no process runs from.
remove_old_builds() {
  local old
  while read -r old; do
    grep -qsF -- "/${old##*/}/dist/" /proc/[0-9]*/cmdline || rm -rf -- "$old"
  done < <(find "$1" -mindepth 1 -maxdepth 1 -type d -mtime +0 ! -name "$2")
}

# Each state of the sources has a folder of its own that never changes: what is stale cannot run, and two builds at once
# do no harm. Who may not write here runs the sources, which need no build but more memory and time.
bootstrap_build() {
  local builds=$VMLAN_HOME/packages/vmlan/.cache/built fingerprint wanted draft
  VMLAN_CLI=$VMLAN_HOME/packages/vmlan/src/cli/main.ts
  fingerprint=$(sources_fingerprint) || return 0
  wanted=${fingerprint:0:16}
  if ! [ -d "$builds/$wanted" ]; then
    { mkdir -p -- "$builds" && [ -w "$builds" ]; } 2>/dev/null || return 0
    draft=$builds/draft.$$
    if ! node --disable-warning=ExperimentalWarning "$VMLAN_HOME/bin/lib/build.ts" "$VMLAN_HOME/packages/vmlan" "$draft"; then
      say 'cannot build; running the sources'
      rm -rf -- "$draft"
      return 0
    fi
    # Edited meanwhile, or built by somebody else: this one is not needed.
    if [ "$(sources_fingerprint)" != "$fingerprint" ] || [ -d "$builds/$wanted" ]; then rm -rf -- "$draft"; fi
    [ ! -d "$draft" ] || mv -- "$draft" "$builds/$wanted"
    remove_old_builds "$builds" "$wanted"
  fi
  [ ! -r "$builds/$wanted/dist/cli/main.js" ] || VMLAN_CLI=$builds/$wanted/dist/cli/main.js
}

# A package may be listed under several commands; each is named once.
missing_packages() {
  local pair
  for pair in "$@"; do
    command -v "${pair%%:*}" >/dev/null || printf '%s\n' "${pair#*:}"
  done | sort -u
}

apt_install() {
  local apt=("$@") packages=()
  mapfile -t packages
  local install=(env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends)
  # Package lists on a fresh machine are absent or stale: one refresh, then once more.
  "${apt[@]}" "${install[@]}" "${packages[@]}" ||
    { "${apt[@]}" apt-get -o DPkg::Lock::Timeout=300 update && "${apt[@]}" "${install[@]}" "${packages[@]}"; }
}

bootstrap_tools() {
  local missing sudo=()
  mapfile -t missing < <(missing_packages "$@")
  [ "${#missing[@]}" -gt 0 ] || return 0
  local line="apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
  command -v apt-get >/dev/null || fail "these Debian packages, or your system's equivalents, are missing: ${missing[*]}"
  if [ "$(id -u)" -ne 0 ]; then
    sudo -n true 2>/dev/null || fail "Debian packages are missing: ${missing[*]}" 'run once as root:' "  $line"
    sudo=(sudo -n)
  fi
  install_packages() { printf '%s\n' "${missing[@]}" | apt_install "${sudo[@]}"; }
  run_quietly "installing Debian packages: ${missing[*]}" install_packages || fail 'apt-get failed; its output is above' "$line"
  mapfile -t missing < <(missing_packages "$@")
  [ "${#missing[@]}" -eq 0 ] || fail "still missing after apt-get: ${missing[*]}"
}
