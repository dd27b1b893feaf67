/**
 * DHCPv4 messages (RFC 2131 §2, options RFC 2132, long options RFC 3396).
 * Zone: flow. One message allocates its option table, bounded by MAX_MESSAGE_BYTES; nothing throws on any input.
 * Addresses are uint32. `parseDhcp4` copies what it keeps, so the frame may be reused at once.
 */
export const SERVER_PORT = 67;
export const CLIENT_PORT = 68;
export const BOOT_REQUEST = 1;
export const BOOT_REPLY = 2;
export const HTYPE_ETHERNET = 1;
export const FLAG_BROADCAST = 0x8000;

export const DISCOVER = 1;
export const OFFER = 2;
export const REQUEST = 3;
export const DECLINE = 4;
export const ACK = 5;
export const NAK = 6;
export const RELEASE = 7;
export const INFORM = 8;

export const OPT_SUBNET_MASK = 1;
export const OPT_ROUTER = 3;
export const OPT_DNS = 6;
export const OPT_HOSTNAME = 12;
export const OPT_DOMAIN = 15;
export const OPT_MTU = 26;
export const OPT_BROADCAST = 28;
export const OPT_NTP = 42;
export const OPT_REQUESTED_IP = 50;
export const OPT_LEASE_TIME = 51;
export const OPT_OVERLOAD = 52;
export const OPT_MESSAGE_TYPE = 53;
export const OPT_SERVER_ID = 54;
export const OPT_PARAMETER_LIST = 55;
export const OPT_MESSAGE = 56;
export const OPT_MAX_SIZE = 57;
export const OPT_T1 = 58;
export const OPT_T2 = 59;
export const OPT_VENDOR_CLASS = 60;
export const OPT_CLIENT_ID = 61;
export const OPT_TFTP_SERVER = 66;
export const OPT_BOOTFILE = 67;
export const OPT_RAPID_COMMIT = 80;
export const OPT_FQDN = 81;
export const OPT_RELAY_AGENT = 82;
export const OPT_SEARCH = 119;

/** Longest message that is read; a guest with jumbo frames has no reason to send more. */
export const MAX_MESSAGE_BYTES = 4096;
/** Every reply is at least this long: BOOTP's size, which some clients insist on (RFC 1542 §2.1). */
export const MIN_MESSAGE_BYTES = 300;

const OPT_PAD = 0;
const OPT_END = 255;
const MAGIC_COOKIE = 0x63825363; // RFC 2131 §3
const CHADDR = 28;
const CHADDR_BYTES = 16;
const SNAME = 44;
const SNAME_BYTES = 64;
const FILE = 108;
const FILE_BYTES = 128;
const COOKIE = 236;
const OPTIONS = 240;
const OVERLOAD_FILE = 1; // RFC 2132 §9.3
const OVERLOAD_SNAME = 2;
const MAX_OPTION_BYTES = 255;

export interface Dhcp4Header {
  op: number;
  htype: number;
  hlen: number;
  hops: number;
  xid: number;
  secs: number;
  flags: number;
  ciaddr: number;
  yiaddr: number;
  siaddr: number;
  giaddr: number;
  /** All 16 bytes, padding included: replies echo it whole. */
  chaddr: Uint8Array;
}

export interface Dhcp4Message extends Dhcp4Header {
  /** Raw values by code, parts of one option joined (RFC 3396 §7), in order of first appearance. */
  options: Map<number, Uint8Array>;
}

export type Dhcp4Option = readonly [code: number, value: Uint8Array];

export interface Dhcp4Output extends Dhcp4Header {
  /** ASCII, cut to fit; while empty, the field may carry options (option 52). */
  sname: string;
  file: string;
  /** In order of importance: what does not fit into `maxBytes` is left out. */
  options: readonly Dhcp4Option[];
}

interface Part {
  at: number;
  len: number;
}

type Parts = Map<number, Part[]>;

/** Collects the options of one area; false when an option runs over its end. */
function scanArea(v: DataView, from: number, end: number, parts: Parts): boolean {
  let at = from;
  while (at < end) {
    const code = v.getUint8(at++);
    if (code === OPT_PAD) continue;
    if (code === OPT_END) return true;
    if (at >= end) return false;
    const len = v.getUint8(at++);
    if (at + len > end) return false;
    const known = parts.get(code);
    if (known === undefined) parts.set(code, [{ at, len }]);
    else known.push({ at, len });
    at += len;
  }
  return true; // no end option: RFC 2131 §4.1 wants one, but small clients forget it, and nothing is ambiguous
}

