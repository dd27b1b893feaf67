/**
 * DHCPv6 messages between client and server (RFC 8415 §8, options §21).
 * Zone: flow. One message allocates its option list, bounded by MAX_MESSAGE_BYTES and MAX_OPTIONS; nothing throws on
 * any input. Addresses are four uint32 words. Values are copied, so the frame may be reused at once.
 */
export const SERVER_PORT = 547;
export const CLIENT_PORT = 546;

export const SOLICIT = 1;
export const ADVERTISE = 2;
export const REQUEST = 3;
export const CONFIRM = 4;
export const RENEW = 5;
export const REBIND = 6;
export const REPLY = 7;
export const RELEASE = 8;
export const DECLINE = 9;
export const INFORMATION_REQUEST = 11;
export const RELAY_FORW = 12;
export const RELAY_REPL = 13;

export const OPT_CLIENT_ID = 1;
export const OPT_SERVER_ID = 2;
export const OPT_IA_NA = 3;
export const OPT_IA_TA = 4;
export const OPT_IA_ADDR = 5;
export const OPT_OPTION_REQUEST = 6;
export const OPT_PREFERENCE = 7;
export const OPT_STATUS_CODE = 13;
export const OPT_RAPID_COMMIT = 14;
export const OPT_DNS = 23;
export const OPT_SEARCH = 24;
export const OPT_IA_PD = 25;
export const OPT_INFORMATION_REFRESH = 32;
export const OPT_FQDN = 39;
export const OPT_NTP = 56;

export const STATUS_SUCCESS = 0;
export const STATUS_NO_ADDRS_AVAIL = 2;
export const STATUS_NO_BINDING = 3;
export const STATUS_NOT_ON_LINK = 4;
export const STATUS_USE_MULTICAST = 5;
export const STATUS_NO_PREFIX_AVAIL = 6;

/** Longest message that is read; everything a guest has to say fits into a fraction of it. */
export const MAX_MESSAGE_BYTES = 4096;
/** Options of one message or of one container in it. A longer list is refused as a whole. */
export const MAX_OPTIONS = 64;
/** RFC 8415 §11.1: two bytes of type and at most 128 of content. */
export const MAX_DUID_BYTES = 130;

const HEADER_BYTES = 4;
const OPTION_HEADER_BYTES = 4;
const IA_NA_BYTES = 12; // IAID, T1, T2
const IA_TA_BYTES = 4; // IAID alone
const IA_ADDR_BYTES = 24;

/** Four uint32, most significant first: a plain array or a Uint32Array. */
export type Words = ArrayLike<number>;

export interface Dhcp6Option {
  readonly code: number;
  readonly value: Uint8Array;
}

export interface Dhcp6Message {
  readonly type: number;
  /** Transaction id, 24 bits. */
  readonly xid: number;
  readonly options: readonly Dhcp6Option[];
}

/** IA_NA, IA_TA or IA_PD; T1 and T2 in seconds, 0 in an IA_TA. */
export interface Ia {
  readonly iaid: number;
  readonly t1: number;
  readonly t2: number;
  readonly options: readonly Dhcp6Option[];
}

