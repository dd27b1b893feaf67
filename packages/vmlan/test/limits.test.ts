/**
 * docs/limits.md says what the source says: each row is held to the constants that decide it.
 *
 * Zone: control.  A number counts as told when the row has it in any unit: 4 194 304 as 4 MiB, 60 000 as 60 s or 1 min.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Counters } from '../src/core/counters.ts';
import '../src/engine/network-engine.ts'; // with it come all counters of the datapath
import { CHECKOUT } from './support/source-files.ts';

const LIMITS = readFileSync(join(CHECKOUT, 'docs/limits.md'), 'utf8');

/** By the row's first column: `FILE NAME…`. Rows of one name in two tables are one here. */
const DECIDED_BY: Readonly<Record<string, readonly string[]>> = {
  // links and switch
  'ports of a network': ['engine/guests MAX_PORTS'],
  frame: ['links/link MAX_FRAME_LEN'],
  'read at once for a guest in bulk': ['stack/tcp/limits MAX_RUN MAX_RUN_SEGMENTS'],
  'transmit queue of a stream or datagram link': ['links/stream-framing QUEUE_LEN'],
  'half-received frames': ['links/stream-framing MAX_PARTIALS'],
  'read per wake-up': [
    'links/stream READ_BUDGET FRAME_BUDGET',
    'links/stream-framing READ_LEN',
    'links/tap FRAMES_AT_ONCE',
    'links/link BUDGET',
  ],
  'awake before sleeping': ['engine/waiting AWAKE_US SHORT_US'],
  'floods of one port': ['switching/flood-share BYTES_PER_MS FLOOD_BURST_BYTES MAX_REST_MS'],
  'unix socket’s buffer towards a guest': ['engine/attachments STREAM_BUFFER'],
  'segments joined into one frame': ['links/joiner MAX_IP_LEN MIN_JOINED'],
  'stations behind one port': ['switching/mac-table PORT_LIMIT'],
  'segments cut from one frame': ['links/tcp-cut MAX_SEGMENTS'],
  'nested priority tags': ['switching/guard MAX_PRIORITY_TAGS'],
  'ageing of a station': ['switching/mac-table AGEING_MS'],
  'claimed addresses behind one port': ['switching/address-table PORT_LIMIT'],
  'claim of an unleased address': ['switching/address-table CLAIM_MS'],
  'new addresses of a guest': ['engine/nic MAX_ADDRESSES ADDRESSES_PER_SECOND'],
  'datagrams of the host that may be answered': ['switching/host-gate ANSWER_MS'],
  'peer of a datagram link': ['engine/network-engine ROUTE_CHECK_MS'],
  'wait for a datagram socket that is full': ['links/datagram RETRY_MS RETRY_MAX_MS'],
  'reconnect of a connecting link': ['links/connector RETRY_MS'],
  'shaped frames that wait': ['links/shape-queue CELL_BYTES'],
  'queue before a shaped rate': ['links/line-shape MIN_LIMIT_BYTES', 'model/shape MAX_LIMIT_BYTES'],
  'shaped delay, jitter, rate': ['model/shape MAX_DELAY_MS MIN_RATE_BPS'],
  // IP
  'IPv6 extension headers': ['wire/ipv6 MAX_EXTENSION_HEADERS MAX_EXTENSION_BYTES'],
  'datagrams in reassembly': ['stack/reassembly MAX_CONTEXTS MAX_PER_PORT'],
  'reassembly time': ['stack/reassembly TIMEOUT_MS'],
  'neighbours of a segment': ['stack/neighbor MAX_ENTRIES'],
  'neighbour resolutions': ['stack/neighbor MAX_WAITING MAX_WAITERS'],
  'neighbour tries': ['stack/neighbor TRIES TRY_MS'],
  'ICMP errors': ['stack/icmp ERRORS_PER_SECOND ERROR_BURST'],
  // TCP
  'conversations of a network': ['stack/tcp/limits MAX_FLOWS'],
  'conversations of a guest': ['stack/tcp/limits MAX_FLOWS_PER_PORT MAX_HALF_OPEN_PER_PORT'],
  'in flight towards a guest': ['stack/tcp/limits IN_FLIGHT_CAP IN_FLIGHT_FAR'],
  'window offered to a guest': ['stack/tcp/limits WINDOW_NEAR WINDOW_FAR_MS', 'stack/tcp/receive-queue QUEUE_LEN'],
  'acknowledgement of less than two segments': ['stack/tcp/limits ACK_DELAY'],
  'receive queues': ['stack/tcp/receive-queue MAX_QUEUES QUEUE_LEN'],
  'out-of-order ranges': ['stack/tcp/scoreboard MAX_RANGES'],
  'ranges a guest has acknowledged selectively': ['stack/tcp/scoreboard MAX_RANGES'],
  retransmissions: ['stack/tcp/limits MAX_RETRIES MAX_SYN_RETRIES'],
  'retransmission time-out': ['stack/tcp/limits RTO_INITIAL RTO_MIN RTO_MAX'],
  'probe for the end of what is under way': ['stack/tcp/limits PROBE_MIN'],
  'wait for room on a guest’s link': ['stack/tcp/limits STARVED_MAX'],
  'zero-window probes': ['stack/tcp/limits PROBE_MAX'],
  'keep-alive': ['stack/tcp/limits KEEP_ALIVE_IDLE KEEP_ALIVE_INTERVAL KEEP_ALIVE_TRIES'],
  TIME_WAIT: ['stack/tcp/limits TIME_WAIT_MS MAX_TIME_WAIT'],
  'resets and challenges': ['stack/tcp/limits RESPONSES_PER_SECOND RESPONSE_BURST'],
  'after a guest’s link went': ['engine/guests GRACE_MS'],
  'a guest that came back on another link': ['stack/tcp/limits RETURN_PROBE KEEP_ALIVE_TRIES'],
  // UDP, ping, forwards
  'UDP flows': ['nat/udp-nat MAX_UDP_FLOWS MAX_UDP_FLOWS_PER_PORT'],
  'UDP flow’s silence': ['nat/udp-nat QUERY_MS UNREPLIED_MS ASSURED_MS'],
  'datagrams sent in one call': ['nat/datagrams MAX_RUN MAX_PAYLOAD'],
  'flows joined in a wake-up': ['nat/outgoing-runs RUNS'],
  'datagrams of a frame': ['links/udp-cut MAX_DATAGRAMS', 'stack/gateway MAX_RUN'],
  'datagrams taken from a socket in a wake-up': ['nat/udp-nat RECV_BUDGET RECV_BULK BULK_BYTES'],
  'ping flows': ['nat/echo-nat MAX_ECHO_FLOWS MAX_ECHO_FLOWS_PER_PORT LIFE_MS'],
  'forwards of a network': ['nat/forwards MAX_FORWARDS'],
  'clients of a UDP forward': ['nat/forwards MAX_CLIENTS_PER_UDP_FORWARD'],
  'listen backlog': ['engine/host-forwards BACKLOG', 'engine/attachments BACKLOG'],
  // DHCP and router advertisements
  'DHCP message': ['wire/dhcpv4 MAX_MESSAGE_BYTES', 'wire/dhcpv6 MAX_MESSAGE_BYTES'],
  'DHCPv6 options, associations': ['wire/dhcpv6 MAX_OPTIONS', 'services/dhcpv6-ia MAX_ASSOCIATIONS'],
  'client identifier, DUID': ['services/dhcp MAX_CLIENT_ID_BYTES', 'wire/dhcpv6 MAX_DUID_BYTES'],
  bindings: ['services/lease-pool MAX_BINDINGS'],
  'declined addresses': ['services/lease-pool QUARANTINE_MS'],
  offer: ['services/lease-pool HOLD_MS'],
  'grace after a restart': ['services/lease-pool RECONNECT_MS'],
  'replies waiting for the disk': ['engine/lease-journal MAX_HELD'],
  'mode `user` leases': ['services/dhcp MAX_FIXED_LEASES', 'services/dhcpv6 MAX_FIXED_LEASES'],
  'attached NICs with leases': ['services/lease-store MAX_NICS'],
  'router adverts remembered': ['services/router-advert MAX_PORTS'],
  'router advertisements': ['services/router-advert MIN_INTERVAL_MS'],
  // DNS
  'UDP reply': ['services/dns MAX_UDP_OCTETS'],
  'guests, addresses of one': ['services/zone MAX_GUESTS MAX_GUEST_ADDRESSES'],
  'user records': ['services/zone MAX_USER_RECORDS', 'services/dns-nodes MAX_ENTRIES_PER_NAME'],
  'CNAME chain': ['services/zone MAX_CHAIN'],
  'questions waiting': [
    'services/dns DEFAULT_MAX_PENDING DEFAULT_MAX_PENDING_PER_CLIENT',
    'engine/upstream-questions MAX_QUESTIONS',
  ],
  'patience with upstream': ['drivers/userspace/upstream-dns DEFAULT_DEADLINE_MS', 'services/dns DEFAULT_TIMEOUT_MS'],
  cache: [
    'services/dns DEFAULT_CACHE_ENTRIES',
    'services/dns-cache MAX_CACHE_OCTETS MAX_KEEP_POSITIVE_S MAX_KEEP_NEGATIVE_S',
  ],
  'TCP connections': ['engine/dns-stream MAX_DNS_STREAMS MAX_PENDING MAX_UNSENT IDLE_MS'],
  upstream: [
    'drivers/userspace/upstream-dns DEFAULT_MAX_IN_FLIGHT MAX_TCP',
    'drivers/userspace/upstream-dns-system MAX_LOOKUPS',
    'drivers/userspace/resolv-conf MAX_SERVERS',
  ],
  'host’s resolver files': ['drivers/userspace/upstream-dns-file CHECK_INTERVAL_MS MAX_FILE_BYTES'],
  // control
  'address space of an engine': ['engine/arena-bytes ARENA_BYTES'],
  'steps of a change carried out together': ['drivers/apply MAX_TOGETHER'],
  'unix socket path': ['sys/sockaddr UNIX_PATH_MAX', 'model/forward MAX_SOCKET_PATH_BYTES'],
  'interface name': ['model/names MAX_INTERFACE_CHARS'],
  'request of the CLI': ['client/client DEFAULT_TIMEOUT_MS'],
  '`vmlan up`, `vmlan down`': ['cli/start-daemon START_TIMEOUT_MS STOP_TIMEOUT_MS'],
  'descriptor hand-over, TAP helper': [
    'sys/fdpass DEFAULT_TIMEOUT_MS',
    'drivers/userspace/netns-attach HELPER_TIMEOUT_MS',
  ],
  'one event, one line of a stream of lines': [
    'client/event-stream MAX_EVENT_CHARS',
    'client/json-lines MAX_LINE_CHARS',
  ],
  '`networks.yaml`': [
    'daemon/config MAX_FILE_BYTES',
    'daemon/config-document MAX_ALIASES',
    'model/schema MAX_NETWORKS',
  ],
  'mistakes of `networks.yaml` told at once': ['daemon/config-error MAX_SHOWN'],
  'changes of `networks.yaml` at a time': ['daemon/config-edit MAX_EDITS'],
  'difference that `--dry-run` shows': ['daemon/text-diff MAX_CELLS'],
  'document of a network, its YAML, a patch': ['api/server MAX_BODY_BYTES'],
  'entries of a list of a network': ['model/schema MAX_ENTRIES'],
  '`vmlan config check`': ['cli/judge-config CHECK_TIMEOUT_MS MAX_ANSWER_BYTES'],
  'subnet, pool': ['model/resolve-ipv4 MAX_POOL_ADDRESSES SHORTEST_PREFIX LONGEST_PREFIX'],
  'lease time, MTU': ['model/schema MIN_LEASE_SECONDS MIN_MTU MAX_MTU'],
  'guests, NICs of one': ['daemon/store MAX_GUESTS', 'model/guest MAX_NICS_PER_GUEST'],
  shapes: ['daemon/store MAX_SHAPES'],
  'live forwards, records, ports of a forward': [
    'daemon/store MAX_LIVE_FORWARDS MAX_LIVE_RECORDS',
    'model/forward MAX_FORWARD_PORTS',
  ],
  'event readers, replay, unread': [
    'daemon/events MAX_EVENT_READERS MAX_REMEMBERED_EVENTS',
    'api/event-stream MAX_WAITING_BYTES',
  ],
  'RPC line, unsent, open requests, time-out': [
    'drivers/userspace/rpc MAX_LINE_BYTES MAX_UNSENT_BYTES MAX_OPEN_REQUESTS DEFAULT_TIMEOUT_MS',
  ],
  'start, stop of a network': ['drivers/userspace/network-client START_TIMEOUT_MS STOP_TIMEOUT_MS'],
  'restarts of a network process': ['daemon/supervise STABLE_AFTER_MS'],
  'retry of a lost part, of a full disk': [
    'daemon/supervise RETRY_DELAY_MS',
    'drivers/userspace/lease-file DISK_RETRY_MS',
  ],
  'state file': ['sys/durable-file MAX_FILE_BYTES'],
  'captures of a network, of the daemon': ['engine/captures MAX_CAPTURES', 'daemon/captures MAX_CAPTURES'],
  'frames that wait for a capture’s reader': ['drivers/userspace/capture-session RING_BYTES'],
  'capture’s filter, cards, names': [
    'wire/frame-filter MAX_FILTER_CHARS MAX_TERMS MAX_DEPTH',
    'engine/captures MAX_CARDS',
    'drivers/userspace/capture-session MAX_NAMES',
  ],
  'ports of guests tried at one time': ['nat/probes MAX_PROBES TCP_PATIENCE_MS UDP_PATIENCE_MS'],
  'flows told at once, looked at in a turn': ['model/flow-words DEFAULT_FLOW_LIMIT MAX_FLOW_LIMIT'],
  // life of the processes
  'answer of a network process': [
    'drivers/userspace/network-client ANSWER_TIMEOUT_MS',
    'drivers/userspace/rpc DEFAULT_TIMEOUT_MS',
  ],
  '`process.json` of a network': ['sys/process-identity MAX_RECORD_BYTES'],
  'control socket of a starting network process': ['drivers/userspace/network-client APPEAR_TIMEOUT_MS'],
  'log of the daemon, of a network': ['sys/bounded-log MAX_LOG_BYTES', 'daemon/log-bounds INTERVAL_MS'],
  'readers of logs': ['daemon/logs MAX_LOG_READERS'],
  'lines of logs at once': [
    'model/log-words MAX_LOG_LINES',
    'daemon/log-reader MAX_ANSWER_CHARS',
    'model/log-lines MAX_MESSAGE_CHARS',
  ],
  'watchdog of a service manager': ['daemon/daemon ANSWER_TIMEOUT_MS'],
  'commands of systemctl': ['cli/systemd-manager TIMEOUT_MS'],
  // API
  request: ['api/server MAX_BODY_BYTES MAX_PARAM_CHARS', 'api/http-server MAX_HEADER_BYTES'],
  'time of a request': ['api/http-server HEADERS_TIMEOUT_MS REQUEST_TIMEOUT_MS KEEP_ALIVE_MS'],
  connections: ['api/connections MAX_CONNECTIONS'],
  'unanswered requests of a connection': ['api/connections MAX_UNANSWERED'],
  'connections that wait to be accepted': ['api/http-server BACKLOG'],
  'answers that nobody reads': ['api/connections STALLED_AFTER_MS MAX_UNREAD_BYTES'],
  'wrong tokens': ['api/access MAX_FAILURES'],
  // library
  'events, frames that a reader leaves unread': ['library/guest MAX_WAITING_FRAMES'],
  'frames that wait for the engine': ['library/frame-link MAX_WAITING_BYTES'],
  'TCP connections, unaccepted ones of a listener': ['guest/tcp/tcp MAX_CONNECTIONS BACKLOG'],
  'TCP send buffer, receive buffer': ['guest/tcp/limits SEND_BUFFER_BYTES RECEIVE_BUFFER_BYTES'],
  'TCP segments beyond a gap': ['guest/tcp/inbox MAX_PIECES'],
  'TCP retransmissions': ['guest/tcp/limits MAX_SYN_RETRIES MAX_RETRIES', 'guest/tcp/congestion MIN_RTO_MS MAX_RTO_MS'],
  'TCP TIME-WAIT, FIN-WAIT-2 of a closed end': ['guest/tcp/limits TIME_WAIT_MS FIN_WAIT_MS'],
  'UDP sockets, datagrams waiting in one': ['guest/udp MAX_SOCKETS MAX_WAITING'],
  'UDP payload': ['guest/udp MAX_PAYLOAD_BYTES'],
  'datagrams in fragments': ['guest/reassembly MAX_PARTIAL MAX_DATAGRAM_BYTES REASSEMBLY_MS'],
  'neighbours, frames waiting for one': ['guest/neighbors MAX_NEIGHBORS MAX_WAITING MAX_ASKS'],
  'IPv6 prefixes': ['guest/ip-layer MAX_PREFIXES'],
  'pings on their way, patience': ['guest/icmp MAX_PINGS PING_PATIENCE_MS'],
  'DHCP patience, DNS patience': ['guest/dhcp-client ACQUIRE_PATIENCE_MS'],
  'HTTP line, head, redirects': ['guest/http/reader MAX_HEAD_BYTES', 'guest/http/client MAX_REDIRECTS'],
  'free port of a forward': ['library/forwards MAX_TRIES'],
  // state
  'log that waits for a full disk': ['daemon/log MAX_WAITING_BYTES'],
  'files of forwards, records, shapes': ['daemon/store FILES_PER_KIND'],
  backup: ['daemon/backup-file MAX_BACKUP_BYTES'],
  'wait of a backup for changes under way': ['daemon/store REST_TIMEOUT_MS'],
  descriptors: ['engine/worker MAX_RESERVED_DESCRIPTORS'],
  'clients of a forward without a descriptor': ['engine/host-forwards REST_MS'],
  'heartbeat of a network': ['drivers/userspace/driver HEARTBEAT_MS'],
  'timer that comes late': ['drivers/userspace/rpc LATE_MS'],
};