function overloadOf(v: DataView, parts: Parts): number {
  const part = parts.get(OPT_OVERLOAD)?.[0];
  return part !== undefined && part.len === 1 ? v.getUint8(part.at) : 0;
}

function joinParts(v: DataView, parts: readonly Part[]): Uint8Array {
  const value = new Uint8Array(parts.reduce((sum, part) => sum + part.len, 0));
  let at = 0;
  for (const part of parts) {
    value.set(new Uint8Array(v.buffer, v.byteOffset + part.at, part.len), at);
    at += part.len;
  }
  return value;
}

function readOptions(v: DataView, off: number, len: number): Map<number, Uint8Array> | null {
  const parts: Parts = new Map();
  if (!scanArea(v, off + OPTIONS, off + len, parts)) return null;
  const overload = overloadOf(v, parts);
  // RFC 3396 §5: the aggregate is options, then file, then sname.
  if ((overload & OVERLOAD_FILE) !== 0 && !scanArea(v, off + FILE, off + FILE + FILE_BYTES, parts)) return null;
  if ((overload & OVERLOAD_SNAME) !== 0 && !scanArea(v, off + SNAME, off + SNAME + SNAME_BYTES, parts)) return null;
  const options = new Map<number, Uint8Array>();
  for (const [code, list] of parts) options.set(code, joinParts(v, list));
  return options;
}

/** The message at `off`, or null: too short or long, no magic cookie (plain BOOTP), truncated option. */
export function parseDhcp4(v: DataView, off: number, len: number): Dhcp4Message | null {
  if (len < OPTIONS || len > MAX_MESSAGE_BYTES || off < 0 || off + len > v.byteLength) return null;
  if (v.getUint32(off + COOKIE) !== MAGIC_COOKIE) return null;
  const options = readOptions(v, off, len);
  if (options === null) return null;
  return {
    op: v.getUint8(off),
    htype: v.getUint8(off + 1),
    hlen: v.getUint8(off + 2),
    hops: v.getUint8(off + 3),
    xid: v.getUint32(off + 4),
    secs: v.getUint16(off + 8),
    flags: v.getUint16(off + 10),
    ciaddr: v.getUint32(off + 12),
    yiaddr: v.getUint32(off + 16),
    siaddr: v.getUint32(off + 20),
    giaddr: v.getUint32(off + 24),
    chaddr: new Uint8Array(v.buffer, v.byteOffset + off + CHADDR, CHADDR_BYTES).slice(),
    options,
  };
}

/** The value of a one-byte option, or -1 when it is absent or has another length. */
export function optionU8(m: Dhcp4Message, code: number): number {
  const value = m.options.get(code);
  return value?.length === 1 ? (value[0] ?? -1) : -1;
}

/** The value of a two-byte option, or -1. */
export function optionU16(m: Dhcp4Message, code: number): number {
  const value = m.options.get(code);
  return value?.length === 2 ? ((value[0] ?? 0) << 8) | (value[1] ?? 0) : -1;
}

/** The value of a four-byte option (an address, a time in seconds) as uint32, or -1. */
export function optionU32(m: Dhcp4Message, code: number): number {
  const value = m.options.get(code);
  return value?.length === 4 ? new DataView(value.buffer, value.byteOffset).getUint32(0) : -1;
}

export function u8Option(code: number, value: number): Dhcp4Option {
  return [code, Uint8Array.of(value)];
}

export function u16Option(code: number, value: number): Dhcp4Option {
  return [code, Uint8Array.of(value >>> 8, value)];
}

export function u32Option(code: number, ...values: readonly number[]): Dhcp4Option {
  const bytes = new Uint8Array(values.length * 4);
  const v = new DataView(bytes.buffer);
  values.forEach((value, i) => v.setUint32(i * 4, value));
  return [code, bytes];
}

export function textOption(code: number, text: string): Dhcp4Option {
  return [code, Uint8Array.from(text, (c) => c.charCodeAt(0))];
}

/** A stretch of the message that takes options; `end` leaves room for the end option. */
interface Area {
  at: number;
  readonly end: number;
  readonly overloadBit: number;
}

/** Parts of at most 255 bytes that a value takes; an empty one takes one. */
function partsOf(value: Uint8Array): number {
  return Math.max(1, Math.ceil(value.length / MAX_OPTION_BYTES));
}

/** Where each part of the option goes, or null when it fits nowhere: an option is placed whole or not at all. */
function placeOption(areas: readonly Area[], value: Uint8Array): Area[] | null {
  const room = areas.map((area) => area.end - area.at);
  const placed: Area[] = [];
  let index = 0; // RFC 3396 §7: the parts keep their order, so never back to an earlier area
  for (let part = 0; part < partsOf(value); part++) {
    const bytes = 2 + Math.min(MAX_OPTION_BYTES, value.length - part * MAX_OPTION_BYTES);
    while (index < areas.length && (room[index] ?? 0) < bytes) index++;
    const area = areas[index];
    if (area === undefined) return null;
    room[index] = (room[index] ?? 0) - bytes;
    placed.push(area);
  }
  return placed;
}

