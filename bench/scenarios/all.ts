/**
 * Every scenario, by number and name.
 *
 * Zone: control.
 */
import type { Scenario } from '../scenario.ts';
import { allocation } from './allocation.ts';
import { controlPlane } from './control-plane.ts';
import { memory } from './memory.ts';
import { namesAndLeases } from './names-and-leases.ts';
import { realGuest } from './real-guest.ts';
import { scale } from './scale.ts';
import { startUp } from './start-up.ts';
import { stream } from './stream.ts';
import { switching } from './switching.ts';
import { tcpBulk, tcpBulkParallel } from './tcp-bulk.ts';
import { tcpConnect, tcpRequestResponse } from './tcp-latency.ts';
import { udpBulk, udpSmall } from './udp.ts';

export const SCENARIOS: readonly Scenario[] = [
  tcpBulk,
  tcpBulkParallel,
  tcpRequestResponse,
  tcpConnect,
  udpSmall,
  udpBulk,
  stream,
  switching,
  memory,
  scale,
  startUp,
  namesAndLeases,
  allocation,
  realGuest,
  controlPlane,
];

/** As `--only` knows them. */
export const PEER_NAMES: readonly string[] = [
  ...['kernel', 'pasta', 'pasta-current', 'slirp4netns', 'passt', 'passt-current', 'libslirp', 'gvproxy', 'vde2'],
  ...['dnsmasq', 'qemu-user'],
];

/** Scenario 9 is the CPU of these. */
const CPU_SCENARIOS = [1, 2, 7];

/** Throws for what is no scenario; all of them when nothing is asked for. */
export function selected(words: readonly string[]): Scenario[] {
  const wanted = new Set(
    words.flatMap((word) => {
      if (word === '9' || word === 'cpu') return CPU_SCENARIOS;
      const found = SCENARIOS.find(({ id, name }) => name === word || String(id) === word);
      if (found === undefined) throw new Error(`no scenario is called "${word}"; --list names them`);
      return [found.id];
    }),
  );
  return SCENARIOS.filter(({ id }) => wanted.size === 0 || wanted.has(id));
}
