/**
 * TCP options: MSS (RFC 9293 §3.7.1), window scale and timestamps (RFC 7323), SACK (RFC 2018). Zone: packet.
 * `parseOptions` fills the module's `$options`, which the next call overwrites. Emitters write at `p` and return the
 * offset behind what they wrote; each pads with NOPs to a multiple of 4 bytes, so any combination is aligned.
 */
export const MAX_WINDOW_SCALE = 14; // RFC 7323 §2.3
export const MAX_SACK_BLOCKS = 4; // 40 bytes of options hold no more

const KIND_END = 0;
const KIND_NOP = 1;
const KIND_MSS = 2;
const KIND_WINDOW_SCALE = 3;
const KIND_SACK_PERMITTED = 4;
const KIND_SACK = 5;
const KIND_TIMESTAMPS = 8;

const FIXED_HEADER_LEN = 20; // bytes before the options
const DATA_OFFSET = 12;

export interface TcpOptions {
  /** Maximum segment size, bytes; -1 = absent. */
  mss: number;
  /** Shift count, at most MAX_WINDOW_SCALE; -1 = absent. */
  windowScale: number;
  sackPermitted: boolean;
  hasTimestamps: boolean;
  /** int32, as sequence numbers are. */
  timestampValue: number;
  timestampEcho: number;
  sackCount: number;
  /** Pairs of left and right edge, int32; the first `sackCount` pairs are valid. */
  readonly sack: Int32Array;
}

export const $options: TcpOptions = {
  mss: -1,
  windowScale: -1,
  sackPermitted: false,
  hasTimestamps: false,
  timestampValue: 0,
  timestampEcho: 0,
  sackCount: 0,
  sack: new Int32Array(2 * MAX_SACK_BLOCKS),
};

function reset(): void {
  $options.mss = -1;
  $options.windowScale = -1;
  $options.sackPermitted = false;
  $options.hasTimestamps = false;
  $options.timestampValue = 0;
  $options.timestampEcho = 0;
  $options.sackCount = 0;
}

/** Parses the options of the header at `o` into `$options`. False if they are malformed: what stood before is kept. */
export function parseOptions(v: DataView, o: number): boolean {
  reset();
  const end = o + ((v.getUint8(o + DATA_OFFSET) >>> 4) << 2);
  for (let p = o + FIXED_HEADER_LEN; p < end;) {
    const kind = v.getUint8(p);
    if (kind === KIND_END) return true;
    if (kind === KIND_NOP) {
      p += 1;
      continue;
    }
    if (p + 1 >= end) return false;
    const len = v.getUint8(p + 1);
    if (len < 2 || p + len > end) return false;
    parseOption(v, p, kind, len);
    p += len;
  }
  return true;
}

/** An option of a known kind with another length than its RFC gives is ignored, as unknown kinds are. */
function parseOption(v: DataView, p: number, kind: number, len: number): void {
  if (kind === KIND_MSS && len === 4) $options.mss = v.getUint16(p + 2);
  else if (kind === KIND_WINDOW_SCALE && len === 3) {
    $options.windowScale = Math.min(v.getUint8(p + 2), MAX_WINDOW_SCALE);
  } else if (kind === KIND_SACK_PERMITTED && len === 2) $options.sackPermitted = true;
  else if (kind === KIND_TIMESTAMPS && len === 10) {
    $options.hasTimestamps = true;
    $options.timestampValue = v.getInt32(p + 2);
    $options.timestampEcho = v.getInt32(p + 6);
  } else if (kind === KIND_SACK) parseSack(v, p, len);
}

function parseSack(v: DataView, p: number, len: number): void {
  const count = (len - 2) >>> 3;
  if (len !== 2 + (count << 3) || count > MAX_SACK_BLOCKS) return;
  for (let i = 0; i < count * 2; i++) $options.sack[i] = v.getInt32(p + 2 + (i << 2));
  $options.sackCount = count;
}

export function emitNop(v: DataView, p: number): number {
  v.setUint8(p, KIND_NOP);
  return p + 1;
}

/** 4 bytes. */
export function emitMss(v: DataView, p: number, mss: number): number {
  v.setUint16(p, (KIND_MSS << 8) | 4);
  v.setUint16(p + 2, mss);
  return p + 4;
}

/** 4 bytes: NOP, then the option. */
export function emitWindowScale(v: DataView, p: number, shift: number): number {
  v.setUint16(p, (KIND_NOP << 8) | KIND_WINDOW_SCALE);
  v.setUint16(p + 2, (3 << 8) | shift);
  return p + 4;
}

/** 4 bytes: two NOPs, then the option. */
export function emitSackPermitted(v: DataView, p: number): number {
  v.setUint16(p, (KIND_NOP << 8) | KIND_NOP);
  v.setUint16(p + 2, (KIND_SACK_PERMITTED << 8) | 2);
  return p + 4;
}

/** 12 bytes: two NOPs, then the option (RFC 7323 appendix A). */
export function emitTimestamps(v: DataView, p: number, value: number, echo: number): number {
  v.setUint16(p, (KIND_NOP << 8) | KIND_NOP);
  v.setUint16(p + 2, (KIND_TIMESTAMPS << 8) | 10);
  v.setInt32(p + 4, value);
  v.setInt32(p + 8, echo);
  return p + 12;
}

/** 4 + 8 × count bytes: two NOPs, then the option; `blocks` holds pairs of left and right edge, 1 to 4 of them (3 beside timestamps). */
export function emitSackBlocks(v: DataView, p: number, blocks: Int32Array, count: number): number {
  v.setUint16(p, (KIND_NOP << 8) | KIND_NOP);
  v.setUint16(p + 2, (KIND_SACK << 8) | (2 + (count << 3)));
  for (let i = 0; i < count * 2; i++) v.setInt32(p + 4 + (i << 2), blocks[i]!);
  return p + 4 + (count << 3);
}
