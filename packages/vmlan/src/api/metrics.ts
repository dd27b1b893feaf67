/**
 * `/metrics`: the status of all networks in Prometheus' text format 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/).
 *
 * Zone: control.  Pure.  Base units, `_total` for what only grows (until its process starts anew), no address as a label.
 * docs/metrics.md tells what each means; metrics.test.ts keeps the two equal.
 */
import type { ForwardView, GuestView, NetworkView, NicView, StatusView } from '../model/api.ts';
import type { ProcessFacts } from './process-facts.ts';

/** Of `ForwardView`, in the order of its schema. */
const FORWARD_STATES: readonly ForwardView['state'][] = ['listening', 'waiting-for-guest', 'stopped', 'failed'];

export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [labels: Labels, value: number];

export interface Metric {
  readonly name: string;
  readonly type: 'gauge' | 'counter';
  readonly help: string;
  /** Of each of its samples. */
  readonly labels: readonly string[];
  readonly samples: readonly Sample[];
}

/** What the daemon that answers knows of itself. */
export interface ApiFacts extends ProcessFacts {
  readonly connections: number;
  /** Requests that were not answered, by reason. */
  readonly refused: Readonly<Record<string, number>>;
}

export type ForwardFacts = Pick<ForwardView, 'network' | 'state'>;

export function renderMetrics(status: StatusView, forwards: readonly ForwardFacts[], facts: ApiFacts): string {
  return metricsOf(status, forwards, facts).map(renderMetric).join('');
}

export function metricsOf(status: StatusView, forwards: readonly ForwardFacts[], facts: ApiFacts): readonly Metric[] {
  return [
    ...daemonMetrics(status, facts),
    ...networkMetrics(status.networks),
    forwardMetric(status.networks, forwards),
    ...nicMetrics(status.guests),
  ];
}

function daemonMetrics({ version, startedMs, guests, problems }: StatusView, facts: ApiFacts): Metric[] {
  const one = (value: number | null): Sample[] => (value === null ? [] : [[{}, value]]);
  return [
    gauge('vmlan_build_info', ['version'], 'Always 1; the label tells the version.', [[{ version }, 1]]),
    gauge('process_start_time_seconds', [], 'When the daemon started, since 1970.', one(startedMs / 1000)),
    counter('process_cpu_seconds_total', [], 'Processor time of the daemon.', one(facts.cpuSeconds)),
    gauge('process_resident_memory_bytes', [], 'Resident memory of the daemon.', one(facts.residentBytes)),
    gauge('process_open_fds', [], 'Descriptors that the daemon has open.', one(facts.openFiles)),
    gauge('vmlan_api_connections', [], 'Connections to the API.', one(facts.connections)),
    counter(
      'vmlan_api_refused_total',
      ['reason'],
      'Requests that were refused for who asked.',
      Object.entries(facts.refused).map(([reason, count]): Sample => [{ reason }, count]),
    ),
    gauge('vmlan_guests', [], 'Guests that the daemon knows.', one(guests.length)),
    gauge('vmlan_problems', [], 'What is broken, as /healthz tells it.', one(problems.length)),
  ];
}

