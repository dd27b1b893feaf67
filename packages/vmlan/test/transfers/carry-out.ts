/**
 * Makes planned transfers through an engine: a bed for each MTU with a guest behind a TAP and one behind a stream socket,
 * both at work at once, several transfers at a time.
 *
 * Zone: control.
 */
import { until } from '../support/deadline.ts';
import { INTERNET } from '../support/netns.ts';
import type { Side } from '../support/peer-exchange.ts';
import { client, serve } from '../support/peers.ts';
import { type BedGuest, EngineBed } from '../e2e/engine-bed.ts';
import { wrong } from './judge.ts';
import { MTUS, type Transfer } from './plan.ts';

export interface Progress {
  readonly mtu: number;
  readonly transfers: number;
  readonly bytes: number;
  readonly ms: number;
  readonly wrong: readonly string[];
}

const BATCH = 125; // transfers; each has a server of its own
const PARALLEL = 4; // of one guest
const LIMIT_MS = 60_000; // of one transfer
const BATCH_LIMIT_MS = 600_000;
const REPORT_MS = 10_000; // for the servers to see the end

async function clientSides(
  guest: BedGuest,
  transfers: readonly Transfer[],
  portOf: (transfer: Transfer) => number,
): Promise<Side[]> {
  const list = transfers.map((transfer) => {
    const { shape, down, up, mark, family } = transfer;
    const host = family === 4 ? INTERNET.server4 : INTERNET.server6;
    return { target: { host, port: portOf(transfer) }, exchange: { shape, down, up, mark } };
  });
  const options = { timeoutMs: BATCH_LIMIT_MS };
  return client(guest.namespace, 'exchanges', { list, parallel: PARALLEL, limitMs: LIMIT_MS }, options);
}

async function batch(
  bed: EngineBed,
  guests: ReadonlyMap<string, BedGuest>,
  transfers: readonly Transfer[],
): Promise<string[]> {
  const specs = transfers.map((exchange) => ({ kind: 'exchange', port: 0, exchange }) as const);
  await using servers = await serve(bed.lab.internet, specs);
  const ports = new Map(transfers.map((transfer, index) => [transfer, servers.ports[index] ?? 0]));
  const portOf = (transfer: Transfer): number => ports.get(transfer) ?? 0;
  const runs = [...guests].map(([path, guest]) =>
    clientSides(
      guest,
      transfers.filter((transfer) => transfer.path === path),
      portOf,
    ),
  );
  const clients = new Map((await Promise.all(runs)).flat().map((side) => [side.mark, side]));
  // Who failed at one end may never report at the other.
  await until('the reports of the servers', REPORT_MS, () => servers.exchanged().size === transfers.length).catch(
    () => undefined,
  );
  const reports = servers.exchanged();
  return transfers.flatMap((transfer) => wrong(transfer, clients.get(transfer.mark), reports.get(transfer.mark)) ?? []);
}

async function overMtu(mtu: number, transfers: readonly Transfer[], onBatch: (progress: Progress) => void) {
  await using bed = await EngineBed.create({ mtu });
  const guests = new Map<string, BedGuest>();
  for (const path of ['tap', 'stream'] as const) guests.set(path, await bed.guest(path, path));
  const found: string[] = [];
  for (let at = 0; at < transfers.length; at += BATCH) {
    const some = transfers.slice(at, at + BATCH);
    const started = performance.now();
    const problems = await batch(bed, guests, some);
    const bytes = some.reduce((sum, { down, up }) => sum + down + up, 0);
    onBatch({ mtu, transfers: some.length, bytes, ms: performance.now() - started, wrong: problems });
    found.push(...problems);
  }
  await bed.assertAlive();
  return found;
}

/** What was wrong, a line each. */
export async function carryOut(
  transfers: readonly Transfer[],
  onBatch: (progress: Progress) => void = () => undefined,
): Promise<string[]> {
  const found: string[] = [];
  for (const mtu of MTUS) {
    const own = transfers.filter((transfer) => transfer.mtu === mtu);
    if (own.length > 0) found.push(...(await overMtu(mtu, own, onBatch)));
  }
  return found;
}
