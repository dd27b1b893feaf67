/**
 * UDP sockets of a guest (RFC 768).
 *
 * Zone: control.
 */
import { AsyncQueue } from '../core/async-queue.ts';
import { PROTO_UDP } from '../wire/ipv4.ts';
import * as udp from '../wire/udp.ts';
import { GuestError } from './errors.ts';
import type { GuestErrorCode } from './errors.ts';
import type { IpLayer } from './ip-layer.ts';
import type { Ip } from './ip.ts';
import { payloadOf } from './packet.ts';
import type { Packet } from './packet.ts';
import { choosePort } from './ports.ts';

/** Sockets of a guest. */
export const MAX_SOCKETS = 1024;
/** Datagrams that wait in a socket; newer ones are dropped. */
export const MAX_WAITING = 512;
const MAX_PAYLOAD_BYTES = 65_507;

/** A datagram that has come. */
export interface UdpDatagram {
  readonly data: Uint8Array;
  readonly address: string;
  readonly port: number;
}

/** A UDP socket of a guest: datagrams by `for await`, or one at a time by `receive`. */
export interface UdpSocket extends AsyncIterable<UdpDatagram>, Disposable {
  readonly port: number;
  /** To a name or an address.  Rejects with ENOTFOUND, ENETUNREACH, EMSGSIZE. */
  send(data: Uint8Array | string, host: string, port: number): Promise<void>;
  /** The next datagram.  Rejects with what ICMP says of one that was sent, ETIMEDOUT after `timeoutMs`, EPIPE once closed. */
  receive(options?: { readonly timeoutMs?: number }): Promise<UdpDatagram>;
  close(): void;
}

interface Bound {
  readonly queue: AsyncQueue<UdpDatagram | GuestError>;
}

export class Udp {
  readonly #ip: IpLayer;
  readonly #resolve: (host: string) => Promise<Ip>;
  readonly #refuse: (packet: Packet) => void;
  readonly #bound = new Map<number, Bound>();

  /** `refuse` answers a datagram for a port that is not open. */
  constructor(ip: IpLayer, resolve: (host: string) => Promise<Ip>, refuse: (packet: Packet) => void) {
    this.#ip = ip;
    this.#refuse = refuse;
    this.#resolve = resolve;
    ip.handle(PROTO_UDP, (packet) => this.#onPacket(packet));
  }

  /** Port 0: a free one. Throws EADDRINUSE, EMFILE. */
  bind(port = 0): UdpSocket {
    if (this.#bound.size >= MAX_SOCKETS) throw new GuestError('EMFILE', `${MAX_SOCKETS} UDP sockets are open`);
    const own = choosePort(port, (candidate) => this.#bound.has(candidate), this.#ip.random, 'UDP');
    const queue = new AsyncQueue<UdpDatagram | GuestError>({
      limit: MAX_WAITING,
      whenFull: 'drop-newest',
      onEnd: () => this.#bound.delete(own),
    });
    this.#bound.set(own, { queue });
    const receive = (options: { readonly timeoutMs?: number } = {}): Promise<UdpDatagram> =>
      this.#receive(queue, own, options.timeoutMs);
    return {
      port: own,
      send: async (data, host, to) => {
        if (queue.ended) throw new GuestError('EPIPE', `UDP port ${own} is closed`);
        this.sendTo(
          await this.#resolve(host),
          own,
          to,
          typeof data === 'string' ? new TextEncoder().encode(data) : data,
        );
      },
      receive,
      close: () => queue.end(),
      [Symbol.dispose]: () => queue.end(),
      async *[Symbol.asyncIterator]() {
        for await (const item of queue) if (!(item instanceof GuestError)) yield item;
      },
    };
  }

  sendTo(dst: Ip, srcPort: number, dstPort: number, data: Uint8Array, src?: Ip): void {
    if (data.length > MAX_PAYLOAD_BYTES) {
      throw new GuestError('EMSGSIZE', `a datagram has at most ${MAX_PAYLOAD_BYTES} bytes, this one ${data.length}`);
    }
    const payload = new Uint8Array(udp.HEADER_LEN + data.length);
    udp.emit(new DataView(payload.buffer), 0, srcPort, dstPort, payload.length);
    payload.set(data, udp.HEADER_LEN);
    this.#ip.send({
      ...{ dst, protocol: PROTO_UDP, payload, ...(src === undefined ? {} : { src }) },
      seal: (view, pseudo) => udp.setChecksum(view, 0, pseudo),
      failed: () => this.onUnreachable(srcPort, dst, 'EHOSTUNREACH'),
    });
  }

  /** What ICMP says of a datagram that this port sent. */
  onUnreachable(port: number, dst: Ip, code: GuestErrorCode): void {
    this.#bound.get(port)?.queue.push(new GuestError(code, `${dst.text} cannot be reached`));
  }

  close(): void {
    for (const { queue } of [...this.#bound.values()]) queue.end();
  }

  async #receive(queue: Bound['queue'], port: number, timeoutMs: number | undefined): Promise<UdpDatagram> {
    let cancel: (() => void) | null = null;
    const next = queue.next();
    const item = await (timeoutMs === undefined
      ? next
      : Promise.race([
          next,
          new Promise<never>((_, reject) => {
            const error = new GuestError('ETIMEDOUT', `nothing came to UDP port ${port} within ${timeoutMs} ms`);
            cancel = this.#ip.clock.after(timeoutMs, () => {
              queue.forget(next);
              reject(error);
            });
          }),
        ]));
    (cancel as (() => void) | null)?.();
    if (item.done === true) throw new GuestError('EPIPE', `UDP port ${port} is closed`);
    if (item.value instanceof GuestError) throw item.value;
    return item.value;
  }

  #onPacket(packet: Packet): void {
    const { view, offset, length, pseudo, src } = packet;
    if (udp.check(view, offset, length, pseudo, src.family === 4) !== 0) return;
    const data = payloadOf(packet, udp.HEADER_LEN).slice(0, udp.payloadLen(view, offset));
    const bound = this.#bound.get(udp.dstPort(view, offset));
    if (bound === undefined) this.#refuse(packet);
    else bound.queue.push({ data, address: src.text, port: udp.srcPort(view, offset) });
  }
}
