/**
 * Datagrams that came in fragments (RFC 791 §3.2, RFC 8200 §4.5), put together again.
 *
 * Zone: control.  Overlaps end the datagram (RFC 5722).
 */
import { Alarm } from './clock.ts';
import type { Clock } from './clock.ts';
import { payloadOf } from './packet.ts';
import type { Packet } from './packet.ts';

/** Datagrams in pieces at a time; the oldest gives way. */
export const MAX_PARTIAL = 16;
export const MAX_DATAGRAM_BYTES = 65_535;
export const REASSEMBLY_MS = 30_000;

interface Partial {
  readonly parts: { readonly offset: number; readonly bytes: Uint8Array }[];
  /** Of the whole; -1 until the last fragment is there. */
  length: number;
  readonly alarm: Alarm;
}

export class Reassembly {
  readonly #clock: Clock;
  readonly #partial = new Map<string, Partial>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The whole packet when this was its last missing part. */
  add(packet: Packet): Packet | null {
    const { src, dst, protocol, fragment } = packet;
    if (fragment === null) return packet;
    const key = `${src.text} ${dst.text} ${protocol} ${fragment.id}`;
    const partial = this.#partial.get(key) ?? this.#begin(key);
    const bytes = payloadOf(packet).slice();
    const end = fragment.offset + bytes.length;
    const isBad =
      end > MAX_DATAGRAM_BYTES ||
      (partial.length >= 0 && (end > partial.length || !fragment.more)) ||
      partial.parts.some((part) => part.offset < end && fragment.offset < part.offset + part.bytes.length);
    if (isBad) return this.#forget(key);
    partial.parts.push({ offset: fragment.offset, bytes });
    if (!fragment.more) partial.length = end;
    const have = partial.parts.reduce((sum, part) => sum + part.bytes.length, 0);
    if (partial.length < 0 || have < partial.length) return null;
    this.#forget(key);
    return join(packet, partial);
  }

  close(): void {
    for (const key of [...this.#partial.keys()]) this.#forget(key);
  }

  #begin(key: string): Partial {
    if (this.#partial.size >= MAX_PARTIAL) this.#forget(this.#partial.keys().next().value!);
    const partial = { parts: [], length: -1, alarm: new Alarm(this.#clock, () => this.#forget(key)) };
    partial.alarm.set(REASSEMBLY_MS);
    this.#partial.set(key, partial);
    return partial;
  }

  #forget(key: string): null {
    this.#partial.get(key)?.alarm.clear();
    this.#partial.delete(key);
    return null;
  }
}

function join(packet: Packet, { parts, length }: Partial): Packet {
  const bytes = new Uint8Array(length);
  for (const part of parts) bytes.set(part.bytes, part.offset);
  return { ...packet, view: new DataView(bytes.buffer), ip: -1, offset: 0, length, fragment: null };
}
