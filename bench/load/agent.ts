/**
 * The client of every load but iperf3's, in a guest's namespace: reads commands from stdin, one JSON a line, and answers
 * each with a line. Its code stays warm from round to round.
 *
 *   {"kind":"requestResponse","load":{…}}  →  {"result":{…}} or {"error":"…"}
 *
 * Zone: control. A load blocks the thread; the next line waits.
 */
import { createInterface } from 'node:readline';
import type { Sys } from '../../packages/vmlan/src/sys/sys.ts';
import { dhcpExchanges } from './dhcp.ts';
import { openSys } from './sockets.ts';
import { frameBulk } from './frame-bulk.ts';
import { frameCount, frameSend } from './frame-flood.ts';
import { idleGuests } from './idle-guests.ts';
import { crowd, hold, release } from './tcp-crowd.ts';
import { connectRequestClose, requestResponse } from './tcp-exchanges.ts';
import { udpDrain, udpFlood, udpWindow } from './udp.ts';

const sys = openSys();
const loads = {
  requestResponse,
  connectRequestClose,
  crowd,
  hold,
  release,
  udpWindow,
  udpFlood,
  udpDrain,
  frameBulk,
  frameSend,
  frameCount,
  idleGuests,
  dhcpExchanges,
};

export type Loads = typeof loads;

interface Command {
  readonly kind: keyof Loads;
  readonly load: unknown;
}

function execute({ kind, load }: Command): string {
  try {
    const run = loads[kind] as (sys: Sys, load: unknown) => unknown;
    return JSON.stringify({ result: run(sys, load) });
  } catch (error) {
    return JSON.stringify({ error: error instanceof Error ? error.message : String(error) });
  }
}

process.stdout.write('ready\n');
for await (const line of createInterface(process.stdin)) {
  process.stdout.write(`${execute(JSON.parse(line) as Command)}\n`);
}
