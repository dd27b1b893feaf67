/**
 * TCP segments as tests write them: templates, comparison, one line of text.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import * as tcp from '../../wire/tcp.ts';

export interface Segment {
  flags: number;
  seq: number;
  ack: number;
  /** As on the wire, unscaled. */
  window: number;
  data: string | Uint8Array;
  mss: number;
  windowScale: number;
  sackPermitted: boolean;
  sack: readonly (readonly [number, number])[];
  /** Segment size that the link cuts by, 0 when it need not. */
  gso: number;
  guestPort: number;
  remotePort: number;
  /** Bytes of options as they are to be sent, behind those above. */
  rawOptions: Uint8Array;
}
export type Said = Partial<Segment> & { readonly flags: number };
/** A segment that the guest received, and when. */
export type Heard = Omit<Segment, 'rawOptions' | 'data'> & { readonly data: Uint8Array; readonly atMs: number };

type More = Partial<Segment>;
const { SYN, ACK, FIN, RST, PSH } = tcp;
export const syn = (more: More = {}): Said => ({
  flags: SYN,
  seq: 0,
  ack: 0,
  window: 64_240,
  mss: 1460,
  windowScale: 7,
  sackPermitted: true,
  ...more,
});
export const synAck = (more: More = {}): Said => ({ ...syn(), flags: SYN | ACK, ack: 1, window: 65_535, ...more });
/** Only what is compared in every SYN-ACK, whatever was offered. */
export const anySynAck = (more: More = {}): Said => ({ flags: SYN | ACK, seq: 0, ack: 1, ...more });
export const ack = (more: More = {}): Said => ({ flags: ACK, ...more });
export const data = (text: string | Uint8Array, more: More = {}): Said => ({ flags: ACK | PSH, data: text, ...more });
export const fin = (more: More = {}): Said => ({ flags: FIN | ACK, ...more });
export const rst = (more: More = {}): Said => ({ flags: RST, ...more });
export const rstAck = (more: More = {}): Said => ({ flags: RST | ACK, ...more });

export const bytes = (text: string | Uint8Array): Uint8Array =>
  typeof text === 'string' ? new TextEncoder().encode(text) : text;

/** Sequence numbers that a segment takes up. */
export const units = (segment: Said): number =>
  bytes(segment.data ?? '').length + ((segment.flags & SYN) !== 0 ? 1 : 0) + ((segment.flags & FIN) !== 0 ? 1 : 0);

/** Fails at the first byte that differs. */
export function sameBytes(actual: Uint8Array, expected: Uint8Array): void {
  const at = actual.findIndex((byte, i) => byte !== expected[i]);
  assert.equal(at, -1, `byte ${at} differs`);
  assert.equal(actual.length, expected.length);
}

/** Fails unless `heard` has every field of `want`, its flags and its data. */
export function compare(heard: Heard, want: Said): void {
  const wanted: Partial<Segment> = { ...want, data: bytes(want.data ?? '') };
  const got = Object.fromEntries(
    Object.keys(wanted).map((field) => [field, heard[field as keyof Heard]]),
  ) as Partial<Segment>;
  assert.deepEqual(got, wanted, `received ${print(heard)}\nexpected ${print(want)}`);
}

const FLAG_NAMES: readonly (readonly [number, string])[] = [
  [SYN, 'SYN'],
  [FIN, 'FIN'],
  [RST, 'RST'],
  [PSH, 'PSH'],
  [ACK, 'ACK'],
];

/** A segment as one line. */
export function print(segment: Said): string {
  const names = FLAG_NAMES.filter(([bit]) => (segment.flags & bit) !== 0).map(([, name]) => name);
  const payload = bytes(segment.data ?? '');
  const text = payload.length > 32 ? `${payload.length} bytes` : JSON.stringify(new TextDecoder().decode(payload));
  const sack = (segment.sack ?? []).map(([from, to]) => ` sack ${from}-${to}`).join('');
  return `${names.join(',')} seq ${segment.seq} ack ${segment.ack} win ${segment.window} ${text}${sack}`;
}
