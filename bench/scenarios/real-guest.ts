/**
 * Scenario 15: a machine under QEMU as the load, with vmlan's stream socket and passt's, and with QEMU's own user network.
 * TCG costs more than any network: it shows that all of it works, and little of what is fast.
 *
 * Zone: control.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { QemuGuest } from '../../packages/vmlan/test/support/qemu-guest.ts';
import { guestImage } from '../../packages/vmlan/test/support/guest-image.ts';
import { SERVER } from '../bed.ts';
import { missing } from '../commands.ts';
import { compare, type BenchTest, type Contender } from '../compare.ts';
import { SINK_PORT, SOURCE_PORT } from '../load/ports.ts';
import { SMALL_MTU } from '../peers/peer.ts';
import { qemuUser } from '../peers/qemu-user.ts';
import { LOAD_MAC, type StreamPeer } from '../peers/stream-peer.ts';
import { currentPasst, gvproxy, passt, vmlanStream } from '../peers/stream-peers.ts';
import type { Metric } from '../results.ts';
import type { RunOptions, Scenario } from '../scenario.ts';
import { openStreamBed, type StreamBed } from './stream.ts';

const RATE: Metric = { name: 'throughput', unit: 'Gbit/s', better: 'higher' };
const WARM_UP_MS = 500;
/** No goal rests on it, and what it measures is the emulation. */
const MAX_ROUNDS = 3;

interface GuestBed extends AsyncDisposable {
  readonly bed: StreamBed;
  readonly guest: QemuGuest;
}

async function open(peer: StreamPeer, options: RunOptions): Promise<GuestBed> {
  await using stack = new AsyncDisposableStack();
  const bed = stack.use(await openStreamBed(peer, SMALL_MTU, options));
  const { socket, own, prefix, gateway } = bed.uplink;
  const card = ['-device', `virtio-net-pci,netdev=net0,mac=${LOAD_MAC}`];
  const net =
    peer === qemuUser ? ['-netdev', 'user,id=net0'] : ['-netdev', `stream,id=net0,addr.type=unix,addr.path=${socket}`];
  const wrap = bed.lab.host.argv([]);
  const guest = stack.use(await QemuGuest.boot({ name: 'load', netArgs: [...net, ...card], dhcp: false, wrap }));
  await guest.sh(`ip addr add ${own}/${prefix} dev eth0; ip route add default via ${gateway}`);
  await guest.sh(`sleep 5 | timeout 5 nc ${SERVER} ${SOURCE_PORT} | head -c 1 >/dev/null`);
  const owned = stack.move();
  return { bed, guest, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

function outTest(seconds: number): BenchTest<GuestBed> {
  return {
    name: 'guest → host',
    metrics: [RATE],
    async measure({ bed, guest }) {
      const script = `timeout ${seconds + 1} nc ${SERVER} ${SINK_PORT} </dev/zero`;
      const sending = guest.run(script, { timeoutMs: (seconds + 20) * 1000 });
      await delay(WARM_UP_MS);
      const [before, started] = [(await bed.server.counters()).tcpBytes, performance.now()];
      await delay(seconds * 1000);
      const bytes = (await bed.server.counters()).tcpBytes - before;
      const rate = (bytes * 8) / 1e6 / (performance.now() - started);
      await sending;
      if (bytes === 0) throw new Error('nothing arrived');
      return { [RATE.name]: rate };
    },
  };
}

function inTest(seconds: number): BenchTest<GuestBed> {
  return {
    name: 'host → guest',
    metrics: [RATE],
    async measure({ guest }) {
      // Its input stays open: with the end of it nc would end its half, and the server would go.
      const script = `sleep ${seconds + 1} | timeout ${seconds} nc ${SERVER} ${SOURCE_PORT} | wc -c`;
      const { stdout } = await guest.run(script, { timeoutMs: (seconds + 20) * 1000 });
      const bytes = Number(/^\d+$/m.exec(stdout)?.[0] ?? 0); // beside what the shell says of the end of nc
      if (bytes === 0) throw new Error('nothing arrived');
      return { [RATE.name]: (bytes * 8) / 1e9 / seconds };
    },
  };
}

export const realGuest: Scenario = {
  id: 15,
  name: 'qemu-guest',
  title: 'A real guest under QEMU (TCG)',
  async run(options) {
    const qemu = missing('qemu-system-x86_64', 'busybox');
    if (qemu === null) await guestImage(options.progress);
    const contenders = [vmlanStream, passt, currentPasst, gvproxy, qemuUser].map((peer): Contender<GuestBed> => {
      return { name: `${peer.name}/${SMALL_MTU}`, missing: qemu ?? peer.missing(), open: () => open(peer, options) };
    });
    const tests = [outTest(options.seconds), inTest(options.seconds)];
    const rounds = Math.min(options.rounds, MAX_ROUNDS);
    const comparison = await compare(contenders, tests, { ...options, rounds });
    const { id, name, title } = realGuest;
    const conditions =
      'Linux under TCG with virtio-net, MTU 1500, busybox nc; bound by the emulated machine. At most 3 rounds.';
    return { id, name, title, conditions, ...comparison, series: [], goals: [] };
  },
};
