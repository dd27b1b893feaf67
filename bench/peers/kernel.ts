/**
 * The kernel itself: a veth pair, a bridge, and masquerading by nftables, as libvirt's `default` network has it.
 *
 * Zone: control.
 */
import type { Lab } from '../../packages/vmlan/test/support/netns.ts';
import { missing } from '../commands.ts';
import { SMALL_MTU, type TapPeer, type Uplink } from './peer.ts';

const GATEWAY = '192.168.110.1';
const GUEST = '192.168.110.2';
const PREFIX = 24;

/** The rules that libvirt makes for a NAT network, with its connection tracking. */
const RULES = `
table ip bench {
  chain forward {
    type filter hook forward priority 0; policy drop;
    iifname "br0" accept
    oifname "br0" ct state related,established accept
  }
  chain postrouting {
    type nat hook postrouting priority 100;
    ip saddr 192.168.110.0/24 ip daddr != 192.168.110.0/24 masquerade
  }
}
`;

async function connect({ host, guest: makeGuest }: Pick<Lab, 'host' | 'guest'>, mtuBytes: number): Promise<Uplink> {
  const guest = await makeGuest('guest');
  const mtu = String(mtuBytes);
  await host.ip('link', 'add', 'br0', 'type', 'bridge');
  await host.ip(
    'link',
    'add',
    'port0',
    'mtu',
    mtu,
    'type',
    'veth',
    'peer',
    'name',
    'eth0',
    'mtu',
    mtu,
    'netns',
    guest.name,
  );
  await host.ip('link', 'set', 'port0', 'master', 'br0', 'up');
  await host.ip('link', 'set', 'br0', 'mtu', mtu, 'up');
  await host.ip('addr', 'add', `${GATEWAY}/${PREFIX}`, 'dev', 'br0');
  await host.sysctl('net.ipv4.ip_forward', 1);
  await host.output(['nft', '-f', '-'], { input: RULES });
  await guest.ip('addr', 'add', `${GUEST}/${PREFIX}`, 'dev', 'eth0');
  await guest.ip('link', 'set', 'eth0', 'up');
  await guest.ip('route', 'add', 'default', 'via', GATEWAY);
  return { guest, pids: [] };
}

export const kernel: TapPeer = {
  name: 'kernel',
  mtus: [SMALL_MTU], // a veth takes segments of 64 KiB at any
  missing: () => missing('ip', 'nft'),
  connect: (lab, mtuBytes) => connect({ host: lab.host, guest: (name) => lab.guest(name) }, mtuBytes),
};
