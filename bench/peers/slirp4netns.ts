/**
 * slirp4netns: libslirp behind a TAP in the guest's namespace.
 *
 * Zone: control.
 */
import { missing } from '../commands.ts';
import { LARGE_MTU, SMALL_MTU, type TapPeer } from './peer.ts';

export const slirp4netns: TapPeer = {
  name: 'slirp4netns',
  mtus: [SMALL_MTU, LARGE_MTU],
  missing: () => missing('slirp4netns'),
  async connect(lab, mtuBytes, stack) {
    const guest = await lab.guest('guest');
    const options = ['--netns-type=path', '--configure', `--mtu=${mtuBytes}`];
    const slirp = stack.use(lab.host.start(['slirp4netns', ...options, guest.path, 'eth0']));
    await guest.waitForAddress('eth0', 4);
    return { guest, pids: [slirp.pid] };
  },
};
