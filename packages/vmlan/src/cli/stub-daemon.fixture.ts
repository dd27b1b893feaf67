/**
 * A daemon of paper for tests of the command line: the routes and schemas of model/api.ts over a few guests in memory.
 * What goes in and out is checked by the same schemas as in the real one.
 *
 * Zone: control.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ERROR_CODES, VmlanError } from '../client/errors.ts';
import { API_ROUTES } from '../model/api.ts';
import type {
  Lookup,
  AttachInput,
  AttachResult,
  EventView,
  EventsQuery,
  ForwardView,
  GuestView,
  HealthProblem,
  LeaseView,
  NetworkChange,
  NetworkView,
  NicView,
  RecordView,
  ReloadView,
  ReservationView,
  RouteName,
  ShapeInput,
  ShapeView,
  StatusView,
} from '../model/api.ts';

const GIB = 2 ** 30;
/** Of a process that nobody can have: the kernel's numbers end before. */
const NO_PID = 4_194_305;

export function nicView(guest: string, more: Partial<NicView> = {}): NicView {
  return {
    key: `${guest}/0`,
    network: 'lab',
    mac: '52:54:00:12:34:56',
    aliasMac: null,
    ip: null,
    connected: true,
    state: 'connected',
    link: 'stream',
    attachment: 'qemu-stream',
    address4: ['192.168.105.5'],
    address6: ['fe80::5054:ff:fe12:3456', 'fd00:105::5'],
    hostname: guest,
    sinceMs: Date.now() - 65_000,
    counters: {
      framesFromGuest: 10,
      framesToGuest: 20,
      bytesFromGuest: GIB,
      bytesToGuest: 2 * GIB,
      dropsFromGuest: 1,
      dropsToGuest: 2,
    },
    flows: 3,
    ...more,
  };
}

export function guestView(name: string, more: Partial<NicView> = {}): GuestView {
  return {
    name,
    registered: true,
    names: [`${name}.lab.internal`, `${name}.vmlan.internal`],
    nics: [nicView(name, more)],
  };
}

export function networkView(name: string, more: Partial<NetworkView> = {}): NetworkView {
  return {
    name,
    mode: 'user-v2',
    driver: 'userspace',
    driverReason: 'the daemon is an ordinary user',
    state: 'running',
    problem: null,
    autostart: true,
    subnet: '192.168.105.0/24',
    gateway: '192.168.105.2',
    dns: '192.168.105.3',
    poolStart: '192.168.105.5',
    poolEnd: '192.168.105.254',
    hostAddress: null,
    subnet6: 'fd00:105::/64',
    gateway6: 'fd00:105::2',
    domain: `${name}.internal`,
    mtu: 65_520,
    interface: null,
    hostAccess: 'all',
    sockets: { qemu: '/run/v/qemu.sock', dgram: '/run/v/dgram.sock', listen: [] },
    pid: 4711,
    startedMs: Date.now() - 3_700_000,
    restarts: 0,
    guests: 1,
    leases: 1,
    flows: { tcp: 3, udp: 2, icmp: 0 },
    counters: { switch_forwarded: 12 },
    ipv6Reachable: false,
    ping: true,
    warnings: [],
    ...more,
  };
}

export const forwardView = (id: string, host: string, guest: string, more: Partial<ForwardView> = {}): ForwardView => ({
  ...{ id, network: 'lab', protocol: 'tcp', direction: 'host', host, guest },
  ...{ origin: 'api', state: 'listening', problem: null, connections: 2, ...more },
});

interface Asked {
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string | undefined>>;
  readonly body: unknown;
}

const missing = (what: string, name: string): VmlanError =>
  new VmlanError('not-found', `there is no ${what} "${name}"`, {
    hint: `see: vmlan ${what === 'guest' ? '' : `${what} `}list`,
  });

export class StubDaemon {
  readonly directory: string;
  readonly socket: string;
  /** `ROUTE {params} {body}` of each request but those that only look. */
  readonly changes: string[] = [];
  guests: GuestView[] = [guestView('web')];
  networks: NetworkView[] = [
    networkView('lab'),
    networkView('dev', { state: 'stopped', pid: null, startedMs: null, sockets: null }),
  ];
  forwards: ForwardView[] = [];
  records: RecordView[] = [];
  shapes: ShapeView[] = [];
  leases: LeaseView[] = [];
  warnings: string[] = [];
  problems: HealthProblem[] = [];
  /** All that was and will be; a stream of them ends at once. */
  events: EventView[] = [];
  reservations: ReservationView[] = [];
  restartNeeded: string[] = [];
  reload: ReloadView = {
    file: '/etc/vmlan/networks.yaml',
    added: [],
    removed: [],
    changed: [],
    steps: [],
    restartNeeded: [],
    warnings: [],
  };
  /** The next request to this route fails. */
  failure: { route: RouteName; error: VmlanError } | null = null;
  /** How often it fails; then no longer. */
  failures: number = Infinity;
  /** What the DNS of each network answers; null: none runs. */
  lookup: Lookup | null = null;
  readonly #server: Server;

