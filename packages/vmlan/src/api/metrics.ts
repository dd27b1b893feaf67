/**
 * `/metrics`: the status of all networks in Prometheus' text format 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/).
 *
 * Zone: control.  Pure.  Base units, `_total` for what only grows (until its process starts anew), no address as a label.
 * docs/metrics.md tells what each means; metrics.test.ts keeps the two equal.
 */
import type { GuestView, NetworkView, NicView, StatusView } from '../model/api.ts';

export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [labels: Labels, value: number];

interface Metric {
  readonly name: string;
  readonly type: 'gauge' | 'counter';
  readonly help: string;
  readonly samples: readonly Sample[];
}

/** What the daemon that answers knows of itself. */
export interface ApiFacts {
  readonly residentBytes: number;
  /** Requests that were not answered, by reason. */
  readonly refused: Readonly<Record<string, number>>;
}

export function renderMetrics(status: StatusView, facts: ApiFacts): string {
  return [...daemonMetrics(status, facts), ...networkMetrics(status.networks), ...nicMetrics(status.guests)]
    .map(renderMetric)
    .join('');
}

function daemonMetrics({ version, startedMs, guests }: StatusView, { residentBytes, refused }: ApiFacts): Metric[] {
  return [
    gauge('vmlan_build_info', 'Always 1; the label tells the version.', [[{ version }, 1]]),
    gauge('process_start_time_seconds', 'When the daemon started, since 1970.', [[{}, startedMs / 1000]]),
    gauge('process_resident_memory_bytes', 'Resident memory of the daemon.', [[{}, residentBytes]]),
    counter(
      'vmlan_api_refused_total',
      'Requests that were refused for who asked.',
      Object.entries(refused).map(([reason, count]): Sample => [{ reason }, count]),
    ),
    gauge('vmlan_guests', 'Guests that the daemon knows.', [[{}, guests.length]]),
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
  return [
    gauge('vmlan_network_info', 'Always 1; the labels tell mode and driver.', about),
    gauge('vmlan_network_running', '1 while the network runs.', ofState('running')),
    gauge('vmlan_network_failed', '1 when the network should run and cannot.', ofState('failed', 'unresponsive')),
    gauge(
      'vmlan_network_start_time_seconds',
      'When the network process started, since 1970.',
      each(({ startedMs }) => (startedMs === null ? null : startedMs / 1000)),
    ),
    counter(
      'vmlan_network_restarts_total',
      'How often the network process was started again after it died.',
      each(({ restarts }) => restarts),
    ),
    gauge(
      'vmlan_network_guests',
      'Guests on the network.',
      each(({ guests }) => guests),
    ),
    gauge(
      'vmlan_network_leases',
      'Leases that hold.',
      each(({ leases }) => leases),
    ),
    gauge('vmlan_network_flows', 'Conversations that are translated.', flows),
    counter('vmlan_datapath_events_total', 'What the datapath counts, drops with their reasons included.', events),
  ];
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
  return [
    gauge(
      'vmlan_nic_connected',
      '1 while the other end of the link is there.',
      registered.map(({ labels, nic }): Sample => [labels, nic.state === 'connected' ? 1 : 0]),
    ),
    counter('vmlan_nic_frames_total', 'Frames of a registered guest.', each('framesFromGuest', 'framesToGuest')),
    counter('vmlan_nic_bytes_total', 'Bytes of these frames.', each('bytesFromGuest', 'bytesToGuest')),
    counter('vmlan_nic_drops_total', 'Frames that were dropped.', each('dropsFromGuest', 'dropsToGuest')),
  ];
}

const gauge = (name: string, help: string, samples: readonly Sample[]): Metric => ({
  ...{ name, help, samples },
  type: 'gauge',
});

const counter = (name: string, help: string, samples: readonly Sample[]): Metric => ({
  ...{ name, help, samples },
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
