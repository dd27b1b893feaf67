/**
 * Verdicts: what a codec's `check` says about a packet. Zone: packet.
 * One small integer space for all codecs, so that a drop counter is one array indexed by verdict; OK is zero.
 * A verdict says what is wrong with the bytes, never what to do about them: that is the caller's.
 */
export type Verdict = number;

export const OK: Verdict = 0;
export const TOO_SHORT: Verdict = 1; // fewer bytes than the fixed header
export const BAD_VERSION: Verdict = 2;
export const BAD_HEADER_LENGTH: Verdict = 3; // below the minimum, or past the end
export const BAD_LENGTH: Verdict = 4; // the length field contradicts the bytes that are there
export const BAD_CHECKSUM: Verdict = 5;
export const BAD_FRAGMENT: Verdict = 6; // not a multiple of 8, or reaches past 65535
export const BAD_OPTION: Verdict = 7; // an option runs past its header, or must not be ignored
export const SOURCE_ROUTED: Verdict = 8; // LSRR, SSRR, routing header
export const TOO_MANY_HEADERS: Verdict = 9; // IPv6 extension headers past our bound
export const BAD_HEADER_ORDER: Verdict = 10; // hop-by-hop header anywhere but first
export const BAD_HOP_LIMIT: Verdict = 11; // ND that came through a router
export const BAD_CODE: Verdict = 12; // ICMP code that the RFC forbids for the type
export const BAD_ADDRESS: Verdict = 13; // address that the RFC forbids in this place
export const BAD_OFFLOAD: Verdict = 14; // virtio_net_hdr whose values leave the frame
export const UNKNOWN_TYPE: Verdict = 15; // not a message of this protocol
export const VERDICT_COUNT = 16;

/** Names by verdict, for counters and logs. */
export const VERDICT_NAMES: readonly string[] = [
  'ok',
  'too-short',
  'bad-version',
  'bad-header-length',
  'bad-length',
  'bad-checksum',
  'bad-fragment',
  'bad-option',
  'source-routed',
  'too-many-headers',
  'bad-header-order',
  'bad-hop-limit',
  'bad-code',
  'bad-address',
  'bad-offload',
  'unknown-type',
];