  static async start(): Promise<StubDaemon> {
    const stub = new StubDaemon();
    await new Promise<void>((resolve) => stub.#server.listen(stub.socket, resolve));
    return stub;
  }

  private constructor() {
    this.directory = mkdtempSync(join(tmpdir(), 'vmlan-stub-'));
    this.socket = join(this.directory, 'vmlan.sock');
    this.#server = createServer((request, response) => void this.#onRequest(request, response));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    rmSync(this.directory, { recursive: true, force: true });
  }

  async #onRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = '';
    for await (const chunk of request) text += String(chunk);
    try {
      const { name, asked } = this.#match(request, text);
      if (this.failure?.route === name && this.failures-- > 0) throw this.failure.error;
      if (request.method !== 'GET')
        this.changes.push(`${name} ${JSON.stringify(asked.params)} ${JSON.stringify(asked.body)}`);
      if (name === 'events') return this.#stream(response, asked.query);
      const result = API_ROUTES[name].result.parse(this.#answer(name, asked));
      response.writeHead(API_ROUTES[name].status).end(result === null ? undefined : JSON.stringify(result));
      if (name === 'shutdown') this.#server.close();
    } catch (error) {
      this.#refuse(response, error);
    }
  }

  #stream(response: ServerResponse, { network, guest, after = '0' }: EventsQuery): void {
    const wanted = this.events.filter(
      (event) =>
        event.id > Number(after) &&
        (network === undefined || event.network === network) &&
        (guest === undefined || event.guest === guest),
    );
    response.writeHead(200).end(wanted.map((event) => `data: ${JSON.stringify(event)}\n\n`).join(''));
  }