function writeOption(bytes: Uint8Array, [code, value]: Dhcp4Option, areas: readonly Area[]): number {
  let overload = 0;
  areas.forEach((area, i) => {
    const part = value.subarray(i * MAX_OPTION_BYTES, (i + 1) * MAX_OPTION_BYTES);
    bytes[area.at] = code;
    bytes[area.at + 1] = part.length;
    bytes.set(part, area.at + 2);
    area.at += 2 + part.length;
    overload |= area.overloadBit;
  });
  return overload;
}

function writeText(bytes: Uint8Array, at: number, room: number, text: string): void {
  for (let i = 0; i < text.length && i < room - 1; i++) bytes[at + i] = text.charCodeAt(i) & 0xff;
}

function writeHeader(v: DataView, m: Dhcp4Header): void {
  v.setUint8(0, m.op);
  v.setUint8(1, m.htype);
  v.setUint8(2, m.hlen);
  v.setUint8(3, m.hops);
  v.setUint32(4, m.xid);
  v.setUint16(8, m.secs);
  v.setUint16(10, m.flags);
  v.setUint32(12, m.ciaddr);
  v.setUint32(16, m.yiaddr);
  v.setUint32(20, m.siaddr);
  v.setUint32(24, m.giaddr);
  v.setUint32(COOKIE, MAGIC_COOKIE);
}

/** Bytes that the relay agent's option may have: the message type must still fit beside it. */
function relayRoom(limit: number): number {
  return Math.min(MAX_OPTION_BYTES, limit - OPTIONS - 16);
}

/** The fields that take options, the relay agent's room already set aside. */
function optionAreas(m: Dhcp4Output, limit: number, relayBytes: number): [Area, ...Area[]] {
  const keep = 1 + 3 + relayBytes; // end, option 52, option 82
  const areas: [Area, ...Area[]] = [{ at: OPTIONS, end: limit - keep, overloadBit: 0 }];
  if (m.file === '') areas.push({ at: FILE, end: FILE + FILE_BYTES - 1, overloadBit: OVERLOAD_FILE });
  if (m.sname === '') areas.push({ at: SNAME, end: SNAME + SNAME_BYTES - 1, overloadBit: OVERLOAD_SNAME });
  return areas;
}

/** Writes what fits and returns the bits of option 52. */
function writeOptions(bytes: Uint8Array, options: readonly Dhcp4Option[], areas: readonly Area[]): number {
  let overload = 0;
  for (const option of options) {
    const placed = placeOption(areas, option[1]);
    if (placed !== null) overload |= writeOption(bytes, option, placed);
  }
  for (const area of areas) if ((overload & area.overloadBit) !== 0) bytes[area.at] = OPT_END;
  return overload;
}

/**
 * The message in at most `maxBytes` (and at least MIN_MESSAGE_BYTES). Options that overflow the last field move
 * into `file` and `sname` where those are free (option 52, RFC 2131 §4.1), and are left out when nothing has room.
 * The relay agent's option, if any, comes last (RFC 3046 §2.1) and its room is kept.
 */
export function emitDhcp4(m: Dhcp4Output, maxBytes: number): Uint8Array {
  const limit = Math.max(MIN_MESSAGE_BYTES, maxBytes);
  const bytes = new Uint8Array(limit);
  writeHeader(new DataView(bytes.buffer), m);
  bytes.set(m.chaddr.subarray(0, CHADDR_BYTES), CHADDR);
  writeText(bytes, SNAME, SNAME_BYTES, m.sname);
  writeText(bytes, FILE, FILE_BYTES, m.file);
  const relay = m.options.find(([code, value]) => code === OPT_RELAY_AGENT && value.length <= relayRoom(limit));
  const areas = optionAreas(m, limit, relay === undefined ? 0 : 2 + relay[1].length);
  const others = m.options.filter(([code]) => code !== OPT_RELAY_AGENT);
  const overload = writeOptions(bytes, others, areas);
  const main = areas[0];
  if (overload !== 0) writeOption(bytes, u8Option(OPT_OVERLOAD, overload), [main]);
  if (relay !== undefined) writeOption(bytes, relay, [main]);
  bytes[main.at] = OPT_END;
  return bytes.slice(0, Math.max(MIN_MESSAGE_BYTES, main.at + 1));
}