const rows = new Map<string, string>();
for (const [, label = '', value = ''] of LIMITS.matchAll(/^\| (?!limit|---)(.+?) +\| (.+) \|$/gm)) {
  const name = label.replaceAll("'", '’');
  rows.set(name, `${rows.get(name) ?? ''} ${value}`);
}

/** What a constant is, by the arithmetic that it is written in. */
function valueOf(file: string, name: string): number | null {
  const source = readFileSync(join(CHECKOUT, `packages/vmlan/src/${file}.ts`), 'utf8');
  const [, expression] = new RegExp(`^(?:export )?const ${name}(?:: number)? = ([^;]+);`, 'm').exec(source) ?? [];
  if (expression === undefined) return null;
  const [first = '', ...rest] = expression.replaceAll('_', '').match(/\d+(?:\.\d+)?(?:e\d+)?|<<|[*+]/g) ?? [];
  let value = Number(first);
  for (let i = 0; i < rest.length; i += 2) {
    const operand = Number(rest[i + 1]);
    if (rest[i] === '<<') value <<= operand;
    else if (rest[i] === '*') value *= operand;
    else value += operand;
  }
  return value;
}

const UNITS = [
  [1024, 'KiB'],
  [1024 ** 2, 'MiB'],
  [1024 ** 2, 'Mi'],
  [1000, 's'],
  [60_000, 'min'],
  [3_600_000, 'h'],
] as const;