  #refuse(response: ServerResponse, error: unknown): void {
    const { code, message, hint } = error instanceof VmlanError ? error : new VmlanError('invalid', String(error));
    const { status, title } = ERROR_CODES[code];
    response
      .writeHead(status)
      .end(JSON.stringify({ type: `urn:vmlan:error:${code}`, title, status, code, detail: message, hint }));
  }

  #match(request: IncomingMessage, text: string): { name: RouteName; asked: Asked } {
    const url = new URL(request.url ?? '/', 'http://vmlan');
    for (const name of Object.keys(API_ROUTES) as RouteName[]) {
      const route = API_ROUTES[name];
      const pattern = new RegExp(`^${route.path.replaceAll(/:(\w+)/g, '(?<$1>[^/]+)')}$`);
      const match = request.method === route.method ? pattern.exec(url.pathname) : null;
      if (match === null) continue;
      const raw = Object.entries(match.groups ?? {}).map(([key, value]) => [key, decodeURIComponent(value)]);
      const params = route.params.parse(Object.fromEntries(raw)) as Record<string, string>;
      const query = route.query.parse(Object.fromEntries(url.searchParams)) as Record<string, string>;
      const body = route.body.parse(text === '' ? {} : JSON.parse(text));
      return { name, asked: { params, query, body } };
    }
    throw new VmlanError('not-found', `no route ${request.method} ${request.url}`);
  }

  #guest(name: string | undefined): GuestView {
    const guest = this.guests.find((each) => each.name === name);
    if (guest === undefined) throw missing('guest', name ?? '');
    return guest;
  }

  #network(name: string | undefined): NetworkView {
    const network = this.networks.find((each) => each.name === name);
    if (network === undefined) throw missing('network', name ?? '');
    return network;
  }

  #answer(name: RouteName, { params, query, body }: Asked): unknown {
    const input = body as Record<string, never>;
    const here = <T extends { readonly network: string }>(all: readonly T[]): T[] =>
      all.filter(({ network }) => query['network'] === undefined || network === query['network']);
    switch (name) {
      case 'health':
        return { status: 'ok', version: '9.9.9', pid: NO_PID, problems: [] };
      case 'status':
        return this.#status();
      case 'getToken':
      case 'rotateToken':
        return { token: `${name}-${'x'.repeat(32)}`, file: '/state/token', address: null };
      case 'listNetworks':
        return this.networks;
      case 'getNetwork':
      case 'startNetwork':
      case 'stopNetwork':
        return this.#network(params['name']);
      case 'listLeases':
        return this.leases.filter(({ network }) => network === this.#network(params['name']).name);
      case 'createNetwork':
        return this.#change(String(input['name']), query);
      case 'updateNetwork':
      case 'deleteNetwork':
      case 'replaceNetworkConfig':
      case 'createReservation':
      case 'deleteReservation':
        return this.#change(this.#network(params['name']).name, query);
      case 'getNetworkConfig':
        return {
          name: this.#network(params['name']).name,
          origin: 'file',
          place: '/etc/vmlan/networks.yaml:3',
          config: { mode: 'shared' },
          yaml: '# the lab\nmode: shared\n',
        };
      case 'getConfig':
        return {
          file: '/etc/vmlan/networks.yaml',
          exists: true,
          entries: [
            { key: 'paths.config', value: '/etc/vmlan/networks.yaml', origin: 'default', place: null },
            { key: 'networks.lab.mtu', value: 9000, origin: 'file', place: '/etc/vmlan/networks.yaml:5' },
            { key: 'networks.lab2.mtu', value: 1500, origin: 'default', place: null },
          ],
        };
      case 'reloadConfig':
        return this.reload;
      case 'listReservations':
        return this.reservations.filter(({ network }) => network === this.#network(params['name']).name);
      case 'listGuests':
        return this.guests.filter(({ nics }) => here(nics).length > 0);
      case 'getGuest':
        return this.#guest(params['name']);
      case 'deleteGuest':
        this.guests = this.guests.filter((guest) => guest !== this.#guest(params['name']));
        return null;
      case 'attachGuest':
        return this.#attach(params['name'] ?? '', input);
      case 'listForwards':
        return here(this.forwards);
      case 'createForward':
        return {
          id: 'f9',
          network: 'lab',
          protocol: 'tcp',
          direction: 'host',
          ...input,
          origin: 'api',
          state: 'listening',
          problem: null,
          connections: 0,
        };
      case 'lookUp':
        if (this.lookup === null) throw new VmlanError('unavailable', 'the network does not run');
        return { network: params['name'], name: query['name'], type: query['type'], ...this.lookup };
      case 'listRecords':
        return here(this.records);
      case 'createRecord':
        return { id: 'r9', network: 'lab', ttl: null, ...input, origin: 'api' };
      case 'listShapes':
        return here(this.shapes);
      case 'setShape': {
        const { guest, peer = null, direction, network = 'lab', ...settings } = body as ShapeInput;
        const fromGuest = direction === 'to' ? null : settings;
        return { id: 's9', network, guest, peer, fromGuest, toGuest: direction === 'from' ? null : settings };
      }
      default:
        return null;
    }
  }

  #change(name: string, { dryRun, restart }: Readonly<Record<string, string | undefined>>): NetworkChange {
    return {
      name,
      dryRun: dryRun === 'true',
      file: '/etc/vmlan/networks.yaml',
      diff: '--- a\n+++ a\n@@ -1,1 +1,2 @@\n networks:\n+  new: { mode: host }\n',
      steps: [`${name}: open forward fwd-1`],
      restartNeeded: restart === 'true' ? [] : this.restartNeeded,
      warnings: [],
    };
  }

  #status(): StatusView {
    const paths = { config: null, state: this.directory, runtime: this.directory, socket: this.socket };
    const { networks, guests, problems, warnings } = this;
    return {
      version: '9.9.9',
      pid: NO_PID,
      startedMs: 0,
      privileged: false,
      paths,
      address: null,
      defaultNetwork: 'lab',
      networks,
      guests,
      problems,
      warnings,
    };
  }

  #attach(
    guest: string,
    { network = 'lab', kind = 'qemu-stream', mac = '52:54:00:12:34:56', netns }: AttachInput,
  ): AttachResult {
    if (!this.guests.some(({ name }) => name === guest)) {
      const tap = kind === 'netns' ? { link: 'tap' as const } : {};
      this.guests.push(guestView(guest, { network, mac, attachment: kind, ...tap }));
    }
    const socket = kind === 'qemu-socket-tcp' ? { host: '127.0.0.1', port: 4000 } : { unix: '/run/v/web.sock' };
    return {
      guest,
      nic: `${guest}/0`,
      network,
      kind,
      mac,
      mtu: 1500,
      socket: kind === 'netns' ? null : socket,
      localSocket: kind === 'qemu-dgram' ? '/run/v/web.peer' : null,
      interface: netns?.interface ?? null,
      address4: netns?.configure === true ? '192.168.105.5' : null,
      prefix4: 24,
      gateway4: '192.168.105.2',
      dns: '192.168.105.3',
      gateway6: null,
      prefix6: null,
      searchDomains: [],
    };
  }
}
