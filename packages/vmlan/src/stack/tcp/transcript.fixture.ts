/**
 * TCP tests as transcripts: what the guest sends, what it receives, what the host does, in order.
 *
 *   const { guest, host } = transcript();
 *   guest.sends(syn());
 *   host.connects();
 *   guest.receives(synAck({ windowScale: 7 }));
 *   guest.sends(ack(), data('GET /'));
 *   host.hears('GET /');
 *   guest.receives(ack({ ack: 6 }));
 *   guest.receivesNothing();
 *
 * Zone: control.  Sequence numbers are relative: 0 is the SYN, 1 the first byte.  In a segment to send, `seq` and `ack`
 * default to what an honest guest would say; in one to receive, only the fields that are written are compared, except
 * flags and data, which always are.
 */
import { Arena } from '../../core/arena.ts';
import { Counters } from '../../core/counters.ts';
import { IpOutput } from '../ip-output.ts';
import { MAX_FLOWS } from './limits.ts';
import { ReceiveQueues } from './receive-queue.ts';
import { GATEWAY_MAC, ScriptedGuest } from './scripted-guest.fixture.ts';
import { ScriptedHost } from './scripted-host.fixture.ts';
import { type Said, ack, anySynAck, syn } from './segment.fixture.ts';
import { TcpSegments } from './segments.ts';
import { TcpTranslator } from './translator.ts';

export { ack, anySynAck, bytes, data, fin, print, rst, rstAck, sameBytes, syn, synAck } from './segment.fixture.ts';
export type { Heard, Said } from './segment.fixture.ts';
export { GUEST_PORT, REMOTE_PORT } from './scripted-guest.fixture.ts';

export interface TranscriptOptions {
  readonly family?: 4 | 6;
  readonly mtu?: number;
  /** Initial sequence numbers; near the wrap they must make no difference. */
  readonly guestIsn?: number;
  readonly ourIsn?: number;
  readonly maxFlows?: number;
  readonly arenaBytes?: number;
  /** 0 unless told: every wake-up ends with its acknowledgements. */
  readonly ackDelayMs?: number;
}

export class Transcript {
  readonly counters: Counters = new Counters();
  readonly translator: TcpTranslator;
  readonly queues: ReceiveQueues;
  readonly host: ScriptedHost;
  readonly guest: ScriptedGuest;
  nowMs = 1_000_000;

  constructor(options: TranscriptOptions) {
    const arena = new Arena(new ArrayBuffer(options.arenaBytes ?? 8 << 20));
    const mtu = options.mtu ?? 1500;
    const output = new IpOutput(arena, { mtu, macHi: GATEWAY_MAC.hi, macLo: GATEWAY_MAC.lo }, this.counters);
    this.queues = new ReceiveQueues(arena);
    this.host = new ScriptedHost(arena.u8);
    const ourIsn = options.ourIsn ?? 700_000;
    this.translator = new TcpTranslator(
      {
        segments: new TcpSegments(output, this.queues, this.counters),
        queues: this.queues,
        host: this.host,
        opener: this.host,
        errors: this.host,
        counters: this.counters,
        random: () => ourIsn,
        view: arena.view,
        ackDelayMs: options.ackDelayMs ?? 0,
      },
      options.maxFlows ?? MAX_FLOWS,
      this.nowMs,
    );
    this.host.translator = this.translator;
    this.host.now = () => this.nowMs;
    this.guest = new ScriptedGuest(this, arena, options.family ?? 4, options.guestIsn ?? 10_000, ourIsn);
  }

  /** Lets time pass; timers fire when they are due. */
  passes(ms: number): void {
    const end = this.nowMs + ms;
    for (let at = this.translator.pollAt(); at <= end; at = this.translator.pollAt()) {
      this.nowMs = Math.max(at, this.nowMs);
      this.translator.poll(this.nowMs);
    }
    this.nowMs = end;
    this.translator.poll(end);
  }

  /** The guest connects and the host accepts. */
  establish(offer: Said = syn()): void {
    this.guest.sends(offer);
    this.host.connects();
    this.guest.receives(anySynAck());
    this.host.flow.timedAtMs = 0; // no round trip measured yet: time-outs are RTO_INITIAL
    this.guest.sends(ack({ window: 1024 })); // 128 KiB with scale 7
    this.guest.receivesNothing();
  }
}

export function transcript(options: TranscriptOptions = {}): Transcript {
  return new Transcript(options);
}

/** A transcript whose guest is connected. */
export function established(options: TranscriptOptions = {}, offer: Said = syn()): Transcript {
  const made = new Transcript(options);
  made.establish(offer);
  return made;
}
