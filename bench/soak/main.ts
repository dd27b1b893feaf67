/**
 * The soak: `npm run soak -- --minutes 30`. Full load on guests behind TAPs and stream sockets while connections open and
 * close and guests leave and come; a line every ten seconds, a verdict at the end. Exit status 0 when it holds, 1 when
 * not, 2 when it could not be run.
 *
 * Zone: control.
 */
import { writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { until } from '../../packages/vmlan/test/support/deadline.ts';
import { endProcesses } from '../../packages/vmlan/test/support/process.ts';
import { lock } from '../lock.ts';
import type { EngineProcess } from '../peers/engine-process.ts';
import { Loads } from './load.ts';
import { startLoads, type SoakTally } from './loads.ts';
import { judgeSoak, type SoakEnd, type SoakSample } from './verdict.ts';
import { descriptors, line, Probes, Watch } from './watch.ts';
import { SoakWorld } from './world.ts';

const USAGE = `npm run soak [-- OPTIONS]

  --minutes N   how long the load lasts, 30 unless told; 1 is enough to see that it works
  --mtu N       of the network, 1500 unless told
  --out FILE    every sample as JSON
`;
const SAMPLE_MS = 10_000;
/** Conversations of guests that were killed are kept for a while, and so are those in TIME_WAIT. */
const SETTLE_MS = 60_000;
const CHURNING = 2;

const say = (text: string): void => void process.stdout.write(`${text}\n`);

interface Options {
  readonly minutes: number;
  readonly mtuBytes: number;
  readonly out: string | undefined;
}

async function watchFor(minutes: number, watch: Watch, probes: Probes, tally: SoakTally): Promise<SoakSample[]> {
  const samples: SoakSample[] = [];
  const count = Math.round((minutes * 60_000) / SAMPLE_MS);
  for (let i = 0; i < count; i++) {
    await delay(SAMPLE_MS);
    const sample = await watch.sample(probes, tally);
    say(line(sample, tally));
    samples.push(sample);
  }
  return samples;
}

/** Descriptors but for those of UDP and ping flows, which only wait for their time-out, and the TCP flows, once still. */
async function settle(engine: EngineProcess, before: number): Promise<{ held: number; tcp: number }> {
  const look = async (): Promise<{ held: number; tcp: number }> => {
    const { flows } = await engine.snapshot();
    return { held: descriptors(engine.pid) - flows.udp - flows.icmp, tcp: flows.tcp };
  };
  await until('the end of all flows', SETTLE_MS, async () => {
    const { held, tcp } = await look();
    return held <= before && tcp === 0;
  }).catch(() => undefined);
  return look();
}

async function soak({ minutes, mtuBytes }: Options): Promise<SoakEnd> {
  await using world = await SoakWorld.open(mtuBytes);
  const steady = [await world.tapGuest('tap'), await world.streamGuest('stream')];
  const quiet = [await world.tapGuest('quiet-tap'), await world.streamGuest('quiet-stream')];
  const churning = await Promise.all(
    Array.from({ length: CHURNING }, (_, index) => world.churningGuest(`churning-${index}`)),
  );
  const descriptorsBefore = descriptors(world.engine.pid);
  const loads = new Loads();
  const probes = await Probes.start(world, quiet);
  const tally = await startLoads(world, steady, churning, loads);
  const watch = new Watch(world.engine);
  say(`soak: ${minutes} min, MTU ${mtuBytes}, engine pid ${world.engine.pid}, ${descriptorsBefore} descriptors`);
  const samples = await watchFor(minutes, watch, probes, tally);
  loads.end();
  await loads.ended();
  await probes.stop();
  const { held, tcp } = await settle(world.engine, descriptorsBefore);
  if (probes.lost > 0) loads.fail(`${probes.lost} connections of probes broke`);
  const found = { wrong: tally.wrong, failures: loads.failures };
  return { samples, descriptorsBefore, descriptorsAfter: held, tcpFlowsAfter: tcp, ...found };
}

function options(): Options | null {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '30' },
      mtu: { type: 'string', default: '1500' },
      out: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return null;
  const [minutes, mtuBytes] = [Number(values.minutes), Number(values.mtu)];
  if (!(minutes > 0) || !Number.isInteger(mtuBytes)) throw new Error('--minutes and --mtu need numbers');
  return { minutes, mtuBytes, out: values.out };
}

async function main(): Promise<void> {
  const given = options();
  if (given === null) return say(USAGE);
  if (process.getuid?.() !== 0) throw new Error('the soak needs root: it makes network namespaces');
  await lock();
  const end = await soak(given);
  if (given.out !== undefined) await writeFile(given.out, `${JSON.stringify(end, null, 1)}\n`);
  say('');
  for (const text of [...end.wrong, ...end.failures]) say(`! ${text}`);
  const findings = judgeSoak(end);
  for (const { ok, text } of findings) say(`${ok ? '✓' : '✗'} ${text}`);
  process.exitCode = findings.every(({ ok }) => ok) ? 0 : 1;
}

for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.once(name, () => {
    endProcesses();
    process.exitCode = 130;
  });
}

try {
  await main();
} catch (error) {
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
