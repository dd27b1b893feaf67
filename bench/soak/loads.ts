/**
 * What goes on in a soak: everything at once, over and over.
 *
 *   steady guests    bulk both ways, request–response, connect–request–close, UDP, DNS, transfers that are compared
 *   churning guests  a transfer begins, and the card, or the program, is killed in the middle of it
 *   stations         plug in, take a lease, and are gone without a word
 *
 * Zone: control.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Station } from '../../packages/vmlan/test/support/station.ts';
import { until } from '../../packages/vmlan/test/support/deadline.ts';
import { client, serve } from '../../packages/vmlan/test/support/peers.ts';
import { plan } from '../../packages/vmlan/test/transfers/plan.ts';
import { wrong } from '../../packages/vmlan/test/transfers/judge.ts';
import { SERVER } from '../bed.ts';
import { iperf } from '../load/iperf.ts';
import { LoadAgent } from '../load/load-client.ts';
import { dnsRate } from '../load/dnsperf.ts';
import { ECHO_PORTS, SINK_PORT, SOURCE_PORT, UDP_ECHO_PORT } from '../load/ports.ts';
import { NETWORK } from '../peers/engine-process.ts';
import type { Loads } from './load.ts';
import type { ChurningGuest, SoakGuest, SoakWorld } from './world.ts';

/** What the loads have done so far. */
export interface SoakTally {
  transfers: number;
  readonly wrong: string[];
  leases: number;
  /** Guests that were killed. */
  killed: number;
}

const EXCHANGE_BYTES = 64;
const CROWD = 16;
const UDP_WINDOW = 8;
const REPORT_MS = 10_000; // for servers to see the end
const RUN_SECONDS = 5; // of one load, before it begins again
const FIRST_IPERF_PORT = 5300;
const TRANSFERS = 100; // of one batch
const TRANSFER_BYTES = 4 << 20;
const TRANSFER_LIMIT_MS = 30_000;
const STATIONS = 200; // MACs that stations have
const STATION_PAUSE_MS = 50;
const LONGEST_LIFE_MS = 3000; // of a churning guest

/** What a churning guest does with its life, in programs that cost nothing to start: all the server says, and the reverse. */
const LIFE = [
  ['exec 3<>"/dev/tcp/$1/$2" && exec cat <&3 >/dev/null', SOURCE_PORT],
  ['exec 3<>"/dev/tcp/$1/$2" && exec cat /dev/zero >&3', SINK_PORT],
] as const;

let iperfPorts = FIRST_IPERF_PORT;

function bulk(world: SoakWorld, guest: SoakGuest, loads: Loads): void {
  for (const reverse of [false, true]) {
    const port = iperfPorts++;
    const load = { server: SERVER, streams: 1, seconds: RUN_SECONDS, reverse };
    loads.repeat(`${guest.name}: bulk`, () => iperf(guest.namespace, world.lab.host, load, port));
  }
}

/** One program per load, since each blocks for its whole time. Datagrams and questions may be lost. */
async function exchanges(world: SoakWorld, guest: SoakGuest, loads: Loads): Promise<void> {
  const { name, namespace } = guest;
  const start = (): Promise<LoadAgent> => LoadAgent.start(namespace);
  const [asking, connecting, datagrams] = await Promise.all([start(), start(), start()]);
  const load = { server: SERVER, seconds: RUN_SECONDS, size: EXCHANGE_BYTES };
  const tcp = { ...load, ports: ECHO_PORTS };
  loads.repeat(`${name}: request and response`, () => asking.run('requestResponse', tcp));
  loads.repeat(`${name}: connections`, () => connecting.run('crowd', { ...tcp, parallel: CROWD }));
  const udp = { ...load, port: UDP_ECHO_PORT, window: UDP_WINDOW };
  loads.repeat(`${name}: UDP`, () => datagrams.run('udpWindow', udp), { hard: false });
  const questions = { server: NETWORK.gateway, queries: world.queries, seconds: 1 };
  loads.repeat(
    `${name}: DNS`,
    async () => {
      await dnsRate(namespace, questions);
      await delay(RUN_SECONDS * 1000);
    },
    { hard: false },
  );
}

/** Transfers of any size and shape, other ones each time; what differs is wrong. */
async function compared(world: SoakWorld, guest: SoakGuest, tally: SoakTally): Promise<void> {
  const seed = 1 + Math.floor(Math.random() * 0x7fff_fffe);
  const transfers = plan({ count: TRANSFERS, maxBytes: TRANSFER_BYTES, seed });
  const specs = transfers.map((exchange) => ({ kind: 'exchange', port: 0, host: SERVER, exchange }) as const);
  await using servers = await serve(world.lab.host, specs);
  const list = transfers.map((exchange, index) => {
    return { target: { host: SERVER, port: servers.ports[index] ?? 0 }, exchange };
  });
  const sides = await client(guest.namespace, 'exchanges', { list, parallel: 4, limitMs: TRANSFER_LIMIT_MS });
  await until('the reports of the servers', REPORT_MS, () => servers.exchanged().size === TRANSFERS).catch(() => null);
  const reports = servers.exchanged();
  const found = transfers.flatMap((transfer, index) => wrong(transfer, sides[index], reports.get(transfer.mark)) ?? []);
  tally.transfers += transfers.length;
  tally.wrong.push(...found.map((text) => `${guest.name}: ${text} (seed ${seed})`));
}

/** A life: it plugs in, begins to load, and is killed, by turns its card and the program in it. */
async function live(guest: ChurningGuest, turn: number, tally: SoakTally): Promise<void> {
  await using card = await guest.plug();
  const programs = LIFE.map(([script, port]) =>
    guest.namespace.start(['bash', '-c', script, 'bash', SERVER, String(port)]),
  );
  await delay(Math.random() * LONGEST_LIFE_MS);
  if (turn % 2 === 0) await Promise.all(programs.map((program) => program.stop('SIGKILL')));
  await card.stop('SIGKILL');
  await Promise.all(programs.map((program) => program.stop('SIGKILL')));
  tally.killed++;
}

/** Every second one says nothing at its end; its lease stays, and the same MAC asks again later. */
async function station(world: SoakWorld, number: number, tally: SoakTally): Promise<void> {
  const mac = `52:54:00:00:fe:${(number % STATIONS).toString(16).padStart(2, '0')}`;
  await using one = await Station.connect(world.wall, mac);
  await one.obtainLease();
  tally.leases++;
  await delay(STATION_PAUSE_MS);
}

export async function startLoads(
  world: SoakWorld,
  steady: readonly SoakGuest[],
  churning: readonly ChurningGuest[],
  loads: Loads,
): Promise<SoakTally> {
  const tally: SoakTally = { transfers: 0, wrong: [], leases: 0, killed: 0 };
  for (const guest of steady) {
    bulk(world, guest, loads);
    await exchanges(world, guest, loads);
    loads.repeat(`${guest.name}: compared transfers`, () => compared(world, guest, tally));
  }
  for (const guest of churning) {
    let turn = 0;
    loads.repeat(`${guest.name}: lives`, () => live(guest, turn++, tally));
  }
  let stations = 0;
  loads.repeat('stations', () => station(world, stations++, tally));
  return tally;
}