/** Lifetimes in seconds. */
export interface IaAddress {
  readonly address: Words;
  readonly preferred: number;
  readonly valid: number;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The options between `from` and `end`, or null when one is cut short or there are too many. */
function readOptions(v: DataView, from: number, end: number): Dhcp6Option[] | null {
  const options: Dhcp6Option[] = [];
  let at = from;
  while (at < end) {
    if (at + OPTION_HEADER_BYTES > end || options.length === MAX_OPTIONS) return null;
    const code = v.getUint16(at);
    const len = v.getUint16(at + 2);
    at += OPTION_HEADER_BYTES;
    if (at + len > end) return null;
    options.push({ code, value: new Uint8Array(v.buffer, v.byteOffset + at, len).slice() });
    at += len;
  }
  return options;
}

/** The client/server message at `off`, or null. Relay messages have another header and are not read. */
export function parseDhcp6(v: DataView, off: number, len: number): Dhcp6Message | null {
  if (len < HEADER_BYTES || len > MAX_MESSAGE_BYTES || off < 0 || off + len > v.byteLength) return null;
  const type = v.getUint8(off);
  if (type === RELAY_FORW || type === RELAY_REPL) return null;
  const options = readOptions(v, off + HEADER_BYTES, off + len);
  return options === null ? null : { type, xid: v.getUint32(off) & 0xffffff, options };
}

export function findOption(options: readonly Dhcp6Option[], code: number): Uint8Array | null {
  return options.find((option) => option.code === code)?.value ?? null;
}

/** The identity association in an option of code IA_NA, IA_TA or IA_PD, or null when it is cut short. */
export function parseIa(option: Dhcp6Option): Ia | null {
  const v = viewOf(option.value);
  const fixed = option.code === OPT_IA_TA ? IA_TA_BYTES : IA_NA_BYTES;
  if (v.byteLength < fixed) return null;
  const options = readOptions(v, fixed, v.byteLength);
  if (options === null) return null;
  const timed = fixed === IA_NA_BYTES;
  return { iaid: v.getUint32(0), t1: timed ? v.getUint32(4) : 0, t2: timed ? v.getUint32(8) : 0, options };
}

/** The well-formed addresses of an IA_NA or IA_TA. */
export function iaAddresses(ia: Ia): IaAddress[] {
  return ia.options.flatMap(({ code, value }) => {
    if (code !== OPT_IA_ADDR || value.length < IA_ADDR_BYTES) return [];
    const v = viewOf(value);
    const address = [v.getUint32(0), v.getUint32(4), v.getUint32(8), v.getUint32(12)];
    return [{ address, preferred: v.getUint32(16), valid: v.getUint32(20) }];
  });
}

/** The option codes that a client asks for (RFC 8415 §21.7), or null when it does not say. */
export function requestedOptions(options: readonly Dhcp6Option[]): ReadonlySet<number> | null {
  const value = findOption(options, OPT_OPTION_REQUEST);
  if (value === null) return null;
  const v = viewOf(value);
  const codes = new Set<number>();
  for (let at = 0; at + 2 <= v.byteLength; at += 2) codes.add(v.getUint16(at));
  return codes;
}

/** The options one after the other, as a message or a container holds them. */
export function encodeOptions(options: readonly Dhcp6Option[], headerBytes: number = 0): Uint8Array {
  const total = options.reduce((sum, option) => sum + OPTION_HEADER_BYTES + option.value.length, headerBytes);
  const bytes = new Uint8Array(total);
  const v = viewOf(bytes);
  let at = headerBytes;
  for (const { code, value } of options) {
    v.setUint16(at, code);
    v.setUint16(at + 2, value.length);
    bytes.set(value, at + OPTION_HEADER_BYTES);
    at += OPTION_HEADER_BYTES + value.length;
  }
  return bytes;
}

export function emitDhcp6(m: Dhcp6Message): Uint8Array {
  const bytes = encodeOptions(m.options, HEADER_BYTES);
  viewOf(bytes).setUint32(0, ((m.type << 24) | (m.xid & 0xffffff)) >>> 0);
  return bytes;
}

/** An IA_NA, IA_TA or IA_PD with its inner options. */
export function iaOption(code: number, ia: Ia): Dhcp6Option {
  const fixed = code === OPT_IA_TA ? IA_TA_BYTES : IA_NA_BYTES;
  const value = encodeOptions(ia.options, fixed);
  const v = viewOf(value);
  v.setUint32(0, ia.iaid);
  if (fixed === IA_NA_BYTES) {
    v.setUint32(4, ia.t1);
    v.setUint32(8, ia.t2);
  }
  return { code, value };
}

function setWords(v: DataView, at: number, words: Words): void {
  for (let i = 0; i < 4; i++) v.setUint32(at + i * 4, words[i] ?? 0);
}

export function addressOption({ address, preferred, valid }: IaAddress): Dhcp6Option {
  const value = new Uint8Array(IA_ADDR_BYTES);
  const v = viewOf(value);
  setWords(v, 0, address);
  v.setUint32(16, preferred);
  v.setUint32(20, valid);
  return { code: OPT_IA_ADDR, value };
}

/** RFC 8415 §21.13; `text` is ASCII for people. */
export function statusOption(status: number, text: string): Dhcp6Option {
  const value = Uint8Array.from([status >> 8, status & 0xff, ...Array.from(text, (c) => c.charCodeAt(0))]);
  return { code: OPT_STATUS_CODE, value };
}

export function wordsOption(code: number, list: readonly Words[]): Dhcp6Option {
  const value = new Uint8Array(list.length * 16);
  const v = viewOf(value);
  list.forEach((words, i) => setWords(v, i * 16, words));
  return { code, value };
}

export function u32Option(code: number, number: number): Dhcp6Option {
  const value = new Uint8Array(4);
  viewOf(value).setUint32(0, number);
  return { code, value };
}
