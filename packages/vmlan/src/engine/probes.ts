/**
 * Ports of guests, tried by the gateway when the control plane asks whether they answer.
 *
 * Zone: control to command, flow below.  At most MAX_PROBES at a time, further ones are refused.
 */
import { VmlanError } from '../core/errors.ts';
import { MAX_PROBES, Probes, type ProbeState } from '../nat/probes.ts';
import type { UdpNat } from '../nat/udp-nat.ts';
import type { Packet } from '../stack/packet.ts';
import type { TcpFlow } from '../stack/tcp/flow.ts';
import type { TcpTranslator } from '../stack/tcp/translator.ts';
import * as C from '../sys/constants.ts';
import type { Sys } from '../sys/sys.ts';
import { formatWords } from './config.ts';
import type { ProbeOutcome, ToEngine } from './control-messages.ts';
import type { GuestTargets } from './guest-targets.ts';
import type { HostStreamIo } from './host-streams.ts';

interface PortProbesParts {
  readonly sys: Sys;
  readonly tcp: TcpTranslator;
  readonly udp: UdpNat;
  readonly streams: HostStreamIo;
  readonly targets: GuestTargets;
}

export class PortProbes {
  readonly #targets: GuestTargets;
  readonly #probes: Probes;

  constructor({ sys, tcp, udp, streams, targets }: PortProbesParts) {
    const kind = C.SOCK_STREAM | C.SOCK_NONBLOCK | C.SOCK_CLOEXEC;
    const sockets = {
      openPair: () => sys.socketpair(C.AF_UNIX, kind),
      second: () => sys.pairSecond(),
      close: (fd: number) => void sys.close(fd),
      adopt: (flow: TcpFlow, fd: number) => streams.adopt(flow, fd, true),
    };
    this.#targets = targets;
    this.#probes = new Probes({ tcp, udp, sockets, view: sys.arena.view });
  }

  start(
    { guest, protocol, port }: Extract<ToEngine, { type: 'probe' }>,
    nowMs: number,
    answer: (outcome: ProbeOutcome) => void,
  ): void {
    if (this.#probes.size >= MAX_PROBES)
      throw new VmlanError('exhausted', `${MAX_PROBES} ports are being tried already`);
    const target = this.#targets.byName(guest);
    if (target === null) return answer({ address: null, state: 'absent' });
    const address = formatWords(target.words);
    this.#probes[protocol](target, port, nowMs, (state: ProbeState) => answer({ address, state }));
  }

  onUnreachable(packet: Packet): void {
    this.#probes.onUnreachable(packet);
  }

  pollAt(): number {
    return this.#probes.pollAt();
  }

  poll(nowMs: number): void {
    this.#probes.poll(nowMs);
  }
}
