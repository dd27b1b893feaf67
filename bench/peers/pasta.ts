/**
 * pasta: Debian's, and a current one where VMLAN_BENCH_PASTA names its program. It makes the guest's namespace itself, in
 * a user namespace of nobody, and copies the host's address into it.
 *
 * Zone: control.
 */
import { readFileSync } from 'node:fs';
import { until } from '../../packages/vmlan/test/support/deadline.ts';
import { type Lab, Namespace, NOBODY } from '../../packages/vmlan/test/support/netns.ts';
import { output } from '../../packages/vmlan/test/support/process.ts';
import { missing } from '../commands.ts';
import { unnamed } from './stream-peer.ts';
import { LARGE_MTU, SMALL_MTU, type TapPeer, type Uplink } from './peer.ts';

const CURRENT_PASTA = 'VMLAN_BENCH_PASTA';

function firstChild(pid: number): number | undefined {
  const [child = ''] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ');
  return child === '' ? undefined : Number(child);
}

async function connect(program: string, lab: Lab, mtuBytes: number, stack: AsyncDisposableStack): Promise<Uplink> {
  const noForwards = ['-t', 'none', '-u', 'none', '-T', 'none', '-U', 'none'];
  const guestProgram = ['sleep', 'infinity'];
  const options = ['--foreground', '--config-net', '--mtu', String(mtuBytes), '--ns-ifname', 'eth0', ...noForwards];
  const pasta = stack.use(lab.host.start([program, ...options, '--', ...guestProgram], { user: NOBODY }));
  const child = await until(`${program} to make a namespace`, 5000, () => {
    if (!pasta.running) throw new Error(`${program}: ${pasta.stderr}`);
    return firstChild(pasta.pid);
  });
  // The lab's prefix, so that what a killed bench leaves is swept away with the lab.
  const guest = new Namespace(lab.host.name.replace(/-host$/, '-guest'));
  await output(['ip', 'netns', 'attach', guest.name, String(child)]);
  stack.defer(() => guest.close());
  await guest.waitForAddress('eth0', 4);
  return { guest, pids: [pasta.pid] };
}

export const pasta: TapPeer = {
  name: 'pasta',
  mtus: [SMALL_MTU, LARGE_MTU],
  missing: () => missing('pasta'),
  connect: (lab, mtuBytes, stack) => connect('pasta', lab, mtuBytes, stack),
};

export const currentPasta: TapPeer = {
  name: 'pasta-current',
  mtus: [SMALL_MTU, LARGE_MTU],
  missing: () => unnamed(CURRENT_PASTA),
  connect: (lab, mtuBytes, stack) => connect(process.env[CURRENT_PASTA] ?? '', lab, mtuBytes, stack),
};
