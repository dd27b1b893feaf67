/**
 * TCP segments as a connection reads and writes them (RFC 9293 §3.1).
 *
 * Zone: control.
 */
import * as tcp from '../../wire/tcp.ts';
import { payloadOf } from '../packet.ts';
import type { Packet } from '../packet.ts';

export interface Segment {
  readonly srcPort: number;
  readonly dstPort: number;
  /** int32, as `ack` is. */
  readonly seq: number;
  readonly ack: number;
  readonly flags: number;
  /** As it stands there, not scaled. */
  readonly window: number;
  /** Lies in the frame: whoever keeps it copies it. */
  readonly payload: Uint8Array;
  /** Of a SYN; -1: not there. */
  readonly mss: number;
  readonly windowScale: number;
}

/** Null for what is no good segment. */
export function parseSegment(packet: Packet): Segment | null {
  const { view, offset, length, pseudo } = packet;
  if (tcp.check(view, offset, length, pseudo) !== 0 || !tcp.parseOptions(view, offset)) return null;
  return {
    srcPort: tcp.srcPort(view, offset),
    dstPort: tcp.dstPort(view, offset),
    seq: tcp.seq(view, offset),
    ack: tcp.ack(view, offset),
    flags: tcp.flags(view, offset),
    window: tcp.window(view, offset),
    payload: payloadOf(packet, tcp.dataOffset(view, offset)),
    mss: tcp.$options.mss,
    windowScale: tcp.$options.windowScale,
  };
}

/** What a segment takes of the sequence space. */
export const spanOf = ({ payload, flags }: Pick<Segment, 'payload' | 'flags'>): number =>
  payload.length + ((flags & tcp.SYN) !== 0 ? 1 : 0) + ((flags & tcp.FIN) !== 0 ? 1 : 0);

export interface SegmentFields extends Pick<Segment, 'srcPort' | 'dstPort' | 'seq' | 'ack' | 'flags' | 'window'> {
  /** Of a SYN. */
  readonly options?: { readonly mss: number; readonly windowScale: number | null };
  /** Bytes behind the header, filled in by `fill`. */
  readonly length?: number;
  readonly fill?: (target: Uint8Array, at: number) => void;
}

/** The bytes, with a checksum of zero. */
export function buildSegment(fields: SegmentFields): Uint8Array {
  const { options, length = 0 } = fields;
  const header = tcp.MIN_HEADER_LEN + (options === undefined ? 0 : options.windowScale === null ? 4 : 8);
  const bytes = new Uint8Array(header + length);
  const view = new DataView(bytes.buffer);
  const { srcPort, dstPort, seq, ack, flags, window } = fields;
  tcp.emit(view, 0, srcPort, dstPort, seq, ack, header, flags, window);
  if (options !== undefined) {
    const next = tcp.emitMss(view, tcp.MIN_HEADER_LEN, options.mss);
    if (options.windowScale !== null) tcp.emitWindowScale(view, next, options.windowScale);
  }
  fields.fill?.(bytes, header);
  return bytes;
}