function waysToSay(value: number): string[] {
  const grouped = (n: number): string => String(n).replaceAll(/\B(?=(\d{3})+$)/g, ' ');
  return [
    grouped(value),
    ...UNITS.filter(([size]) => Number.isInteger((10 * value) / size)).map(([size, unit]) => `${value / size} ${unit}`),
  ];
}

const isTold = (value: number, text: string): boolean =>
  waysToSay(value).some((way) => new RegExp(`(?<!\\d |[\\d.])${way}(?![\\d.]\\d| \\d{3})`).test(text));

test('every number of limits.md is the one that holds', () => {
  const wrong: string[] = [];
  for (const [label, sources] of Object.entries(DECIDED_BY)) {
    const text = rows.get(label);
    if (text === undefined) wrong.push(`there is no row "${label}"`);
    for (const [file = '', ...names] of text === undefined ? [] : sources.map((source) => source.split(' '))) {
      for (const name of names) {
        const value = valueOf(file, name);
        if (value === null) wrong.push(`${file} has no constant ${name}`);
        else if (!isTold(value, text!)) wrong.push(`"${label}" says ${text!.trim()}; ${name} of ${file} is ${value}`);
      }
    }
  }
  assert.equal(wrong.length, 0, `\n${wrong.join('\n')}`);
});

test('every counter that limits.md names is counted', () => {
  const counters = new Counters();
  counters.values.fill(1);
  const known = counters.snapshot();
  const named = [...LIMITS.matchAll(/`((?:capture|dhcp|drop|guest|port|switch|tcp|udp)_[a-z0-9_]+)`/g)];
  assert.ok(named.length > 20);
  assert.deepEqual(
    named.map(([, name]) => name!).filter((name) => !(name in known)),
    [],
  );
});

test('the check sees a number that is another', () => {
  assert.ok(isTold(4_194_304, 'a file of 4 MiB') && isTold(60_000, '1 min') && isTold(60_000, '60 s'));
  assert.ok(isTold(500, 'after 0.5 s') && isTold(16_384, '16 384, 8 192 of one guest') && isTold(2, '2'));
  assert.ok(!isTold(1000, '11 000') && !isTold(384, '16 384') && !isTold(16, '16 384') && !isTold(60_000, '160 s'));
});