function networkMetrics(networks: readonly NetworkView[]): Metric[] {
  const each = (value: (network: NetworkView) => number | null): Sample[] =>
    networks.flatMap((network): Sample[] => {
      const found = value(network);
      return found === null ? [] : [[{ network: network.name }, found]];
    });
  const about = networks.map(({ name: network, mode, driver }): Sample => [{ network, mode, driver }, 1]);
  const flows = networks.flatMap(({ name: network, flows: counts }) =>
    Object.entries(counts ?? {}).map(([protocol, count]): Sample => [{ network, protocol }, count]),
  );
  const events = networks.flatMap(({ name: network, counters }) =>
    Object.entries(counters ?? {}).map(([event, count]): Sample => [{ network, event }, count]),
  );
  const ofState = (...wanted: readonly NetworkView['state'][]): Sample[] =>
    each(({ state }) => (wanted.includes(state) ? 1 : 0));
  const startTimes = each(({ startedMs }) => (startedMs === null ? null : startedMs / 1000));
  const restarts = each((network) => network.restarts);
  const guests = each((network) => network.guests);
  const leases = each((network) => network.leases);
  const own = ['network'];
  return [
    gauge('vmlan_network_info', [...own, 'mode', 'driver'], 'Always 1; the labels tell mode and driver.', about),
    gauge('vmlan_network_running', own, '1 while the network runs.', ofState('running')),
    gauge('vmlan_network_failed', own, '1 when the network should run and cannot.', ofState('failed', 'unresponsive')),
    gauge('vmlan_network_start_time_seconds', own, 'When the network process started, since 1970.', startTimes),
    counter(
      'vmlan_network_restarts_total',
      own,
      'How often the network process was started again after it died.',
      restarts,
    ),
    gauge('vmlan_network_guests', own, 'Guests on the network.', guests),
    gauge('vmlan_network_leases', own, 'Leases that hold.', leases),
    gauge('vmlan_network_flows', [...own, 'protocol'], 'Conversations that are translated.', flows),
    counter(
      'vmlan_datapath_events_total',
      [...own, 'event'],
      'What the datapath counts, drops with their reasons included.',
      events,
    ),
  ];
}

/** Every state of every network, so that one which nobody is in is 0 and not missing. */
function forwardMetric(networks: readonly NetworkView[], forwards: readonly ForwardFacts[]): Metric {
  const counts = new Map<string, Map<string, number>>(
    networks.map(({ name }) => [name, new Map(FORWARD_STATES.map((state) => [state, 0]))]),
  );
  for (const { network, state } of forwards) {
    const own = counts.get(network);
    own?.set(state, (own.get(state) ?? 0) + 1);
  }
  const samples = [...counts].flatMap(([network, states]) =>
    [...states].map(([state, count]): Sample => [{ network, state }, count]),
  );
  return gauge('vmlan_network_forwards', ['network', 'state'], 'Port forwards, by what they do.', samples);
}

interface Nic {
  readonly labels: Labels;
  readonly nic: NicView;
}

function nicMetrics(guests: readonly GuestView[]): Metric[] {
  const registered = guests
    .filter((guest) => guest.registered)
    .flatMap(({ name: guest, nics }): Nic[] =>
      nics.map((nic, index) => ({ labels: { network: nic.network, guest, nic: String(index) }, nic })),
    );
  const each = (fromGuest: keyof NonNullable<NicView['counters']>, toGuest: typeof fromGuest): Sample[] =>
    registered.flatMap(({ labels, nic: { counters } }): Sample[] =>
      counters === null
        ? []
        : [
            [{ ...labels, direction: 'from_guest' }, counters[fromGuest]],
            [{ ...labels, direction: 'to_guest' }, counters[toGuest]],
          ],
    );
  const connected = registered.map(({ labels, nic }): Sample => [labels, nic.state === 'connected' ? 1 : 0]);
  const own = ['network', 'guest', 'nic'];
  const directed = [...own, 'direction'];
  return [
    gauge('vmlan_nic_connected', own, '1 while the other end of the link is there.', connected),
    counter(
      'vmlan_nic_frames_total',
      directed,
      'Frames of a registered guest.',
      each('framesFromGuest', 'framesToGuest'),
    ),
    counter('vmlan_nic_bytes_total', directed, 'Bytes of these frames.', each('bytesFromGuest', 'bytesToGuest')),
    counter('vmlan_nic_drops_total', directed, 'Frames that were dropped.', each('dropsFromGuest', 'dropsToGuest')),
  ];
}

const gauge = (name: string, labels: readonly string[], help: string, samples: readonly Sample[]): Metric => ({
  ...{ name, labels, help, samples },
  type: 'gauge',
});

const counter = (name: string, labels: readonly string[], help: string, samples: readonly Sample[]): Metric => ({
  ...{ name, labels, help, samples },
  type: 'counter',
});

function renderMetric({ name, type, help, samples }: Metric): string {
  const lines = samples.map(([labels, value]) => `${name}${renderLabels(labels)} ${value}\n`);
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`;
}

function renderLabels(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

const escaped = (value: string): string =>
  value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
