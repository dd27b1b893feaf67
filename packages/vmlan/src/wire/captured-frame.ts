/**
 * What stands in the ring between the thread that sees frames and the one that writes them down.
 *
 * Zone: packet to write, control to read.  Little endian, `o` is the record's offset.  A card is declared by a record of
 * its own before its first frame; a record that is VOID says nothing.
 *
 *   0 kind u32 | 4 card u32 | 8 time f64, µs since 1970 | 16 kept u32 | 20 length u32 | 24 toGuest u32
 *   28 reason i32 | 32 lost u32 | 36 … the frame, or the card's description as JSON
 */
export const HEADER_LEN = 36;
export const VOID = 0;
export const FRAME = 1;
export const CARD = 2;
/** As a reason: the frame went its way. */
export const PASSED = -1;

const KIND = 0;
const CARD_ID = 4;
const TIME = 8;
const KEPT = 16;
const LENGTH = 20;
const TO_GUEST = 24;
const REASON = 28;
const LOST = 32;

/** A guest's network card as a capture tells of it. */
export interface CardDescription {
  /** `web/0`; `host` for the host's own interface. */
  readonly nic: string;
  readonly guest: string;
  readonly mac: string | null;
}

export const kind = (v: DataView, o: number): number => v.getUint32(o + KIND, true);
export const card = (v: DataView, o: number): number => v.getUint32(o + CARD_ID, true);
export const timeUs = (v: DataView, o: number): number => v.getFloat64(o + TIME, true);
export const kept = (v: DataView, o: number): number => v.getUint32(o + KEPT, true);
/** Of the whole frame. */
export const length = (v: DataView, o: number): number => v.getUint32(o + LENGTH, true);
export const isToGuest = (v: DataView, o: number): boolean => v.getUint32(o + TO_GUEST, true) === 1;
/** The counter of why it was dropped, or PASSED. */
export const reason = (v: DataView, o: number): number => v.getInt32(o + REASON, true);
/** Frames of this card that found no room since the one before. */
export const lost = (v: DataView, o: number): number => v.getUint32(o + LOST, true);

export const setVoid = (v: DataView, o: number): void => v.setUint32(o + KIND, VOID, true);
export const setReason = (v: DataView, o: number, reason: number): void => v.setInt32(o + REASON, reason, true);

export function emit(
  v: DataView,
  o: number,
  card: number,
  timeUs: number,
  kept: number,
  length: number,
  fromGuest: boolean,
  lost: number,
): void {
  v.setUint32(o + KIND, FRAME, true);
  v.setUint32(o + CARD_ID, card, true);
  v.setFloat64(o + TIME, timeUs, true);
  v.setUint32(o + KEPT, kept, true);
  v.setUint32(o + LENGTH, length, true);
  v.setUint32(o + TO_GUEST, fromGuest ? 0 : 1, true);
  v.setInt32(o + REASON, PASSED, true);
  v.setUint32(o + LOST, lost, true);
}

/** The description follows at HEADER_LEN. */
export function emitCard(v: DataView, o: number, card: number, len: number): void {
  v.setUint32(o + KIND, CARD, true);
  v.setUint32(o + CARD_ID, card, true);
  v.setUint32(o + KEPT, len, true);
}
